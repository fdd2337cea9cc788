/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>

#include "adaptive-parts.h"

#define HASHED_PAGE_SEC  1.2e-6
#define MERGED_PAGE_SEC  0.3e-6
#define MERGE_SEC        7e-6
#define PAGE_SEC_LEAST   0.1e-6
#define PAGE_SEC_MIN     0.2e-6
#define PAGE_SEC_MAX     100e-6
#define P_MIN            0.0005
#define P_PRIOR_NEW      0.3
#define P_PRIOR_CHANGED  0.02
#define P_PRIOR_BROKEN   0.3
#define P_WEIGHT         0.7
#define P_PAGES          50000.0 /* fewer candidates say less */
#define P_FORGET_SEC     7200.0
#define LOSS_SPAN_SEC    600.0
#define LOSS_MAX         (1.0 / 30)
#define ANON_SPAN_SEC    2.0 /* of which the growth of guests is the mean */
#define ANON_LOOK_SEC    0.3
#define STARTED_SEC      1.0
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

void adaptive_forget(struct adaptive_state *state, double share)
{
        state->p_new = average(state->p_new, P_PRIOR_NEW, share);
        state->p_changed = average(state->p_changed, P_PRIOR_CHANGED, share);
        state->p_broken = average(state->p_broken, P_PRIOR_BROKEN, share);
        state->mergeable_share = average(state->mergeable_share, 1, share);
}

/*
 * ksmd stands still, and so do its counters. But a merged page that is written to becomes an
 * anonymous page of its own, while the guests' memory stays as it is.
 */
static void look_for_broken(struct adaptive_state *state, const struct adaptive_view *view)
{
        double pages;

        if (!view->fresh || !state->beside_known)
                return;
        /* Guests that end take their shares of merged pages with them. */
        if (!state->broken_known || (view->sample->events & EVENT_GUEST_ENDED)) {
                state->broken_from_pages = saturating_add(
                        state->beside_pages, -(int64_t)clamp(state->broken_pages, 0, 1e15));
                state->broken_known = true;
                return;
        }
        pages = difference(state->beside_pages, state->broken_from_pages);
        if (pages < 0)
                state->broken_from_pages = state->beside_pages;
        state->broken_pages = clamp(pages, 0, (double)view->saved_pages);
}

void adaptive_learn_size(struct adaptive_state *state, const struct adaptive_view *view)
{
        double elapsed = seconds_between(state->looked_usec, view->now_usec);
        int64_t page_bytes = view->sample->ksm.page_bytes > 0 ? view->sample->ksm.page_bytes : 4096;
        int64_t anon_kb = view->sample->memory.anon_kb;

        if (!view->fresh || view->anon_pages < 0)
                return;
        state->beside_known = view->has_guests && anon_kb >= 0;
        state->beside_pages = saturating_add(saturating_mul(anon_kb, 1024) / page_bytes,
                                             saturating_mul(view->anon_pages, -1));
        if (state->looked_usec > 0 && elapsed < ANON_LOOK_SEC)
                return;
        /* What a guest has that has just started, has not come since the last look long ago. */
        if ((view->sample->events & EVENT_GUEST_STARTED) && elapsed > STARTED_SEC)
                elapsed = STARTED_SEC;
        if (state->last_anon_pages >= 0 && elapsed > 0) {
                double rate = clamp(difference(view->anon_pages, state->last_anon_pages) / elapsed,
                                    0, 1e12);

                /* That it has ended is to be seen at once. */
                state->anon_rate = rate < state->anon_rate
                                           ? rate
                                           : average(state->anon_rate, rate,
                                                     clamp(elapsed / ANON_SPAN_SEC, 0, 1));
        }
        state->last_anon_pages = view->anon_pages;
        state->looked_usec = view->now_usec;
}

void adaptive_learn_rest(struct adaptive_state *state, const struct adaptive_view *view)
{
        double elapsed = view->elapsed_sec, p_new;

        if (!(elapsed > 0))
                return;
        look_for_broken(state, view);
        if (view->fresh && view->anon_pages >= 0 && view->anon_pages < state->rest_anon_pages)
                state->rest_anon_pages = view->anon_pages;
        /* What has come long ago is no reason to be in haste with what comes now. */
        if (!(adaptive_growth(state, view) > 0))
                state->grown_usec = 0;
        else if (state->grown_usec == 0)
                state->grown_usec = view->now_usec;
        /* What was true of yesterday's guests need not be of today's. But what new pages did not
         * bring is paid for first, before they are tried again. */
        p_new = state->p_new;
        adaptive_forget(state, clamp(elapsed / P_FORGET_SEC, 0, 1));
        if (state->lost_sec > 0)
                state->p_new = p_new;
}

