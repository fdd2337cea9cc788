/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "ksmtuned-config.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/reason.h"

#define STATUS_SIZE 256
/* The watchdog bites when two decisions and this much more have not come. */
#define WATCHDOG_MARGIN_USEC UINT64_C(30000000)

static int64_t clock_usec(clockid_t clock)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void publish_state(struct manager *manager, enum trigger trigger,
                          const struct sample *sample, const struct ksm_knobs *knobs)
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
        state.interval_usec = (int64_t)manager->settings->monitor_interval_usec;
        state.advisor_before = manager->advisor_before;

        r = state_write(manager->root, &state);
        complain(&manager->complaints, COMPLAINT_STATE, r, LOG_WARNING,
                 "cannot write " STATE_PATH ": %s; ksmctl will not see the decisions",
                 strerror(-r));
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

/* One entry for each change of what KSM does; none where all stays as it is. */
static void log_change(struct manager *manager, const struct sample *sample,
                       const struct ksm_knobs *knobs, const char *status)
{
        const struct decision *decision = &manager->last_decision;
        const struct journal_field fields[] = {
                {"KSM_RUN", knobs->run},
                {"KSM_PAGES_TO_SCAN", knobs->pages_to_scan},
                {"KSM_SLEEP_MSEC", knobs->sleep_millisecs},
                {"KSM_TOTAL_KB", decision->total_kb},
                {"KSM_FREE_KB", decision->free_kb},
                {"KSM_COMMITTED_KB", decision->committed_kb},
                {"KSM_THRESHOLD_KB", decision->threshold_kb},
                {"KSM_GUESTS", sample->guests.count},
                {"KSM_SAVED_BYTES", ksm_saved_bytes(&sample->ksm)},
        };
        bool first = manager->last_knobs.run < 0;
        if (!first && memcmp(&manager->last_knobs, knobs, sizeof(*knobs)) == 0 &&
            !manager->options->dry_run)
                return;
        manager->last_knobs = *knobs;
        journal_event(first ? LOG_NOTICE : LOG_INFO, first ? JOURNAL_STARTED : JOURNAL_CHANGED,
                      fields, sizeof(fields) / sizeof(fields[0]), "%s%s", status,
                      manager->options->dry_run ? " (dry run: not applied)" : "");
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

void publish_decision(struct manager *manager, enum trigger trigger, const struct sample *sample,
                      const struct ksm_knobs *knobs)
{
        char status[STATUS_SIZE];

        (void)decision_status(status, sizeof(status), &manager->last_decision, sample);
        if (manager->debug_log.fd >= 0)
                write_debug_log(manager);
        if (manager->publish_state)
                publish_state(manager, trigger, sample, knobs);
        log_change(manager, sample, knobs, status);
        notify_manager(manager, status);
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
