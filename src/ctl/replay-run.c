/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The loop around the policy, and what is added up. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "replay.h"

#define STEP_USEC_MIN 100000

int replay_init(struct replay *replay)
{
        *replay = (struct replay){.step_usec = STEP_USEC_MIN, .n_tracks = 1, .fresh = true};
        replay->tracks[0].name = "recorded";
        replay->steps = calloc(REPLAY_STEPS, sizeof(*replay->steps));
        return replay->steps ? 0 : -ENOMEM;
}

void replay_release(struct replay *replay)
{
        for (size_t i = 0; i < replay->n_tracks; i++)
                replay->tracks[i].settings = settings_free(replay->tracks[i].settings);
        free(replay->steps);
        free(replay->decisions);
}

int replay_add(struct replay *replay, const char *name, struct settings *settings)
{
        if (replay->n_tracks == REPLAY_TRACKS_MAX)
                return -E2BIG;
        replay->tracks[replay->n_tracks++] =
                (struct replay_track){.name = name, .settings = settings};
        return 0;
}

void replay_begin(struct replay *replay, const struct recording_header *header)
{
        if (replay->n_recordings++ == 0)
                replay->header = *header;
        replay->fresh = true;
        for (size_t i = 0; i < replay->n_tracks; i++) {
                replay->tracks[i].state = (struct policy_state){0};
                replay->tracks[i].started = replay->tracks[i].known = false;
                replay->tracks[i].events = 0;
        }
}

void replay_remark(struct replay *replay, unsigned line, const char *text)
{
        if (replay->n_remarks < REPLAY_REMARKS_MAX) {
                struct recording_remark *remark = &replay->remarks[replay->n_remarks];

                remark->line = line;
                (void)snprintf(remark->text, sizeof(remark->text), "%s", text);
        }
        replay->n_remarks++;
}

double replay_percent(double value, double whole)
{
        return whole > 0 ? value / whole * 100 : 0;
}

/* --- Steps of time ------------------------------------------------------------------------- */

static void add_step(struct replay_step *to, const struct replay_step *from)
{
        to->usec += from->usec;
        to->free_kb_usec += from->free_kb_usec;
        for (size_t i = 0; i < REPLAY_TRACKS_MAX; i++) {
                to->pages_usec[i] += from->pages_usec[i];
                to->on_usec[i] += from->on_usec[i];
                to->threshold_kb_usec[i] += from->threshold_kb_usec[i];
        }
}

/* Two steps become one, so that there is room for twice the time. */
static void halve_steps(struct replay *replay)
{
        for (size_t i = 0; i < REPLAY_STEPS / 2; i++) {
                struct replay_step step = replay->steps[2 * i];

                add_step(&step, &replay->steps[2 * i + 1]);
                replay->steps[i] = step;
        }
        memset(&replay->steps[REPLAY_STEPS / 2], 0, REPLAY_STEPS / 2 * sizeof(*replay->steps));
        replay->step_usec *= 2;
}

/* Adds @usec of what the tracks do now to the steps. */
static void add_to_steps(struct replay *replay, double usec)
{
        double free_kb = (double)memory_reclaimable_kb(&replay->last.sample.memory);
        double begin = replay->usec, end = replay->usec + usec;

        while (end >= replay->step_usec * REPLAY_STEPS)
                halve_steps(replay);
        for (size_t at = (size_t)(begin / replay->step_usec); begin < end && at < REPLAY_STEPS;
             at++) {
                double border = (double)(at + 1) * replay->step_usec;
                double part = (border < end ? border : end) - begin;
                struct replay_step step = {.usec = part, .free_kb_usec = free_kb * part};

                if (!(part > 0)) /* begin lies on the border */
                        continue;
                for (size_t i = 0; i < replay->n_tracks; i++) {
                        const struct replay_track *track = &replay->tracks[i];

                        step.threshold_kb_usec[i] = (double)track->decision.threshold_kb * part;
                        if (!track->running)
                                continue;
                        step.on_usec[i] = part;
                        step.pages_usec[i] = (double)track->decision.pages_to_scan * part;
                }
                add_step(&replay->steps[at], &step);
                begin += part;
        }
}

