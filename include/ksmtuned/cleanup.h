/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Release at the end of a scope, so that every early return is a safe one.
 *
 *      CLEANUP_FD int fd = open(...);
 *      CLEANUP_FREE char *text = NULL;
 *
 * TAKE_FD() and TAKE_PTR() hand a value on and leave nothing behind to release.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *p)
{
        free(*(void **)p);
}

static inline void cleanup_fd(const int *fd)
{
        if (*fd >= 0)
                (void)close(*fd);
}

static inline void cleanup_file(FILE **f)
{
        if (*f)
                (void)fclose(*f);
}

#define CLEANUP(f)   __attribute__((cleanup(f)))
#define CLEANUP_FREE CLEANUP(cleanup_free)
#define CLEANUP_FD   CLEANUP(cleanup_fd)
#define CLEANUP_FILE CLEANUP(cleanup_file)

static inline int take_fd(int *fd)
{
        int r = *fd;

        *fd = -1;
        return r;
}

#define TAKE_FD(fd) take_fd(&(fd))
#define TAKE_PTR(p)                         \
        ({                                  \
                __typeof__(p) _taken = (p); \
                (p) = NULL;                 \
                _taken;                     \
        })
