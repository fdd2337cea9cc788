/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the daemon measures, in Prometheus' text format, for the textfile collector of its node
 * exporter. Names, units and meanings are told in docs/fleet.md; the collector ksmd of the node
 * exporter tells what /sys/kernel/mm/ksm holds (node_ksmd_…), and nothing of that is told again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

/* The whole text stays under this. */
#define METRICS_SIZE_MAX 65536

/* Passes of one kind since the daemon's start. */
struct metrics_passes {
        int64_t count;
        int64_t merged_pages; /* never falls: a pass in which more broke up than merged counts 0 */
        int64_t cpu_nsec;     /* of ksmd */
};

/* What has happened since the daemon's start. */
struct metrics_counters {
        int64_t failed_decisions;    /* nothing could be decided */
        int64_t knob_write_failures; /* decided, but a knob could not be written */
        int64_t foreign_writes;      /* a knob was found other than it was left */
        int64_t guest_starts; /* between two decisions; who came and went between them is not seen
                               */
        int64_t guest_ends;
        struct metrics_passes smart, full; /* with smart_scan=1, and without */
};

struct metrics_trigger {
        const char *name;
        int64_t decisions;
};

struct metrics_guest {
        const char *name;     /* any bytes; not owned */
        int64_t merged_bytes; /* SAMPLE_ABSENT: not known (yet) */
        pid_t pid;
        int mergeable; /* 1, 0; -1: not known */
};

/* A figure that is SAMPLE_ABSENT is left out of the text, with its name. Nothing is owned. */
struct metrics {
        const char *version;
        const char *policy;
        const char *phase; /* decision_phase_name() */
        int64_t dry_run;   /* 1 or 0, as the next three */
        int64_t ksm_wanted;
        int64_t libvirt_connected;
        int64_t threshold_kb; /* figures of the decision */
        int64_t free_kb;
        int64_t committed_kb;
        int64_t available_kb; /* MemAvailable */
        int64_t saved_bytes;
        int64_t ksmd_cpu_nsec; /* since boot */
        int64_t own_cpu_nsec;  /* of the daemon */
        int64_t start_usec;    /* CLOCK_REALTIME */
        int64_t decision_usec; /* likewise */
        int64_t interval_usec;
        struct metrics_counters counters;
        const struct metrics_trigger *triggers;
        size_t n_triggers;
        struct metrics_guest *guests; /* metrics_format() sorts them */
        size_t n_guests;
        size_t max_guests; /* how many of them are told one by one */
};

/* Every figure absent, every counter 0. */
void metrics_init(struct metrics *metrics);

/* Counts a pass that is over. @merged_pages may be negative. */
void metrics_count_pass(struct metrics_passes *passes, int64_t merged_pages, int64_t cpu_nsec);

/*
 * Writes the text, NUL at its end. Of the guests, those with the most merged memory are told one by
 * one, at most @max_guests and as many as there is room for, in that order (the lower PID first
 * where it is equal); how many were left out is told, too. Pure.
 * Return: the length; -ENOSPC where not even the rest fits into @size bytes.
 */
ssize_t metrics_format(const struct metrics *metrics, char *buf, size_t size);

/* Replaces @path atomically. Return: 0; -ENOMEM; what sysroot_replace() said. */
int metrics_write(const struct sysroot *root, const char *path, const struct metrics *metrics);
