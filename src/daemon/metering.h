/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * KSM_METRICS_FILE: counts what happens, asks the guests how much of them is merged, and writes
 * the figures.
 *
 * Asking a guest costs 7 µs (/proc/PID/ksm_stat), more than all else that a decision spends on it.
 * So at most METERING_READS of them are asked at a decision, those never asked first and then in
 * turn, and none twice within METERING_GAP_USEC.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "events.h"
#include "ksmtuned/metrics.h"
#include "ksmtuned/sample.h"

#define METERING_READS    64
#define METERING_GAP_USEC UINT64_C(1000000)

struct manager;

struct metered_guest {
        pid_t pid;
        uint64_t start_time;  /* with the PID it identifies the guest */
        int64_t merged_bytes; /* as of when it was asked */
        int mergeable;        /* likewise; 1, 0, -1: not known */
        uint64_t read_usec;   /* CLOCK_MONOTONIC; 0: never */
};

/* All zeros is a fresh one. */
struct metering {
        struct metrics_counters counters;
        int64_t decisions[TRIGGER_COUNT];
        int64_t start_usec;           /* CLOCK_REALTIME of the first decision */
        struct metered_guest *guests; /* owned; in order of their PIDs, as of the last decision */
        size_t n_guests;
        bool following; /* they have been looked at once */
        pid_t last_pid; /* who was asked last of those in turn */
        char *path;     /* owned; of the file that has been written; NULL: none */
};

/* Counts a decision, and writes the file if there is to be one. What fails is complained about. */
void metering_publish(struct manager *manager, enum trigger trigger, const struct sample *sample);

/* Removes the file that was written, if one was. */
void metering_remove(struct manager *manager);
void metering_release(struct metering *metering);
