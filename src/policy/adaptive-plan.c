/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>

#include "adaptive-parts.h"

#define SEARCH_SEC      7e-6   /* to search for an unmerged page, before it is measured */
#define MERGED_PAGE_SEC 0.3e-6 /* to pass over a merged one */
#define HASHED_PAGE_SEC 1.2e-6
#define PERIOD_SEC_MIN  30.0
#define PERIOD_SEC_MAX  3600.0
#define GROWTH_SEC_MAX  8.0    /* growth is awaited no longer */
#define HASHED_WAIT     0.35   /* nor, for what is hashed, longer than so much of what it takes */
#define GROWS_SHARE     0.0001 /* of memory a second; what grows slower is not awaited */
#define ASKED_AGAIN_SEC 30.0
#define CHANGED_PASSES  4 /* in a row at most, where only known pages have changed */
#define SMART_SAVES     0.5
#define BURST_SHARE     0.01 /* of the known pages; so many new ones are no trifle */
#define JUDGE_PROGRESS  0.25
#define JUDGE_SHARE     0.8   /* of all pages; fewer candidates may all lie at the end */
#define JUDGE_PAGES     20000 /* fewer do not pay the judging */
#define PRIOR_PAGES     2000

static double search_sec(const struct adaptive_state *state)
{
        return state->search_sec > 0 ? state->search_sec : SEARCH_SEC;
}

double adaptive_pass_cost(const struct adaptive_state *state, const struct adaptive_view *view,
                          bool smart)
{
        double passed_over = (double)view->merged_pages, others;

        if (smart)
                passed_over += adaptive_skipped_pages(state, view);
        others = (double)view->known_pages - passed_over;
        return passed_over * MERGED_PAGE_SEC + (others > 0 ? others * search_sec(state) : 0);
}

double adaptive_budget_rate(const struct adaptive_params *params)
{
        return (double)params->cpu_budget_milli / 1e5;
}

/* Pages that have come up since the last pass and that KSM may know. */
static double grown_pages(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double grown, least = (double)view->sample->memory.total_kb / 4 / 1000;

        if (view->anon_pages < 0 || state->rest_anon_pages < 0)
                return 0;
        grown = difference(view->anon_pages, state->rest_anon_pages);
        return grown > least ? grown * state->mergeable_share : 0;
}

double adaptive_growth(const struct adaptive_state *state, const struct adaptive_view *view)
{
        if (state->anon_rate < GROWS_SHARE * (double)view->sample->memory.total_kb / 4)
                return 0;
        return state->anon_rate * state->mergeable_share;
}

static uint64_t later(uint64_t usec, double seconds)
{
        return usec + (uint64_t)(clamp(seconds, 0, 1e7) * USEC_PER_SEC);
}

static void take(struct adaptive_plan *plan, uint64_t due_usec, bool smart, bool burst,
                 enum decision_why why)
{
        if (due_usec >= plan->due_usec)
                return;
        *plan = (struct adaptive_plan){.due_usec = due_usec,
                                       .smart = smart,
                                       .burst = burst,
                                       .why = why,
                                       .grows = plan->grows};
}

/*
 * What waits to be merged is due at once, unless more comes so fast that the cost of a pass is
 * better spread: where it grows by r, a pass for each √(2Wr/μ) pages costs least.
 */
static uint64_t due_with_growth(const struct adaptive_view *view, uint64_t since_usec, double pages,
                                double rate, double cost, double most_sec,
                                struct adaptive_plan *plan)
{
        double worth_waiting_for;

        if (!(rate > 0) || !(view->page_price > 0))
                return view->now_usec;
        worth_waiting_for = sqrt(2 * cost * rate / view->page_price);
        if (pages >= worth_waiting_for)
                return view->now_usec;
        plan->grows = true;
        if (since_usec == 0)
                since_usec = view->now_usec;
        return later(since_usec, clamp((worth_waiting_for - pages) / rate, 0, most_sec));
}

static double period_sec(const struct adaptive_view *view, const struct adaptive_kind *kind,
                         double cost)
{
        double period = kind->backoff_sec / sqrt(clamp(view->scarcity, 0.01, 100));
        double most = cost / adaptive_budget_rate(view->params);

        if (kind->growth_rate > 0 && view->page_price > 0) {
                double best = sqrt(2 * cost / (view->page_price * kind->growth_rate));

                if (best < period)
                        period = best;
        }
        return clamp(period, PERIOD_SEC_MIN, most > PERIOD_SEC_MAX ? most : PERIOD_SEC_MAX);
}

