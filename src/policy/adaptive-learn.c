/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>

#include "adaptive-parts.h"

#define HASHED_PAGE_SEC  1.5e-6
#define MERGED_PAGE_SEC  0.5e-6
#define MERGE_SEC        13e-6
#define PAGE_SEC_LEAST   0.1e-6
#define PAGE_SEC_MIN     0.2e-6
#define PAGE_SEC_MAX     100e-6
#define P_MIN            0.0005
#define P_PRIOR_NEW      0.3
#define P_PRIOR_CHANGED  0.2
#define P_WEIGHT         0.7
#define P_FORGET_SEC     7200.0
#define LOSS_SPAN_SEC    600.0
#define LOSS_MAX         (1.0 / 30)
#define ANON_SPAN_SEC    0.5
#define CANDIDATES_MIN   64
#define NEW_GUESTS_SHARE 0.01
#define BACKOFF_SEC_MIN  30.0
#define BACKOFF_FACTOR   2.5
#define BACKOFF_SEC_MAX  3600.0

static double average(double old, double new, double weight)
{
        return old + weight * (new - old);
}

/* @share of the merged pages broke up in a time. */
static void learn_loss(struct adaptive_state *state, double share, double elapsed)
{
        state->loss_rate = average(state->loss_rate, clamp(share, 0, 1) / elapsed,
                                   clamp(elapsed / LOSS_SPAN_SEC, 0, 0.5));
        state->loss_rate = clamp(state->loss_rate, 0, LOSS_MAX);
}

void adaptive_learn_rest(struct adaptive_state *state, const struct adaptive_view *view)
{
        double elapsed = view->elapsed_sec, forget = clamp(elapsed / P_FORGET_SEC, 0, 1);
        int64_t page_bytes = view->sample->ksm.page_bytes > 0 ? view->sample->ksm.page_bytes : 4096;
        int64_t last_saved = ksm_saved_bytes(&state->last) / page_bytes;

        if (!(elapsed > 0))
                return;
        if (last_saved > 0)
                learn_loss(state, 1 - (double)view->saved_pages / (double)last_saved, elapsed);
        if (view->anon_pages > state->rest_anon_pages && state->grown_usec == 0)
                state->grown_usec = view->now_usec;
        if (view->anon_pages >= 0 && state->last_anon_pages >= 0)
                state->anon_rate = average(
                        state->anon_rate,
                        clamp(difference(view->anon_pages, state->last_anon_pages) / elapsed, 0,
                              1e12),
                        clamp(elapsed / ANON_SPAN_SEC, 0, 1));
        /* What was true of yesterday's guests need not be of today's. */
        state->p_new = average(state->p_new, P_PRIOR_NEW, forget);
        state->p_changed = average(state->p_changed, P_PRIOR_CHANGED, forget);
        state->mergeable_share = average(state->mergeable_share, 1, forget);
}

/* The cost of a page that is not merged, with what the others cost taken off. */
static void learn_cost(struct adaptive_state *state, const struct adaptive_view *view,
                       double new_pages, double yield)
{
        struct adaptive_kind *kind = state->pass_smart ? &state->smart : &state->full;
        const struct ksm_sample *ksm = &view->sample->ksm;
        double merged = (double)view->saved_pages, others, cpu;

        if (ksm->pages_shared > 0)
                merged += (double)ksm->pages_shared;
        others = (double)view->known_pages - merged - new_pages;
        if (!state->pass_whole || others < (double)view->known_pages / 10 || !(others > 0))
                return;
        cpu = state->pass_cpu_sec - new_pages * HASHED_PAGE_SEC - yield * MERGE_SEC -
              (merged - yield) * MERGED_PAGE_SEC;
        cpu = clamp(cpu / others, PAGE_SEC_MIN, PAGE_SEC_MAX);
        kind->page_sec = kind->page_sec > 0 ? average(kind->page_sec, cpu, 0.5) : cpu;
}