/* --- The policies -------------------------------------------------------------------------- */

/* Pages a second if looking at them took no time: ksmd cannot be faster. */
static double highest_rate(const struct decision *decision)
{
        double msec = decision->sleep_millisecs > 0 ? (double)decision->sleep_millisecs : 1;

        return (double)decision->pages_to_scan * 1000 / msec;
}

/* The tracks go on for @usec as they are now. */
static void add_time(struct replay *replay, double usec)
{
        add_to_steps(replay, usec);
        for (size_t i = 0; i < replay->n_tracks; i++) {
                struct replay_track *track = &replay->tracks[i];
                const struct decision *now = &track->decision;

                if (memory_reclaimable_kb(&replay->last.sample.memory) < now->threshold_kb)
                        track->short_usec += usec;
                if (!track->running)
                        continue;
                track->on_usec += usec;
                track->pages_usec += (double)now->pages_to_scan * usec;
                track->sleep_usec += (double)now->sleep_millisecs * usec;
                track->rate_usec += highest_rate(now) * usec;
        }
        replay->usec += usec;
}

/* Whether KSM is on from now on. */
static void set_running(struct replay_track *track, bool running)
{
        if (track->known && running != track->running) {
                track->n_on += running;
                track->n_off += !running;
        }
        track->known = true;
        track->running = running;
        if (running && track->decision.pages_to_scan > track->pages_most)
                track->pages_most = track->decision.pages_to_scan;
}

static int keep_decision(struct replay *replay, size_t track, const struct recording_row *row,
                         unsigned line)
{
        if (!replay->keep_decisions)
                return 0;
        if (replay->n_decisions == replay->room) {
                size_t room = replay->room ? replay->room * 2 : 256;
                struct replay_decision *longer =
                        reallocarray(replay->decisions, room, sizeof(*longer));

                if (!longer)
                        return -ENOMEM;
                replay->decisions = longer;
                replay->room = room;
        }
        replay->decisions[replay->n_decisions++] = (struct replay_decision){
                .line = line,
                .time_usec = row->time_usec,
                .monotonic_usec = row->monotonic_usec,
                .track = track,
                .decision = replay->tracks[track].decision,
        };
        return 0;
}

/*
 * Whether the sample is the one nearest to the moment that is due, as far as can be told from the
 * interval of the samples. As the daemon does, it is decided at the latest when the interval is
 * over, when the policy wished, and when a guest has come or gone.
 */
static bool is_due_by_interval(struct replay *replay, struct replay_track *track,
                               const struct recording_row *row)
{
        int64_t interval = (int64_t)track->settings->monitor_interval_usec;
        int64_t slack = replay->header.interval_usec > 0 ? replay->header.interval_usec / 2 : 0;
        int64_t wish = track->decision.next_usec < INT64_MAX ? (int64_t)track->decision.next_usec
                                                             : INT64_MAX;
        int64_t near_usec;

        if (slack > interval / 2)
                slack = interval / 2;
        near_usec = saturating_add(row->monotonic_usec, slack);
        if (!track->started)
                track->due_usec = row->monotonic_usec;
        if (near_usec < track->due_usec) {
                /* Every decision begins a new interval. */
                if (track->events == 0 && (wish == 0 || near_usec < wish))
                        return false;
                track->due_usec = saturating_add(row->monotonic_usec, interval);
                return true;
        }
        track->due_usec = saturating_add(track->due_usec, interval);
        if (track->due_usec <= near_usec)
                track->due_usec = saturating_add(row->monotonic_usec, interval);
        return true;
}

