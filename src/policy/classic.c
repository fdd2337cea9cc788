/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/classic.h"

/* KSM_SLEEP_MSEC is meant for a host of this size. */
#define REFERENCE_HOST_KB (INT64_C(16) * 1024 * 1024)
#define SLEEP_MSEC_MIN    10
#define SLEEP_MSEC_MAX    UINT32_MAX /* the kernel takes no more */

int64_t classic_threshold_kb(const struct classic_params *params, int64_t total_kb)
{
        int64_t share_kb = saturating_mul(total_kb, params->thres_coef) / 100;

        return params->thres_const_kb > share_kb ? params->thres_const_kb : share_kb;
}

int64_t classic_sleep_msec(const struct classic_params *params, int64_t total_kb)
{
        int64_t msec;

        if (total_kb <= 0)
                return SLEEP_MSEC_MIN;
        msec = saturating_mul(params->sleep_msec, REFERENCE_HOST_KB) / total_kb;
        if (msec <= SLEEP_MSEC_MIN)
                return SLEEP_MSEC_MIN;
        return msec < SLEEP_MSEC_MAX ? msec : SLEEP_MSEC_MAX;
}

/* The minimum is tested first, so where MIN is above MAX the two are taken in turns. */
static int64_t clamp_npages(const struct classic_params *params, int64_t npages)
{
        if (npages < params->npages_min)
                return params->npages_min;
        if (npages > params->npages_max)
                return params->npages_max;
        return npages;
}

void classic_decide(const struct classic_params *params, struct classic_state *state,
                    const struct sample *sample, struct decision *ret_decision)
{
        struct decision decision = {
                .verdict = VERDICT_NONE,
                .phase = PHASE_UNDECIDED,
                .total_kb = sample->memory.total_kb,
                .free_kb = memory_reclaimable_kb(&sample->memory),
                .committed_kb = sample->guests.committed_kb,
                .threshold_kb = classic_threshold_kb(params, sample->memory.total_kb),
                .sleep_millisecs = classic_sleep_msec(params, sample->memory.total_kb),
                .smart_scan = SMART_SCAN_LEAVE,
        };

        if (decision.total_kb > 0) {
                int64_t needed_kb = saturating_add(decision.committed_kb, decision.threshold_kb);

                if (needed_kb < decision.total_kb && decision.free_kb > decision.threshold_kb) {
                        decision.verdict = VERDICT_STOP;
                        decision.phase = PHASE_OFF;
                } else {
                        bool short_of_memory = decision.free_kb < decision.threshold_kb;
                        int64_t step =
                                short_of_memory ? params->npages_boost : params->npages_decay;

                        decision.verdict = VERDICT_START;
                        decision.phase = short_of_memory ? PHASE_BOOST : PHASE_DECAY;
                        state->npages = clamp_npages(params, saturating_add(state->npages, step));
                }
        }
        decision.pages_to_scan = state->npages;
        *ret_decision = decision;
}