/* Which share of the candidates merged that the pass before had found. */
static void learn_shares(struct adaptive_state *state, double yield)
{
        double from_new = state->candidates_new * state->p_new;
        double from_changed = state->candidates_changed * state->p_changed;
        double expected = from_new + from_changed, ratio;

        if (state->candidates_new + state->candidates_changed < CANDIDATES_MIN || !(expected > 0))
                return;
        ratio = clamp(yield / expected, 0, 2);
        state->p_new =
                clamp(state->p_new * (1 + P_WEIGHT * from_new / expected * (ratio - 1)), P_MIN, 1);
        state->p_changed =
                clamp(state->p_changed * (1 + P_WEIGHT * from_changed / expected * (ratio - 1)),
                      P_MIN, 1);
}

/*
 * pages_volatile counts the pages that were not where their hash said: those seen for the first
 * time, those changed since they were last looked at, and those that smart_scan passed over. So
 * without the last of these it is what the next pass can merge.
 */
static void find_candidates(struct adaptive_state *state, const struct adaptive_view *view)
{
        struct adaptive_kind *kind = state->pass_smart ? &state->smart : &state->full;
        const struct ksm_sample *ksm = &view->sample->ksm;
        double skipped = 0, candidates, changed;
        double pass_sec = seconds_between(state->pass_usec, view->now_usec);
        double new_pages = difference(view->known_pages, state->pass_known_pages);

        if (ksm->pages_skipped > state->pass.pages_skipped && state->pass.pages_skipped >= 0)
                skipped = difference(ksm->pages_skipped, state->pass.pages_skipped);
        candidates = clamp((double)ksm->pages_volatile - skipped, 0, 1e15);
        if (ksm->pages_volatile < 0)
                candidates = clamp(new_pages, 0, 1e15);
        state->candidates_new = clamp(new_pages, 0, candidates);
        changed = candidates - state->candidates_new;
        /* In the second pass in a row only those have changed that always do. */
        if (state->chain_passes >= 2 && view->known_pages > 0) {
                double share = changed / (double)view->known_pages;

                kind->chronic_share =
                        kind->chronic_known ? average(kind->chronic_share, share, 0.5) : share;
                kind->chronic_known = true;
        }
        if (!kind->chronic_known)
                kind = &state->full;
        state->candidates_changed =
                clamp(changed - kind->chronic_share * (double)view->known_pages, 0, changed);
        if (view->anon_pages >= 0 && state->pass_anon_pages >= 0 && pass_sec > 0)
                state->anon_rate = clamp(
                        difference(view->anon_pages, state->pass_anon_pages) / pass_sec, 0, 1e12);
}

/*
 * How much of the growth of anonymous memory KSM has met as new pages. Where the kernel was in the
 * midst of a pass when processes came, they are reached in the pass behind this one: then nothing
 * is learnt, once. Return: the pages to look for again.
 */
static double learn_mergeable(struct adaptive_state *state, double grown, double new_pages)
{
        bool again = state->looks_again;

        state->looks_again = false;
        if (grown <= CANDIDATES_MIN)
                return 0;
        if (state->pass_late && !again && new_pages < grown * state->mergeable_share / 2) {
                state->looks_again = true;
                return clamp(grown - new_pages, 0, 1e15);
        }
        state->mergeable_share = clamp(
                average(state->mergeable_share, clamp(new_pages / grown, 0, 1), 0.5), 0.05, 1);
        return 0;
}

