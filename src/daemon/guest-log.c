/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-log.h"

#include <inttypes.h>

#include "guest-watch.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/reason.h"

/* At one scan. A host that starts all its guests at once need not fill the journal with them. */
#define TOLD_MAX 20

static const char *const words[] = {
        [GUEST_CAME] = "has started",
        [GUEST_GONE] = "has ended",
        [GUEST_UNMERGEABLE] = "has no memory that KSM may merge",
};

void guest_log(void *userdata, const struct guest *guest, enum guest_change change)
{
        struct manager *manager = userdata;
        char rss[32];
        const struct journal_field fields[] = {
                {.name = "KSM_GUEST", .text = guest_name(guest)},
                {.name = "KSM_GUEST_PID", .value = guest->pid},
                {.name = "KSM_GUEST_RSS_KB", .value = guest->rss_kb},
                {.name = "KSM_GUEST_MERGEABLE", .text = guest_mergeable_name(guest->mergeable)},
        };

        if (change == GUEST_CAME)
                manager->new_events |= EVENT_GUEST_STARTED;
        if (change == GUEST_CAME && manager->guest_watch)
                guest_watch_follow(manager->guest_watch, guest);
        if (change == GUEST_GONE)
                manager->new_events |= EVENT_GUEST_ENDED;
        manager->n_guest_changes++;
        if (manager->n_guest_changes > TOLD_MAX)
                return;
        journal_event(LOG_INFO, JOURNAL_GUEST, fields, sizeof(fields) / sizeof(fields[0]),
                      "guest %s (process %d, %s resident) %s", guest_name(guest), guest->pid,
                      format_kb(rss, sizeof(rss), guest->rss_kb), words[change]);
}

void guest_log_sum_up(struct manager *manager)
{
        if (manager->n_guest_changes > TOLD_MAX)
                journal_print(LOG_INFO, "%u more guests have started or ended",
                              manager->n_guest_changes - TOLD_MAX);
        manager->n_guest_changes = 0;
}
