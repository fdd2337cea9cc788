/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/adaptive.h"

#include "adaptive-parts.h"

#define STALLED_SEC    20.0
#define HOLD_USEC      UINT64_C(60000000)
#define WATCH_USEC     UINT64_C(120000000) /* a guest's start */
#define GROWS_USEC     UINT64_C(1000000)   /* while memory grows it is looked at so often */
#define TOKENS_SEC_MAX 60.0                /* of saved budget, or what a pass costs */
#define CALL_USEC_MIN  UINT64_C(20000)
#define BRAKE_MSEC     100
#define BRAKE_USEC     UINT64_C(40000)
#define BRAKE_PAGES    16
/* No older are the guests' figures in a pass. */
#define LOOK_SEC         4.0
#define LOOK_GROWS_SEC   1.0 /* the next pass waits for the end of growth */
#define LOOK_LANDING_SEC 0.5

static int64_t pages_passed(const struct ksm_sample *ksm)
{
        if (ksm->pages_scanned < 0)
                return SAMPLE_ABSENT;
        return saturating_add(ksm->pages_scanned, ksm->pages_skipped > 0 ? ksm->pages_skipped : 0);
}

static void begin(struct adaptive_state *state, const struct sample *sample, uint64_t now_usec)
{
        state->started = true;
        state->last = sample->ksm;
        state->last_usec = now_usec;
        state->last_anon_pages = state->rest_anon_pages = SAMPLE_ABSENT;
        state->boundary_pages = SAMPLE_ABSENT;
        adaptive_forget(state, 1);
}

/* All has been unmerged by somebody else: nothing that was learnt about passes holds. */
static void begin_again(struct adaptive_state *state, uint64_t now_usec)
{
        state->in_pass = false;
        state->rest_usec = 0;
        state->hold_usec = now_usec + HOLD_USEC;
        state->chain_passes = 0;
        state->chain_full = false;
        state->chain_yield = state->chain_new_pages = state->chain_cpu_sec = 0;
        state->candidates_new = state->candidates_changed = state->candidates_broken = 0;
        state->boundary_pages = SAMPLE_ABSENT;
        state->broken_known = false;
        state->broken_pages = 0;
        for (unsigned v = 0; v < ADAPTIVE_VISITS; v++)
                state->visits[v] = 0;
}

static void start_pass(struct adaptive_state *state, const struct adaptive_view *view,
                       const struct adaptive_plan *plan)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        int64_t passed = pages_passed(ksm);

        if (view->known_pages == 0) {
                state->boundary_pages = passed;
                state->boundary_slack = 0;
        }
        state->in_pass = true;
        if (state->chain_passes == 0)
                state->chain_period = plan->why == WHY_PERIOD || plan->why == WHY_TWINS ||
                                      plan->why == WHY_PRESSURE || plan->why == WHY_BROKEN;
        state->pass_seen = false;
        state->pass_burst = plan->burst;
        state->pass_smart = plan->smart;
        state->pass_covers = plan->smart && adaptive_smart_covers(state, view);
        state->pass_why = plan->why;
        state->pass_usec = state->progress_usec = view->now_usec;
        state->pass = *ksm;
        state->pass_known_pages = view->known_pages;
        state->pass_saved_pages = view->saved_pages;
        state->pass_anon_pages = view->anon_pages;
        state->pass_beside_known = state->beside_known;
        state->pass_beside_pages = state->beside_pages;
        state->grown_usec = 0;
        state->pass_cpu_sec = 0;
        /* Other pages are dear in this pass than in the last one. */
        state->batch_pages = state->page_sec = 0;
        state->pass_late = passed != state->boundary_pages;
        state->pass_whole = state->boundary_pages >= 0 && passed >= state->boundary_pages &&
                            passed - state->boundary_pages <= view->known_pages / 8;
}

static void end_chain(struct adaptive_state *state, const struct adaptive_view *view)
{
        state->in_pass = false;
        adaptive_learn_chain(state, view);
}

