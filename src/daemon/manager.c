/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "applying.h"
#include "ending.h"
#include "guest-watch.h"
#include "helper.h"
#include "ksmtuned-config.h"
#include "ksmtuned/journal.h"
#include "publish.h"
#include "sampling.h"

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

static int on_libvirt(void *userdata, const char *kind, const char *domain)
{
        struct manager *manager = userdata;

        /* journald keeps such lines, too, and there may be hundreds a second. */
        if (manager->settings->debug)
                journal_print(LOG_DEBUG, "libvirt: %s %s", domain, kind);
        return events_request(manager->events, TRIGGER_LIBVIRT);
}

static void watch_guests(struct manager *manager)
{
        guests_set_match(manager->guests, (const char *const *)manager->settings->vm_match,
                         manager->settings->ps_metric);
}

/* Nothing outside of a made-up root is touched, so there is no libvirt beside it. */
static int listen_to_libvirt(struct manager *manager)
{
        const struct helper_handler handler = {.event = on_libvirt, .userdata = manager};
        const char *program = secure_getenv("KSMTUNED_LIBVIRT");

        manager->helper = helper_free(manager->helper);
        if (manager->root->made_up || *manager->settings->libvirt_uri == '\0')
                return 0;
        return helper_new(&manager->helper, events_loop(manager->events),
                          program ? program : KSMTUNED_LIBVIRT_HELPER,
                          manager->settings->libvirt_uri, &handler);
}

static int on_decide(void *userdata, enum trigger trigger)
{
        int r = manager_decide(userdata, trigger);

        return r == -EAGAIN ? 0 : r;
}

/* The old ones stay whole where anything is wrong with the new ones. */
static int take_settings(struct manager *manager, struct settings *settings)
{
        struct settings *old = manager->settings;
        bool new_uri = strcmp(settings->libvirt_uri, old->libvirt_uri) != 0;
        int r;

        if (strcmp(settings->pid_file, old->pid_file) != 0)
                journal_print(LOG_WARNING, "PIDFILE changes only when ksmtuned restarts");
        /* Nobody may hold on to the old settings' globs. */
        manager->settings = settings;
        watch_guests(manager);
        r = guest_watch_reload(manager->guest_watch);
        (void)settings_free(old);
        if (r == 0 && new_uri)
                r = listen_to_libvirt(manager);
        return r;
}

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
                r = take_settings(manager, settings);
                if (r < 0)
                        return r;
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
        manager->helper = helper_free(manager->helper);
        manager->guest_watch = guest_watch_free(manager->guest_watch);
        manager->events = events_free(manager->events);
        manager->guests = guests_free(manager->guests);
        debug_log_close(&manager->debug_log);
        manager->settings = settings_free(manager->settings);
}

int manager_decide(struct manager *manager, enum trigger trigger)
{
        uint64_t now = now_usec();
        struct ksm_knobs knobs;
        struct sample sample;
        int r;

        r = sampling_take(manager, &sample);
        if (r < 0) {
                /* What comes back at the next decision is not worth a watchdog's bite. */
                if (manager->watchdog_usec > 0)
                        (void)sd_notify(0, "WATCHDOG=1");
                return r;
        }
        foreign_check(&manager->foreign, manager->root, &sample.ksm, now);
        policy_decide(&manager->settings->policy, &manager->policy_state, &sample, now,
                      &manager->last_decision);
        sampling_judge(manager, &manager->last_decision);

        knobs = (struct ksm_knobs){sample.ksm.run, sample.ksm.pages_to_scan,
                                   sample.ksm.sleep_millisecs};
        r = applying_run(manager, &manager->last_decision, &knobs);
        if (r == 0 && !manager->options->dry_run)
                foreign_remember(&manager->foreign, &knobs, sample.ksm.full_scans);
        manager->n_decisions++;
        publish_decision(manager, trigger, &sample, &knobs);
        return r;
}

int manager_look_for_guests(struct manager *manager)
{
        struct guests_sample sample;
        struct guests_scan_info info;
        int r;

        guests_suspect(manager->guests);
        if (guests_scan(manager->guests, &sample, &info) < 0)
                return 0; /* the next decision will tell */
        if (!info.changed)
                return 0;
        guest_watch_follow(manager->guest_watch);
        r = events_request(manager->events, TRIGGER_GUEST);
        return r < 0 ? r : 1;
}

int manager_run(struct manager *manager)
{
        int r;

        r = events_set_interval(manager->events, manager->settings->monitor_interval_usec);
        if (r < 0)
                return r;
        r = guest_watch_new(&manager->guest_watch, manager);
        if (r >= 0)
                r = listen_to_libvirt(manager);
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
