/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ksmctl unmerge: what it will need, and the work. */

#include <stdbool.h>

#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"
#include "ksmtuned/unmerge.h"

enum unmerge_refusal {
        UNMERGE_GOES,
        UNMERGE_DOES_NOT_FIT,
        UNMERGE_DAEMON_WANTS_KSM,
        UNMERGE_AT_WORK, /* another process unmerges; not even --force can help that */
};

struct unmerge_plan {
        struct unmerge_figures start;
        int daemon_running; /* 1, 0, or a negative errno where it cannot be told */
        struct state state; /* of the daemon, where it runs */
        /* After the unmerge, the daemon's next decision would switch KSM on. */
        bool daemon_would_start;
        enum unmerge_refusal refusal;
};

/* Return: 0; what unmerge_look() said. */
int unmerge_plan(const struct sysroot *root, struct unmerge_plan *ret_plan);

/* What unmerge_look() said, one line on standard error. Return: the exit status. */
int unmerge_look_failed(const char *verb, int error);

/* For people and for programs, on standard output. Return: 0; -ENOMEM. */
int unmerge_plan_print(const struct unmerge_plan *plan);
int unmerge_plan_print_json(const struct unmerge_plan *plan);

/* What will be refused, one line on standard error. */
void unmerge_plan_refuse(const struct unmerge_plan *plan);

/* Adds to a table of facts what is merged, and whether memory has room. Return: 0; -ENOMEM. */
struct libscols_table;
int unmerge_add_memory(struct libscols_table *table, const struct unmerge_figures *start);

struct unmerge_outcome {
        int loop_error; /* a negative errno: it was not even begun, or not seen to its end */
        int error;      /* the errno of the write; 0 */
        int by_signal;  /* what interrupted it; 0: nothing did */
        bool by_shortage;
        bool killed; /* by somebody else */
        uint64_t usec;
};

/*
 * Unmerges: tells how far it is, ends at once for SIGINT, SIGTERM and SIGHUP, which stay blocked
 * behind it, and by itself where memory runs short, unless @force.
 */
void unmerge_run(const struct sysroot *root, const struct unmerge_figures *start, bool force,
                 struct unmerge_outcome *ret_outcome);
bool unmerge_is_done(const struct unmerge_outcome *outcome);

/* Why not all was done, one line on standard error. @of_shortage: what to do about that one. */
void unmerge_complain(const char *verb, const struct unmerge_outcome *outcome,
                      const char *of_shortage);

/*
 * Does it, tells what became of it, and leaves ksmd stopped. Return: the exit status.
 */
int unmerge_work(const struct sysroot *root, const struct unmerge_figures *start, bool force);
