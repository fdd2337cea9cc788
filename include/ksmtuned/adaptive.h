/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The adaptive policy buys memory with ksmd's CPU time, and only where that pays. It controls
 * passes (full scans), not rates. docs/adaptive.md has the equations and what they achieve.
 *
 * How the daemon drives it. Everything is said by the decision:
 *
 *      forever:
 *              take a sample; put what happened since the last call into sample.events
 *              policy_decide(settings, state, &sample, CLOCK_MONOTONIC in µs, &decision)
 *              VERDICT_START: write smart_scan (unless it is SMART_SCAN_LEAVE), pages_to_scan,
 *                             sleep_millisecs, then run=1; only what differs from what is there
 *              VERDICT_STOP:  write run=0 at once: ksmd has begun with the next pass already
 *              VERDICT_NONE:  write nothing
 *              sleep until decision.next_usec, or until an event, whichever comes first
 *
 * 1. next_usec is absolute, later than now, and at most ADAPTIVE_CALL_MAX_USEC away. In a pass it
 *    is 20 ms to a second away. Its end is met with a last batch and a long sleep, in which the
 *    call comes that stops ksmd: a call that is late by more than 50 ms there costs ksmd's time in
 *    the next pass, and new processes a whole pass.
 *    At rest it is as far away as the next pass, or as the next look at memory that is expected to
 *    change. KSM_MONITOR_INTERVAL stays the longest time between two calls; calls that come
 *    earlier than next_usec are welcome and cost nothing but themselves.
 * 2. Events are EVENT_* bits. A guest that started or ended, a pressure trigger, and a retune asked
 *    for each wake the daemon at once; the bits are for one call, and cleared after it.
 * 3. Where decision.light_next is set, the next call (if it comes by timer) needs fresh ksm figures
 *    (counters, knobs, ksmd_cpu_nsec) and /proc/meminfo, and may repeat the guests and the pressure
 *    of the last sample. Only a change of phase need be published then.
 * 4. Absent figures are SAMPLE_ABSENT; each of them may be. Without full_scans there are no passes:
 *    policy_decide() lets the classic policy decide then.
 * 5. smart_scan belongs to the policy from its first START on. The daemon remembers what it was
 *    and writes it back at its end, as it does with pages_to_scan and sleep_millisecs.
 * 6. A write of run waits for the batch in progress: that is why batches are kept under about
 *    ADAPTIVE_BATCH_NSEC of CPU time.
 * 7. One that is in the middle of its pass when the daemon ends is best stopped, by run=0: it may
 *    have been told to spin (sleep_millisecs 0).
 * 8. If a decision cannot be applied, just call again: the policy goes by what the kernel reads,
 *    not by what it asked for. Where a foreign hand sets run=0 in a pass, the pass counts as ended.
 * 9. After a reload that changes KSM_POLICY the state is to be zeroed.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ksmtuned/classic.h"
#include "ksmtuned/decision.h"
#include "ksmtuned/sample.h"

#define ADAPTIVE_CALL_MAX_USEC (UINT64_C(3600) * 1000000)
#define ADAPTIVE_BATCH_NSEC    INT64_C(20000000)

struct adaptive_params {
        int64_t cpu_max;            /* KSM_CPU_MAX: % of one CPU in a pass, 1 to 100 */
        int64_t cpu_budget_milli;   /* KSM_CPU_BUDGET: thousandths of a % of one CPU at rest */
        int64_t memory_price_micro; /* KSM_MEMORY_PRICE: µs of CPU for a GiB and a second */
};

#define ADAPTIVE_PARAMS_DEFAULT                                                         \
        {                                                                               \
                .cpu_max = 100, .cpu_budget_milli = 2000, .memory_price_micro = 125000, \
        }

/* After so many passes with smart_scan pages go the same round again and again. */
#define ADAPTIVE_VISITS 32

/* What is remembered about a kind of pass: with smart_scan=1, and with 0. */
struct adaptive_kind {
        double growth_rate;   /* mergeable pages a second that it finds at rest */
        double backoff_sec;   /* the longest time until the next one; empty passes treble it */
        double chronic_share; /* of the known pages, that has changed whenever it looked */
        bool chronic_known;
        uint64_t ended_usec; /* end of the last pass that saw what this kind sees; 0: none */
};

