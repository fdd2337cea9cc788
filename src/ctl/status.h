/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ksmctl status: what was found, apart from how it is shown. */

#include <stdbool.h>
#include <stdint.h>

#include "ksmtuned/ksm.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"

struct status {
        /* The kernel, now. */
        int supported;                      /* ksm_supported() */
        int64_t value[KSM_ATTRIBUTE_COUNT]; /* where error is 0 */
        int error[KSM_ATTRIBUTE_COUNT];     /* 0; -EOPNOTSUPP: not on this kernel; other errors */
        int64_t page_bytes;
        int64_t saved_bytes;           /* SAMPLE_ABSENT where it cannot be told */
        int64_t sharing_rate_hundreds; /* pages_sharing / pages_shared × 100; or SAMPLE_ABSENT */
        int64_t ksmd_cpu_nsec;         /* SAMPLE_ABSENT where ksmd cannot be seen */

        /* The daemon's last decision. */
        int state_error; /* 0: there is one; -ENOENT: there is none; else why it cannot be read */
        struct state state; /* where state_error is 0 */
        int running;        /* 1, 0, or a negative errno where it cannot be told */
        bool age_known;     /* the decision has a time, and it is not in the future */
        int64_t age_usec;   /* of the decision */
        bool stale;         /* older than it could be if the daemon still decided */
};

/* Looks at everything. @now_usec: CLOCK_REALTIME. */
void status_read(const struct sysroot *root, int64_t now_usec, struct status *ret_status);

/* Whether any of the kernel's figures could be read. */
bool status_any_figure(const struct status *status);

/* Why something could not be read, in a few words. @error: a negative errno. */
const char *status_error_text(int error);

/* "none", "scan-time" */
const char *status_advisor_name(int64_t advisor_mode);

/*
 * For people, on standard output: one screen of 80 columns for somebody who may not know KSM.
 * @bytes: sizes as exact numbers. Return: 0; -ENOMEM.
 */
int status_print_daemon(const struct status *status, bool bytes);
int status_print_kernel(const struct status *status, bool bytes);

/* Width of the first column of both: the longest name, sleep_millisecs. */
#define STATUS_NAME_WIDTH 15

/* A size in bytes, which may be negative, in words or exactly. Return: @buf. */
const char *status_size(char *buf, size_t size, int64_t bytes, bool exact);

/* For programs, on standard output; the format is part of ksmctl(8). Return: 0; -ENOMEM. */
int status_print_json(const struct status *status);
