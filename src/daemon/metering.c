/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "metering.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "helper.h"
#include "ksmtuned-config.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/ksm-process.h"
#include "manager.h"

static int64_t clock_nsec(clockid_t clock)
{
        struct timespec ts;

        (void)clock_gettime(clock, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* --- Guests ---------------------------------------------------------------------------------- */

static bool is_same(const struct metered_guest *one, const struct metered_guest *other)
{
        return one->pid == other->pid && one->start_time == other->start_time;
}

/*
 * Takes over what is known of the guests that are still there, and counts those that came and went.
 * Who is there at the first look has not come. Return: 0; -ENOMEM.
 */
static int follow_guests(struct metering *metering, const struct guest *guests, size_t n)
{
        struct metrics_counters *counters = &metering->counters;
        struct metered_guest *followed = n > 0 ? calloc(n, sizeof(*followed)) : NULL;
        size_t n_kept = 0, old = 0;

        if (n > 0 && !followed)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                followed[i] = (struct metered_guest){.pid = guests[i].pid,
                                                     .start_time = guests[i].start_time,
                                                     .merged_bytes = SAMPLE_ABSENT,
                                                     .mergeable = -1};
                while (old < metering->n_guests && metering->guests[old].pid < guests[i].pid)
                        old++;
                if (old < metering->n_guests && is_same(&metering->guests[old], &followed[i])) {
                        followed[i] = metering->guests[old];
                        n_kept++;
                }
        }
        if (metering->following) {
                counters->guest_starts += (int64_t)(n - n_kept);
                counters->guest_ends += (int64_t)(metering->n_guests - n_kept);
        }
        metering->following = true;
        free(metering->guests);
        metering->guests = followed;
        metering->n_guests = n;
        return 0;
}

/* What may not be read, or is not told by this kernel, stays unknown: ksmctl doctor tells why. */
static void ask_guest(const struct sysroot *root, struct metered_guest *guest, int64_t page_bytes,
                      uint64_t now_usec)
{
        static const int answers[] = {[GUEST_MERGEABLE_UNKNOWN] = -1,
                                      [GUEST_MERGEABLE_NO] = 0,
                                      [GUEST_MERGEABLE_YES] = 1};
        struct ksm_process process;

        guest->read_usec = now_usec;
        guest->merged_bytes = SAMPLE_ABSENT;
        guest->mergeable = -1;
        if (ksm_process_read_stat(root, guest->pid, &process) < 0)
                return;
        guest->mergeable = answers[guest_mergeable_of(&process)];
        if (process.merging_pages < 0)
                return;
        guest->merged_bytes = saturating_mul(process.merging_pages, page_bytes);
        if (process.zero_pages > 0)
                guest->merged_bytes = saturating_add(
                        guest->merged_bytes, saturating_mul(process.zero_pages, page_bytes));
}

static void ask_guests(struct metering *metering, const struct sysroot *root, int64_t page_bytes)
{
        uint64_t now_usec = (uint64_t)(clock_nsec(CLOCK_MONOTONIC) / 1000);
        size_t left = METERING_READS, first = 0;

        for (size_t i = 0; i < metering->n_guests && left > 0; i++)
                if (metering->guests[i].read_usec == 0) {
                        ask_guest(root, &metering->guests[i], page_bytes, now_usec);
                        left--;
                }
        while (first < metering->n_guests && metering->guests[first].pid <= metering->last_pid)
                first++;
        for (size_t i = 0; i < metering->n_guests && left > 0; i++) {
                struct metered_guest *guest = &metering->guests[(first + i) % metering->n_guests];

                if (now_usec < guest->read_usec + METERING_GAP_USEC)
                        continue;
                ask_guest(root, guest, page_bytes, now_usec);
                metering->last_pid = guest->pid;
                left--;
        }
}

/* Return: the guests for the metrics, in new memory; NULL where there are none or no memory. */
static struct metrics_guest *tell_guests(const struct metering *metering,
                                         const struct guest *guests, size_t n)
{
        struct metrics_guest *told;

        if (n == 0)
                return NULL;
        told = calloc(n, sizeof(*told));
        if (!told)
                return NULL;
        for (size_t i = 0; i < n; i++)
                told[i] = (struct metrics_guest){.name = guest_name(&guests[i]),
                                                 .pid = guests[i].pid,
                                                 .merged_bytes = metering->guests[i].merged_bytes,
                                                 .mergeable = metering->guests[i].mergeable};
        /* Who has not been asked: what the scan knows. */
        for (size_t i = 0; i < n; i++)
                if (told[i].mergeable < 0 && guests[i].mergeable != GUEST_MERGEABLE_UNKNOWN)
                        told[i].mergeable = guests[i].mergeable == GUEST_MERGEABLE_YES;
        return told;
}

/* --- All figures ----------------------------------------------------------------------------- */

/* Whether memory is so short that KSM is wanted, be ksmd at work or at rest just now. */
static int64_t is_wanted(const struct decision *decision)
{
        if (decision->verdict == VERDICT_NONE)
                return SAMPLE_ABSENT;
        return decision->phase != PHASE_OFF;
}

static void fill_figures(struct metrics *metrics, const struct manager *manager,
                         const struct sample *sample)
{
        const struct decision *decision = &manager->last_decision;

        metrics->version = KSMTUNED_VERSION;
        metrics->policy = policy_name(manager->settings->policy.kind);
        metrics->phase = decision_phase_name(decision->phase);
        metrics->dry_run = manager->options->dry_run;
        metrics->ksm_wanted = is_wanted(decision);
        /* No program, no figure: a host without libvirt has lost nothing. */
        if (manager->helper && helper_installed(manager->helper))
                metrics->libvirt_connected = helper_connected(manager->helper);
        metrics->threshold_kb = decision->threshold_kb;
        metrics->free_kb = decision->free_kb;
        metrics->committed_kb = decision->committed_kb;
        metrics->available_kb = sample->memory.available_kb;
        metrics->saved_bytes = ksm_saved_bytes(&sample->ksm);
        metrics->ksmd_cpu_nsec = sample->ksm.ksmd_cpu_nsec;
        metrics->own_cpu_nsec = clock_nsec(CLOCK_PROCESS_CPUTIME_ID);
        metrics->start_usec = manager->metering.start_usec;
        metrics->decision_usec = clock_nsec(CLOCK_REALTIME) / 1000;
        metrics->interval_usec = (int64_t)manager->settings->monitor_interval_usec;
        metrics->counters = manager->metering.counters;
}

static int write_file(struct manager *manager, const struct sample *sample)
{
        struct metering *metering = &manager->metering;
        struct metrics_trigger triggers[TRIGGER_COUNT];
        CLEANUP_FREE struct metrics_guest *told = NULL;
        const struct guest *guests;
        struct metrics metrics;
        size_t n;
        int r;

        guests = guests_list(manager->guests, &n);
        r = follow_guests(metering, guests, n);
        if (r < 0)
                return r;
        metrics_init(&metrics);
        fill_figures(&metrics, manager, sample);
        for (int i = 0; i < TRIGGER_COUNT; i++)
                triggers[i] = (struct metrics_trigger){trigger_name((enum trigger)i),
                                                       metering->decisions[i]};
        metrics.triggers = triggers;
        metrics.n_triggers = TRIGGER_COUNT;

        if (manager->settings->metrics_guests > 0)
                ask_guests(metering, manager->root, sample->ksm.page_bytes);
        told = tell_guests(metering, guests, n);
        if (n > 0 && !told)
                return -ENOMEM;
        metrics.guests = told;
        metrics.n_guests = n;
        metrics.max_guests = (size_t)manager->settings->metrics_guests;
        return metrics_write(manager->root, manager->settings->metrics_file, &metrics);
}

/* Remembers the file as ours once it has been written. */
static int replace_file(struct manager *manager, const struct sample *sample)
{
        struct metering *metering = &manager->metering;
        bool ours = metering->path != NULL;
        int r;

        if (!ours)
                metering->path = strdup(manager->settings->metrics_file);
        if (!metering->path)
                return -ENOMEM;
        r = write_file(manager, sample);
        if (r < 0 && !ours) {
                free(metering->path);
                metering->path = NULL;
        }
        return r;
}

void metering_remove(struct manager *manager)
{
        struct metering *metering = &manager->metering;
        int r;

        if (!metering->path)
                return;
        r = sysroot_unlink(manager->root, metering->path);
        if (r < 0 && r != -ENOENT)
                journal_print(LOG_WARNING, "cannot remove the file of metrics %s: %s",
                              metering->path, strerror(-r));
        free(metering->path);
        metering->path = NULL;
}

void metering_publish(struct manager *manager, enum trigger trigger, const struct sample *sample)
{
        struct metering *metering = &manager->metering;
        const char *path = manager->settings->metrics_file;
        int r = 0;

        metering->decisions[trigger]++;
        if (metering->start_usec == 0)
                metering->start_usec = clock_nsec(CLOCK_REALTIME) / 1000;
        /* A reload has chosen another one, or none. */
        if (metering->path && strcmp(metering->path, path) != 0)
                metering_remove(manager);
        /* After a single decision nobody would take the file away. */
        if (*path && manager->publish_state && !manager->options->once)
                r = replace_file(manager, sample);
        complain(&manager->complaints, COMPLAINT_METRICS, r, LOG_WARNING,
                 "cannot write the file of metrics %s: %s; deciding goes on", path, strerror(-r));
}

void metering_release(struct metering *metering)
{
        free(metering->guests);
        free(metering->path);
        metering->guests = NULL;
        metering->path = NULL;
}
