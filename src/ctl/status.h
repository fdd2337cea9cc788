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

        /* What ksmd does now; where KSM does not run, nothing; or SAMPLE_ABSENT. */
        int64_t ksmd_cpu_hundredths; /* of a per cent of one CPU */
        int64_t scanned_per_second;  /* pages; since 6.6 */
        int64_t pass_seconds;        /* that a pass takes about, at this speed */

        /* The host. */
        int64_t memory_bytes;     /* MemTotal, or SAMPLE_ABSENT */
        int64_t saved_hundredths; /* saved_bytes in hundredths of a per cent of it, likewise */
        int64_t numa_nodes;       /* SAMPLE_ABSENT where the kernel knows of none */
        char thp[16];             /* transparent huge pages: "always", "madvise", "never"; or "" */

        /* The daemon's last decision. */
        int state_error; /* 0: there is one; -ENOENT: there is none; else why it cannot be read */
        struct state state; /* where state_error is 0 */
        int running;        /* 1, 0, or a negative errno where it cannot be told */
        bool age_known;     /* the decision has a time, and it is not in the future */
        int64_t age_usec;   /* of the decision */
        bool stale;         /* older than it could be if the daemon still decided */
        int64_t due_usec;   /* until the next decision; below 0 it is late; where age_known */
        /* Until the next pass, of a policy that drives passes; SAMPLE_ABSENT: none is due. */
        int64_t pass_due_usec;
};

/* CLOCK_REALTIME */
int64_t status_now_usec(void);

/* Looks at everything. @now_usec: CLOCK_REALTIME. */
void status_read(const struct sysroot *root, int64_t now_usec, struct status *ret_status);

/* What status_read() is made of. The first fills all of it; the two behind it are left as zeros. */
void status_read_now(const struct sysroot *root, int64_t now_usec, struct status *ret_status);
void status_read_scan(const struct sysroot *root, struct status *status);
void status_read_host(const struct sysroot *root, struct status *status);

/* Whether any of the kernel's figures could be read. */
bool status_any_figure(const struct status *status);

/* Why something could not be read, in a few words. @error: a negative errno. */
const char *status_error_text(int error);

/* "none", "scan-time" */
const char *status_advisor_name(int64_t advisor_mode);

/*
 * For people, on standard output: one screen of 80 columns for somebody who may not know KSM.
 * @bytes: sizes as exact numbers. @verbose: more than a screen. Return: 0; -ENOMEM.
 */
int status_print_daemon(const struct status *status, bool bytes);
int status_print_kernel(const struct status *status, bool bytes, bool verbose);

/* Width of the first column of both. */
#define STATUS_NAME_WIDTH 18

/* A size in bytes, which may be negative, in words or exactly. Return: @buf. */
const char *status_size(char *buf, size_t size, int64_t bytes, bool exact);

/* For programs, on standard output; the format is part of ksmctl(8). Return: 0; -ENOMEM. */
int status_print_json(const struct status *status);
