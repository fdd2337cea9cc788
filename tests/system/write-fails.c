/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * To be preloaded: a write() of the text WRITE_FAILS_TEXT to the file WRITE_FAILS_PATH fails with
 * the number in WRITE_FAILS_ERRNO; with 0, it is done, and the process killed behind it.
 */

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/number.h"

static int is_meant(int fd, const void *buf, size_t n)
{
        const char *path = getenv("WRITE_FAILS_PATH"), *text = getenv("WRITE_FAILS_TEXT");
        char link[64], target[PATH_MAX];
        ssize_t len;

        if (!path || !text || n < strlen(text) || strncmp(buf, text, strlen(text)) != 0)
                return 0;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, target, sizeof(target) - 1);
        if (len < 0)
                return 0;
        target[len] = '\0';
        return strcmp(target, path) == 0;
}

ssize_t write(int fd, const void *buf, size_t n)
{
        const char *text = getenv("WRITE_FAILS_ERRNO");
        ssize_t written;
        unsigned number;

        if (!text || !parse_number(text, 4095, &number) || !is_meant(fd, buf, n))
                return syscall(SYS_write, fd, buf, n);
        if (number > 0) {
                errno = (int)number;
                return -1;
        }
        written = syscall(SYS_write, fd, buf, n);
        (void)kill(getpid(), SIGKILL);
        return written;
}
