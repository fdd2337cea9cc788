/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "owed.h"

#include <errno.h>
#include <string.h>

#include "ksmtuned/journal.h"

void owed_take_knobs(struct owed *owed, const struct ksm_knobs *now)
{
        if (owed->smart_scan == SAMPLE_ABSENT)
                owed->smart_scan = now->smart_scan;
        if (owed->pages_to_scan == SAMPLE_ABSENT)
                owed->pages_to_scan = now->pages_to_scan;
        if (owed->sleep_millisecs == SAMPLE_ABSENT)
                owed->sleep_millisecs = now->sleep_millisecs;
}

bool owed_anything(const struct owed *owed)
{
        return owed->advisor_mode != SAMPLE_ABSENT || owed->smart_scan != SAMPLE_ABSENT ||
               owed->pages_to_scan != SAMPLE_ABSENT || owed->sleep_millisecs != SAMPLE_ABSENT ||
               owed->pass;
}

bool owed_same(const struct owed *one, const struct owed *other)
{
        return one->advisor_mode == other->advisor_mode && one->smart_scan == other->smart_scan &&
               one->pages_to_scan == other->pages_to_scan &&
               one->sleep_millisecs == other->sleep_millisecs && one->pass == other->pass;
}

/* The functions below return whether it could be done, and log why not. */

static bool end_pass(const struct sysroot *root)
{
        int64_t run;
        int r;

        /* Who stopped it, or unmerges, has done it already. */
        r = ksm_get(root, KSM_RUN, &run);
        if (r == 0 && run != KSM_RUN_MERGE)
                return true;
        r = ksm_set(root, KSM_RUN, KSM_RUN_STOP);
        if (r < 0)
                journal_print(LOG_ERR, "cannot end the pass: writing 0 to run: %s", strerror(-r));
        return r >= 0;
}

static bool give_back(const struct sysroot *root, enum ksm_attribute attribute, int64_t value)
{
        int64_t now;
        int r;

        if (value == SAMPLE_ABSENT)
                return true;
        /* A changed sleep_millisecs wakes ksmd, so nothing is written that reads so already. */
        r = ksm_get(root, attribute, &now);
        if (r < 0 || now != value)
                r = ksm_set(root, attribute, value);
        if (r < 0)
                journal_print(LOG_WARNING, "cannot set %s back to %lld: %s",
                              ksm_attribute_info(attribute)->name, (long long)value, strerror(-r));
        return r >= 0;
}

/* Somebody has switched the advisor on meanwhile: then pages_to_scan is its own. */
static bool advisor_works(const struct sysroot *root)
{
        int64_t mode;

        return ksm_get(root, KSM_ADVISOR_MODE, &mode) == 0 && mode != KSM_ADVISOR_NONE;
}

static bool give_advisor_back(const struct sysroot *root, int64_t mode)
{
        int r;

        if (mode == SAMPLE_ABSENT)
                return true;
        r = ksm_set(root, KSM_ADVISOR_MODE, mode);
        if (r < 0)
                journal_print(LOG_WARNING, "cannot give KSM back to the kernel's advisor: %s",
                              strerror(-r));
        else
                journal_print(LOG_NOTICE, "KSM is given back to the kernel's advisor");
        return r >= 0;
}

bool owed_give_back(struct owed *owed, const struct sysroot *root)
{
        bool done = true;

        if (owed->pass)
                done = end_pass(root);
        if (!advisor_works(root))
                done = give_back(root, KSM_PAGES_TO_SCAN, owed->pages_to_scan) && done;
        done = give_back(root, KSM_SLEEP_MILLISECS, owed->sleep_millisecs) && done;
        done = give_back(root, KSM_SMART_SCAN, owed->smart_scan) && done;
        /* Last: behind it, pages_to_scan is the advisor's. */
        done = give_advisor_back(root, owed->advisor_mode) && done;
        if (done)
                *owed = (struct owed)OWED_NOTHING;
        return done;
}

void owed_to_state(const struct owed *owed, struct state *state)
{
        state->advisor_before = owed->advisor_mode;
        state->smart_scan_before = owed->smart_scan;
        state->pages_to_scan_before = owed->pages_to_scan;
        state->sleep_msec_before = owed->sleep_millisecs;
}

/* Anybody who may write the state file is root; still no rubbish shall reach the kernel. */
static int64_t sane(enum ksm_attribute attribute, int64_t value)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(attribute);

        return value >= info->min && value <= info->max ? value : SAMPLE_ABSENT;
}

void owed_from_state(struct owed *owed, const struct state *state)
{
        owed->advisor_mode = sane(KSM_ADVISOR_MODE, state->advisor_before);
        owed->smart_scan = sane(KSM_SMART_SCAN, state->smart_scan_before);
        owed->pages_to_scan = sane(KSM_PAGES_TO_SCAN, state->pages_to_scan_before);
        owed->sleep_millisecs = sane(KSM_SLEEP_MILLISECS, state->sleep_msec_before);
        owed->pass = owed->pages_to_scan != SAMPLE_ABSENT && state->run == KSM_RUN_MERGE;
}
