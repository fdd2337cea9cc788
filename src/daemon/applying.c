/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "applying.h"

#include <errno.h>
#include <string.h>

#include "ksmtuned/journal.h"

/*
 * The kernel's advisor does not let anybody else write pages_to_scan, so it is switched off first.
 * That resets pages_to_scan, which @knobs then tells.
 */
static int take_over_advisor(struct manager *manager, struct ksm_knobs *knobs, int64_t mode)
{
        int r = mode < 0 ? (int)mode : 0;

        if (mode == KSM_ADVISOR_NONE)
                return 0;
        if (r == 0)
                r = ksm_set(manager->root, KSM_ADVISOR_MODE, KSM_ADVISOR_NONE);
        /* Owed from here on, whatever fails next. */
        if (r == 0)
                manager->owed.advisor_mode = mode;
        if (r == 0)
                r = ksm_get(manager->root, KSM_PAGES_TO_SCAN, &knobs->pages_to_scan);
        complain(&manager->complaints, COMPLAINT_ADVISOR, r, LOG_WARNING,
                 "cannot switch off the kernel's advisor: %s", strerror(-r));
        if (r < 0)
                return r;
        if (!manager->advisor_told)
                journal_print(LOG_NOTICE, "the kernel's advisor (advisor_mode scan-time) is "
                                          "switched off while ksmtuned runs, and given back at "
                                          "its end");
        manager->advisor_told = true;
        return 0;
}

/* A pass is left to the decisions that follow; where none does, it would go on for ever. */
static bool can_start(const struct manager *manager)
{
        return manager->settings->policy.kind == POLICY_CLASSIC || !manager->options->once;
}

static bool starts(const struct manager *manager, const struct decision *decision)
{
        return !manager->options->dry_run && decision->verdict == VERDICT_START &&
               can_start(manager);
}

int64_t applying_advisor(const struct manager *manager, const struct decision *decision)
{
        int64_t mode = KSM_ADVISOR_NONE;
        int r = 0;

        if (starts(manager, decision))
                r = ksm_reader_get(manager->ksm_reader, KSM_ADVISOR_MODE, &mode);
        if (r == -EOPNOTSUPP)
                return KSM_ADVISOR_NONE;
        return r < 0 ? r : mode;
}

struct owed applying_debts(const struct manager *manager, const struct decision *decision,
                           const struct ksm_knobs *knobs, int64_t advisor)
{
        struct owed owed = manager->owed;

        if (!starts(manager, decision))
                return owed;
        /* Where it could not be read, take_over_advisor() complains. */
        if (advisor > KSM_ADVISOR_NONE)
                owed.advisor_mode = advisor;
        if (manager->settings->policy.kind != POLICY_CLASSIC) {
                owed_take_knobs(&owed, knobs);
                owed.pass = true;
        }
        return owed;
}

int applying_run(struct manager *manager, const struct decision *decision, struct ksm_knobs *knobs,
                 int64_t advisor)
{
        struct ksm_knobs want = *knobs;
        struct ksm_applied applied = {.failed = KSM_ATTRIBUTE_COUNT};
        int r;

        if (manager->options->dry_run || decision->verdict == VERDICT_NONE)
                return 0;
        if (decision->verdict == VERDICT_STOP || !can_start(manager)) {
                want.run = KSM_RUN_STOP;
        } else {
                r = take_over_advisor(manager, knobs, advisor);
                if (r < 0) {
                        manager->metering.counters.knob_write_failures++;
                        return -EAGAIN;
                }
                manager->owed = applying_debts(manager, decision, knobs, advisor);
                want.run = KSM_RUN_MERGE;
                want.pages_to_scan = decision->pages_to_scan;
                want.sleep_millisecs = decision->sleep_millisecs;
                if (decision->smart_scan != SMART_SCAN_LEAVE)
                        want.smart_scan = decision->smart_scan;
        }
        r = ksm_apply(manager->root, knobs, &want, &applied);
        complain(&manager->complaints, COMPLAINT_KSM_WRITE, r, LOG_ERR, "cannot write %s: %s; %s",
                 r < 0 ? ksm_attribute_info(applied.failed)->name : "", strerror(-r),
                 applied.rolled_back ? "the other knobs are as they were"
                                     : "the knobs are written in part");
        if (r == 0) {
                *knobs = want;
                manager->owed.pass = want.run == KSM_RUN_MERGE &&
                                     manager->settings->policy.kind != POLICY_CLASSIC;
        } else {
                manager->foreign.known = false;
                manager->metering.counters.knob_write_failures++;
        }
        return r < 0 ? -EAGAIN : 0;
}

int applying_end_pass(struct manager *manager)
{
        int r;

        if (!manager->owed.pass || manager->options->dry_run)
                return 0;
        manager->last_decision.verdict = VERDICT_NONE;
        manager->foreign.known = false;
        r = ksm_set(manager->root, KSM_RUN, KSM_RUN_STOP);
        if (r == 0)
                manager->owed.pass = false;
        return r;
}

void applying_give_back(struct manager *manager)
{
        if (manager->options->dry_run)
                return;
        manager->last_decision.verdict = VERDICT_NONE;
        manager->foreign.known = false;
        (void)owed_give_back(&manager->owed, manager->root);
}
