/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stddef.h>

#include "adaptive-parts.h"

#define PROBE_PERCENT     25 /* nobody waits for a probe */
#define SPIN_FROM_PERCENT 86 /* above, the shortest sleep would take too much */
#define BATCH_SEC         ((double)ADAPTIVE_BATCH_NSEC / 1e9)
#define BATCH_PAGES_MIN   16
#define BATCH_PAGES_MAX   32768
#define PAGE_SEC          10e-6 /* of a page, before anything is measured */
#define DEAR              8 /* a batch may take so many times as long where pages turn out dear */
#define PAGE_LEAST_SEC    0.2e-6
#define PAGE_PEAK_SEC     15e-6
#define MEASURE_SEC       0.04 /* a shorter span tells nothing of a CPU share */
#define CALL_SEC_MIN      0.02
#define CALL_SEC_CONTROL  0.25
#define CALL_SEC_BURST    0.4
#define CALL_SEC_KNOWN    1.0 /* where nothing is to be held, and the pass meets known pages only */
#define CALL_SEC_PROBE    0.6
#define LANDING_BATCHES   8 /* a shorter pass is not worth it */
#define LANDING_SEC       0.03
#define LANDING_PAGES     256
#define LANDING_BEHIND    4       /* least batches behind the expected end it is awaited no more */
#define LANDING_SHARE     0.03125 /* of a pass; to miss its end costs less than a longer wait */
#define NEW_FEW           0.01
#define NEW_SLACK         0.05 /* so much of the growth of memory may be none of KSM's */
#define LANDING_MSEC      50
#define LANDING_CALL_SEC  0.04

int64_t adaptive_share_percent(const struct adaptive_state *state,
                               const struct adaptive_params *params)
{
        if (state->pass_burst || params->cpu_max < PROBE_PERCENT)
                return params->cpu_max;
        return PROBE_PERCENT;
}

/* The timer's ticks make sleeps longer than asked; what they are at 250 Hz. */
static int64_t choose_sleep_msec(int64_t percent, double *ret_real_sec)
{
        static const struct {
                int64_t up_to_percent, msec;
                double real_sec;
        } sleeps[] = {
                {5, 100, 0.104},
                {30, 20, 0.024},
                {50, 10, 0.016},
                {SPIN_FROM_PERCENT - 1, 1, 0.008},
        };

        for (size_t i = 0; i < sizeof(sleeps) / sizeof(sleeps[0]); i++)
                if (percent <= sleeps[i].up_to_percent) {
                        *ret_real_sec = sleeps[i].real_sec;
                        return sleeps[i].msec;
                }
        *ret_real_sec = 0;
        return 0;
}

static double counted_pages(const struct ksm_sample *from, const struct ksm_sample *to)
{
        if (from->pages_scanned < 0 || to->pages_scanned < from->pages_scanned)
                return -1;
        return (double)(to->pages_scanned - from->pages_scanned);
}

static void measure_page(struct adaptive_state *state, const struct adaptive_view *view)
{
        double pages = counted_pages(&state->last, &view->sample->ksm), page_sec;

        if (pages < BATCH_PAGES_MIN || !(view->cpu_sec > 0) || view->sample->ksm.ksmd_cpu_nsec < 0)
                return;
        page_sec = clamp(view->cpu_sec / pages, PAGE_LEAST_SEC, 1);
        state->page_sec = state->page_sec > 0 ? (state->page_sec + page_sec) / 2 : page_sec;
        state->page_peak_sec = clamp(state->page_peak_sec * 0.98, state->page_sec, 1);
}

/*
 * Pages of a batch: a share s of the CPU means b / (b + z) = s for a batch of b seconds and a sleep
 * of z, so what was measured (m) is s after a change of b by s / (1 - s) × (1 - m) / m. That needs
 * to know neither how long sleeps really take nor what a page costs.
 */
static double control_batch(const struct adaptive_state *state, const struct adaptive_view *view,
                            double share, double real_sec)
{
        double measured, page_sec = state->page_sec > 0 ? state->page_sec : PAGE_SEC;

        if (!(state->batch_pages > 0))
                return share / (1 - share) * real_sec / page_sec;
        if (view->elapsed_sec < MEASURE_SEC || view->sample->ksm.ksmd_cpu_nsec < 0)
                return state->batch_pages;
        measured = clamp(view->cpu_sec / view->elapsed_sec, 0.002, 0.98);
        return state->batch_pages *
               clamp(share / (1 - share) * (1 - measured) / measured, 0.3, 2.5);
}

/* Pages that the pass has behind it; negative where nothing tells. */
static double pages_done(const struct adaptive_state *state, const struct adaptive_view *view)
{
        const struct ksm_sample *ksm = &view->sample->ksm;
        int64_t done;

        if (ksm->pages_scanned < 0 || state->boundary_pages < 0 || view->known_pages <= 0)
                return -1;
        done = saturating_add(ksm->pages_scanned, ksm->pages_skipped > 0 ? ksm->pages_skipped : 0);
        if (done < state->boundary_pages)
                return -1;
        return difference(done, state->boundary_pages);
}

double adaptive_progress(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double done = pages_done(state, view);

        return done < 0 ? -1 : clamp(done / (double)view->known_pages, 0, 1);
}

/* New pages that the pass is to meet, at its end. */
static double expected_pages(const struct adaptive_state *state, const struct adaptive_view *view)
{
        if (view->anon_pages < 0 || state->rest_anon_pages < 0)
                return 0;
        return clamp(difference(view->anon_pages, state->rest_anon_pages), 0, 1e15) *
               state->mergeable_share;
}

