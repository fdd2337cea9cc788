/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * /run/ksmtuned/state: the daemon's last decision, for ksmctl and for scripts.
 * Lines of KEY=VALUE, replaced atomically at every decision, readable by everyone.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

#define STATE_PATH "/run/ksmtuned/state"

struct state {
        char version[32];      /* VERSION of the daemon */
        pid_t pid;             /* PID of the daemon */
        char policy[16];       /* POLICY: classic, … */
        char phase[16];        /* PHASE: decision_phase_name() */
        int64_t run;           /* RUN, as the kernel has it after the decision */
        int64_t pages_to_scan; /* PAGES_TO_SCAN, likewise */
        int64_t sleep_msec;    /* SLEEP_MSEC, likewise */
        int64_t total_kb;      /* TOTAL_KB */
        int64_t free_kb;       /* FREE_KB: what the policy took for free */
        int64_t committed_kb;  /* COMMITTED_KB */
        int64_t threshold_kb;  /* THRESHOLD_KB */
        int64_t guests;        /* GUESTS: how many */
        int64_t saved_bytes;   /* SAVED_BYTES */
        int64_t ksmd_cpu_nsec; /* KSMD_CPU_NSEC since boot, -1 if it cannot be seen */
        int64_t decisions;     /* DECISIONS since the daemon's start */
        char trigger[16];      /* TRIGGER: start, timer, signal, reload, … */
        char reason[256];      /* REASON: a sentence */
        int64_t time_usec;     /* TIME_USEC: when, CLOCK_REALTIME */
        int64_t interval_usec; /* INTERVAL_USEC until the next decision at the latest */
        int64_t next_usec;     /* NEXT_USEC: when it decides next at the latest, CLOCK_REALTIME */
        int64_t pass_due_usec; /* PASS_DUE_USEC: when the next pass is due, likewise; -1: none is */

        /* SETTINGS_OWED: "max_page_sharing=1000 …", configured and not in force; "": all are. */
        char settings_owed[128];

        /* What to give back at the end, as it was before; -1: nothing was taken. */
        int64_t advisor_before;       /* ADVISOR_MODE_BEFORE: KSM_ADVISOR_* */
        int64_t smart_scan_before;    /* SMART_SCAN_BEFORE */
        int64_t pages_to_scan_before; /* PAGES_TO_SCAN_BEFORE */
        int64_t sleep_msec_before;    /* SLEEP_MSEC_BEFORE */
};

/* Fills every field with "not known": empty strings, SAMPLE_ABSENT, PID 0. */
void state_init(struct state *state);

/* Return: 0; what sysroot_replace() said. Newlines in texts become spaces. */
int state_write(const struct sysroot *root, const struct state *state);

/* Return: 0; -ENOENT where there is none; -EBADMSG; errors of reading. Unknown keys are passed
 * over, missing ones stay as state_init() left them. */
int state_read(const struct sysroot *root, struct state *ret_state);

/* Parses the text of the file; pure. Return: 0; -EBADMSG. */
int state_parse(const char *text, struct state *ret_state);

/* Removes the file; one that is not there is fine. */
int state_remove(const struct sysroot *root);

/*
 * Whether the daemon that wrote @state is still there: a process of that PID whose comm is
 * ksmtuned. Return: 1, 0, or a negative errno.
 */
int state_daemon_alive(const struct sysroot *root, const struct state *state);

/*
 * Whether the decision is older at @now_usec (CLOCK_REALTIME) than the last one of a daemon that
 * goes on deciding can be: two intervals and 5 s. Not where its time or interval is not known.
 */
bool state_is_stale(const struct state *state, int64_t now_usec);