/* When a pass is due that nothing else asks for, once this burst is over. */
static double next_period_sec(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double cost = adaptive_pass_cost(state, view, false);

        return clamp(REST_SHARE * cost / adaptive_budget_rate(view->params), PERIOD_SEC_MIN,
                     LIFE_SEC);
}

/*
 * Pages that the last pass has hashed, and that the next one can merge. They are not lost if none
 * is made for them: they merge in the one that is due by time.
 */
static double plan_hashed(const struct adaptive_state *state, const struct adaptive_view *view,
                          struct adaptive_plan *plan)
{
        bool burst = state->pass_burst || view->scarcity >= ADAPTIVE_BURST_SCARCITY ||
                     state->candidates_new > BURST_SHARE * (double)view->known_pages;
        double hashed = state->candidates_new * state->p_new;
        bool smart = adaptive_smart_covers(state, view);
        double cost = adaptive_pass_cost(state, view, smart);
        double value = view->page_value * clamp(next_period_sec(state, view) / LIFE_SEC, 0, 1);

        if (state->chain_passes < CHANGED_PASSES || state->candidates_new > 0)
                hashed += state->candidates_changed * state->p_changed +
                          state->candidates_broken * state->p_broken;
        if (!smart && hashed * value < cost && view->sample->ksm.smart_scan >= 0) {
                smart = true;
                cost = adaptive_pass_cost(state, view, true);
        }
        if (hashed > 0 && hashed * value >= cost)
                take(plan,
                     due_with_growth(view, state->rest_usec, hashed,
                                     adaptive_growth(state, view) * state->p_new, cost,
                                     clamp(cost * HASHED_WAIT, 0, GROWTH_SEC_MAX), plan),
                     smart, burst, WHY_CANDIDATES);
        return hashed;
}

/*
 * Pages that have come since: it takes a pass that hashes them and one that merges them. Where such
 * bursts have brought nothing so far, this one is to be worth what is owed for them, too.
 */
static void plan_growth(const struct adaptive_state *state, const struct adaptive_view *view,
                        bool has_smart, double hashed, struct adaptive_plan *plan)
{
        double grown = grown_pages(state, view);
        double pages = grown * state->p_new + hashed;
        double cost = adaptive_pass_cost(state, view, has_smart) +
                      adaptive_pass_cost(state, view, false) +
                      grown * (HASHED_PAGE_SEC + search_sec(state));
        double owed = clamp(-state->tokens_sec, 0, 1e15);

        if (!(grown > 0) || pages * view->page_value < cost + owed)
                return;
        take(plan,
             due_with_growth(view, state->grown_usec, pages,
                             adaptive_growth(state, view) * state->p_new, cost, GROWTH_SEC_MAX,
                             plan),
             has_smart, true, view->now_usec < state->watch_until_usec ? WHY_GUEST : WHY_GROWTH);
}

/* Memory has become short, and nothing is known to KSM. */
static void plan_first(const struct adaptive_state *state, const struct adaptive_view *view,
                       bool has_smart, struct adaptive_plan *plan)
{
        double pages =
                clamp((double)view->anon_pages, 0, 1e15) * state->mergeable_share * state->p_new;
        double cost =
                clamp((double)view->anon_pages, 0, 1e15) * (HASHED_PAGE_SEC + search_sec(state));

        take(plan,
             due_with_growth(view, state->short_usec, pages,
                             adaptive_growth(state, view) * state->p_new, cost,
                             clamp(cost * HASHED_WAIT, 0, GROWTH_SEC_MAX), plan),
             has_smart, true, WHY_SHORT);
}

/* Merged pages that have been written to: likewise, if they are equal again. */
static void plan_broken(const struct adaptive_state *state, const struct adaptive_view *view,
                        bool has_smart, double hashed, struct adaptive_plan *plan)
{
        double pages = state->broken_pages * state->p_broken;
        double least = (double)view->sample->memory.total_kb / 4 / 1000;
        double elapsed = seconds_between(state->rest_usec, view->now_usec);
        double cost = adaptive_pass_cost(state, view, has_smart);

        if (state->broken_pages < least || (pages + hashed) * view->page_value < cost ||
            elapsed < PERIOD_SEC_MIN || state->tokens_sec < 0)
                return;
        /* They go on breaking as fast: a pass for each √(2Wr/μ) pages. */
        if (pages * view->page_price * elapsed < 2 * cost)
                return;
        take(plan, view->now_usec, has_smart, view->scarcity >= ADAPTIVE_BURST_SCARCITY,
             WHY_BROKEN);
}