void adaptive_learn_pass(struct adaptive_state *state, const struct adaptive_view *view,
                         bool complete)
{
        double yield = difference(view->saved_pages, state->pass_saved_pages);
        double new_pages = clamp(difference(view->known_pages, state->pass_known_pages), 0, 1e15);
        double grown = 0, missed;

        /* Whatever an accounting says that stands still. */
        if (complete && state->pass_cpu_sec < PAGE_SEC_LEAST * (double)view->known_pages)
                state->pass_cpu_sec = PAGE_SEC_LEAST * (double)view->known_pages;
        state->chain_passes++;
        state->chain_full = state->chain_full || !state->pass_smart;
        if (state->chain_passes == 1)
                state->chain_full_first = !state->pass_smart;
        state->chain_yield += yield;
        state->chain_new_pages += new_pages;
        state->chain_cpu_sec += state->pass_cpu_sec;
        if (view->anon_pages >= 0 && state->rest_anon_pages >= 0 && state->rest_usec > 0)
                grown = difference(view->anon_pages, state->rest_anon_pages);
        missed = complete ? learn_mergeable(state, grown, new_pages) : 0;
        if (yield < 0 && state->pass_saved_pages > 0 && view->now_usec > state->pass_usec)
                learn_loss(state, -yield / (double)state->pass_saved_pages,
                           seconds_between(state->pass_usec, view->now_usec));
        learn_shares(state, yield);
        if (complete) {
                learn_cost(state, view, new_pages, clamp(yield, 0, 1e15));
                find_candidates(state, view);
        } else {
                state->candidates_new = state->candidates_changed = 0;
        }
        state->rest_usec = view->now_usec > 0 ? view->now_usec : 1;
        state->rest_anon_pages = view->anon_pages;
        /* What came while it ran and was met is no growth to wait for, nor is it in a sample that
         * repeats an older one. */
        if (view->anon_pages >= 0 && state->pass_anon_pages >= 0 &&
            difference(view->anon_pages, state->pass_anon_pages) < new_pages)
                state->rest_anon_pages = saturating_add(state->pass_anon_pages, (int64_t)new_pages);
        if (missed > 0)
                state->rest_anon_pages = saturating_add(view->anon_pages, -(int64_t)missed);
        state->last_pass = (struct decision_pass){
                .known = true,
                .smart = state->pass_smart,
                .page_bytes = view->sample->ksm.page_bytes,
                .yield_pages = saturating_add(view->saved_pages, -state->pass_saved_pages),
                .cpu_nsec = llround(clamp(state->pass_cpu_sec, 0, 1e9) * 1e9),
                .ended_usec = view->now_usec,
        };
}

/* Mergeable pages that came in each second, as one kind of pass finds them. */
static void learn_growth(struct adaptive_state *state, struct adaptive_kind *kind, double yield,
                         uint64_t now_usec)
{
        double elapsed = seconds_between(kind->ended_usec, now_usec);

        if (kind->ended_usec > 0 && elapsed > 1)
                kind->growth_rate =
                        average(kind->growth_rate, clamp(yield / elapsed, 0, 1e12), 0.5);
}

/* As soon as the budget has paid for it. */
static double first_backoff(const struct adaptive_state *state, const struct adaptive_view *view,
                            bool smart)
{
        return clamp(adaptive_pass_cost(state, view, smart) / adaptive_budget_rate(view),
                     BACKOFF_SEC_MIN, BACKOFF_SEC_MAX);
}

void adaptive_learn_chain(struct adaptive_state *state, const struct adaptive_view *view)
{
        bool paid = state->chain_yield * view->page_value > state->chain_cpu_sec;
        struct adaptive_kind *kind = state->chain_full_first ? &state->full : &state->smart;
        bool new_guests = state->chain_new_pages > NEW_GUESTS_SHARE * (double)view->known_pages;
        double since_smart = seconds_between(state->smart.ended_usec, view->now_usec);

        if (state->chain_period && !new_guests) {
                learn_growth(state, kind,
                             state->chain_full_first
                                     ? state->chain_yield - state->smart.growth_rate * since_smart
                                     : state->chain_yield,
                             view->now_usec);
                kind->backoff_sec *= paid ? 0.5 : BACKOFF_FACTOR;
                if (adaptive_in_turns(state, view))
                        state->smart.backoff_sec = state->full.backoff_sec = kind->backoff_sec;
        } else if (paid) {
                /* New guests go on changing for a while. */
                state->smart.backoff_sec = first_backoff(state, view, true);
                state->full.backoff_sec = first_backoff(state, view, false);
        }
        state->smart.backoff_sec =
                clamp(state->smart.backoff_sec, BACKOFF_SEC_MIN, BACKOFF_SEC_MAX);
        state->full.backoff_sec = clamp(state->full.backoff_sec, BACKOFF_SEC_MIN, BACKOFF_SEC_MAX);
        /* What came of an event and has paid is paid for. */
        if (state->chain_period || !paid)
                state->tokens_sec -= state->chain_cpu_sec;
        state->smart.ended_usec = view->now_usec;
        if (state->chain_full || state->full.ended_usec == 0)
                state->full.ended_usec = view->now_usec;
        state->chain_passes = 0;
        state->chain_full = false;
        state->chain_yield = state->chain_new_pages = state->chain_cpu_sec = 0;
}
