/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a policy looks at: the host at one moment, as plain numbers. Nothing here can do I/O.
 *
 * Sizes in kB are KiB, as /proc/meminfo counts them. Every figure is a signed 64-bit number, and
 * SAMPLE_ABSENT stands for "not on this kernel" or "cannot be read".
 */

#include <stdbool.h>
#include <stdint.h>

#define SAMPLE_ABSENT INT64_C(-1)

/* /proc/meminfo. MemTotal and MemFree are always there, the others may be absent. */
struct memory_sample {
        int64_t total_kb;     /* MemTotal */
        int64_t free_kb;      /* MemFree */
        int64_t buffers_kb;   /* Buffers; 0 where there is no such line */
        int64_t cached_kb;    /* Cached; 0 where there is no such line */
        int64_t available_kb; /* MemAvailable, since Linux 3.14 */
        int64_t swap_free_kb; /* SwapFree */
        int64_t anon_kb;      /* AnonPages, since Linux 2.6.18 */
};

/* /proc/pressure/memory, since Linux 4.20, where it is compiled in and switched on. */
struct pressure_line {
        int64_t avg10_centi; /* share of time stalled over 10 s, in hundredths of a per cent */
        int64_t avg60_centi;
        int64_t avg300_centi;
        int64_t total_usec; /* stalled since boot */
};

struct pressure_sample {
        struct pressure_line some; /* at least one task stalled */
        struct pressure_line full; /* all non-idle tasks stalled at once */
};

/* What counts as a guest's committed memory: KSM_PS_METRIC. */
enum guest_metric {
        GUEST_METRIC_RSS, /* resident set: a merged page counts in full */
        GUEST_METRIC_PSS, /* proportional set: a merged page counts in shares; costs a page walk */
        GUEST_METRIC_VSZ, /* address space */
};

struct guests_sample {
        int64_t count;        /* VM processes */
        int64_t committed_kb; /* sum of their memory by KSM_PS_METRIC */
};

/* /sys/kernel/mm/ksm and the accounting of the kernel thread ksmd. */
struct ksm_sample {
        int64_t run; /* 0 stopped, 1 scanning, 2 unmerged and stopped */
        int64_t pages_to_scan;
        int64_t sleep_millisecs;
        int64_t full_scans; /* passes since KSM was last unmerged */
        int64_t pages_shared;
        int64_t pages_sharing;
        int64_t pages_unshared;
        int64_t pages_volatile;
        int64_t ksm_zero_pages; /* since 6.6 */
        int64_t page_bytes;     /* size of a page, always present */
        int64_t ksmd_cpu_nsec;  /* CPU time of ksmd since boot */
        int64_t pages_scanned;  /* pages looked at since boot, without those skipped; since 6.6 */
        int64_t pages_skipped;  /* pages passed over by smart_scan since boot; since 6.7 */
        int64_t smart_scan;     /* 0, 1; since 6.7 */
};

/* What happened since the last sample. Whoever fills in the sample sets and clears them. */
enum {
        EVENT_GUEST_STARTED = 1 << 0,
        EVENT_GUEST_ENDED = 1 << 1,
        EVENT_PRESSURE = 1 << 2, /* a trigger of /proc/pressure/memory */
        EVENT_ASKED = 1 << 3,    /* somebody wants a pass now: SIGUSR1 */
};

struct sample {
        struct memory_sample memory;
        struct guests_sample guests;
        struct ksm_sample ksm;
        struct pressure_sample pressure;
        unsigned events; /* EVENT_* */
};

/*
 * Bytes that merging saves now: (pages_sharing + ksm_zero_pages) × page size, as
 * Documentation/admin-guide/mm/ksm.rst counts them. 0 where the kernel tells nothing.
 */
int64_t ksm_saved_bytes(const struct ksm_sample *ksm);

/*
 * Whether all that is merged fits into memory once unmerged: @available_kb (MemAvailable; swap does
 * not count) above 1.1 × the saved. An unknown available_kb (SAMPLE_ABSENT) does not fit.
 */
bool ksm_unmerge_fits(int64_t available_kb, int64_t saved_bytes);

/*
 * Whether somebody unmerges just now: the kernel then has 2 in run, and any write of a knob waits
 * until it is done. After that no page is shared.
 */
bool ksm_is_unmerging(const struct ksm_sample *ksm);

/* MemFree + Buffers + Cached, saturating: what the classic policy takes for free memory. */
int64_t memory_reclaimable_kb(const struct memory_sample *memory);

/* a + b and a × b that stop at INT64_MIN and INT64_MAX instead of wrapping. */
int64_t saturating_add(int64_t a, int64_t b);
int64_t saturating_mul(int64_t a, int64_t b);
