/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manager.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "ending.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/memory.h"
#include "publish.h"

static uint64_t now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * UINT64_C(1000000) + (uint64_t)ts.tv_nsec / 1000;
}

void manager_log_problems(const struct settings_problems *problems)
{
        for (size_t i = 0; i < problems->n; i++) {
                const struct settings_problem *problem = &problems->list[i];
                int priority = problem->is_error ? LOG_ERR : LOG_WARNING;
                const char *kind = problem->is_error ? "error" : "warning";

                if (problem->line > 0)
                        journal_print(priority, "%s:%u: %s: %s", problem->file, problem->line, kind,
                                      problem->text);
                else
                        journal_print(priority, "%s: %s: %s", problem->file, kind, problem->text);
        }
}

void manager_open_debug_log(struct manager *manager)
{
        const struct settings *settings = manager->settings;
        int r = 0;

        if (manager->options->debug)
                r = debug_log_open(&manager->debug_log, manager->root, "");
        else if (settings->debug)
                r = debug_log_open(&manager->debug_log, manager->root, settings->log_file);
        else
                debug_log_close(&manager->debug_log);
        manager->logged_parameters = false;
        complain(&manager->complaints, COMPLAINT_DEBUG_LOG, r, LOG_WARNING,
                 "cannot open the log %s: %s; deciding goes on", settings->log_file, strerror(-r));
}

static void watch_guests(struct manager *manager)
{
        guests_set_match(manager->guests, (const char *const *)manager->settings->vm_match,
                         manager->settings->ps_metric);
}

static int on_decide(void *userdata, enum trigger trigger)
{
        int r = manager_decide(userdata, trigger);

        return r == -EAGAIN ? 0 : r;
}

/* The old settings stay in force where the new ones have an error. */
static int on_reload(void *userdata)
{
        struct manager *manager = userdata;
        struct settings_problems problems = {.n = 0};
        struct settings *settings = NULL;
        int r;

        publish_reloading();
        r = settings_load(&settings, manager->root, manager->options->config, &problems);
        manager_log_problems(&problems);
        settings_problems_clear(&problems);
        if (r < 0) {
                journal_print(LOG_ERR, "the configuration was not reloaded: the old one stays");
        } else {
                if (strcmp(settings->pid_file, manager->settings->pid_file) != 0)
                        journal_print(LOG_WARNING, "PIDFILE changes only when ksmtuned restarts");
                /* The globs in use belong to the old settings. */
                guests_set_match(manager->guests, (const char *const *)settings->vm_match,
                                 settings->ps_metric);
                (void)settings_free(manager->settings);
                manager->settings = settings;
                journal_print(LOG_NOTICE, "the configuration was reloaded");
        }
        manager_open_debug_log(manager);
        r = events_set_interval(manager->events, manager->settings->monitor_interval_usec);
        if (r == 0)
                r = events_request(manager->events, TRIGGER_RELOAD);
        publish_ready(manager);
        return r;
}

static int on_stop(void *userdata)
{
        return ending_begin(userdata);
}

int manager_init(struct manager *manager, const struct options *options, const struct sysroot *root,
                 struct settings *settings)
{
        const struct events_handler handler = {
                .decide = on_decide,
                .reload = on_reload,
                .stop = on_stop,
                .userdata = manager,
        };
        uint64_t watchdog_usec = 0;
        int r;

        *manager = (struct manager){
                .options = options,
                .root = root,
                .settings = settings,
                .debug_log = DEBUG_LOG_INIT,
                .publish_state = true,
                .last_knobs = {.run = -1},
                .advisor_before = SAMPLE_ABSENT,
                .background = BACKGROUND_NONE,
        };
        if (sd_watchdog_enabled(0, &watchdog_usec) > 0)
                manager->watchdog_usec = watchdog_usec;
        r = guests_new(&manager->guests, root);
        if (r < 0)
                return r;
        watch_guests(manager);
        return events_new(&manager->events, &handler);
}

