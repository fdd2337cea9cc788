/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmtuned-libvirt URI: tells the daemon, a line on standard output each, when domains come and go.
 *
 * A process of its own, because libvirt's calls can hang for as long as libvirtd does, and because
 * libvirt's libraries take more memory than all of the daemon. It may hang, crash or be killed at
 * any time: the daemon loses the events and nothing else, and starts another.
 *
 * It ends when nobody reads its lines any more, and dies with the daemon (PR_SET_PDEATHSIG, which
 * the daemon has set), also in the midst of a call that hangs.
 */

#include <errno.h>
#include <fcntl.h>
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "connection.h"
#include "line.h"

/* Pauses between attempts to connect: doubled from one to the next, and a quarter more or less. */
#define PAUSE_MIN_MSEC 1000
#define PAUSE_MAX_MSEC 60000

static int jitter(int msec)
{
        unsigned char byte = 128;

        (void)!getrandom(&byte, sizeof(byte), GRND_NONBLOCK);
        return msec * 3 / 4 + msec * byte / 512;
}

/* Return: whether the daemon still listens. */
static bool pause_between(int msec)
{
        struct pollfd pipe = {.fd = STDOUT_FILENO};

        return poll(&pipe, 1, msec) <= 0;
}

/* libvirt reports errors on standard error unless it is told not to; we tell them ourselves. */
static void on_error(void *userdata, virErrorPtr error)
{
        (void)userdata;
        (void)error;
}

int main(int argc, char **argv)
{
        int pause_msec = PAUSE_MIN_MSEC;

        if (argc != 2 || argv[1][0] == '-') {
                (void)fprintf(stderr, "Usage: ksmtuned-libvirt URI\n"
                                      "Started by ksmtuned(8); prints a line an event.\n");
                return 2;
        }
        (void)signal(SIGPIPE, SIG_IGN);
        /* An event that finds the pipe full is one of many: the daemon has enough to wake it. */
        if (fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK) < 0)
                return 1;
        line_print("hello 1");
        virSetErrorFunc(NULL, on_error);
        if (virEventRegisterDefaultImpl() < 0) {
                line_print("failed libvirt has no event loop");
                return 1;
        }
        for (;;) {
                bool connected = false;
                int r = connection_run(argv[1], &connected);

                if (r < 0)
                        return r == -EPIPE ? 0 : 1;
                if (connected)
                        pause_msec = PAUSE_MIN_MSEC;
                if (!pause_between(jitter(pause_msec)))
                        return 0;
                pause_msec = pause_msec * 2 < PAUSE_MAX_MSEC ? pause_msec * 2 : PAUSE_MAX_MSEC;
        }
}