/* Whether ksmd has done anything since the last call. */
static bool at_work(const struct adaptive_state *state, const struct ksm_sample *ksm)
{
        const struct ksm_sample *last = &state->last;

        return ksm->full_scans != last->full_scans || ksm->pages_scanned != last->pages_scanned ||
               ksm->pages_skipped != last->pages_skipped ||
               ksm->pages_volatile != last->pages_volatile ||
               ksm->pages_unshared != last->pages_unshared ||
               difference(ksm->ksmd_cpu_nsec, last->ksmd_cpu_nsec) > 5e6;
}

/* A pass that nobody waited for is at its end sooner, as something has happened meanwhile. */
static void hurry(struct adaptive_state *state, const struct adaptive_view *view)
{
        unsigned events = view->sample->events;
        enum decision_why why =
                events & EVENT_ASKED           ? WHY_ASKED
                : events & EVENT_GUEST_STARTED ? WHY_GUEST
                : events & EVENT_PRESSURE || view->scarcity >= ADAPTIVE_BURST_SCARCITY
                        ? WHY_PRESSURE
                        : WHY_NONE;

        if (state->pass_burst || why == WHY_NONE)
                return;
        state->pass_burst = true;
        if (state->pass_why != WHY_CANDIDATES)
                state->pass_why = why;
}

static void follow_pass(struct adaptive_state *state, const struct adaptive_view *view)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        struct adaptive_plan plan;

        state->pass_cpu_sec += view->cpu_sec;
        hurry(state, view);
        if (at_work(state, ksm))
                state->progress_usec = view->now_usec;
        if (ksm->full_scans > state->pass.full_scans) {
                state->pass_seen = true;
                adaptive_learn_pass(state, view, true);
                adaptive_plan(state, view, &plan);
                if (plan.due_usec <= view->now_usec && plan.why == WHY_CANDIDATES)
                        start_pass(state, view, &plan);
                else
                        end_chain(state, view);
                return;
        }
        if (state->pass_seen && ksm->run != 1) {
                state->hold_usec = view->now_usec + HOLD_USEC;
                adaptive_learn_pass(state, view, false);
                end_chain(state, view);
        } else if (seconds_between(state->progress_usec, view->now_usec) >= STALLED_SEC ||
                   !adaptive_goes_on(state, view)) {
                adaptive_learn_pass(state, view, false);
                end_chain(state, view);
        }
        if (ksm->run == 1)
                state->pass_seen = true;
}

static void rest(struct adaptive_state *state, const struct adaptive_view *view,
                 struct decision *decision)
{
        struct adaptive_plan plan;
        uint64_t next_usec, watch_usec;

        adaptive_plan(state, view, &plan);
        if (plan.due_usec <= view->now_usec) {
                start_pass(state, view, &plan);
                return;
        }
        next_usec = plan.due_usec;
        watch_usec = adaptive_watch_guest(state, view);
        if (watch_usec < next_usec)
                next_usec = watch_usec;
        if (plan.grows && next_usec > view->now_usec + GROWS_USEC)
                next_usec = view->now_usec + GROWS_USEC;
        decision->verdict = VERDICT_STOP;
        decision->phase = PHASE_REST;
        decision->why = plan.waits_for_budget    ? WHY_BUDGET
                        : plan.grows             ? WHY_GROWS
                        : view->known_pages == 0 ? WHY_NO_PAGES
                                                 : WHY_NOTHING;
        decision->pass_due_usec = plan.due_usec;
        decision->next_usec = next_usec;
}

/*
 * Where the kernel's pass began that it is in now, in pages scanned and skipped since boot. One
 * pass behind the last boundary, that is all known pages, and since the last call. An error here
 * would put the next end at the wrong place, and so the one after it.
 */
