/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Picks the policy that the settings name. A policy is pure: settings, state, sample and time in,
 * decision out; no clock, no I/O, no logging, so that a replay is a loop around it.
 */

#include "ksmtuned/adaptive.h"
#include "ksmtuned/classic.h"
#include "ksmtuned/decision.h"
#include "ksmtuned/sample.h"

enum policy_kind {
        POLICY_CLASSIC,
        POLICY_ADAPTIVE,
};

struct policy_settings {
        enum policy_kind kind;
        struct classic_params classic;
        struct adaptive_params adaptive;
};

struct policy_state {
        struct classic_state classic;
        struct adaptive_state adaptive;
};

/* "classic", "adaptive" */
const char *policy_name(enum policy_kind kind);

/*
 * @now_usec: CLOCK_MONOTONIC in µs, never decreasing from one call to the next with one state.
 * A state of all zeros is a fresh one.
 */
void policy_decide(const struct policy_settings *settings, struct policy_state *state,
                   const struct sample *sample, uint64_t now_usec, struct decision *ret_decision);
