/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The parts of the adaptive policy: docs/adaptive.md has the equations by these names. */

#include "ksmtuned/adaptive.h"

#define USEC_PER_SEC            1e6
#define LIFE_SEC                3600.0 /* a merged page counts for an hour at most */
#define ADAPTIVE_BURST_SCARCITY 4.0    /* memory is so dear that passes are in haste */
#define REST_SHARE              8.0 /* where no pass has paid yet, an eighth of the budget is spent */

/* What a call looks at, worked out once. */
struct adaptive_view {
        const struct adaptive_params *params;
        const struct sample *sample;
        uint64_t now_usec;
        double elapsed_sec;  /* since the last call */
        double cpu_sec;      /* ksmd's CPU time since the last call */
        bool fresh;          /* all figures are of now, none is repeated */
        int64_t saved_pages; /* S */
        int64_t known_pages; /* N */
        /* Of them: pages_shared + pages_sharing. Merged zero pages are in S, but no longer known.
         */
        int64_t merged_pages;
        bool has_guests;
        int64_t anon_pages;   /* guests' memory, else AnonPages + S; SAMPLE_ABSENT */
        int64_t available_kb; /* MemAvailable, or what comes nearest to it */
        int64_t unmerged_kb;  /* A₀ */
        int64_t threshold_kb;
        double scarcity;   /* price of memory now, by KSM_MEMORY_PRICE */
        double price;      /* μ: CPU seconds that a GiB for a second is worth now */
        double page_price; /* the same for a page */
        double page_value; /* CPU seconds that a page is worth that merges now */
};

/* The seconds from one time to another, 0 where the clock went backwards. */
double seconds_between(uint64_t from_usec, uint64_t to_usec);
/* a - b, which cannot wrap. */
double difference(int64_t a, int64_t b);
double clamp(double value, double least, double most);

/* adaptive-memory.c: how short memory is, and what it is worth. */
void adaptive_look(struct adaptive_view *view, const struct adaptive_params *params,
                   const struct classic_params *classic, const struct adaptive_state *state,
                   const struct sample *sample, uint64_t now_usec);
bool adaptive_short(const struct adaptive_view *view, const struct adaptive_state *state);
/* When memory is to be looked at, as a guest that has started may fill its own; UINT64_MAX: not. */
uint64_t adaptive_watch_guest(struct adaptive_state *state, const struct adaptive_view *view);
/* When it is to be looked at while it is plentiful: into @decision's next_usec. */
void adaptive_wait_for_shortness(struct adaptive_state *state, const struct adaptive_view *view,
                                 struct decision *decision);

/* adaptive-learn.c: what passes cost and bring. */
/* What was learnt about this host's memory, all of it or a share. */
void adaptive_forget(struct adaptive_state *state, double share);
/* How fast the guests' memory grows. */
void adaptive_learn_size(struct adaptive_state *state, const struct adaptive_view *view);
void adaptive_learn_rest(struct adaptive_state *state, const struct adaptive_view *view);
/* At the end of a pass; @complete: full_scans has risen. */
void adaptive_learn_pass(struct adaptive_state *state, const struct adaptive_view *view,
                         bool complete);
/* Behind the last of the passes that followed each other. */
void adaptive_learn_chain(struct adaptive_state *state, const struct adaptive_view *view);

/* adaptive-visits.c: what smart_scan passes over. */

/* Pages that the next pass with smart_scan would not look at. */
double adaptive_skipped_pages(const struct adaptive_state *state, const struct adaptive_view *view);
/* Whether these are so few that it sees what a pass without smart_scan sees. */
bool adaptive_smart_covers(const struct adaptive_state *state, const struct adaptive_view *view);
/* At the end of a pass that has met @new_pages; before they are known it has met none. */
void adaptive_count_visits(struct adaptive_state *state, const struct adaptive_view *view,
                           double new_pages, bool complete);

/* adaptive-plan.c: which pass pays, and when. */
struct adaptive_plan {
        uint64_t due_usec; /* now_usec: at once */
        bool smart, burst;
        enum decision_why why; /* of the pass */
        bool waits_for_budget;
        bool grows; /* it would be due, but for the memory that is still coming */
};

void adaptive_plan(const struct adaptive_state *state, const struct adaptive_view *view,
                   struct adaptive_plan *ret_plan);
/* Whether passes with and without smart_scan share their times, and take turns. */
bool adaptive_in_turns(const struct adaptive_state *state, const struct adaptive_view *view);
/* Pages that KSM knows, and those that it saves. */
int64_t adaptive_known_pages(const struct ksm_sample *ksm);
int64_t adaptive_saved_pages(const struct ksm_sample *ksm);
/* Mergeable pages a second that come just now; 0 where memory does not grow to speak of. */
double adaptive_growth(const struct adaptive_state *state, const struct adaptive_view *view);
/* What a pass would cost now, in CPU seconds. */
double adaptive_pass_cost(const struct adaptive_state *state, const struct adaptive_view *view,
                          bool smart);
/* CPU seconds a second that the budget allows at rest. */
double adaptive_budget_rate(const struct adaptive_params *params);
/* Whether what is left of the pass is worth its CPU time. */
bool adaptive_goes_on(const struct adaptive_state *state, const struct adaptive_view *view);

/* adaptive-pace.c: how ksmd is to work through a pass. */
int64_t adaptive_share_percent(const struct adaptive_state *state,
                               const struct adaptive_params *params);
void adaptive_pace(struct adaptive_state *state, const struct adaptive_view *view,
                   struct decision *decision);
/* How much of the pass is done, 0 to 1; negative where nothing tells. */
double adaptive_progress(const struct adaptive_state *state, const struct adaptive_view *view);
