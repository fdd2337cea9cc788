/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/state.h"

#define PID_SIZE 64
#define TRIES    10

static pid_t read_pid(int fd)
{
        char text[PID_SIZE], *rest;
        long pid;

        if (read_whole(fd, text, sizeof(text)) <= 0)
                return 0;
        errno = 0;
        pid = strtol(text, &rest, 10);
        if (errno != 0 || rest == text || pid <= 0 || pid > INT32_MAX)
                return 0;
        return (pid_t)pid;
}

/* Whether @path still leads to the open file: a daemon that ends removes it before its lock. */
static bool is_current(const struct sysroot *root, const char *path, int fd)
{
        CLEANUP_FD int other = -1;
        struct stat ours, theirs;

        other = sysroot_openat(root, path, O_PATH, 0);
        return other >= 0 && fstat(fd, &ours) == 0 && fstat(other, &theirs) == 0 &&
               ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
}

int pidfile_acquire(struct pidfile *ret_pidfile, const struct sysroot *root, const char *path,
                    pid_t *ret_owner)
{
        for (unsigned tries = 0; tries < TRIES; tries++) {
                CLEANUP_FD int fd = -1;
                struct state owner;
                char *copy;

                fd = sysroot_openat(root, path, O_RDWR | O_CREAT, 0644);
                if (fd < 0)
                        return fd;
                state_init(&owner);
                if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
                        if (errno != EWOULDBLOCK)
                                return -errno;
                        *ret_owner = read_pid(fd);
                        return -EEXIST;
                }
                if (!is_current(root, path, fd))
                        continue;
                owner.pid = read_pid(fd);
                if (owner.pid != getpid() && state_daemon_alive(root, &owner) == 1) {
                        *ret_owner = owner.pid;
                        return -EEXIST;
                }
                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                *ret_pidfile = (struct pidfile){root, copy, TAKE_FD(fd)};
                return 0;
        }
        return -EBUSY;
}

int pidfile_write(struct pidfile *pidfile)
{
        char text[PID_SIZE];
        int n;

        if (pidfile->fd < 0)
                return 0;
        n = snprintf(text, sizeof(text), "%d\n", getpid());
        if (n < 0)
                return -EIO;
        /* Never empty for a reader in between: the old text goes only behind the new one. */
        if (pwrite(pidfile->fd, text, (size_t)n, 0) != n || ftruncate(pidfile->fd, n) < 0)
                return errno > 0 ? -errno : -EIO;
        return 0;
}

void pidfile_release(struct pidfile *pidfile, bool remove)
{
        if (pidfile->fd < 0)
                return;
        if (remove && is_current(pidfile->root, pidfile->path, pidfile->fd))
                (void)sysroot_unlink(pidfile->root, pidfile->path);
        (void)close(pidfile->fd);
        pidfile->fd = -1;
        free(pidfile->path);
        pidfile->path = NULL;
}
