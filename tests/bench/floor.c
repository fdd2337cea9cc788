/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The least that a look at the guests can cost when nothing is remembered but who they are: list
 * /proc once, and open, read and close one file of each guest.
 *
 *      floor TIMES PAUSE_MSEC < PIDS
 *
 * Prints the CPU time of one such look, in ns, the mean of TIMES. A pause between two looks
 * leaves the caches as cold as a daemon finds them that was asleep.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "tests/number.h"

#define MAX_GUESTS 4096

static char names[MAX_GUESTS][24];
static unsigned n_names;
static char buffer[64 * 1024];
static uint64_t n_bytes; /* keeps the reads from being for nothing */

static uint64_t cpu_nsec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static void look(int proc)
{
        long n;

        (void)lseek(proc, 0, SEEK_SET);
        while ((n = syscall(SYS_getdents64, proc, buffer, sizeof(buffer))) > 0)
                n_bytes += (uint64_t)n;
        for (unsigned i = 0; i < n_names; i++) {
                int fd = openat(proc, names[i], O_RDONLY | O_CLOEXEC);

                if (fd < 0)
                        continue;
                n = read(fd, buffer, sizeof(buffer));
                if (n > 0)
                        n_bytes += (uint64_t)n;
                (void)close(fd);
        }
}

int main(int argc, char **argv)
{
        unsigned times, pause_msec, pid;
        char line[32];
        uint64_t total_nsec = 0;
        int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (proc < 0 || argc != 3 || !parse_number(argv[1], 1000000, &times) ||
            !parse_number(argv[2], 86400000, &pause_msec) || times == 0) {
                fputs("usage: floor TIMES PAUSE_MSEC < PIDS\n", stderr);
                return 2;
        }
        while (n_names < MAX_GUESTS && fgets(line, sizeof(line), stdin) &&
               parse_number(line, 1 << 22, &pid))
                (void)snprintf(names[n_names++], sizeof(names[0]), "%u/statm", pid);

        look(proc);
        for (unsigned i = 0; i < times; i++) {
                struct timespec nap = {.tv_sec = pause_msec / 1000,
                                       .tv_nsec = (long)(pause_msec % 1000) * 1000000};
                uint64_t before;

                (void)nanosleep(&nap, NULL);
                before = cpu_nsec();
                look(proc);
                total_nsec += cpu_nsec() - before;
        }
        printf("%llu\n", (unsigned long long)(total_nsec / times));
        return n_bytes > 0 ? 0 : 1;
}