void manager_release(struct manager *manager)
{
        ending_free(manager->ending);
        manager->events = events_free(manager->events);
        manager->guests = guests_free(manager->guests);
        debug_log_close(&manager->debug_log);
        manager->settings = settings_free(manager->settings);
}

/* What a scan met that the administrator should know. */
static void complain_of_scan(struct manager *manager, const struct guests_scan_info *info)
{
        complain(&manager->complaints, COMPLAINT_GUESTS_METRIC, info->n_unreadable > 0, LOG_WARNING,
                 "%s of %zu guests cannot be read (it takes CAP_SYS_PTRACE); their RSS counts "
                 "instead",
                 guest_metric_name(manager->settings->ps_metric), info->n_unreadable);
        complain(
                &manager->complaints, COMPLAINT_GUESTS_HIDDEN,
                info->others_hidden  ? 1
                : info->names_denied ? 2
                                     : 0,
                LOG_WARNING,
                "processes of other users %s: /proc is mounted with hidepid, and guests among them "
                "are not counted",
                info->others_hidden ? "cannot be seen" : "can be seen, but not their names");
}

/* The attribute on which ksm_sample() failed, and in what way. */
static void complain_of_ksm(struct manager *manager, int error)
{
        const char *name = "folder";
        int64_t value;

        for (int i = 0; error < 0 && i < KSM_ATTRIBUTE_COUNT; i++)
                if (ksm_get(manager->root, (enum ksm_attribute)i, &value) == error) {
                        name = ksm_attribute_info((enum ksm_attribute)i)->name;
                        break;
                }
        complain(&manager->complaints, COMPLAINT_KSM_READ, error, LOG_ERR,
                 "cannot read " KSM_FOLDER "/%s: %s; nothing is decided", name,
                 error == -EOPNOTSUPP ? "it is not there"
                 : error == -EBADMSG  ? "it holds no number in its range"
                                      : strerror(-error));
}

/* Return: 0; -EAGAIN where something that the decision needs cannot be had (logged). */
static int take_sample(struct manager *manager, struct sample *ret_sample)
{
        struct complaints *complaints = &manager->complaints;
        struct guests_scan_info *info = &manager->last_scan;
        struct sample sample = {.pressure = PRESSURE_ABSENT};
        int r, failed = 0;

        r = memory_read(manager->root, &sample.memory);
        failed |= r;
        complain(complaints, COMPLAINT_MEMORY, r, LOG_ERR,
                 "cannot read /proc/meminfo: %s; nothing is decided",
                 r == -EBADMSG ? "MemTotal or MemFree is missing, or a number is none"
                               : strerror(-r));
        r = guests_scan(manager->guests, &sample.guests, info);
        failed |= r;
        complain(complaints, COMPLAINT_GUESTS, r, LOG_ERR,
                 "cannot look through the processes: %s; nothing is decided", strerror(-r));
        if (r == 0)
                complain_of_scan(manager, info);
        r = ksm_sample(manager->root, &sample.ksm);
        failed |= r;
        complain_of_ksm(manager, r);
        if (ksmd_cpu_nsec(&manager->ksmd, manager->root, &sample.ksm.ksmd_cpu_nsec) < 0)
                sample.ksm.ksmd_cpu_nsec = SAMPLE_ABSENT;
        if (failed)
                return -EAGAIN;
        *ret_sample = sample;
        return 0;
}

/* Figures that make no sense together are decided on as they are, and told. */
static void complain_of_decision(struct manager *manager, const struct decision *decision)
{
        complain(&manager->complaints, COMPLAINT_TOTAL, decision->total_kb <= 0, LOG_ERR,
                 "/proc/meminfo has a MemTotal of 0: nothing can be decided");
        /* A KSM_THRES_COEF of more than 100 has been told by the configuration already. */
        complain(&manager->complaints, COMPLAINT_THRESHOLD,
                 manager->settings->policy.classic.thres_coef <= 100 && decision->total_kb > 0 &&
                         decision->threshold_kb >= decision->total_kb,
                 LOG_WARNING,
                 "the threshold of %" PRId64 " kB (KSM_THRES_COEF, KSM_THRES_CONST) is not below "
                 "MemTotal, %" PRId64 " kB: KSM will always run",
                 decision->threshold_kb, decision->total_kb);
}