/* The cost of a page that was searched for, with what the others cost taken off. */
static void learn_cost(struct adaptive_state *state, const struct adaptive_view *view,
                       double new_pages, double yield)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        double searched = (double)ksm->pages_unshared, cpu;

        if (!state->pass_whole || searched < (double)view->known_pages / 10 || !(searched > 0))
                return;
        cpu = state->pass_cpu_sec - new_pages * HASHED_PAGE_SEC - yield * MERGE_SEC -
              ((double)view->known_pages - searched - yield - new_pages) * MERGED_PAGE_SEC;
        cpu = clamp(cpu / searched, PAGE_SEC_MIN, PAGE_SEC_MAX);
        state->search_sec = state->search_sec > 0 ? average(state->search_sec, cpu, 0.5) : cpu;
}

static void learn_share(double *p, double from, double expected, double ratio, double weight)
{
        *p = clamp(*p * (1 + weight * from / expected * (ratio - 1)), P_MIN, 1);
}

/* Which share of the candidates merged that the pass before had found. */
static void learn_shares(struct adaptive_state *state, double yield)
{
        double from_new = state->candidates_new * state->p_new;
        double from_changed = state->candidates_changed * state->p_changed;
        double from_broken = state->candidates_broken * state->p_broken;
        double expected = from_new + from_changed + from_broken, ratio, weight;
        double candidates =
                state->candidates_new + state->candidates_changed + state->candidates_broken;

        if (candidates < CANDIDATES_MIN || !(expected > 0))
                return;
        weight = P_WEIGHT * candidates / (candidates + P_PAGES);
        ratio = clamp(yield / expected, 0, 3);
        learn_share(&state->p_new, from_new, expected, ratio, weight);
        learn_share(&state->p_changed, from_changed, expected, ratio, weight);
        learn_share(&state->p_broken, from_broken, expected, ratio, weight);
}

/*
 * pages_volatile counts the pages that were not where their hash said: those seen for the first
 * time, those changed since they were last looked at, and those that smart_scan passed over. So
 * without the last of these it is what the next pass can merge.
 */
