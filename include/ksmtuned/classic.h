/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The classic policy: what the original ksmtuned (2009) decides, step by step.
 *
 *      threshold = max(total × THRES_COEF / 100, THRES_CONST)            all in kB
 *      sleep     = SLEEP_MSEC × 16 GiB / total, and 10 where that is 10 or less    (ms)
 *      free      = MemFree + Buffers + Cached
 *      committed = memory of the VM processes
 *      stop  where committed + threshold < total and free > threshold, else start
 *      start: npages += BOOST where free < threshold, else += DECAY;
 *             below MIN it becomes MIN, else above MAX it becomes MAX
 *
 * npages begins at 0 and is kept while KSM is stopped. tests/classic-vectors.tsv holds 2,400 steps
 * of the original; this function agrees with every one of them.
 *
 * Divisions round towards zero. Where the original's arithmetic would wrap at 64 bits, this one
 * stops at the largest number; sleep stops at what the kernel takes, 4294967295.
 */

#include "ksmtuned/decision.h"
#include "ksmtuned/sample.h"

struct classic_params {
        int64_t sleep_msec;     /* KSM_SLEEP_MSEC: ms between batches on a 16 GiB host */
        int64_t npages_boost;   /* KSM_NPAGES_BOOST: added to npages while memory is short */
        int64_t npages_decay;   /* KSM_NPAGES_DECAY: added (it is negative) when it is not */
        int64_t npages_min;     /* KSM_NPAGES_MIN */
        int64_t npages_max;     /* KSM_NPAGES_MAX */
        int64_t thres_coef;     /* KSM_THRES_COEF: per cent of MemTotal */
        int64_t thres_const_kb; /* KSM_THRES_CONST: kB, although 2048 looks like MB */
};

struct classic_state {
        int64_t npages; /* pages per batch that the last start asked for; 0 at first */
};

/* The original's defaults. */
#define CLASSIC_PARAMS_DEFAULT                                                                \
        {                                                                                     \
                .sleep_msec = 10, .npages_boost = 300, .npages_decay = -50, .npages_min = 64, \
                .npages_max = 1250, .thres_coef = 20, .thres_const_kb = 2048,                 \
        }

int64_t classic_threshold_kb(const struct classic_params *params, int64_t total_kb);
int64_t classic_sleep_msec(const struct classic_params *params, int64_t total_kb);

/*
 * One decision. Pure: touches nothing but @state and @ret_decision, and @state only on a start.
 * A total of 0 or less decides nothing (VERDICT_NONE).
 */
void classic_decide(const struct classic_params *params, struct classic_state *state,
                    const struct sample *sample, struct decision *ret_decision);
