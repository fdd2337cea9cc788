/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "daemonize.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"
#include "options.h"

static int redirect_to_null(int first, int last)
{
        int null = open("/dev/null", O_RDWR | O_CLOEXEC), r = 0;

        if (null < 0)
                return -errno;
        for (int fd = first; fd <= last && r == 0; fd++)
                if (fd != null && dup2(null, fd) < 0)
                        r = -errno;
        if (null > STDERR_FILENO)
                (void)close(null);
        return r;
}

/* Return: the status that the child sends; failure where it dies without a word. */
static int await_child(int fd)
{
        unsigned char status = STATUS_FAILURE;

        while (read(fd, &status, 1) < 0 && errno == EINTR)
                ;
        return status;
}

int background_enter(struct background *background, int *ret_status)
{
        CLEANUP_FD int reader = -1, writer = -1;
        int fds[2], r;
        pid_t pid;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        reader = fds[0];
        writer = fds[1];
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid > 0) {
                (void)close(TAKE_FD(writer));
                *ret_status = await_child(reader);
                return 1;
        }
        if (setsid() < 0 || chdir("/") < 0)
                return -errno;
        r = redirect_to_null(STDIN_FILENO, STDOUT_FILENO);
        if (r < 0)
                return r;
        background->fd = TAKE_FD(writer);
        return 0;
}

void background_ready(struct background *background, int status)
{
        unsigned char byte = (unsigned char)status;

        if (background->fd < 0)
                return;
        /* Should it fail, the starter's terminal hears of troubles: nothing worse. */
        if (!background->keep_stderr)
                (void)redirect_to_null(STDERR_FILENO, STDERR_FILENO);
        /* A parent that has been killed meanwhile does not mind. */
        (void)!write(background->fd, &byte, 1);
        (void)close(TAKE_FD(background->fd));
}
