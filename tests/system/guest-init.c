/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The only program of a test's guest, its /init: fills some memory, says so on the console, and
 * sleeps. Linked statically.
 */

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MEMORY_BYTES (64 << 20)

int main(void)
{
        static const char up[] = "guest is up\n";
        char *memory = malloc(MEMORY_BYTES);

        if (memory)
                memset(memory, 'k', MEMORY_BYTES);
        if (write(STDOUT_FILENO, up, sizeof(up) - 1) < 0 || !memory)
                return 1;
        for (;;)
                (void)pause();
}
