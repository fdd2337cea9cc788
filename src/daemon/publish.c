/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "publish.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "ksmtuned-config.h"
#include "ksmtuned/guest-file.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/reason.h"

#define STATUS_SIZE 256
/* How far a pass is, and how guests grow; what changes is told at once. */
#define PUBLISH_EVERY_USEC UINT64_C(5000000)
/* The watchdog bites when two decisions and this much more have not come. */
#define WATCHDOG_MARGIN_USEC UINT64_C(30000000)

static int64_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* When it decides next at the latest, CLOCK_MONOTONIC. */
static uint64_t next_decision_usec(const struct manager *manager)
{
        uint64_t next =
                (uint64_t)clock_usec(CLOCK_MONOTONIC) + manager->settings->monitor_interval_usec;

        if (manager->last_decision.next_usec > 0 && manager->last_decision.next_usec < next)
                next = manager->last_decision.next_usec;
        return next;
}

/* For those who read the state: CLOCK_MONOTONIC as CLOCK_REALTIME; SAMPLE_ABSENT of 0. */
static int64_t realtime_of(uint64_t monotonic_usec)
{
        if (monotonic_usec == 0)
                return SAMPLE_ABSENT;
        return clock_usec(CLOCK_REALTIME) + ((int64_t)monotonic_usec - clock_usec(CLOCK_MONOTONIC));
}

static void publish_state(struct manager *manager, enum trigger trigger,
                          const struct sample *sample, const struct ksm_knobs *knobs,
                          const struct owed *owed)
{
        const struct decision *decision = &manager->last_decision;
        struct state state;
        int r;

        state_init(&state);
        (void)snprintf(state.version, sizeof(state.version), "%s", KSMTUNED_VERSION);
        state.pid = getpid();
        (void)snprintf(state.policy, sizeof(state.policy), "%s",
                       policy_name(manager->settings->policy.kind));
        (void)snprintf(state.phase, sizeof(state.phase), "%s",
                       decision_phase_name(decision->phase));
        (void)snprintf(state.trigger, sizeof(state.trigger), "%s", trigger_name(trigger));
        (void)decision_reason(state.reason, sizeof(state.reason), decision);
        state.run = knobs->run;
        state.pages_to_scan = knobs->pages_to_scan;
        state.sleep_msec = knobs->sleep_millisecs;
        state.total_kb = decision->total_kb;
        state.free_kb = decision->free_kb;
        state.committed_kb = decision->committed_kb;
        state.threshold_kb = decision->threshold_kb;
        state.guests = sample->guests.count;
        state.saved_bytes = ksm_saved_bytes(&sample->ksm);
        state.ksmd_cpu_nsec = sample->ksm.ksmd_cpu_nsec;
        state.decisions = manager->n_decisions;
        state.time_usec = clock_usec(CLOCK_REALTIME);
        state.next_usec = realtime_of(next_decision_usec(manager));
        state.pass_due_usec = realtime_of(decision->pass_due_usec);
        state.interval_usec = (int64_t)manager->settings->monitor_interval_usec;
        kernel_settings_owed(manager, state.settings_owed, sizeof(state.settings_owed));
        owed_to_state(owed, &state);

        r = state_write(manager->root, &state);
        complain(&manager->complaints, COMPLAINT_STATE, r, LOG_WARNING,
                 "cannot write " STATE_PATH ": %s; ksmctl will not see the decisions",
                 strerror(-r));
}

