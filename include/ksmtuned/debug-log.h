/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The DEBUG log, line by line as the original wrote it: "$(date): TEXT" with the date as date(1)
 * prints it in the C locale.
 */

#include <stdbool.h>

#include "ksmtuned/decision.h"
#include "ksmtuned/sysroot.h"

struct debug_log {
        int fd; /* owned unless it is standard error; -1: closed */
        bool is_stderr;
};

#define DEBUG_LOG_INIT   \
        {                \
                .fd = -1 \
        }

/*
 * Opens @path for appending (0640 when new); "" means standard error. An open one is
 * closed first: this is how a rotated log is reopened. Return: 0; what open() said (closed then).
 */
int debug_log_open(struct debug_log *log, const struct sysroot *root, const char *path);
void debug_log_close(struct debug_log *log);

/* "total N", "sleep N", "thres N": at start and after a reload. Nothing where the log is closed.
 * Return: 0; what write() said. */
int debug_log_parameters(struct debug_log *log, const struct decision *decision);

/* The lines of one decision. Return as above. */
int debug_log_decision(struct debug_log *log, const struct decision *decision);
