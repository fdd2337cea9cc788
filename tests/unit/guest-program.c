/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the tests run as a guest, by whatever name they copy it to. It answers with a dot when it
 * has begun, and when it has done what a line of its standard input asks:
 *
 *      exec FILE       becomes FILE (which answers)
 *      name NAME       takes another comm
 *      grow KB         makes so much memory its own
 *
 * It ends with its standard input.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static int obey(const char *command, const char *argument)
{
        if (strcmp(command, "exec") == 0) {
                (void)execl(argument, argument, (char *)NULL);
                return -1;
        }
        if (strcmp(command, "name") == 0)
                return prctl(PR_SET_NAME, argument);
        if (strcmp(command, "grow") == 0) {
                size_t size = strtoul(argument, NULL, 10) * 1024;
                void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                               0);

                if (p == MAP_FAILED)
                        return -1;
                for (size_t i = 0; i < size; i += sizeof(long))
                        ((long *)p)[i / sizeof(long)] = (long)i;
                return 0;
        }
        return -1;
}

int main(void)
{
        char line[1024];
        ssize_t n;

        for (;;) {
                char *argument;

                if (write(STDOUT_FILENO, ".", 1) != 1)
                        return 1;
                n = read(STDIN_FILENO, line, sizeof(line) - 1);
                if (n <= 0)
                        return n < 0;
                line[n] = '\0';
                line[strcspn(line, "\n")] = '\0';
                argument = strchr(line, ' ');
                if (!argument)
                        return 1;
                *argument++ = '\0';
                if (obey(line, argument) < 0)
                        return 1;
        }
}
