/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stddef.h>

#include "ksmtuned/ksm.h"

struct step {
        enum ksm_attribute attribute;
        int64_t now, want;
};

/* Puts back what was written before step @failed, last first. */
static bool roll_back(const struct sysroot *root, const struct step *steps, size_t failed)
{
        for (size_t i = failed; i-- > 0;)
                if (steps[i].now != steps[i].want &&
                    ksm_set(root, steps[i].attribute, steps[i].now) < 0)
                        return false;
        return true;
}

int ksm_apply(const struct sysroot *root, const struct ksm_knobs *now, const struct ksm_knobs *want,
              struct ksm_applied *ret_applied)
{
        const struct step steps[] = {
                {KSM_SMART_SCAN, now->smart_scan, want->smart_scan},
                {KSM_PAGES_TO_SCAN, now->pages_to_scan, want->pages_to_scan},
                {KSM_SLEEP_MILLISECS, now->sleep_millisecs, want->sleep_millisecs},
                {KSM_RUN, now->run, want->run},
        };
        struct ksm_applied applied = {.failed = KSM_ATTRIBUTE_COUNT};
        int r = 0;

        for (size_t i = 0; r == 0 && i < sizeof(steps) / sizeof(steps[0]); i++) {
                if (steps[i].now == steps[i].want)
                        continue;
                r = ksm_set(root, steps[i].attribute, steps[i].want);
                if (r == 0) {
                        applied.n_writes++;
                        continue;
                }
                applied.failed = steps[i].attribute;
                applied.rolled_back = roll_back(root, steps, i);
        }
        *ret_applied = applied;
        return r;
}
