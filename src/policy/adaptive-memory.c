/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "adaptive-parts.h"

#define SHORT_AT_LEAST_SEC 300 /* so that it cannot begin more often than 12 times an hour */
#define SCARCITY_MIN       0.25
#define SCARCITY_MAX       4.0
#define PRESSURE_UNIT      500.0 /* hundredths of a per cent of stalled time that double the price */
#define PRESSURE_MAX       10.0
#define PRESSURE_EVENT     3.0
#define WATCH_SEC_MIN      1.0
#define WATCH_SEC_MAX      15.0
#define WATCH_FACTOR       1.7
#define FALL_SHARE_MIN     0.001 /* of memory; less is noise */
#define FALL_SEC_MIN       0.5

double seconds_between(uint64_t from_usec, uint64_t to_usec)
{
        return to_usec > from_usec ? (double)(to_usec - from_usec) / USEC_PER_SEC : 0;
}

double difference(int64_t a, int64_t b)
{
        return (double)a - (double)b;
}

double clamp(double value, double least, double most)
{
        if (!(value > least))
                return least;
        return value < most ? value : most;
}

static int64_t at_least_0(int64_t value)
{
        return value > 0 ? value : 0;
}

static int64_t kb_of_pages(const struct ksm_sample *ksm, int64_t pages)
{
        return saturating_mul(pages, ksm->page_bytes) / 1024;
}

/* Without its accounting ksmd is taken to use what it is asked to. */
static double cpu_since(const struct adaptive_params *params, const struct adaptive_state *state,
                        const struct ksm_sample *ksm, double elapsed_sec)
{
        const struct ksm_sample *last = &state->last;

        if (ksm->ksmd_cpu_nsec >= 0 && last->ksmd_cpu_nsec >= 0)
                return ksm->ksmd_cpu_nsec >= last->ksmd_cpu_nsec
                               ? difference(ksm->ksmd_cpu_nsec, last->ksmd_cpu_nsec) / 1e9
                               : 0;
        if (ksm->ksmd_cpu_nsec >= 0 || !state->in_pass)
                return 0;
        return elapsed_sec * (double)adaptive_share_percent(state, params) / 100;
}

/* Falls with plenty, rises as memory runs out and as the kernel reports stalled tasks. */
static double scarcity(const struct adaptive_view *view)
{
        const struct pressure_line *some = &view->sample->pressure.some;
        double available = (double)at_least_0(view->available_kb);
        double factor = SCARCITY_MAX;

        if (available > 0)
                factor = clamp((double)view->threshold_kb / available, SCARCITY_MIN, SCARCITY_MAX);
        /* The average lags behind the trigger. */
        if (view->sample->events & EVENT_PRESSURE)
                factor *= PRESSURE_EVENT;
        else if (some->avg10_centi > 0)
                factor *= clamp(1 + (double)some->avg10_centi / PRESSURE_UNIT, 1, PRESSURE_MAX);
        return factor;
}

int64_t adaptive_known_pages(const struct ksm_sample *ksm)
{
        return saturating_add(
                saturating_add(at_least_0(ksm->pages_shared), at_least_0(ksm->pages_sharing)),
                saturating_add(at_least_0(ksm->pages_unshared), at_least_0(ksm->pages_volatile)));
}

int64_t adaptive_saved_pages(const struct ksm_sample *ksm)
{
        return ksm_saved_bytes(ksm) / (ksm->page_bytes > 0 ? ksm->page_bytes : 4096);
}

