/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "foreign.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "ksmtuned/journal.h"
#include "ksmtuned/rivals.h"

#define TELL_EVERY_USEC (UINT64_C(3600) * 1000000)
#define N_RIVALS        4
#define TEXT_SIZE       256

/* What was found other than it was left. Return: whether there is anything. */
static bool describe(char *buf, size_t size, const struct foreign *foreign,
                     const struct ksm_sample *now)
{
        const struct {
                enum ksm_attribute attribute;
                int64_t left, found;
        } knobs[] = {
                {KSM_RUN, foreign->knobs.run, now->run},
                {KSM_PAGES_TO_SCAN, foreign->knobs.pages_to_scan, now->pages_to_scan},
                {KSM_SLEEP_MILLISECS, foreign->knobs.sleep_millisecs, now->sleep_millisecs},
                {KSM_SMART_SCAN, foreign->knobs.smart_scan, now->smart_scan},
        };

        for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++)
                if (knobs[i].left != knobs[i].found) {
                        (void)snprintf(buf, size, "%s reads %" PRId64 " and was left at %" PRId64,
                                       ksm_attribute_info(knobs[i].attribute)->name, knobs[i].found,
                                       knobs[i].left);
                        return true;
                }
        if (now->full_scans >= 0 && now->full_scans < foreign->full_scans) {
                (void)snprintf(buf, size,
                               "full_scans fell from %" PRId64 " to %" PRId64
                               ", so all pages were unmerged",
                               foreign->full_scans, now->full_scans);
                return true;
        }
        return false;
}

/* ", perhaps tuned (PID 812) or the kernel's advisor" */
static void name_rivals(char *buf, size_t size, const struct sysroot *root)
{
        struct rival rivals[N_RIVALS];
        int n = rivals_find(root, getpid(), rivals, N_RIVALS);
        size_t len = 0;

        buf[0] = '\0';
        for (int i = 0; i < n && len < size; i++) {
                int r;

                if (rivals[i].pid > 0)
                        r = snprintf(buf + len, size - len, "%s %s (PID %d)",
                                     i == 0 ? ", perhaps" : " or", rivals[i].name, rivals[i].pid);
                else
                        r = snprintf(buf + len, size - len, "%s %s", i == 0 ? ", perhaps" : " or",
                                     rivals[i].name);
                if (r < 0)
                        return;
                len += (size_t)r;
        }
}

void foreign_tell(const struct sysroot *root, const struct ksm_sample *sample, const char *what)
{
        const struct journal_field fields[] = {
                {.name = "KSM_RUN", .value = sample->run},
                {.name = "KSM_PAGES_TO_SCAN", .value = sample->pages_to_scan},
                {.name = "KSM_SLEEP_MSEC", .value = sample->sleep_millisecs},
        };
        char who[TEXT_SIZE];

        name_rivals(who, sizeof(who), root);
        journal_event(LOG_WARNING, JOURNAL_FOREIGN, fields, sizeof(fields) / sizeof(fields[0]),
                      "somebody else writes the KSM knobs%s: %s", who, what);
}

bool foreign_check(struct foreign *foreign, const struct sysroot *root,
                   const struct ksm_sample *sample, uint64_t now_usec)
{
        char what[TEXT_SIZE];

        if (!foreign->known || !describe(what, sizeof(what), foreign, sample))
                return false;
        if (foreign->told_usec != 0 && now_usec < foreign->told_usec + TELL_EVERY_USEC)
                return true;
        foreign->told_usec = now_usec;
        foreign_tell(root, sample, what);
        return true;
}

void foreign_remember(struct foreign *foreign, const struct ksm_knobs *knobs, int64_t full_scans)
{
        foreign->known = true;
        foreign->knobs = *knobs;
        foreign->full_scans = full_scans;
}
