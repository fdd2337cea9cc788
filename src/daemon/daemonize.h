/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Going to the background, with the parent waiting until the daemon is in business. */

#include <stdbool.h>

struct background {
        int fd;           /* where the parent waits; -1: nobody does */
        bool keep_stderr; /* the DEBUG lines go there */
};

#define BACKGROUND_NONE  \
        {                \
                .fd = -1 \
        }

/*
 * Forks. The parent waits for the child's word and returns with @ret_status set: it is to exit
 * with that. The child leads a session of its own, in "/", with standard input and output at
 * /dev/null. Its standard error stays until background_ready(), so that what goes wrong on the
 * way is seen. Return: 1 in the parent; 0 in the child, which owes background_ready(); -errno.
 */
int background_enter(struct background *background, int *ret_status);

/* Lets the parent go, with @status, and standard error with it. Where there is no parent: nothing.
 */
void background_ready(struct background *background, int status);
