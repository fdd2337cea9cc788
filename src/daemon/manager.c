/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "manager.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "applying.h"
#include "ending.h"
#include "guest-log.h"
#include "guest-watch.h"
#include "helper.h"
#include "ksmtuned-config.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/journal.h"
#include "pressure.h"
#include "publish.h"
#include "sampling.h"

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
                         settings_guest_metric(manager->settings));
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

/* A decision that could not be applied is tried again when the policy wants to be asked next. */
static int set_step(struct manager *manager, int r)
{
        if (r < 0 && r != -EAGAIN)
                return r;
        return events_set_step(manager->events, manager->last_decision.next_usec);
}

static int on_decide(void *userdata, enum trigger trigger)
{
        return set_step(userdata, manager_decide(userdata, trigger));
}

static int on_step(void *userdata)
{
        struct manager *manager = userdata;

        if (!manager->last_decision.light_next)
                return events_request(manager->events, TRIGGER_TIMER);
        return set_step(manager, manager_step(manager));
}

/* What one policy has taken is none of the other's business. */
static int change_policy(struct manager *manager)
{
        memset(&manager->policy_state, 0, sizeof(manager->policy_state));
        applying_give_back(manager);
        return pressure_listen(manager);
}

/* The old ones stay whole where anything is wrong with the new ones. */
static int take_settings(struct manager *manager, struct settings *settings)
{
        struct settings *old = manager->settings;
        bool new_uri = strcmp(settings->libvirt_uri, old->libvirt_uri) != 0;
        bool new_policy = settings->policy.kind != old->policy.kind;
        int r;

        if (strcmp(settings->pid_file, old->pid_file) != 0)
                journal_print(LOG_WARNING, "PIDFILE changes only when ksmtuned restarts");
        /* Nobody may hold on to the old settings' globs. */
        manager->settings = settings;
        manager->kernel_wishes = (struct kernel_wishes){.of = {{.left = 0}}};
        watch_guests(manager);
        r = guest_watch_reload(manager->guest_watch);
        (void)settings_free(old);
        if (r == 0 && new_uri)
                r = listen_to_libvirt(manager);
        if (r == 0 && new_policy)
                r = change_policy(manager);
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
                .step = on_step,
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
                .meminfo_fd = -1,
                .pressure_fd = -1,
                .debug_log = DEBUG_LOG_INIT,
                .publish_state = true,
                .guests_to_publish = true,
                .last_knobs = {.run = -1},
                .owed = OWED_NOTHING,
                .background = BACKGROUND_NONE,
        };
        if (sd_watchdog_enabled(0, &watchdog_usec) > 0)
                manager->watchdog_usec = watchdog_usec;
        r = ksm_reader_new(&manager->ksm_reader, root);
        if (r == 0)
                r = guests_new(&manager->guests, root);
        if (r < 0)
                return r;
        watch_guests(manager);
        guests_listen(manager->guests, guest_log, manager);
        return events_new(&manager->events, &handler);
}

void manager_release(struct manager *manager)
{
        ending_free(manager->ending);
        sd_event_source_disable_unref(manager->pressure);
        manager->ksm_reader = ksm_reader_free(manager->ksm_reader);
        cleanup_fd(&manager->meminfo_fd);
        cleanup_fd(&manager->pressure_fd);
        manager->helper = helper_free(manager->helper);
        manager->guest_watch = guest_watch_free(manager->guest_watch);
        manager->events = events_free(manager->events);
        manager->guests = guests_free(manager->guests);
        debug_log_close(&manager->debug_log);
        metering_release(&manager->metering);
        manager->settings = settings_free(manager->settings);
}

/* A pass that has ended since the one that ended at @before_usec. */
static void count_pass(struct manager *manager, uint64_t before_usec)
{
        const struct decision_pass *pass = &manager->last_decision.last_pass;
        struct metrics_counters *counters = &manager->metering.counters;

        if (pass->known && pass->ended_usec != before_usec)
                metrics_count_pass(pass->smart ? &counters->smart : &counters->full,
                                   pass->yield_pages, pass->cpu_nsec);
}

/*
 * A write would wait, and the watchdog bite, until all is unmerged; and whoever unmerges has his
 * reasons. Return: whether the knobs are to be left alone.
 */
static bool leave_to_unmerge(struct manager *manager, const struct ksm_sample *ksm)
{
        bool unmerging = ksm_is_unmerging(ksm);

        complain(&manager->complaints, COMPLAINT_UNMERGING, unmerging, LOG_NOTICE,
                 "somebody unmerges all pages: the knobs are left alone until that is over");
        if (unmerging)
                manager->foreign.known = false;
        return unmerging;
}