/* When to be called again: often enough near the end of the pass, and to hold the CPU share. */
static double call_after_sec(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double progress = adaptive_progress(state, view), left_sec;
        double expected = expected_pages(state, view);
        double end = (double)state->pass_known_pages + expected;
        double most = !state->pass_burst                          ? CALL_SEC_PROBE
                      : view->params->cpu_max < SPIN_FROM_PERCENT ? CALL_SEC_CONTROL
                      : expected > NEW_FEW * end                  ? CALL_SEC_BURST
                                                                  : CALL_SEC_KNOWN;
        double since = seconds_between(state->pass_usec, view->now_usec);

        if (since < 0.1)
                return 0.05;
        if (progress > 0 && end > (double)view->known_pages)
                progress = pages_done(state, view) / end;
        if (!(progress > 0))
                return clamp(since / 4, 0.05, most);
        /* New pages are known as they are met, so all of them may seem to be done at any time. */
        if (progress >= 1)
                return clamp(since / 8, 0.05, most / 2);
        left_sec = since * (1 - progress) / progress;
        return clamp(left_sec * 0.8, CALL_SEC_MIN, most);
}

/* One of the last batches, which takes no more of a CPU than those before. */
static double landing_sec(const struct adaptive_state *state, const struct adaptive_view *view)
{
        double share = (double)adaptive_share_percent(state, view->params) / 100;

        return share < 0.5 ? clamp(share / (1 - share) * LANDING_MSEC / 1e3, 0, LANDING_SEC)
                           : LANDING_SEC;
}

/*
 * A batch ends where the pass ends. So the last one is followed by a long sleep, in which run can
 * be set to 0 before ksmd begins with the next pass. That is worth more than what would be scanned
 * too much: processes that come while ksmd stands between two passes are reached in the next one,
 * and otherwise one pass later.
 */
static bool land(struct adaptive_state *state, const struct adaptive_view *view,
                 struct decision *decision)
{
        double done = pages_done(state, view), known = (double)view->known_pages;
        /* The mean of the pass: who shares the CPU with ksmd makes single spans misleading. */
        double page_sec = done > 0 ? state->pass_cpu_sec / done : 0;
        double most_sec = landing_sec(state, view);
        double batch = clamp(most_sec / clamp(page_sec, PAGE_LEAST_SEC, PAGE_PEAK_SEC), 0,
                             BATCH_PAGES_MAX);
        /* However dear the next ones are. Where the end was expected too soon, it is to come. */
        double least = clamp(most_sec / PAGE_PEAK_SEC, 0, batch);
        double left = known - done, slack = state->boundary_slack;
        double new_pages = expected_pages(state, view);
        double behind = done - (double)state->pass_known_pages - new_pages;

        if (done < 0)
                return false;
        if (new_pages > batch) {
                /* They are reached last: the end is where they should be, more or less. */
                left = -behind;
                slack += NEW_SLACK * new_pages;
        }
        slack = clamp(slack, 0, LANDING_SHARE * known);
        if (known < LANDING_BATCHES * batch || left > batch + slack ||
            (left <= 0 && behind > LANDING_BEHIND * least + slack / 2))
                return false;
        if (slack > batch / 4)
                left = batch;
        state->landing = true;
        decision->pages_to_scan =
                (int64_t)(clamp(left * 1.1, least, BATCH_PAGES_MAX) + LANDING_PAGES);
        decision->sleep_millisecs = LANDING_MSEC;
        decision->next_usec = view->now_usec + (uint64_t)(LANDING_CALL_SEC * USEC_PER_SEC);
        return true;
}

void adaptive_pace(struct adaptive_state *state, const struct adaptive_view *view,
                   struct decision *decision)
{
        int64_t percent = adaptive_share_percent(state, view->params);
        double real_sec, peak_sec, most;

        measure_page(state, view);
        peak_sec = state->page_peak_sec > PAGE_PEAK_SEC ? state->page_peak_sec : PAGE_PEAK_SEC;
        decision->sleep_millisecs = choose_sleep_msec(percent, &real_sec);
        if (decision->sleep_millisecs == 0) {
                state->batch_pages = BATCH_SEC / peak_sec;
        } else {
                /* The next pages may be dear ones: a batch of them may take a few times as long,
                 * until the next call. */
                double share = (double)percent / 100;
                double dear_sec = DEAR * share / (1 - share) * real_sec;

                most = BATCH_SEC / (state->page_sec > 0 ? state->page_sec : PAGE_SEC);
                if (dear_sec > 4 * BATCH_SEC || real_sec > 0.05)
                        dear_sec = 4 * BATCH_SEC;
                if (most > dear_sec / peak_sec)
                        most = dear_sec / peak_sec;
                state->batch_pages = clamp(control_batch(state, view, share, real_sec), 1, most);
        }
        state->batch_pages = clamp(state->batch_pages, BATCH_PAGES_MIN, BATCH_PAGES_MAX);
        decision->pages_to_scan = (int64_t)state->batch_pages;
        decision->cpu_percent = percent;
        decision->smart_scan =
                view->sample->ksm.smart_scan < 0 ? SMART_SCAN_LEAVE : state->pass_smart;
        if (land(state, view, decision))
                return;
        decision->next_usec =
                view->now_usec + (uint64_t)(call_after_sec(state, view) * USEC_PER_SEC);
}