/*
 * The kernel's advisor does not let anybody else write pages_to_scan, so it is switched off first.
 * That resets pages_to_scan, which @knobs then tells.
 */
static int take_over_advisor(struct manager *manager, struct ksm_knobs *knobs)
{
        int64_t mode;
        int r;

        r = ksm_get(manager->root, KSM_ADVISOR_MODE, &mode);
        if (r == -EOPNOTSUPP || (r == 0 && mode == KSM_ADVISOR_NONE))
                return 0;
        if (r == 0)
                r = ksm_set(manager->root, KSM_ADVISOR_MODE, KSM_ADVISOR_NONE);
        /* Owed from here on, whatever fails next. */
        if (r == 0)
                manager->advisor_before = mode;
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

/* Brings the knobs to what was decided. @knobs: what the kernel has, before and after. */
static int apply(struct manager *manager, const struct decision *decision, struct ksm_knobs *knobs)
{
        struct ksm_knobs want = *knobs;
        struct ksm_applied applied = {.failed = KSM_ATTRIBUTE_COUNT};
        int r;

        if (manager->options->dry_run || decision->verdict == VERDICT_NONE)
                return 0;
        if (decision->verdict == VERDICT_STOP) {
                want.run = KSM_RUN_STOP;
        } else {
                r = take_over_advisor(manager, knobs);
                if (r < 0)
                        return -EAGAIN;
                want = (struct ksm_knobs){KSM_RUN_MERGE, decision->pages_to_scan,
                                          decision->sleep_millisecs};
        }
        r = ksm_apply(manager->root, knobs, &want, &applied);
        complain(&manager->complaints, COMPLAINT_KSM_WRITE, r, LOG_ERR, "cannot write %s: %s; %s",
                 r < 0 ? ksm_attribute_info(applied.failed)->name : "", strerror(-r),
                 applied.rolled_back ? "the other knobs are as they were"
                                     : "the knobs are written in part");
        if (r == 0)
                *knobs = want;
        else
                manager->foreign.known = false;
        return r < 0 ? -EAGAIN : 0;
}

int manager_decide(struct manager *manager, enum trigger trigger)
{
        uint64_t now = now_usec();
        struct ksm_knobs knobs;
        struct sample sample;
        int r;

        r = take_sample(manager, &sample);
        if (r < 0) {
                /* What comes back at the next decision is not worth a watchdog's bite. */
                if (manager->watchdog_usec > 0)
                        (void)sd_notify(0, "WATCHDOG=1");
                return r;
        }
        foreign_check(&manager->foreign, manager->root, &sample.ksm, now);
        policy_decide(&manager->settings->policy, &manager->policy_state, &sample, now,
                      &manager->last_decision);
        complain_of_decision(manager, &manager->last_decision);

        knobs = (struct ksm_knobs){sample.ksm.run, sample.ksm.pages_to_scan,
                                   sample.ksm.sleep_millisecs};
        r = apply(manager, &manager->last_decision, &knobs);
        if (r == 0 && !manager->options->dry_run)
                foreign_remember(&manager->foreign, &knobs, sample.ksm.full_scans);
        manager->n_decisions++;
        publish_decision(manager, trigger, &sample, &knobs);
        return r;
}

int manager_run(struct manager *manager)
{
        int r;

        r = events_set_interval(manager->events, manager->settings->monitor_interval_usec);
        if (r < 0)
                return r;
        /* What the decisions of a daemon in the background tell is for the journal. */
        if (manager->background.fd >= 0)
                journal_open(manager->root->made_up ? JOURNAL_NONE : JOURNAL_JOURNALD);
        r = events_request(manager->events, TRIGGER_START);
        if (r < 0)
                return r;
        background_ready(&manager->background, STATUS_OK);
        /* In business even where the first decision failed: the next one may not. */
        if (!manager->ready)
                publish_ready(manager);
        return events_run(manager->events);
}