/* Return: 0; -EAGAIN where a knob could not be written. */
static int apply(struct manager *manager, enum trigger trigger, const struct sample *sample,
                 struct ksm_knobs *knobs)
{
        const struct decision *decision = &manager->last_decision;
        const int64_t advisor = applying_advisor(manager, decision);
        const struct owed debts = applying_debts(manager, decision, knobs, advisor);

        if (!owed_same(&debts, &manager->owed))
                publish_debts(manager, trigger, sample, knobs, &debts);
        return applying_run(manager, decision, knobs, advisor);
}

/* From the sample to the knobs. Return: 0; -EAGAIN where a knob could not be written. */
static int decide_and_apply(struct manager *manager, enum trigger trigger, struct sample *sample,
                            struct ksm_knobs *ret_knobs)
{
        uint64_t now = events_now_usec(), last_pass_usec;
        bool leave = leave_to_unmerge(manager, &sample->ksm);
        int r = 0;

        *ret_knobs = (struct ksm_knobs){
                .run = sample->ksm.run,
                .pages_to_scan = sample->ksm.pages_to_scan,
                .sleep_millisecs = sample->ksm.sleep_millisecs,
                .smart_scan = sample->ksm.smart_scan,
        };
        if (foreign_check(&manager->foreign, manager->root, &sample->ksm, now))
                manager->metering.counters.foreign_writes++;
        last_pass_usec = manager->last_decision.last_pass.ended_usec;
        policy_decide(&manager->settings->policy, &manager->policy_state, sample, now,
                      &manager->last_decision);
        count_pass(manager, last_pass_usec);
        if (!leave)
                r = apply(manager, trigger, sample, ret_knobs);
        if (r == 0 && !leave && !manager->options->dry_run)
                foreign_remember(&manager->foreign, ret_knobs, sample->ksm.full_scans);
        return r;
}

/*
 * Nothing could be seen, so nothing was decided: the interval has the next word. A pass that nobody
 * can watch would go on for ever; ignoring where it cannot be ended, which the next decision tells.
 */
static void wait_for_interval(struct manager *manager)
{
        manager->last_decision.next_usec = 0;
        (void)applying_end_pass(manager);
}

int manager_decide(struct manager *manager, enum trigger trigger)
{
        const enum phase before = manager->last_decision.phase;
        struct ksm_knobs knobs;
        struct sample sample;
        int r;

        r = sampling_take(manager, &sample);
        if (r < 0) {
                wait_for_interval(manager);
                manager->metering.counters.failed_decisions++;
                /* What comes back at the next decision is not worth a watchdog's bite. */
                if (manager->watchdog_usec > 0)
                        (void)sd_notify(0, "WATCHDOG=1");
                return r;
        }
        if (trigger == TRIGGER_PRESSURE)
                manager->new_events |= EVENT_PRESSURE;
        if (trigger == TRIGGER_SIGNAL)
                manager->new_events |= EVENT_ASKED;
        sample.events = manager->new_events;
        manager->new_events = 0;
        kernel_settings_step(manager, &sample);
        r = decide_and_apply(manager, trigger, &sample, &knobs);
        sampling_judge(manager, &manager->last_decision);
        /* The log that one asks for has them all. */
        if (r == 0 && trigger == TRIGGER_TIMER && !manager->last_scan.changed &&
            manager->debug_log.fd < 0 && publish_can_wait(manager, before))
                return 0;
        publish_decision(manager, trigger, &sample, &knobs);
        return r;
}

int manager_step(struct manager *manager)
{
        const enum phase before = manager->last_decision.phase;
        struct ksm_knobs knobs;
        struct sample sample;
        int r;

        r = sampling_take_step(manager, &sample);
        if (r < 0) {
                wait_for_interval(manager);
                return r;
        }
        /* Whoever came or went meanwhile is for the decision that is put off, with fresh guests. */
        sample.events = 0;
        r = decide_and_apply(manager, TRIGGER_TIMER, &sample, &knobs);
        if (!publish_can_wait(manager, before))
                publish_decision(manager, TRIGGER_TIMER, &sample, &knobs);
        return r;
}

int manager_look_for_guests(struct manager *manager, bool everywhere)
{
        struct guests_sample sample;
        int r;

        if (everywhere)
                guests_suspect(manager->guests);
        r = sampling_scan_guests(manager, &sample);
        if (r < 0)
                return 0; /* the next decision will tell */
        if (!manager->last_scan.changed)
                return 0;
        /* The decision may be put off. */
        publish_guests(manager);
        manager->just_scanned = &sample;
        r = events_request(manager->events, TRIGGER_GUEST);
        manager->just_scanned = NULL;
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
        if (r >= 0)
                r = pressure_listen(manager);
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