static void find_boundary(struct adaptive_state *state, const struct adaptive_view *view)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        int64_t before = pages_passed(&state->last), now = pages_passed(ksm), boundary = now;
        double met = difference(view->known_pages, state->pass_known_pages), span;

        span = clamp(difference(now, before), 0, 1e15);
        if (before >= 0 && now >= before && ksm->full_scans == state->last.full_scans + 1)
                boundary = state->boundary_pages >= 0
                                   ? saturating_add(state->boundary_pages, view->known_pages)
                                   : now - (now - before) / 2;
        /* The batch has ended where the pass did, and none has followed. */
        if (state->landing) {
                boundary = now;
                span = 0;
        }
        if (boundary > now)
                boundary = now;
        if (boundary < before)
                boundary = before;
        if (state->boundary_pages < 0 || met < 0)
                met = span;
        state->boundary_slack = clamp(state->boundary_slack + met, 0, span);
        state->boundary_pages = boundary;
}

/*
 * The pages of a guest that has ended go when ksmd next works. They are not to hide as many that
 * have come, nor what has been merged.
 */
static void forget_ended(struct adaptive_state *state, const struct adaptive_view *view)
{
        double gone = difference(adaptive_known_pages(&state->last), view->known_pages), merged;

        if (!state->in_pass || !(gone > 0))
                return;
        merged = clamp(difference(adaptive_saved_pages(&state->last), view->saved_pages), 0, gone);
        state->pass_known_pages =
                saturating_add(state->pass_known_pages, -(int64_t)clamp(gone, 0, 1e15));
        if (state->pass_known_pages < 0)
                state->pass_known_pages = 0;
        state->pass_saved_pages =
                saturating_add(state->pass_saved_pages, -(int64_t)clamp(merged, 0, 1e15));
}

static void update(struct adaptive_state *state, const struct adaptive_view *view)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        double rate = adaptive_budget_rate(view->params),
               cost = adaptive_pass_cost(state, view, false);
        bool is_short;

        if (ksm->full_scans < state->last.full_scans)
                begin_again(state, view->now_usec);
        else if (ksm->full_scans > state->last.full_scans)
                find_boundary(state, view);
        forget_ended(state, view);
        state->tokens_sec += rate * view->elapsed_sec;
        state->tokens_sec = clamp(state->tokens_sec, -1e9,
                                  cost > TOKENS_SEC_MAX * rate ? cost : TOKENS_SEC_MAX * rate);
        state->lost_sec = clamp(state->lost_sec, 0, clamp(-state->tokens_sec, 0, 1e9));
        if (view->sample->events & EVENT_GUEST_STARTED) {
                state->watch_until_usec = view->now_usec + WATCH_USEC;
                state->watch_sec = 0;
        }
        if (view->fresh)
                state->full_usec = view->now_usec;
        if (view->has_guests != state->had_guests) {
                /* Another measure: all of the first guests' memory is new. */
                state->pass_anon_pages = view->anon_pages;
                state->rest_anon_pages = view->has_guests ? 0 : view->anon_pages;
                /* Those that were there before the daemon have not grown at once. */
                state->last_anon_pages =
                        view->elapsed_sec > 0 ? state->rest_anon_pages : view->anon_pages;
                state->had_guests = view->has_guests;
        }
        adaptive_learn_size(state, view);
        is_short = adaptive_short(view, state);
        if (is_short && !state->short_of_memory)
                state->short_usec = view->now_usec;
        state->short_of_memory = is_short;
        if (!state->in_pass)
                adaptive_learn_rest(state, view);
}