static void find_candidates(struct adaptive_state *state, const struct adaptive_view *view,
                            double broken)
{
        struct adaptive_kind *kind = state->pass_smart ? &state->smart : &state->full;
        const struct ksm_sample *ksm = &view->sample->ksm;
        double skipped = 0, candidates, changed;
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
        state->candidates_broken = clamp(broken, 0, state->candidates_changed);
        state->candidates_changed -= state->candidates_broken;
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

/*
 * What broke up since the last pass, and what of it has merged again. S has only the difference of
 * the two, but each page that merged is one anonymous page less.
 */
static double learn_broken(struct adaptive_state *state, const struct adaptive_view *view,
                           double yield)
{
        double elapsed = seconds_between(state->rest_usec, view->now_usec);
        double merged = clamp(yield, 0, 1e15), broken;

        if (state->pass_beside_known && state->beside_known)
                merged = clamp(difference(state->pass_beside_pages, state->beside_pages), merged,
                               merged + state->broken_pages);
        broken = merged - yield;
        if (state->chain_passes > 1 || state->rest_usec == 0)
                return clamp(-yield, 0, 1e15);
        if (state->broken_pages >= CANDIDATES_MIN)
                state->p_broken = clamp(
                        average(state->p_broken, clamp(merged / state->broken_pages, 0, 1), 0.5),
                        P_MIN, 1);
        if (state->pass_saved_pages > 0 && elapsed > 0)
                learn_loss(state, broken / (double)state->pass_saved_pages, elapsed);
        state->chain_yield += merged - yield;
        return clamp(-yield, 0, 1e15);
}

/* Up to which size the guests' memory is known to have been met. */
static void note_size(struct adaptive_state *state, const struct adaptive_view *view,
                      double new_pages, double missed)
{
        int64_t met = saturating_add(state->rest_anon_pages, (int64_t)new_pages);

        if (state->rest_anon_pages < 0 || met < state->pass_anon_pages)
                met = state->pass_anon_pages;
        if (view->anon_pages >= 0 && view->fresh && met > view->anon_pages)
                met = view->anon_pages;
        state->rest_anon_pages = view->anon_pages < 0 ? SAMPLE_ABSENT : met;
        if (missed > 0)
                state->rest_anon_pages = saturating_add(met, -(int64_t)missed);
}

void adaptive_learn_pass(struct adaptive_state *state, const struct adaptive_view *view,
                         bool complete)
{
        double yield = difference(view->saved_pages, state->pass_saved_pages);
        double new_pages = clamp(difference(view->known_pages, state->pass_known_pages), 0, 1e15);
        double grown = 0, missed, broken;

        /* Whatever an accounting says that stands still. */
        if (complete && state->pass_cpu_sec < PAGE_SEC_LEAST * (double)view->known_pages)
                state->pass_cpu_sec = PAGE_SEC_LEAST * (double)view->known_pages;
        state->chain_passes++;
        state->chain_full = state->chain_full || !state->pass_smart || state->pass_covers;
        if (state->chain_passes == 1)
                state->chain_full_first = !state->pass_smart || state->pass_covers;
        if (complete && (!state->pass_smart || state->pass_covers))
                state->unseen_pages = 0;
        state->unseen_pages += new_pages;
        state->chain_yield += yield;
        state->chain_new_pages += new_pages;
        state->chain_cpu_sec += state->pass_cpu_sec;
        if (state->pass_anon_pages >= 0 && state->rest_anon_pages >= 0 && state->rest_usec > 0)
                grown = difference(state->pass_anon_pages, state->rest_anon_pages);
        missed = complete ? learn_mergeable(state, grown, new_pages) : 0;
        broken = learn_broken(state, view, yield);
        learn_shares(state, yield);
        adaptive_count_visits(state, view, new_pages, complete);
        if (complete) {
                learn_cost(state, view, new_pages, clamp(yield, 0, 1e15));
                find_candidates(state, view, broken);
        } else {
                state->candidates_new = state->candidates_changed = state->candidates_broken = 0;
        }
        state->rest_usec = view->now_usec > 0 ? view->now_usec : 1;
        note_size(state, view, new_pages, missed);
        state->broken_known = false;
        state->broken_pages = 0;
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

/* No longer than an hour, or until the budget has paid for it. */
static double longest_backoff(const struct adaptive_state *state, const struct adaptive_view *view,
                              bool smart)
{
        double paid = adaptive_pass_cost(state, view, smart) / adaptive_budget_rate(view->params);

        return paid > BACKOFF_SEC_MAX ? paid : BACKOFF_SEC_MAX;
}

/* A while after that. */
static double first_backoff(const struct adaptive_state *state, const struct adaptive_view *view,
                            bool smart)
{
        return clamp(REST_SHARE * adaptive_pass_cost(state, view, smart) /
                             adaptive_budget_rate(view->params),
                     BACKOFF_SEC_MIN, longest_backoff(state, view, smart));
}

/*
 * The budget is charged with what was due by time, and with bursts that brought nothing. What
 * another burst brings beyond its cost redeems those: this host's memory does merge.
 */
static void account(struct adaptive_state *state, double surplus_sec)
{
        double redeemed = clamp(surplus_sec, 0, state->lost_sec);

        if (state->chain_period || !(surplus_sec > 0))
                state->tokens_sec -= state->chain_cpu_sec;
        if (state->chain_period)
                return;
        if (surplus_sec > 0) {
                state->lost_sec -= redeemed;
                state->tokens_sec += redeemed;
        } else {
                state->lost_sec += state->chain_cpu_sec;
        }
}

void adaptive_learn_chain(struct adaptive_state *state, const struct adaptive_view *view)
{
        double surplus_sec = state->chain_yield * view->page_value - state->chain_cpu_sec;
        bool paid = surplus_sec > 0;
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
        state->smart.backoff_sec = clamp(state->smart.backoff_sec, BACKOFF_SEC_MIN,
                                         longest_backoff(state, view, true));
        state->full.backoff_sec = clamp(state->full.backoff_sec, BACKOFF_SEC_MIN,
                                        longest_backoff(state, view, false));
        /* Twins of old pages may be among the new ones. */
        if (state->unseen_pages > NEW_GUESTS_SHARE * (double)view->known_pages)
                state->full.backoff_sec =
                        clamp(state->full.backoff_sec, 0,
                              clamp(first_backoff(state, view, false) / REST_SHARE, BACKOFF_SEC_MIN,
                                    BACKOFF_SEC_MAX));
        account(state, surplus_sec);
        state->smart.ended_usec = view->now_usec;
        if (state->chain_full || state->full.ended_usec == 0)
                state->full.ended_usec = view->now_usec;
        state->chain_passes = 0;
        state->chain_full = false;
        state->chain_yield = state->chain_new_pages = state->chain_cpu_sec = 0;
}
