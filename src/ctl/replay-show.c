/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a replay found, for people. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "ksmtuned/reason.h"
#include "replay.h"
#include "table.h"

#define NAME_WIDTH  28
#define TRACK_WIDTH 15
#define CELL_SIZE   48

const char *format_local_time(char *buf, size_t size, int64_t time_usec)
{
        time_t seconds = (time_t)(time_usec / 1000000);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(buf, size, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                (void)snprintf(buf, size, "%" PRId64 " s", time_usec / 1000000);
        return buf;
}

const char *replay_verdict_name(enum verdict verdict)
{
        switch (verdict) {
        case VERDICT_START:
                return "start";
        case VERDICT_STOP:
                return "stop";
        case VERDICT_NONE:
                break;
        }
        return "none";
}

/* --- The table, a column for each configuration ---------------------------------------------- */

typedef void (*cell_fn)(const struct replay *replay, const struct replay_track *track,
                        char buf[CELL_SIZE]);

static void cell_policy(const struct replay *replay, const struct replay_track *track,
                        char buf[CELL_SIZE])
{
        (void)snprintf(buf, CELL_SIZE, "%s",
                       track->settings ? policy_name(track->settings->policy.kind) : "");
}

static void cell_decisions(const struct replay *replay, const struct replay_track *track,
                           char buf[CELL_SIZE])
{
        if (track->settings)
                (void)snprintf(buf, CELL_SIZE, "%" PRIu64, track->n_decisions);
}

static void cell_on(const struct replay *replay, const struct replay_track *track,
                    char buf[CELL_SIZE])
{
        if (replay->usec > 0)
                (void)snprintf(buf, CELL_SIZE, "%.1f %%",
                               replay_percent(track->on_usec, replay->usec));
        else
                (void)snprintf(buf, CELL_SIZE, "%s", track->running ? "on" : "off");
}

static void cell_switches(const struct replay *replay, const struct replay_track *track,
                          char buf[CELL_SIZE])
{
        (void)snprintf(buf, CELL_SIZE, "%" PRIu64 " / %" PRIu64, track->n_on, track->n_off);
}

/* A mean over the time that KSM is on. */
static void mean(const struct replay_track *track, double sum, char buf[CELL_SIZE])
{
        if (track->on_usec > 0)
                (void)snprintf(buf, CELL_SIZE, "%.0f", sum / track->on_usec);
        else
                (void)snprintf(buf, CELL_SIZE, "-");
}

static void cell_pages(const struct replay *replay, const struct replay_track *track,
                       char buf[CELL_SIZE])
{
        mean(track, track->pages_usec, buf);
}

static void cell_pages_most(const struct replay *replay, const struct replay_track *track,
                            char buf[CELL_SIZE])
{
        if (track->pages_most > 0)
                (void)snprintf(buf, CELL_SIZE, "%" PRId64, track->pages_most);
        else
                (void)snprintf(buf, CELL_SIZE, "-");
}

static void cell_sleep(const struct replay *replay, const struct replay_track *track,
                       char buf[CELL_SIZE])
{
        mean(track, track->sleep_usec, buf);
}

static void cell_rate(const struct replay *replay, const struct replay_track *track,
                      char buf[CELL_SIZE])
{
        mean(track, track->rate_usec, buf);
}

static void cell_threshold(const struct replay *replay, const struct replay_track *track,
                           char buf[CELL_SIZE])
{
        if (track->settings)
                (void)format_kb(buf, CELL_SIZE, track->decision.threshold_kb);
}

static void cell_short(const struct replay *replay, const struct replay_track *track,
                       char buf[CELL_SIZE])
{
        if (track->settings && replay->usec > 0)
                (void)snprintf(buf, CELL_SIZE, "%.1f %%",
                               replay_percent(track->short_usec, replay->usec));
}

static const struct {
        const char *name;
        cell_fn cell;
} rows[] = {
        {"policy", cell_policy},
        {"decisions", cell_decisions},
        {"KSM on, of the time", cell_on},
        {"switched on / off, times", cell_switches},
        {"pages_to_scan while on, mean", cell_pages},
        {"pages_to_scan, most", cell_pages_most},
        {"sleep_millisecs while on", cell_sleep},
        {"pages/s while on, at most", cell_rate},
        {"threshold, last", cell_threshold},
        {"free below it, of the time", cell_short},
};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

/* Tracks @from to @to side by side. */
static int print_table(const struct replay *replay, size_t from, size_t to)
{
        CLEANUP_TABLE struct libscols_table *table = NULL;
        struct table_column columns[1 + REPLAY_TRACKS_MAX] = {
                {.heading = " ", .width = NAME_WIDTH}};
        char headings[REPLAY_TRACKS_MAX][TRACK_WIDTH + 24];
        int r;

        for (size_t t = from; t < to; t++) {
                int cut = TRACK_WIDTH - 2;

                if (t == 0)
                        (void)snprintf(headings[t], sizeof(headings[t]), "%.*s", TRACK_WIDTH,
                                       replay->tracks[t].name);
                else
                        (void)snprintf(headings[t], sizeof(headings[t]), "%zu %.*s", t, cut,
                                       replay->tracks[t].name);
                columns[1 + t - from] =
                        (struct table_column){.heading = headings[t], .right = true};
        }
        r = table_new(&table, columns, 1 + to - from);
        for (size_t i = 0; r == 0 && i < N_ROWS; i++) {
                char cells[REPLAY_TRACKS_MAX][CELL_SIZE] = {""};
                const char *row[1 + REPLAY_TRACKS_MAX] = {rows[i].name};

                for (size_t t = from; t < to; t++) {
                        rows[i].cell(replay, &replay->tracks[t], cells[t]);
                        row[1 + t - from] = cells[t];
                }
                r = table_add(table, row, 1 + to - from);
        }
        return r < 0 ? r : scols_print_table(table);
}

/* As many tables as the width of the terminal wants. */
static int print_tables(const struct replay *replay, size_t width)
{
        size_t room = width > NAME_WIDTH ? (width - NAME_WIDTH) / (TRACK_WIDTH + TABLE_GAP) : 0;
        int r = 0;

        if (room < 1)
                room = 1;
        for (size_t from = 0; r == 0 && from < replay->n_tracks; from += room) {
                size_t to = from + room < replay->n_tracks ? from + room : replay->n_tracks;

                (void)putchar('\n');
                r = print_table(replay, from, to);
        }
        return r;
}

/* --- What stands around it ------------------------------------------------------------------- */

static void print_recording(const struct replay *replay, const char *file)
{
        const struct recording_header *header = &replay->header;
        char from[32], span[48], every[48], total[32], saved[32];

        printf("%s: %zu sample%s", file, replay->n_rows, replay->n_rows == 1 ? "" : "s");
        if (replay->n_recordings > 1)
                printf(" of %zu recordings", replay->n_recordings);
        printf(" over %s",
               format_usec(span, sizeof(span), (uint64_t)(replay->usec > 0 ? replay->usec : 0)));
        if (header->interval_usec > 0)
                printf(", one each %s",
                       format_usec(every, sizeof(every), (uint64_t)header->interval_usec));
        printf("\nfrom %s, Linux %s, %s of memory, ksmtuned %s\n",
               format_local_time(from, sizeof(from), replay->first.time_usec),
               *header->kernel ? header->kernel : "unknown",
               format_kb(total, sizeof(total), replay->first.sample.memory.total_kb),
               *header->ksmtuned ? header->ksmtuned : "unknown");
        printf("%" PRId64 " guest%s at the end, %s saved", replay->last.sample.guests.count,
               replay->last.sample.guests.count == 1 ? "" : "s",
               format_kb(saved, sizeof(saved), ksm_saved_bytes(&replay->last.sample.ksm) / 1024));
        if (replay->ksmd_nsec >= 0 && replay->usec > 0)
                printf("; ksmd took %.1f %% of one CPU",
                       replay_percent((double)replay->ksmd_nsec / 1000, replay->usec));
        (void)putchar('\n');
}

static void print_configurations(const struct replay *replay)
{
        (void)putchar('\n');
        for (size_t t = 1; t < replay->n_tracks; t++) {
                const struct replay_track *track = &replay->tracks[t];
                char every[48];
                int64_t interval = (int64_t)track->settings->monitor_interval_usec;

                printf("%zu  %s, deciding ", t, track->name);
                if (replay->at == REPLAY_AT_SAMPLE)
                        (void)puts("at every sample");
                else if (replay->at == REPLAY_AT_DAEMON)
                        (void)puts("where the recorded daemon did");
                else
                        printf("every %s%s\n",
                               format_usec(every, sizeof(every), (uint64_t)interval),
                               interval < replay->header.interval_usec || track->hurried
                                       ? "; the samples are farther apart, so it decides less often"
                                       : "");
                if (*replay->header.ps_metric &&
                    strcmp(replay->header.ps_metric,
                           guest_metric_name(settings_guest_metric(track->settings))) != 0)
                        printf("   committed counts as recorded (KSM_PS_METRIC=%s)\n",
                               replay->header.ps_metric);
        }
}

static void print_remarks(const struct replay *replay, const char *file)
{
        size_t n = replay->n_remarks < REPLAY_REMARKS_MAX ? replay->n_remarks : REPLAY_REMARKS_MAX;

        for (size_t i = 0; i < n; i++)
                printf("note: %s:%u: %s\n", file, replay->remarks[i].line, replay->remarks[i].text);
        if (n < replay->n_remarks)
                printf("note: and %zu more of these\n", replay->n_remarks - n);
        if (replay->at == REPLAY_AT_DAEMON && replay->n_missed > 0)
                printf("note: %" PRIu64 " decisions of the recorded daemon fell between two "
                       "samples and are not replayed\n",
                       replay->n_missed);
}

int replay_print_decisions(const struct replay *replay)
{
        static const struct table_column columns[] = {
                {.heading = "TIME"},
                {.heading = "#", .right = true},
                {.heading = "DOES"},
                {.heading = "PHASE"},
                {.heading = "PAGES", .right = true},
                {.heading = "MS", .right = true},
                {.heading = "FREE", .right = true},
                {.heading = "THRESHOLD", .right = true},
                {.heading = "COMMITTED", .right = true},
        };
        enum { N = sizeof(columns) / sizeof(columns[0]) };
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, N);

        for (size_t i = 0; r == 0 && i < replay->n_decisions; i++) {
                const struct replay_decision *kept = &replay->decisions[i];
                const struct decision *decision = &kept->decision;
                char time[32], number[24], pages[24], sleep[24], free[32], threshold[32];
                char committed[32];

                (void)snprintf(number, sizeof(number), "%zu", kept->track);
                (void)snprintf(pages, sizeof(pages), "%" PRId64, decision->pages_to_scan);
                (void)snprintf(sleep, sizeof(sleep), "%" PRId64, decision->sleep_millisecs);
                r = table_add(
                        table,
                        (const char *[]){
                                format_local_time(time, sizeof(time), kept->time_usec), number,
                                replay_verdict_name(decision->verdict),
                                decision_phase_name(decision->phase), pages, sleep,
                                format_kb(free, sizeof(free), decision->free_kb),
                                format_kb(threshold, sizeof(threshold), decision->threshold_kb),
                                format_kb(committed, sizeof(committed), decision->committed_kb)},
                        N);
        }
        if (r < 0)
                return r;
        (void)putchar('\n');
        return scols_print_table(table);
}

int replay_print(const struct replay *replay, const struct terminal *terminal, const char *file)
{
        int r;

        print_recording(replay, file);
        print_configurations(replay);
        r = print_tables(replay, terminal->width);
        if (r < 0)
                return r;
        (void)putchar('\n');
        replay_plot(replay, terminal);
        if (replay->keep_decisions) {
                r = replay_print_decisions(replay);
                if (r < 0)
                        return r;
        }
        (void)putchar('\n');
        print_remarks(replay, file);
        (void)puts("This is open loop: the memory that was recorded does not react to what these\n"
                   "configurations would have done. What KSM would have saved is not told.");
        return 0;
}