/* All zeros is a fresh one. Only src/policy/adaptive*.c look inside. */
struct adaptive_state {
        bool started;            /* there was a call before */
        bool short_of_memory;    /* with hysteresis */
        uint64_t short_usec;     /* since when */
        uint64_t last_usec;      /* of the last call */
        struct ksm_sample last;  /* figures of the last call */
        int64_t unmerged_kb;     /* what would have been available with nothing merged, then */
        int64_t last_anon_pages; /* when guests' memory was looked at last */
        uint64_t looked_usec;
        bool had_guests;
        bool light;         /* the last decision asked for fresh figures of KSM only */
        uint64_t full_usec; /* when all figures were fresh */
        uint64_t hold_usec; /* no pass before: somebody else has stopped one */

        bool in_pass;     /* run=1 is wanted */
        bool pass_seen;   /* and has been read since */
        bool pass_burst;  /* it belongs to a burst, else it is a probe */
        bool pass_smart;  /* with smart_scan=1 */
        bool pass_covers; /* with smart_scan=1, and yet it sees what one without sees */
        bool pass_whole;  /* it began where the kernel's pass began */
        bool pass_late;   /* the kernel had begun with it before: new processes come last */
        bool looks_again; /* new memory was not met, the next pass may */
        enum decision_why pass_why;
        uint64_t pass_usec;       /* its start */
        uint64_t progress_usec;   /* when ksmd was last seen at work */
        struct ksm_sample pass;   /* figures at its start */
        int64_t pass_known_pages; /* without those that have gone with their guest since */
        int64_t pass_saved_pages;
        int64_t pass_anon_pages;
        int64_t boundary_pages; /* scanned and skipped where the kernel's pass began; -1: unknown */
        double boundary_slack;  /* by how many pages that may be wrong */
        bool landing;           /* ksmd sleeps long behind the batch that ends the pass */
        double pass_cpu_sec;    /* CPU time spent in it */

        unsigned chain_passes;  /* passes without a rest between them */
        bool chain_period;      /* the first of them had its time, else something had happened */
        bool chain_full;        /* one of them was without smart_scan */
        bool chain_full_first;  /* the first of them was */
        double unseen_pages;    /* new ones that no pass has searched among all others for */
        double chain_new_pages; /* pages seen for the first time in them */
        double chain_yield;     /* pages merged in them */
        double chain_cpu_sec;

        uint64_t rest_usec;        /* when the last pass ended; 0: there was none */
        int64_t rest_anon_pages;   /* anonymous pages then, as if nothing was merged */
        double anon_rate;          /* their growth a second of late */
        double candidates_new;     /* pages that the last pass saw for the first time */
        double candidates_changed; /* pages that it found changed, without the chronic ones */
        double candidates_broken;  /* pages of them that had been merged */
        uint64_t grown_usec; /* since when memory grows without a pause, at rest; 0: it does not */
        double p_new, p_changed, p_broken; /* which share of them merges in the next pass */
        double mergeable_share; /* which share of the growth of anonymous memory KSM may merge */
        double loss_rate;       /* share of the merged pages that breaks up each second */
        struct adaptive_kind smart, full;
        double search_sec; /* CPU seconds to search for a page and not to find it; 0: none measured
                            */
        double visits[ADAPTIVE_VISITS]; /* unmerged pages by the passes with smart_scan over them */

        /* AnonPages less the guests' memory: it rises where merged pages are written to. */
        bool beside_known, pass_beside_known, broken_known;
        int64_t beside_pages, pass_beside_pages,
                broken_from_pages; /* now, at the pass's start and end */
        double broken_pages;       /* merged pages that were written to since, as it seems */
        double tokens_sec;         /* CPU seconds that the budget allows; negative: owed */
        double lost_sec;           /* of what is owed, for bursts that brought nothing */
        uint64_t watch_until_usec; /* a guest starts: its memory is looked at often until then */
        double watch_sec;          /* span between these looks */

        double batch_pages;   /* as the control of the CPU share has it */
        double page_sec;      /* CPU seconds of a page, in the last span */
        double page_peak_sec; /* the most of late */
        struct decision_pass last_pass;
};

/*
 * One decision. Pure: touches nothing but @state and @ret_decision. @classic gives the threshold
 * (KSM_THRES_COEF and KSM_THRES_CONST). A total of 0 or less decides nothing, VERDICT_NONE.
 */
void adaptive_decide(const struct adaptive_params *params, const struct classic_params *classic,
                     struct adaptive_state *state, const struct sample *sample, uint64_t now_usec,
                     struct decision *ret_decision);
