/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * ksmctl: one verb is one file with one function, and a line in the table of main.c.
 *
 * A verb's function is called with getopt's globals as after a start: argv[0] is the verb, and
 * its options and operands follow. It reports its own failures, one line on standard error each,
 * and returns the exit status.
 */

#include "ksmtuned/sysroot.h"

/* Exit statuses; ksmctl(8). */
enum {
        CTL_SUCCESS = 0,
        CTL_FAILURE = 1,
        CTL_USAGE = 2, /* wrong options of a verb; without a verb the original's contract wants 1 */
        /* doctor's */
        CTL_ADVICE = 1,
        CTL_TROUBLE = 2,
        /* unmerge's and settings': begun, and not all was done */
        CTL_UNFINISHED = 3,
        /* exec's, as env(1) has them */
        CTL_EXEC_FAILURE = 125,
        CTL_EXEC_DENIED = 126,
        CTL_EXEC_NOT_FOUND = 127,
};

struct ctl_verb {
        const char *name;
        const char *options; /* for the usage: "[-b|--bytes]", or "" */
        const char *summary; /* for the usage: half a line */
        int (*run)(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
};

/* The usage of one verb, on standard output. Return: the exit status. */
int ctl_verb_help(const struct ctl_verb *verb);

/* Complains about argv[@at] (of the verb's own argv) on standard error. Return: CTL_USAGE. */
int ctl_verb_misuse(const struct ctl_verb *verb, const char *argument);

/*
 * The options of a verb that has none but --help. Return: -1 to go on, else the exit status.
 */
int ctl_no_options(const struct ctl_verb *verb, int argc, char **argv);

/* Whether all of standard output was taken; complains if not. Return: the exit status. */
int ctl_flush(void);

int ctl_start(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_stop(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_doctor(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_status(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_guests(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_watch(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_record(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_replay(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_retune(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_settings(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_unmerge(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
int ctl_exec(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv);
