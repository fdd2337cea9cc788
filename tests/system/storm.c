/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Processes that come and go:
 *
 *      storm TOTAL ALIVE NAME
 *
 * TOTAL children are forked and end at once, with at most ALIVE of them at a time. Every seventh
 * calls itself NAME before it ends.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/number.h"

static void child(unsigned i, const char *name)
{
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (i % 7 == 0)
                (void)prctl(PR_SET_NAME, name);
        (void)usleep(2000);
        _exit(0);
}

int main(int argc, char **argv)
{
        unsigned total, alive, now = 0;

        if (argc != 4 || !parse_number(argv[1], 10000000, &total) ||
            !parse_number(argv[2], 30000, &alive)) {
                fputs("usage: storm TOTAL ALIVE NAME\n", stderr);
                return 2;
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0; i < total; i++) {
                pid_t pid = fork();

                if (pid == 0)
                        child(i, argv[3]);
                if (pid < 0) {
                        fprintf(stderr, "storm: fork: %s\n", strerror(errno));
                        return 1;
                }
                now++;
                while (now >= alive && wait(NULL) > 0)
                        now--;
        }
        while (wait(NULL) > 0)
                ;
        return 0;
}
