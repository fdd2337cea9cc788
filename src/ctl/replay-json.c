/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a replay found, for programs; the format is part of ksmctl(8). */

#include "replay.h"
#include "table.h"

static void number_or_null(struct json_object *object, const char *key, int64_t value)
{
        if (value < 0)
                json_null(object, key);
        else
                json_integer(object, key, value);
}

/* null where others have a text: an array's kinds of values are those of its first object. */
static void null_text(struct json_object *object, const char *key)
{
        json_text(object, key, "");
        object->fields[object->n - 1].is_null = true;
}

static void text_or_null(struct json_object *object, const char *key, const char *text)
{
        if (*text)
                json_text(object, key, text);
        else
                null_text(object, key);
}

/* @sum / @whole, null where there is no whole. */
static void ratio(struct json_object *object, const char *key, double sum, double whole)
{
        if (whole > 0 && sum / whole < 1e15)
                json_hundredths(object, key, (int64_t)(sum / whole * 100 + 0.5));
        else
                json_null(object, key);
}

static int add_recording(struct libscols_table **ret_array, const struct replay *replay,
                         const char *file)
{
        const struct recording_header *header = &replay->header;
        struct json_object object = {.n = 0};

        json_text(&object, "file", file);
        json_boolean(&object, "open_loop", true);
        json_integer(&object, "samples", (int64_t)replay->n_rows);
        json_integer(&object, "recordings", (int64_t)replay->n_recordings);
        json_integer(&object, "time_usec", replay->first.time_usec);
        json_integer(&object, "duration_usec", (int64_t)replay->usec);
        number_or_null(&object, "interval_usec", header->interval_usec);
        text_or_null(&object, "ksmtuned", header->ksmtuned);
        text_or_null(&object, "kernel", header->kernel);
        text_or_null(&object, "ps_metric", header->ps_metric);
        number_or_null(&object, "cpus", header->cpus);
        json_integer(&object, "total_kb", replay->first.sample.memory.total_kb);
        json_integer(&object, "saved_bytes", ksm_saved_bytes(&replay->last.sample.ksm));
        number_or_null(&object, "ksmd_cpu_nsec", replay->ksmd_nsec);
        json_integer(&object, "missed_decisions", (int64_t)replay->n_missed);
        return json_array_new(ret_array, "recording", &object, 1);
}

static void fill_track(struct json_object *object, const struct replay *replay, size_t t)
{
        const struct replay_track *track = &replay->tracks[t];

        json_integer(object, "number", (int64_t)t);
        json_text(object, "name", track->name);
        if (track->settings) {
                json_text(object, "policy", policy_name(track->settings->policy.kind));
                json_integer(object, "interval_usec",
                             (int64_t)track->settings->monitor_interval_usec);
                json_integer(object, "decisions", (int64_t)track->n_decisions);
                json_integer(object, "threshold_kb", track->decision.threshold_kb);
                ratio(object, "short_percent", track->short_usec * 100, replay->usec);
        } else {
                null_text(object, "policy");
                json_null(object, "interval_usec");
                json_null(object, "decisions");
                json_null(object, "threshold_kb");
                json_null(object, "short_percent");
        }
        ratio(object, "on_percent", track->on_usec * 100, replay->usec);
        json_integer(object, "on_usec", (int64_t)track->on_usec);
        json_integer(object, "switched_on", (int64_t)track->n_on);
        json_integer(object, "switched_off", (int64_t)track->n_off);
        json_boolean(object, "on_at_end", track->running);
        ratio(object, "pages_to_scan", track->pages_usec, track->on_usec);
        json_integer(object, "pages_to_scan_most", track->pages_most);
        ratio(object, "sleep_millisecs", track->sleep_usec, track->on_usec);
        ratio(object, "pages_per_second", track->rate_usec, track->on_usec);
}

static int add_tracks(struct libscols_table **ret_array, const struct replay *replay)
{
        struct json_object objects[REPLAY_TRACKS_MAX] = {{.n = 0}};

        for (size_t t = 0; t < replay->n_tracks; t++)
                fill_track(&objects[t], replay, t);
        return json_array_new(ret_array, "configurations", objects, replay->n_tracks);
}

static int add_remarks(struct libscols_table **ret_array, const struct replay *replay)
{
        struct json_object objects[REPLAY_REMARKS_MAX] = {{.n = 0}};
        size_t n = replay->n_remarks < REPLAY_REMARKS_MAX ? replay->n_remarks : REPLAY_REMARKS_MAX;

        for (size_t i = 0; i < n; i++) {
                json_integer(&objects[i], "line", replay->remarks[i].line);
                json_text(&objects[i], "text", replay->remarks[i].text);
        }
        return json_array_new(ret_array, "notes", objects, n);
}

static void fill_decision(struct json_object *object, const struct replay_decision *kept)
{
        const struct decision *decision = &kept->decision;

        object->n = 0;
        json_integer(object, "line", kept->line);
        json_integer(object, "time_usec", kept->time_usec);
        json_integer(object, "monotonic_usec", kept->monotonic_usec);
        json_integer(object, "configuration", (int64_t)kept->track);
        json_text(object, "verdict", replay_verdict_name(decision->verdict));
        json_text(object, "phase", decision_phase_name(decision->phase));
        json_integer(object, "pages_to_scan", decision->pages_to_scan);
        json_integer(object, "sleep_millisecs", decision->sleep_millisecs);
        json_integer(object, "total_kb", decision->total_kb);
        json_integer(object, "free_kb", decision->free_kb);
        json_integer(object, "committed_kb", decision->committed_kb);
        json_integer(object, "threshold_kb", decision->threshold_kb);
}

/* There may be very many: one object at a time. */
static int add_decisions(struct libscols_table **ret_array, const struct replay *replay)
{
        struct json_object object = {.n = 0};
        int r;

        if (replay->n_decisions > 0)
                fill_decision(&object, &replay->decisions[0]);
        r = json_array_new(ret_array, "decisions", &object, replay->n_decisions > 0);
        for (size_t i = 1; r == 0 && i < replay->n_decisions; i++) {
                fill_decision(&object, &replay->decisions[i]);
                r = json_array_add(*ret_array, &object);
        }
        return r;
}

int replay_print_json(const struct replay *replay, const char *file)
{
        enum { RECORDING, CONFIGURATIONS, NOTES, DECISIONS, N_ARRAYS };
        struct libscols_table *arrays[N_ARRAYS] = {NULL};
        int r = add_recording(&arrays[RECORDING], replay, file);

        if (r == 0)
                r = add_tracks(&arrays[CONFIGURATIONS], replay);
        if (r == 0)
                r = add_remarks(&arrays[NOTES], replay);
        if (r == 0 && replay->keep_decisions)
                r = add_decisions(&arrays[DECISIONS], replay);
        if (r == 0)
                r = json_print(arrays, replay->keep_decisions ? N_ARRAYS : DECISIONS);
        for (size_t i = 0; i < N_ARRAYS; i++)
                scols_unref_table(arrays[i]);
        return r;
}
