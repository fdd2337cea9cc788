/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The pidfile: tells scripts whom to signal, and keeps a second daemon away.
 *
 * It is locked as long as the daemon lives, so one that a crash left behind is known as stale. The
 * original does not lock its pidfile: a PID of a process called ksmtuned counts as running, too.
 */

#include <sys/types.h>

#include "ksmtuned/sysroot.h"

struct pidfile {
        const struct sysroot *root;
        char *path; /* owned */
        int fd;     /* locked; -1: there is none */
};

#define PIDFILE_INIT     \
        {                \
                .fd = -1 \
        }

/*
 * Takes the pidfile, without writing to it yet.
 * Return: 0; -EEXIST and @ret_owner (0 if unknown) if a daemon runs already; -ENOMEM; what open()
 * said.
 */
int pidfile_acquire(struct pidfile *ret_pidfile, const struct sysroot *root, const char *path,
                    pid_t *ret_owner);

/* Writes this process's PID. The lock is inherited over fork(). Return: 0; what write() said. */
int pidfile_write(struct pidfile *pidfile);

/* Gives it back, and removes the file if @remove and it is still the one that was taken. */
void pidfile_release(struct pidfile *pidfile, bool remove);
