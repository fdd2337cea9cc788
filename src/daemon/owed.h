/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the daemon has taken from the kernel's settings and gives back at its end: the advisor's
 * mode, and for a policy that drives passes smart_scan, pages_to_scan and sleep_millisecs, and a
 * ksmd that stands still. The state file has it, too, so that what a daemon took that crashed can
 * be given back.
 */

#include <stdbool.h>

#include "ksmtuned/ksm.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"

/* SAMPLE_ABSENT: nothing was taken. */
struct owed {
        int64_t advisor_mode; /* KSM_ADVISOR_* */
        int64_t smart_scan, pages_to_scan, sleep_millisecs;
        bool pass; /* ksmd is in the middle of one: nobody else would set run to 0 */
};

#define OWED_NOTHING                                                             \
        {                                                                        \
                .advisor_mode = SAMPLE_ABSENT, .smart_scan = SAMPLE_ABSENT,      \
                .pages_to_scan = SAMPLE_ABSENT, .sleep_millisecs = SAMPLE_ABSENT \
        }

/* From now on the knobs are owed as they are in @now; those that are owed already stay so. */
void owed_take_knobs(struct owed *owed, const struct ksm_knobs *now);

bool owed_anything(const struct owed *owed);
bool owed_same(const struct owed *one, const struct owed *other);

/*
 * Gives back what is owed. Where something cannot be, that is logged, the rest is given back all
 * the same, and everything stays owed, for whoever tries again. Return: whether nothing is owed any
 * more.
 */
bool owed_give_back(struct owed *owed, const struct sysroot *root);

/* To and from the state file; values that no kernel takes are as good as none. */
void owed_to_state(const struct owed *owed, struct state *state);
void owed_from_state(struct owed *owed, const struct state *state);