/*
 * Passes of both kinds have their times. Where smart_scan saves little (it skips pages that were
 * looked at often), the two take turns: one finds what the other misses, and lets pages age.
 */
bool adaptive_in_turns(const struct adaptive_state *state, const struct adaptive_view *view)
{
        return view->sample->ksm.smart_scan >= 0 &&
               adaptive_pass_cost(state, view, true) >
                       SMART_SAVES * adaptive_pass_cost(state, view, false);
}

static void plan_periods(const struct adaptive_state *state, const struct adaptive_view *view,
                         bool has_smart, struct adaptive_plan *plan)
{
        double full_cost = adaptive_pass_cost(state, view, false);
        double smart_cost = adaptive_pass_cost(state, view, true);
        bool burst = view->scarcity >= ADAPTIVE_BURST_SCARCITY;
        bool in_turns = adaptive_in_turns(state, view);
        enum decision_why why = burst ? WHY_PRESSURE : WHY_PERIOD;
        uint64_t full_usec = later(in_turns ? state->smart.ended_usec : state->full.ended_usec,
                                   period_sec(view, &state->full, full_cost));
        uint64_t smart_usec =
                later(state->smart.ended_usec, period_sec(view, &state->smart, smart_cost));
        struct adaptive_plan period = {.due_usec = full_usec, .burst = burst, .why = why};

        period.smart = adaptive_smart_covers(state, view);
        if (!period.smart && in_turns) {
                period.smart = state->full.ended_usec == state->smart.ended_usec;
        } else if (!period.smart && has_smart) {
                period.why = burst ? WHY_PRESSURE : WHY_TWINS;
                /* Where both are due, the one that sees all does for both. */
                if (full_usec > view->now_usec)
                        take(&period, smart_usec, true, burst, why);
        }
        if (state->tokens_sec < 0) {
                uint64_t paid_usec = later(view->now_usec,
                                           -state->tokens_sec / adaptive_budget_rate(view->params));

                period.waits_for_budget = paid_usec > period.due_usec;
                if (period.waits_for_budget)
                        period.due_usec = paid_usec;
        }
        if (period.due_usec < view->now_usec)
                period.due_usec = view->now_usec;
        period.grows = plan->grows;
        if (period.due_usec < plan->due_usec)
                *plan = period;
}

void adaptive_plan(const struct adaptive_state *state, const struct adaptive_view *view,
                   struct adaptive_plan *ret_plan)
{
        struct adaptive_plan plan = {.due_usec = UINT64_MAX};
        bool has_smart = view->sample->ksm.smart_scan >= 0;
        double hashed;

        if (state->rest_usec == 0) {
                plan_first(state, view, has_smart, &plan);
        } else {
                if ((view->sample->events & EVENT_ASKED) && !state->in_pass &&
                    seconds_between(state->rest_usec, view->now_usec) >= ASKED_AGAIN_SEC)
                        take(&plan, view->now_usec, false, true, WHY_ASKED);
                hashed = plan_hashed(state, view, &plan);
                plan_growth(state, view, has_smart, hashed, &plan);
                if (!state->in_pass)
                        plan_broken(state, view, has_smart, hashed, &plan);
                /* Between two passes in a row only what they found counts. */
                if (!state->in_pass)
                        plan_periods(state, view, has_smart, &plan);
        }
        if (plan.due_usec < view->now_usec)
                plan.due_usec = view->now_usec;
        if (plan.due_usec < state->hold_usec)
                plan.due_usec = state->hold_usec;
        *ret_plan = plan;
}

/*
 * Judges a dear pass by what it has brought so far. Of pairs of twins those are found whose halves
 * both lie in the part that is done, so of n candidates n × progress² have had their chance.
 */
bool adaptive_goes_on(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double progress = adaptive_progress(state, view);
        double candidates =
                state->candidates_new + state->candidates_changed + state->candidates_broken;
        double tried, share;
        double least = JUDGE_SHARE * (double)view->known_pages;

        if ((state->pass_smart && !state->pass_covers) || state->pass_why != WHY_CANDIDATES ||
            progress < JUDGE_PROGRESS || candidates < JUDGE_PAGES || candidates < least)
                return true;
        tried = candidates * progress * progress;
        share = (PRIOR_PAGES * state->p_new + (double)view->saved_pages -
                 (double)state->pass_saved_pages) /
                (PRIOR_PAGES + tried);
        return clamp(share, 0, 1) * (candidates - tried) * view->page_value >=
               (1 - progress) * adaptive_pass_cost(state, view, false);
}