static void decide(struct adaptive_state *state, const struct adaptive_view *view,
                   struct decision *decision)
{
        state->landing = false;
        if (!state->short_of_memory) {
                if (state->in_pass) {
                        adaptive_learn_pass(state, view, false);
                        end_chain(state, view);
                }
                decision->verdict = VERDICT_STOP;
                decision->phase = PHASE_OFF;
                decision->why = WHY_PLENTY;
                adaptive_wait_for_shortness(state, view, decision);
                return;
        }
        if (state->in_pass)
                follow_pass(state, view);
        if (!state->in_pass)
                rest(state, view, decision);
        if (state->in_pass) {
                double progress = adaptive_progress(state, view), look_sec;

                decision->verdict = VERDICT_START;
                decision->phase = state->pass_burst ? PHASE_BURST : PHASE_PROBE;
                decision->why = state->pass_why;
                decision->pass_done_percent =
                        progress < 0 ? SAMPLE_ABSENT : (int64_t)(progress * 100);
                decision->light_next = true;
                adaptive_pace(state, view, decision);
                /* How much has come by the end of the pass is to be known. */
                look_sec = state->landing                     ? LOOK_LANDING_SEC
                           : adaptive_growth(state, view) > 0 ? LOOK_GROWS_SEC
                                                              : LOOK_SEC;
                if (seconds_between(state->full_usec, decision->next_usec) > look_sec)
                        decision->light_next = false;
        }
}

/*
 * Who writes to run while ksmd scans without sleeping waits for its lock, and spins on it, for many
 * batches. So it is first made to sleep.
 */
static void brake(const struct adaptive_state *state, const struct adaptive_view *view,
                  struct decision *decision)
{
        const struct ksm_sample *ksm = &view->sample->ksm;

        if (decision->verdict != VERDICT_STOP || ksm->run != 1 || ksm->sleep_millisecs != 0 ||
            state->pass_why == WHY_NONE)
                return;
        decision->verdict = VERDICT_START;
        decision->phase = state->pass_burst ? PHASE_BURST : PHASE_PROBE;
        decision->why = state->pass_why;
        decision->smart_scan = ksm->smart_scan < 0 ? SMART_SCAN_LEAVE : state->pass_smart;
        decision->cpu_percent = adaptive_share_percent(state, view->params);
        decision->pages_to_scan = BRAKE_PAGES;
        decision->sleep_millisecs = BRAKE_MSEC;
        decision->light_next = true;
        decision->pass_due_usec = 0;
        decision->next_usec = view->now_usec + BRAKE_USEC;
}

void adaptive_decide(const struct adaptive_params *params, const struct classic_params *classic,
                     struct adaptive_state *state, const struct sample *sample, uint64_t now_usec,
                     struct decision *ret_decision)
{
        struct decision decision = {
                .verdict = VERDICT_NONE,
                .phase = PHASE_UNDECIDED,
                .pages_to_scan = sample->ksm.pages_to_scan,
                .sleep_millisecs = sample->ksm.sleep_millisecs,
                .total_kb = sample->memory.total_kb,
                .committed_kb = sample->guests.committed_kb,
                .smart_scan = SMART_SCAN_LEAVE,
                .pass_done_percent = SAMPLE_ABSENT,
                .decided_usec = now_usec,
                .next_usec = now_usec + ADAPTIVE_CALL_MAX_USEC,
        };
        struct adaptive_view view;

        if (!state->started)
                begin(state, sample, now_usec);
        adaptive_look(&view, params, classic, state, sample, now_usec);
        decision.free_kb = view.available_kb;
        decision.threshold_kb = view.threshold_kb;
        decision.unmerged_kb = view.unmerged_kb;
        decision.price_micro = (int64_t)(clamp(view.price, 0, 1e9) * 1e6);
        if (sample->memory.total_kb > 0) {
                update(state, &view);
                decide(state, &view, &decision);
                brake(state, &view, &decision);
                if (decision.next_usec < now_usec + CALL_USEC_MIN)
                        decision.next_usec = now_usec + CALL_USEC_MIN;
                if (decision.next_usec > now_usec + ADAPTIVE_CALL_MAX_USEC)
                        decision.next_usec = now_usec + ADAPTIVE_CALL_MAX_USEC;
                state->last = sample->ksm;
                state->last_usec = now_usec;
                state->unmerged_kb = view.unmerged_kb;
                state->light = decision.light_next;
        }
        decision.last_pass = state->last_pass;
        *ret_decision = decision;
}
