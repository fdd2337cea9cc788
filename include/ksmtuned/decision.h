/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a policy answers: what KSM should do, and the figures that led there. */

#include <stdbool.h>
#include <stdint.h>

/* Do not write smart_scan: this kernel has none, or the policy does not mind. */
#define SMART_SCAN_LEAVE INT64_C(-1)

enum verdict {
        VERDICT_NONE,  /* nothing could be decided: leave the knobs as they are */
        VERDICT_STOP,  /* run=0, the other knobs as they are */
        VERDICT_START, /* pages_to_scan, sleep_millisecs, then run=1 */
};

/* Where a policy stands. The name that is published: decision_phase_name(). */
enum phase {
        PHASE_UNDECIDED,
        PHASE_OFF,   /* memory is plentiful, ksmd sleeps */
        PHASE_BOOST, /* memory is short, ksmd works harder at each decision */
        PHASE_DECAY, /* enough memory is free again, ksmd works less at each decision */
        PHASE_BURST, /* passes back to back: there is something to merge */
        PHASE_REST,  /* run=0, what is merged stays merged, the next pass has its time */
        PHASE_PROBE, /* a pass to see what has become mergeable at rest */
};

/* Why a policy that drives passes does what it does. */
enum decision_why {
        WHY_NONE,
        WHY_PLENTY,     /* memory is plentiful */
        WHY_SHORT,      /* memory has become short: the first passes */
        WHY_GUEST,      /* a guest came */
        WHY_GROWTH,     /* memory has grown */
        WHY_PRESSURE,   /* the kernel reports tasks that wait for memory */
        WHY_CANDIDATES, /* the last pass saw new pages, which the next one can merge */
        WHY_PERIOD,     /* the time of the next pass has come */
        WHY_TWINS,      /* time for a pass without smart_scan: it merges what others skip */
        WHY_BROKEN,     /* merged pages were written to, as it seems */
        WHY_ASKED,      /* retune */
        WHY_NOTHING,    /* all has been merged that pays (at rest) */
        WHY_NO_PAGES,   /* no page is mergeable (at rest) */
        WHY_GROWS,      /* memory still grows: a pass is better made a bit later (at rest) */
        WHY_BUDGET,     /* a pass would pay, but not within the budget yet (at rest) */
};

/* A pass that is over. */
struct decision_pass {
        bool known; /* there was one */
        bool smart; /* with smart_scan=1 */
        int64_t page_bytes;
        int64_t yield_pages; /* pages that it merged, less those that broke up meanwhile */
        int64_t cpu_nsec;    /* CPU time of ksmd */
        uint64_t ended_usec; /* CLOCK_MONOTONIC */
};

struct decision {
        enum verdict verdict;
        enum phase phase;
        int64_t pages_to_scan;   /* of VERDICT_START; else what the policy remembers */
        int64_t sleep_millisecs; /* of VERDICT_START; else what the policy would use */
        int64_t total_kb;        /* figures of the sample that counted */
        int64_t free_kb;
        int64_t committed_kb;
        int64_t threshold_kb;

        /* Of a policy that drives passes (adaptive.h); classic leaves all of it at zero but
         * smart_scan, which is SMART_SCAN_LEAVE. Times are CLOCK_MONOTONIC in µs. */
        int64_t smart_scan;    /* of VERDICT_START: 1, 0, or SMART_SCAN_LEAVE */
        uint64_t decided_usec; /* the time that the policy was given */
        uint64_t next_usec;    /* when to decide again at the latest; 0: no wish */
        bool light_next;       /* then fresh figures of KSM suffice */
        enum decision_why why;
        uint64_t pass_due_usec;    /* at rest: when the next pass is due; 0: none is */
        int64_t pass_done_percent; /* in a pass: how much of it; SAMPLE_ABSENT: not known */
        int64_t unmerged_kb;       /* memory that would be available with nothing merged */
        int64_t price_micro;       /* µs of CPU that a GiB for a second is worth now */
        int64_t cpu_percent;       /* share of one CPU that is asked for */
        struct decision_pass last_pass;
};

/* "undecided", "off", "boost", "decay", "burst", "rest", "probe" */
const char *decision_phase_name(enum phase phase);