static bool is_due_by_daemon(struct replay *replay, struct replay_track *track,
                             const struct recording_row *row)
{
        const struct recording_row *last = &replay->last;

        if (row->daemon_time_usec == SAMPLE_ABSENT || row->daemon_decisions == SAMPLE_ABSENT)
                return false;
        if (replay->fresh || last->daemon_decisions == SAMPLE_ABSENT)
                return true;
        /* Another daemon, which began afresh. */
        if (row->daemon_decisions < last->daemon_decisions)
                track->state = (struct policy_state){0};
        return row->daemon_time_usec != last->daemon_time_usec;
}

static bool is_due(struct replay *replay, struct replay_track *track,
                   const struct recording_row *row)
{
        switch (replay->at) {
        case REPLAY_AT_SAMPLE:
                return true;
        case REPLAY_AT_DAEMON:
                return is_due_by_daemon(replay, track, row);
        case REPLAY_AT_INTERVAL:
                break;
        }
        return is_due_by_interval(replay, track, row);
}

/* What happened since the sample before, as far as the number of guests tells. */
static unsigned events_of(const struct replay *replay, const struct recording_row *row)
{
        int64_t before = replay->last.sample.guests.count, now = row->sample.guests.count;

        if (replay->fresh || now == before)
                return 0;
        return now > before ? EVENT_GUEST_STARTED : EVENT_GUEST_ENDED;
}

static int decide(struct replay *replay, size_t at, const struct recording_row *row, unsigned line)
{
        struct replay_track *track = &replay->tracks[at];
        struct sample sample = row->sample;

        track->events |= events_of(replay, row);
        if (!is_due(replay, track, row))
                return 0;
        sample.events = track->events;
        track->events = 0;
        policy_decide(&track->settings->policy, &track->state, &sample,
                      (uint64_t)row->monotonic_usec, &track->decision);
        track->started = true;
        track->n_decisions++;
        if (track->decision.next_usec > 0 && replay->header.interval_usec > 0 &&
            track->decision.next_usec <
                    (uint64_t)row->monotonic_usec + (uint64_t)replay->header.interval_usec / 2)
                track->hurried = true;
        if (track->decision.verdict != VERDICT_NONE)
                set_running(track, track->decision.verdict == VERDICT_START);
        return keep_decision(replay, at, row, line);
}

/* What the host did is the first track. */
static void follow_host(struct replay *replay, const struct recording_row *row)
{
        struct replay_track *track = &replay->tracks[0];

        track->decision.pages_to_scan = row->sample.ksm.pages_to_scan;
        track->decision.sleep_millisecs = row->sample.ksm.sleep_millisecs;
        set_running(track, row->sample.ksm.run == 1);
}

/* What went by between two samples. */
static void follow_counters(struct replay *replay, const struct recording_row *row)
{
        const struct recording_row *last = &replay->last;
        int64_t cpu = row->sample.ksm.ksmd_cpu_nsec, cpu_before = last->sample.ksm.ksmd_cpu_nsec;
        int64_t missed;

        if (replay->fresh)
                return;
        if (cpu >= 0 && cpu_before >= 0 && cpu >= cpu_before && replay->ksmd_nsec >= 0)
                replay->ksmd_nsec = saturating_add(replay->ksmd_nsec, cpu - cpu_before);
        else
                replay->ksmd_nsec = SAMPLE_ABSENT;
        if (row->daemon_decisions == SAMPLE_ABSENT || last->daemon_decisions == SAMPLE_ABSENT)
                return;
        missed = row->daemon_decisions - last->daemon_decisions - 1;
        if (missed > 0)
                replay->n_missed += (uint64_t)missed;
}

int replay_row(struct replay *replay, const struct recording_row *row, unsigned line)
{
        if (!replay->fresh)
                add_time(replay, (double)row->monotonic_usec - (double)replay->last.monotonic_usec);
        follow_counters(replay, row);
        follow_host(replay, row);
        for (size_t i = 1; i < replay->n_tracks; i++) {
                int r = decide(replay, i, row, line);

                if (r < 0)
                        return r;
        }
        if (replay->n_rows++ == 0)
                replay->first = *row;
        replay->last = *row;
        replay->fresh = false;
        return 0;
}