static int write_guests(const struct manager *manager)
{
        struct guest_file_entry *entries;
        const struct guest *list;
        size_t n;
        int r;

        list = guests_list(manager->guests, &n);
        entries = calloc(n + 1, sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                entries[i] = (struct guest_file_entry){list[i].pid, list[i].start_time};
        r = guest_file_write(manager->root, getpid(), entries, n);
        free(entries);
        return r;
}

void publish_guests(struct manager *manager)
{
        const struct guests_scan_info *scan = &manager->last_scan;
        bool sees_all = !scan->others_hidden && !scan->names_denied;
        int r = 0;

        /* One decision leaves nobody behind who would follow the guests. */
        if (!manager->publish_state || !manager->guests_to_publish || manager->options->once)
                return;
        if (sees_all)
                r = write_guests(manager);
        /* Changes are rare; the text of hundreds, and the holes that the scan's tables left when
         * they grew, would stay for good. */
        (void)malloc_trim(0);
        manager->guests_to_publish = !sees_all || r < 0;
        /* The list of before is better no list. */
        if (manager->guests_to_publish)
                (void)guest_file_remove(manager->root);
        complain(&manager->complaints, COMPLAINT_GUEST_FILE, r, LOG_WARNING,
                 "cannot write " GUEST_FILE_PATH ": %s; ksmctl looks at every process instead",
                 strerror(-r));
}

void publish_end(struct manager *manager)
{
        if (!manager->publish_state)
                return;
        if (!owed_anything(&manager->owed))
                (void)state_remove(manager->root);
        (void)guest_file_remove(manager->root);
}

/* A watchdog that is shorter than the interval would bite a healthy daemon, so it is stretched. */
static uint64_t watchdog_usec(const struct manager *manager)
{
        uint64_t least = 2 * manager->settings->monitor_interval_usec;

        if (manager->watchdog_usec >= least + 1000000)
                return manager->watchdog_usec;
        return least + WATCHDOG_MARGIN_USEC;
}

static void notify_manager(struct manager *manager, const char *status)
{
        char ready[64] = "";

        if (!manager->ready) {
                if (manager->watchdog_usec > 0)
                        (void)snprintf(ready, sizeof(ready), "READY=1\nWATCHDOG_USEC=%" PRIu64 "\n",
                                       watchdog_usec(manager));
                else
                        (void)snprintf(ready, sizeof(ready), "READY=1\n");
                manager->ready = true;
        }
        /* A service manager that is gone cannot be told; the next decision tries again. */
        (void)sd_notifyf(0, "%s%sSTATUS=%s", ready,
                         manager->watchdog_usec > 0 ? "WATCHDOG=1\n" : "", status);
}

/*
 * Classic changes what KSM does with a knob. Where passes are driven, the knobs move all the time,
 * and a pass that only looks what has come is no news either.
 */
static bool is_change(const struct manager *manager, const struct ksm_knobs *knobs)
{
        enum phase phase = manager->last_decision.phase;

        if (manager->settings->policy.kind == POLICY_CLASSIC)
                return memcmp(&manager->last_knobs, knobs, sizeof(*knobs)) != 0;
        return phase != manager->last_phase && phase != PHASE_PROBE;
}

/* One entry for each change of what KSM does; none where all stays as it is. */
static void log_change(struct manager *manager, const struct sample *sample,
                       const struct ksm_knobs *knobs, const char *status)
{
        const struct decision *decision = &manager->last_decision;
        const struct journal_field fields[] = {
                {.name = "KSM_RUN", .value = knobs->run},
                {.name = "KSM_PAGES_TO_SCAN", .value = knobs->pages_to_scan},
                {.name = "KSM_SLEEP_MSEC", .value = knobs->sleep_millisecs},
                {.name = "KSM_TOTAL_KB", .value = decision->total_kb},
                {.name = "KSM_FREE_KB", .value = decision->free_kb},
                {.name = "KSM_COMMITTED_KB", .value = decision->committed_kb},
                {.name = "KSM_THRESHOLD_KB", .value = decision->threshold_kb},
                {.name = "KSM_GUESTS", .value = sample->guests.count},
                {.name = "KSM_SAVED_BYTES", .value = ksm_saved_bytes(&sample->ksm)},
        };
        const bool first = manager->last_knobs.run < 0;
        const bool left = decision->verdict == VERDICT_START && knobs->run != KSM_RUN_MERGE;

        if (!first && !is_change(manager, knobs) && !manager->options->dry_run)
                return;
        manager->last_knobs = *knobs;
        manager->last_phase = decision->phase;
        journal_event(first ? LOG_NOTICE : LOG_INFO, first ? JOURNAL_STARTED : JOURNAL_CHANGED,
                      fields, sizeof(fields) / sizeof(fields[0]), "%s%s", status,
                      manager->options->dry_run ? " (dry run: not applied)"
                      : left                    ? " (not applied)"
                                                : "");
}

static void write_debug_log(struct manager *manager)
{
        int r = 0;

        if (!manager->logged_parameters)
                r = debug_log_parameters(&manager->debug_log, &manager->last_decision);
        manager->logged_parameters = r == 0;
        if (r == 0)
                r = debug_log_decision(&manager->debug_log, &manager->last_decision);
        complain(&manager->complaints, COMPLAINT_DEBUG_LOG, r, LOG_WARNING,
                 "cannot write the log %s: %s; deciding goes on", manager->settings->log_file,
                 strerror(-r));
}

bool publish_can_wait(const struct manager *manager, enum phase before)
{
        const struct decision *decision = &manager->last_decision;
        uint64_t every_usec = manager->settings->monitor_interval_usec;

        if (every_usec > PUBLISH_EVERY_USEC)
                every_usec = PUBLISH_EVERY_USEC;
        return decision->phase == before &&
               (before == PHASE_BURST || before == PHASE_PROBE || decision->why == WHY_GROWS) &&
               (uint64_t)clock_usec(CLOCK_MONOTONIC) < manager->published_usec + every_usec;
}

void publish_decision(struct manager *manager, enum trigger trigger, const struct sample *sample,
                      const struct ksm_knobs *knobs)
{
        char status[STATUS_SIZE];

        manager->n_decisions++;
        manager->published_usec = (uint64_t)clock_usec(CLOCK_MONOTONIC);
        (void)decision_status(status, sizeof(status), &manager->last_decision, sample);
        if (manager->debug_log.fd >= 0)
                write_debug_log(manager);
        /* First: who waits for the state finds the guests that it was decided on. */
        publish_guests(manager);
        /* Before the state: who sees its count of decisions finds the figures there. */
        metering_publish(manager, trigger, sample);
        if (manager->publish_state)
                publish_state(manager, trigger, sample, knobs, &manager->owed);
        log_change(manager, sample, knobs, status);
        notify_manager(manager, status);
}

void publish_debts(struct manager *manager, enum trigger trigger, const struct sample *sample,
                   const struct ksm_knobs *knobs, const struct owed *debts)
{
        struct ksm_knobs soon = *knobs;

        if (!manager->publish_state)
                return;
        /* A pass is known by it. */
        if (debts->pass)
                soon.run = KSM_RUN_MERGE;
        publish_state(manager, trigger, sample, &soon, debts);
}

void publish_reloading(void)
{
        (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_usec(CLOCK_MONOTONIC));
}

void publish_ready(struct manager *manager)
{
        if (manager->watchdog_usec > 0)
                (void)sd_notifyf(0, "READY=1\nWATCHDOG_USEC=%" PRIu64, watchdog_usec(manager));
        else
                (void)sd_notify(0, "READY=1");
        manager->ready = true;
}

void publish_stopping(const char *status)
{
        (void)sd_notifyf(0, "STOPPING=1\nSTATUS=%s", status);
}

void publish_extend(uint64_t usec)
{
        (void)sd_notifyf(0, "EXTEND_TIMEOUT_USEC=%" PRIu64, usec);
}