void adaptive_look(struct adaptive_view *view, const struct adaptive_params *params,
                   const struct classic_params *classic, const struct adaptive_state *state,
                   const struct sample *sample, uint64_t now_usec)
{
        const struct ksm_sample *ksm = &sample->ksm;
        const struct memory_sample *memory = &sample->memory;
        int64_t page_bytes = ksm->page_bytes > 0 ? ksm->page_bytes : 4096;

        *view = (struct adaptive_view){
                .params = params,
                .sample = sample,
                .now_usec = now_usec,
                .elapsed_sec = state->started ? seconds_between(state->last_usec, now_usec) : 0,
                .saved_pages = adaptive_saved_pages(ksm),
                .known_pages = adaptive_known_pages(ksm),
                .merged_pages = saturating_add(at_least_0(ksm->pages_shared),
                                               at_least_0(ksm->pages_sharing)),
                .anon_pages = SAMPLE_ABSENT,
                .available_kb = memory->available_kb >= 0 ? memory->available_kb
                                                          : memory_reclaimable_kb(memory),
                .threshold_kb = classic_threshold_kb(classic, memory->total_kb),
        };
        view->fresh = !state->light || sample->events != 0;
        if (state->started)
                view->cpu_sec = cpu_since(params, state, ksm, view->elapsed_sec);
        /* What else grows on a host is not for KSM, so guests count where there are any. Their
         * resident memory holds what is merged in full. */
        view->has_guests = sample->guests.count > 0 && sample->guests.committed_kb > 0;
        if (view->has_guests)
                view->anon_pages = saturating_mul(sample->guests.committed_kb, 1024) / page_bytes;
        else if (memory->anon_kb >= 0)
                view->anon_pages = saturating_add(
                        saturating_mul(memory->anon_kb, 1024) / page_bytes, view->saved_pages);
        view->unmerged_kb = saturating_add(view->available_kb,
                                           saturating_mul(kb_of_pages(ksm, view->saved_pages), -1));
        view->scarcity = scarcity(view);
        view->price = (double)params->memory_price_micro / 1e6 * view->scarcity;
        view->page_price = view->price * (double)page_bytes / (1 << 30);
        view->page_value = view->page_price / (1 / LIFE_SEC + state->loss_rate);
}

bool adaptive_short(const struct adaptive_view *view, const struct adaptive_state *state)
{
        int64_t margin_kb = view->threshold_kb / 8, least_kb = view->sample->memory.total_kb / 100;

        if (!state->short_of_memory)
                return view->unmerged_kb <= view->threshold_kb;
        if (seconds_between(state->short_usec, view->now_usec) < SHORT_AT_LEAST_SEC)
                return true;
        return view->unmerged_kb <=
               saturating_add(view->threshold_kb, margin_kb > least_kb ? margin_kb : least_kb);
}

uint64_t adaptive_watch_guest(struct adaptive_state *state, const struct adaptive_view *view)
{
        double after_sec = clamp(state->watch_sec, WATCH_SEC_MIN, WATCH_SEC_MAX);

        if (view->now_usec >= state->watch_until_usec)
                return UINT64_MAX;
        state->watch_sec = after_sec * WATCH_FACTOR;
        return view->now_usec + (uint64_t)(after_sec * USEC_PER_SEC);
}

/*
 * Memory is plentiful. If it goes on falling as fast as since the last call, it is short after the
 * margin over that rate: it is looked at twice until then.
 */
void adaptive_wait_for_shortness(struct adaptive_state *state, const struct adaptive_view *view,
                                 struct decision *decision)
{
        double margin = difference(view->unmerged_kb, view->threshold_kb);
        /* Before the second call this is below 0, as the state begins with 0. */
        double fallen = difference(state->unmerged_kb, view->unmerged_kb);
        uint64_t watch_usec = adaptive_watch_guest(state, view);

        decision->next_usec = view->now_usec + ADAPTIVE_CALL_MAX_USEC;
        if (watch_usec < decision->next_usec)
                decision->next_usec = watch_usec;
        if (fallen > FALL_SHARE_MIN * (double)view->sample->memory.total_kb) {
                double half_sec = clamp(view->elapsed_sec * margin / fallen / 2, 0, 3600);
                uint64_t look_usec =
                        view->now_usec + (uint64_t)((half_sec + FALL_SEC_MIN) * USEC_PER_SEC);

                if (look_usec < decision->next_usec)
                        decision->next_usec = look_usec;
        }
}
