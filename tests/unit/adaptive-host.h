/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A host as literals, and what the adaptive policy decides about it. */

#include <stdint.h>

#include "ksmtuned/policy.h"

#define GIB_KB INT64_C(1048576)
#define SECOND UINT64_C(1000000)

static const struct policy_settings adaptive = {
        .kind = POLICY_ADAPTIVE,
        .classic = CLASSIC_PARAMS_DEFAULT,
        .adaptive = ADAPTIVE_PARAMS_DEFAULT,
};

/* 16 GiB, of which @available_kb are available; nothing is merged yet. */
static inline struct sample a_host(int64_t available_kb)
{
        return (struct sample){
                .memory = {.total_kb = 16 * GIB_KB,
                           .free_kb = available_kb,
                           .available_kb = available_kb,
                           .swap_free_kb = 0,
                           .anon_kb = 16 * GIB_KB - available_kb},
                .guests = {.count = 8, .committed_kb = 8 * GIB_KB},
                .ksm = {.pages_to_scan = 100,
                        .sleep_millisecs = 20,
                        .page_bytes = 4096,
                        .smart_scan = 1},
        };
}

static inline struct decision decide(struct policy_state *state, const struct sample *sample,
                                     uint64_t now_usec)
{
        struct decision decision;

        policy_decide(&adaptive, state, sample, now_usec, &decision);
        return decision;
}
