/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The picture of a replay: free memory against the thresholds, and how hard KSM would have run. */

#include <stdio.h>
#include <string.h>

#include "ksmtuned/reason.h"
#include "plot.h"
#include "replay.h"

#define CHART_ROWS   6
#define LEFT_WIDTH   20
#define RIGHT_WIDTH  18
#define MOST_COLUMNS 200

/* A column of the picture. */
struct column {
        double free_kb;
        double pages[REPLAY_TRACKS_MAX];     /* mean while on */
        double on[REPLAY_TRACKS_MAX];        /* share of the time */
        double threshold[REPLAY_TRACKS_MAX]; /* kB */
};

struct picture {
        struct column columns[MOST_COLUMNS];
        size_t n;
        double free_most;
        double pages_most;
};

/* The steps that are in the column, at least one. */
static void fill_column(const struct replay *replay, struct column *column, size_t i, size_t n)
{
        double per_column = replay->usec / (double)n / replay->step_usec;
        size_t from = (size_t)((double)i * per_column);
        size_t to = (size_t)((double)(i + 1) * per_column);
        struct replay_step sum = {.usec = 0};

        for (size_t at = from; (at == from || at < to) && at < REPLAY_STEPS; at++) {
                const struct replay_step *step = &replay->steps[at];

                sum.usec += step->usec;
                sum.free_kb_usec += step->free_kb_usec;
                for (size_t t = 0; t < replay->n_tracks; t++) {
                        sum.pages_usec[t] += step->pages_usec[t];
                        sum.on_usec[t] += step->on_usec[t];
                        sum.threshold_kb_usec[t] += step->threshold_kb_usec[t];
                }
        }
        *column = (struct column){.free_kb = sum.usec > 0 ? sum.free_kb_usec / sum.usec : 0};
        for (size_t t = 0; t < replay->n_tracks && sum.usec > 0; t++) {
                column->on[t] = sum.on_usec[t] / sum.usec;
                column->threshold[t] = sum.threshold_kb_usec[t] / sum.usec;
                if (sum.on_usec[t] > 0)
                        column->pages[t] = sum.pages_usec[t] / sum.on_usec[t];
        }
}

static void fill_picture(const struct replay *replay, struct picture *picture)
{
        for (size_t i = 0; i < picture->n; i++) {
                struct column *column = &picture->columns[i];

                fill_column(replay, column, i, picture->n);
                if (column->free_kb > picture->free_most)
                        picture->free_most = column->free_kb;
                for (size_t t = 0; t < replay->n_tracks; t++) {
                        if (column->pages[t] > picture->pages_most)
                                picture->pages_most = column->pages[t];
                        if (column->threshold[t] > picture->free_most)
                                picture->free_most = column->threshold[t];
                }
        }
}

/* The row of the chart, from below, that a size is in. */
static int row_of(const struct picture *picture, double kb)
{
        int row = (int)(kb / picture->free_most * CHART_ROWS);

        return row < CHART_ROWS ? row : CHART_ROWS - 1;
}

static const char *cell(const struct replay *replay, const struct picture *picture, size_t i,
                        int row, bool utf8)
{
        const struct column *column = &picture->columns[i];
        double height = column->free_kb / picture->free_most * CHART_ROWS - row;

        for (size_t t = 1; t < replay->n_tracks; t++)
                if (column->threshold[t] > 0 && row_of(picture, column->threshold[t]) == row)
                        return plot_line(utf8);
        return plot_block(utf8, plot_level(height, 1));
}

/* Whose threshold the row shows at its right end. */
static void print_owners(const struct replay *replay, const struct picture *picture, int row)
{
        const struct column *last = &picture->columns[picture->n - 1];
        bool any = false;

        for (size_t t = 1; t < replay->n_tracks; t++) {
                if (!(last->threshold[t] > 0) || row_of(picture, last->threshold[t]) != row)
                        continue;
                printf("%s%zu", any ? "," : " threshold ", t);
                any = true;
        }
        (void)putchar('\n');
}

/* The largest count is one too many once it has been a double. */
static int64_t count_of(double value)
{
        return value >= 0x1p63 ? INT64_MAX : (int64_t)value;
}

static void print_chart(const struct replay *replay, const struct picture *picture, bool utf8)
{
        for (int row = CHART_ROWS - 1; row >= 0; row--) {
                char size[32] = "", label[LEFT_WIDTH + 24];

                if (row == CHART_ROWS - 1)
                        (void)format_kb(size, sizeof(size), count_of(picture->free_most));
                (void)snprintf(label, sizeof(label), "%s%s",
                               row == CHART_ROWS - 1 ? "free, up to "
                               : row == 0            ? "free 0"
                                                     : "",
                               size);
                printf("%-*s", LEFT_WIDTH, label);
                for (size_t i = 0; i < picture->n; i++)
                        (void)fputs(cell(replay, picture, i, row, utf8), stdout);
                print_owners(replay, picture, row);
        }
}

static void print_track(const struct replay *replay, const struct picture *picture, size_t t,
                        bool utf8)
{
        char label[LEFT_WIDTH + 24];

        if (t == 0)
                (void)snprintf(label, sizeof(label), "%.17s", replay->tracks[t].name);
        else
                (void)snprintf(label, sizeof(label), "%zu %.16s", t, replay->tracks[t].name);
        printf("%-*s", LEFT_WIDTH, label);
        for (size_t i = 0; i < picture->n; i++) {
                const struct column *column = &picture->columns[i];

                /* Off is told from a few pages. */
                if (column->on[t] > 0)
                        (void)fputs(plot_block(utf8, column->pages[t] > 0
                                                             ? plot_level(column->pages[t],
                                                                          picture->pages_most)
                                                             : 1),
                                    stdout);
                else
                        (void)putchar(utf8 ? ' ' : '_');
        }
        printf(" %.0f %% on\n", replay_percent(replay->tracks[t].on_usec, replay->usec));
}

/* When it begins and when it ends, under the two ends of the picture. */
static void print_times(const struct replay *replay, const struct picture *picture)
{
        char from[32], to[32];
        size_t gap;

        (void)format_local_time(from, sizeof(from), replay->first.time_usec);
        (void)format_local_time(to, sizeof(to), replay->last.time_usec);
        if (picture->n < strlen(from) + strlen(to) + 1)
                return;
        gap = picture->n - strlen(from) - strlen(to);
        printf("%*s%s%*s%s\n", LEFT_WIDTH, "", from, (int)gap, "", to);
}

void replay_plot(const struct replay *replay, const struct terminal *terminal)
{
        struct picture picture = {.n = 20};

        if (!(replay->usec > 0))
                return;
        if (terminal->width > LEFT_WIDTH + RIGHT_WIDTH + picture.n)
                picture.n = terminal->width - LEFT_WIDTH - RIGHT_WIDTH;
        if (picture.n > MOST_COLUMNS)
                picture.n = MOST_COLUMNS;
        fill_picture(replay, &picture);
        if (!(picture.free_most > 0))
                return;
        print_chart(replay, &picture, terminal->utf8);
        print_times(replay, &picture);
        printf("\npages_to_scan while KSM is on, up to %.0f%s:\n", picture.pages_most,
               terminal->utf8 ? "" : " (_ is off)");
        for (size_t t = 0; t < replay->n_tracks; t++)
                print_track(replay, &picture, t, terminal->utf8);
}
