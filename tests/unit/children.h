/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Real processes by names of their own, which stand still unless they are told something. Include
 * cmocka.h before. Whatever fails here fails the test.
 */

#include <stddef.h>
#include <sys/types.h>

#include "made-up-root.h"

struct child {
        pid_t pid;
        int to, from; /* its standard input and output */
};

#define N_CROWD_MAX 512

/* Many that share their pipes: all of them end together. */
struct crowd {
        pid_t pids[N_CROWD_MAX];
        size_t n;
        int to, from;
};

/* A copy of the program by the name of @name in the made-up root. Return: where it is, in @buf. */
const char *put_program(const struct made_up_root *host, const char *name, char *buf, size_t size);

/* When it comes back, the program is running, and waits. */
void child_start(struct child *child, const char *program);

/* Tells it a line, see guest-program.c, and waits until it is done. */
void child_tell(struct child *child, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Ends it; child_end() leaves nothing of it, child_end_as_zombie() leaves a zombie to be ended. */
void child_end(struct child *child);
void child_end_as_zombie(struct child *child);

void crowd_start(struct crowd *crowd, const char *program, size_t n);
void crowd_end(struct crowd *crowd);
