/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ending.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "applying.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/memory.h"
#include "ksmtuned/reason.h"
#include "ksmtuned/unmerge.h"
#include "publish.h"

#define EXTEND_EVERY_USEC UINT64_C(5000000)
#define EXTEND_BY_USEC    UINT64_C(30000000)

struct ending {
        sd_event_source *child, *extend;
        pid_t pid;
};

void ending_free(struct ending *ending)
{
        if (!ending)
                return;
        sd_event_source_unref(ending->child);
        sd_event_source_unref(ending->extend);
        free(ending);
}

/* The last words, and out of the loop. */
static int finish(struct manager *manager, const char *how)
{
        struct ksm_sample ksm = {.ksmd_cpu_nsec = SAMPLE_ABSENT};

        applying_give_back(manager);
        if (ksm_sample(manager->root, &ksm) == 0) {
                const struct journal_field fields[] = {
                        {.name = "KSM_RUN", .value = ksm.run},
                        {.name = "KSM_PAGES_TO_SCAN", .value = ksm.pages_to_scan},
                        {.name = "KSM_SLEEP_MSEC", .value = ksm.sleep_millisecs},
                        {.name = "KSM_SAVED_BYTES", .value = ksm_saved_bytes(&ksm)},
                };

                journal_event(LOG_NOTICE, JOURNAL_STOPPED, fields,
                              sizeof(fields) / sizeof(fields[0]), "ended: %s; ksmd %s, and %s", how,
                              ksm.run == KSM_RUN_MERGE ? "goes on merging" : "sleeps",
                              ksm.pages_sharing > 0 ? "what is merged stays merged"
                                                    : "nothing is merged");
        } else {
                journal_print(LOG_NOTICE, "ended: %s", how);
        }
        return sd_event_exit(events_loop(manager->events), 0);
}

static int stop_ksm(struct manager *manager, const char *how)
{
        int r = ksm_set(manager->root, KSM_RUN, KSM_RUN_STOP);

        if (r < 0) {
                journal_print(LOG_ERR, "cannot stop KSM: writing 0 to run: %s", strerror(-r));
                how = "KSM could not be stopped";
        }
        return finish(manager, how);
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct manager *manager = userdata;

        if (info->si_code == CLD_EXITED && info->si_status == 0)
                return stop_ksm(manager, "all pages are unmerged, as KSM_STOP_ACTION asks");
        if (info->si_code == CLD_EXITED)
                journal_print(LOG_ERR, "cannot unmerge: writing 2 to run: %s",
                              strerror(info->si_status));
        return stop_ksm(manager, info->si_code == CLD_EXITED
                                         ? "KSM is stopped, but not unmerged"
                                         : "KSM is stopped; the unmerge was interrupted");
}

static int on_extend(sd_event_source *source, uint64_t usec, void *userdata)
{
        int r;

        publish_extend(EXTEND_BY_USEC);
        r = sd_event_source_set_time_relative(source, EXTEND_EVERY_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int begin_unmerge(struct manager *manager)
{
        struct ending *ending = manager->ending;
        sd_event *loop = events_loop(manager->events);
        sigset_t block;
        int r;

        /* sd-event waits for SIGCHLD only where it is blocked. */
        (void)sigemptyset(&block);
        (void)sigaddset(&block, SIGCHLD);
        if (sigprocmask(SIG_BLOCK, &block, NULL) < 0)
                return -errno;
        r = unmerge_start(manager->root, &ending->pid);
        if (r < 0)
                return r;
        r = sd_event_add_child(loop, &ending->child, ending->pid, WEXITED, on_child, manager);
        if (r < 0)
                return r;
        publish_stopping("unmerging all pages");
        publish_extend(EXTEND_BY_USEC);
        return sd_event_add_time_relative(loop, &ending->extend, CLOCK_MONOTONIC, EXTEND_EVERY_USEC,
                                          0, on_extend, manager);
}

/* Return: whether there is room for everything that is merged; says so where there is not. */
static bool may_unmerge(const struct manager *manager)
{
        struct ksm_sample ksm = {.ksmd_cpu_nsec = SAMPLE_ABSENT};
        struct memory_sample memory = {.available_kb = SAMPLE_ABSENT};
        char saved[32], available[32];
        int r;

        r = ksm_sample(manager->root, &ksm);
        if (r == 0)
                r = memory_read(manager->root, &memory);
        if (r < 0) {
                journal_print(LOG_WARNING,
                              "not unmerging: what it needs cannot be told: %s; only stopping",
                              strerror(-r));
                return false;
        }
        if (ksm_unmerge_fits(memory.available_kb, ksm_saved_bytes(&ksm)))
                return true;
        journal_print(
                LOG_WARNING,
                "not unmerging: it takes %s, and with a tenth to spare that does not fit into "
                "the %s available; only stopping",
                format_kb(saved, sizeof(saved), ksm_saved_bytes(&ksm) / 1024),
                memory.available_kb < 0
                        ? "unknown memory"
                        : format_kb(available, sizeof(available), memory.available_kb));
        return false;
}

int ending_begin(struct manager *manager)
{
        int r;

        if (manager->ending) {
                if (manager->ending->pid > 0)
                        (void)kill(manager->ending->pid, SIGTERM);
                return 0;
        }
        manager->ending = calloc(1, sizeof(*manager->ending));
        if (!manager->ending)
                return -ENOMEM;
        events_quiet(manager->events);
        publish_stopping("ending");
        if (manager->options->dry_run)
                return finish(manager, "nothing was changed");

        switch (manager->settings->stop_action) {
        case STOP_ACTION_KEEP:
                break;
        case STOP_ACTION_STOP:
                return stop_ksm(manager, "KSM is stopped, as KSM_STOP_ACTION asks");
        case STOP_ACTION_UNMERGE:
                if (!may_unmerge(manager))
                        return stop_ksm(manager, "KSM is stopped, but not unmerged");
                r = begin_unmerge(manager);
                if (r >= 0)
                        return 0;
                journal_print(LOG_ERR, "cannot unmerge: %s", strerror(-r));
                return stop_ksm(manager, "KSM is stopped, but not unmerged");
        }
        return finish(manager, "the KSM knobs are left as they are");
}
