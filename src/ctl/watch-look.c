/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One look at the host, and what it tells against the one before. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/policy.h"
#include "replay.h"
#include "watch.h"

/* What a counter grew by in a second; negative where it is not known, or was set back. */
static double rate(int64_t now, int64_t before, double seconds)
{
        if (now < 0 || before < 0 || now < before || !(seconds > 0))
                return -1;
        return (double)(now - before) / seconds;
}

static void compare(struct watch *watch, const struct recording_row *now)
{
        const struct recording_row *before = &watch->row;
        double seconds = (double)(now->monotonic_usec - before->monotonic_usec) / 1e6;
        int64_t saved = ksm_saved_bytes(&now->sample.ksm);
        double net;

        watch->rates_known = watch->looked && seconds > 0;
        if (!watch->rates_known)
                return;
        net = ((double)saved - (double)watch->saved_bytes) / seconds;
        watch->merging_bytes = net > 0 ? net : 0;
        watch->unmerging_bytes = net < 0 ? -net : 0;
        watch->copied_pages = rate(now->cow_ksm, before->cow_ksm, seconds);
        watch->scanned_pages =
                rate(now->sample.ksm.pages_scanned, before->sample.ksm.pages_scanned, seconds);
        watch->ksmd_percent =
                rate(now->sample.ksm.ksmd_cpu_nsec, before->sample.ksm.ksmd_cpu_nsec, seconds);
        if (watch->ksmd_percent > 0)
                watch->ksmd_percent /= 1e9 / 100;
}

/* What the configured policy would make of this sample: a fresh one, for its figures only. */
static void find_threshold(struct watch *watch)
{
        struct policy_state state = {0};
        struct decision decision;

        policy_decide(&watch->sampler.settings->policy, &state, &watch->row.sample,
                      (uint64_t)watch->row.monotonic_usec, &decision);
        watch->free_kb = decision.free_kb;
        watch->threshold_kb = decision.threshold_kb;
        watch->daemon_seen = state_read(watch->sampler.root, &watch->state) == 0;
        watch->daemon_fresh = watch->daemon_seen &&
                              state_daemon_alive(watch->sampler.root, &watch->state) == 1 &&
                              !state_is_stale(&watch->state, watch->row.time_usec);
        if (watch->daemon_fresh && watch->state.threshold_kb >= 0)
                watch->threshold_kb = watch->state.threshold_kb;
}

static void remember(struct watch *watch)
{
        const double now[WATCH_SERIES_COUNT] = {
                [WATCH_SAVED] = (double)watch->saved_bytes,
                [WATCH_KSMD] = watch->ksmd_percent,
                [WATCH_SCANNED] = watch->scanned_pages,
                [WATCH_FREE] = (double)watch->free_kb,
        };

        for (size_t i = 0; i < WATCH_SERIES_COUNT; i++) {
                double *series = watch->history[i];

                memmove(series, series + 1, (WATCH_HISTORY - 1) * sizeof(*series));
                series[WATCH_HISTORY - 1] = now[i];
        }
        if (watch->n_history < WATCH_HISTORY)
                watch->n_history++;
}

int watch_look(struct watch *watch)
{
        struct recording_row row;
        const struct guest *list;
        size_t n;
        int r = sampler_take(&watch->sampler, &row);

        watch->error = r;
        if (r < 0)
                return r;
        if (!watch->looked)
                watch->copied_pages = watch->scanned_pages = watch->ksmd_percent = -1;
        compare(watch, &row);
        watch->row = row;
        watch->looked = true;
        watch->saved_bytes = ksm_saved_bytes(&row.sample.ksm);
        find_threshold(watch);
        remember(watch);
        list = guests_list(watch->sampler.guests, &n);
        watch->sampler.failed = "/proc";
        watch->error = watch_guests_follow(&watch->guests, watch->sampler.root, list, n);
        return watch->error;
}

bool watch_log_changed(struct watch_log *log, const struct watch *watch)
{
        const char *phase = watch->daemon_fresh ? watch->state.phase : "";

        if (log->begun && log->run == watch->row.sample.ksm.run && strcmp(log->phase, phase) == 0)
                return false;
        log->begun = true;
        log->run = watch->row.sample.ksm.run;
        (void)snprintf(log->phase, sizeof(log->phase), "%s", phase);
        return true;
}

int watch_log_line(const struct watch *watch, char *buf, size_t size)
{
        char time[32], phase[32] = "";
        int n;

        if (watch->daemon_fresh)
                (void)snprintf(phase, sizeof(phase), ", ksmtuned: %s", watch->state.phase);
        n = snprintf(buf, size, "%s KSM %s, %" PRId64 " MB saved, %" PRId64 " MB free%s\n",
                     format_local_time(time, sizeof(time), watch->row.time_usec),
                     watch->row.sample.ksm.run == 1 ? "running" : "not running",
                     watch->saved_bytes / (1024 * 1024), watch->free_kb / 1024, phase);
        return n < 0 || (size_t)n >= size ? 0 : n;
}
