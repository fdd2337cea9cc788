/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Many cheap processes:
 *
 *      crowd PROGRAM N AWAKE_MSEC GUEST_PROGRAM M
 *
 * starts N processes of PROGRAM and M of GUEST_PROGRAM, both copies of this file under other
 * names. They sleep; with AWAKE_MSEC above 0 those of PROGRAM wake up that often. When all are
 * there, the PIDs of the guests are printed, one a line, and an empty line. All end with crowd.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/number.h"

#define AWAKE    "CROWD_AWAKE_MSEC"
#define MSEC_MAX 86400000

/* What a member of the crowd does. */
static void be_idle(void)
{
        const char *text = getenv(AWAKE);
        struct timespec nap;
        unsigned msec = 0;

        if (text)
                (void)parse_number(text, MSEC_MAX, &msec);
        nap.tv_sec = msec / 1000;
        nap.tv_nsec = (long)(msec % 1000) * 1000000;
        for (;;)
                if (msec > 0)
                        (void)nanosleep(&nap, NULL);
                else
                        (void)pause();
}

static pid_t start(const char *program, char *const *argv)
{
        pid_t pid = fork();

        if (pid != 0)
                return pid;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* stays over exec */
        execv(program, argv);
        fprintf(stderr, "crowd: %s: %s\n", program, strerror(errno));
        _exit(1);
}

static int usage(void)
{
        fputs("usage: crowd PROGRAM N AWAKE_MSEC GUEST_PROGRAM M\n", stderr);
        return 2;
}

int main(int argc, char **argv)
{
        const char *name = argc > 0 ? strrchr(argv[0], '/') : NULL;
        char idle[] = "idle", qemu[] = "qemu-system-x86_64", kvm[] = "-enable-kvm", x[] = "-name";
        char *idle_argv[] = {idle, x, NULL}, *guest_argv[] = {qemu, x, kvm, NULL};
        unsigned n, m;
        int ready[2];
        char byte;

        if (strcmp(name ? name + 1 : argv[0], "crowd") != 0)
                be_idle();
        if (argc != 6 || !parse_number(argv[2], 1000000, &n) || !parse_number(argv[5], 1000000, &m))
                return usage();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        /* The last exec closes the last end that could be written to. */
        if (pipe2(ready, O_CLOEXEC) < 0 || setenv(AWAKE, argv[3], 1) < 0)
                return 1;

        for (unsigned i = 0; i < n; i++)
                if (start(argv[1], idle_argv) < 0)
                        return perror("crowd: fork"), 1;
        if (setenv(AWAKE, "0", 1) < 0)
                return 1;
        for (unsigned i = 0; i < m; i++) {
                pid_t pid = start(argv[4], guest_argv);

                if (pid < 0)
                        return perror("crowd: fork"), 1;
                printf("%d\n", (int)pid);
        }
        (void)close(ready[1]);
        if (read(ready[0], &byte, 1) != 0)
                return 1;
        puts("");
        fflush(stdout);
        for (;;)
                (void)pause();
}
