/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a policy answers: what KSM should do, and the figures that led there. */

#include <stdbool.h>
#include <stdint.h>

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
};

/* "undecided", "off", "boost", "decay" */
const char *decision_phase_name(enum phase phase);
