/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The live view, from the most important line to the least: what does not fit is left out. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/reason.h"
#include "plot.h"
#include "replay.h"
#include "watch.h"

#define LABEL_WIDTH 11
/* Behind a sparkline: what is most in it. */
#define SCALE_WIDTH 16
/* The terminal that has room for history, and for guests too. */
#define HISTORY_ROWS_LEFT 6
#define GUESTS_ROWS_LEFT  3

static void label(struct screen *screen, const char *name)
{
        screen_put(screen, STYLE_DIM, "%s", name);
        screen_go_to(screen, LABEL_WIDTH);
}

/* Bytes a second in words. Return: @buf. */
static const char *format_rate(char *buf, size_t size, double bytes)
{
        char kb[32];

        (void)snprintf(buf, size, "%s/s", format_kb(kb, sizeof(kb), (int64_t)(bytes / 1024)));
        return buf;
}

static void draw_title(const struct watch *watch, struct screen *screen)
{
        char time[32], every[48], why[128];

        (void)format_local_time(time, sizeof(time), watch->row.time_usec);
        screen_put(screen, STYLE_BOLD, "%s", time);
        (void)format_usec(every, sizeof(every), watch->interval_usec);
        screen_put(screen, STYLE_DIM, "  every %s, q quits", every);
        if (watch->error < 0)
                screen_put(screen, STYLE_BAD, "  %s",
                           sampler_failure(&watch->sampler, watch->error, why, sizeof(why)));
        screen_next(screen);
}

static void draw_ksm(const struct watch *watch, struct screen *screen)
{
        const struct recording_row *row = &watch->row;
        const struct ksm_sample *ksm = &row->sample.ksm;

        label(screen, "KSM");
        if (ksm->run == KSM_RUN_MERGE)
                screen_put(screen, STYLE_GOOD, "on");
        else
                screen_put(screen, STYLE_WARN, "off");
        if (ksm->run == KSM_RUN_UNMERGE)
                screen_put(screen, STYLE_PLAIN, ", all was unmerged");
        screen_put(screen, STYLE_PLAIN, " (%" PRId64 "): %" PRId64 " pages each %" PRId64 " ms",
                   ksm->run, ksm->pages_to_scan, ksm->sleep_millisecs);
        if (row->advisor_mode != SAMPLE_ABSENT)
                screen_put(screen, STYLE_PLAIN, ", advisor %s",
                           row->advisor_mode == KSM_ADVISOR_SCAN_TIME ? "scan-time" : "none");
        screen_next(screen);
}

static void draw_daemon(const struct watch *watch, struct screen *screen)
{
        const struct state *state = &watch->state;

        label(screen, "ksmtuned");
        if (watch->daemon_fresh)
                screen_put(screen, STYLE_PLAIN, "%s: %s", state->phase, state->reason);
        else if (watch->daemon_seen)
                screen_put(screen, STYLE_WARN,
                           "gone or late; the threshold is the configuration's");
        else
                screen_put(screen, STYLE_PLAIN,
                           "not running; the threshold is the configuration's");
        screen_next(screen);
}

static void draw_memory(const struct watch *watch, struct screen *screen)
{
        char free[32], threshold[32], saved[32], profit[32];
        bool is_short = watch->free_kb < watch->threshold_kb;
        int64_t total_kb = watch->row.sample.memory.total_kb;
        int64_t general_profit = watch->row.general_profit;

        label(screen, "free");
        screen_put(screen, is_short ? STYLE_BAD : STYLE_GOOD, "%s",
                   format_kb(free, sizeof(free), watch->free_kb));
        screen_put(screen, STYLE_PLAIN, ", threshold %s, %s it",
                   format_kb(threshold, sizeof(threshold), watch->threshold_kb),
                   is_short                                ? "below"
                   : watch->free_kb == watch->threshold_kb ? "at"
                                                           : "above");
        screen_next(screen);

        label(screen, "saved");
        screen_put(screen, STYLE_BOLD, "%s",
                   format_kb(saved, sizeof(saved), watch->saved_bytes / 1024));
        if (total_kb > 0)
                screen_put(screen, STYLE_PLAIN, ", %.1f %% of memory",
                           replay_percent((double)watch->saved_bytes / 1024, (double)total_kb));
        if (general_profit != RECORDING_PROFIT_ABSENT)
                screen_put(screen, general_profit < 0 ? STYLE_BAD : STYLE_PLAIN, ", profit %s",
                           format_kb(profit, sizeof(profit), general_profit / 1024));
        screen_next(screen);
}

static void draw_rates(const struct watch *watch, struct screen *screen)
{
        char up[40], down[40];

        label(screen, "merging");
        if (!watch->rates_known)
                screen_put(screen, STYLE_PLAIN, "...");
        else
                screen_put(screen, STYLE_PLAIN, "%s, un-merging %s",
                           format_rate(up, sizeof(up), watch->merging_bytes),
                           format_rate(down, sizeof(down), watch->unmerging_bytes));
        if (watch->rates_known && watch->copied_pages >= 0)
                screen_put(screen, STYLE_PLAIN, ", written to %.0f pages/s", watch->copied_pages);
        screen_next(screen);

        label(screen, "ksmd");
        if (!watch->rates_known)
                screen_put(screen, STYLE_PLAIN, "...");
        else if (watch->ksmd_percent < 0)
                screen_put(screen, STYLE_PLAIN, "cannot be seen");
        else
                screen_put(screen, STYLE_PLAIN, "%.1f %% of one CPU", watch->ksmd_percent);
        if (watch->rates_known && watch->scanned_pages >= 0)
                screen_put(screen, STYLE_PLAIN, ", %.0f pages/s", watch->scanned_pages);
        if (watch->row.sample.ksm.full_scans != SAMPLE_ABSENT)
                screen_put(screen, STYLE_PLAIN, ", pass %" PRId64,
                           saturating_add(watch->row.sample.ksm.full_scans, 1));
        screen_next(screen);
}

static void draw_guest_count(const struct watch *watch, struct screen *screen)
{
        const struct guests_sample *guests = &watch->row.sample.guests;
        char committed[32];

        label(screen, "guests");
        screen_put(screen, STYLE_PLAIN, "%" PRId64, guests->count);
        if (guests->count > 0)
                screen_put(screen, STYLE_PLAIN, " with %s",
                           format_kb(committed, sizeof(committed), guests->committed_kb));
        if (watch->sampler.scan.others_hidden)
                screen_put(screen, STYLE_WARN, "; others' processes are hidden");
        screen_next(screen);
}

/* --- History ------------------------------------------------------------------------------- */

/* What is most in the part that is shown, in words. Return: @buf. */
static const char *format_most(char *buf, size_t size, enum watch_series series, double most)
{
        char kb[32];

        switch (series) {
        case WATCH_SAVED:
                (void)snprintf(buf, size, "%s", format_kb(kb, sizeof(kb), (int64_t)(most / 1024)));
                break;
        case WATCH_FREE:
                (void)snprintf(buf, size, "%s", format_kb(kb, sizeof(kb), (int64_t)most));
                break;
        case WATCH_KSMD:
                (void)snprintf(buf, size, "%.1f %%", most);
                break;
        case WATCH_SCANNED:
        case WATCH_SERIES_COUNT:
                (void)snprintf(buf, size, "%.0f /s", most);
                break;
        }
        return buf;
}

static void draw_series(const struct watch *watch, struct screen *screen, const char *name,
                        enum watch_series series)
{
        const double *values = watch->history[series];
        size_t n, room = screen->terminal.width;
        char most_text[40];
        /* Hardly any CPU is to look like hardly any. */
        double most = series == WATCH_KSMD ? 1 : 0;

        label(screen, name);
        n = room > LABEL_WIDTH + SCALE_WIDTH + 4 ? room - LABEL_WIDTH - SCALE_WIDTH : 4;
        if (n > WATCH_HISTORY)
                n = WATCH_HISTORY;
        for (size_t i = WATCH_HISTORY - n; i < WATCH_HISTORY; i++)
                if (values[i] > most)
                        most = values[i];
        for (size_t i = WATCH_HISTORY - n; i < WATCH_HISTORY; i++)
                screen_put_block(screen, i < WATCH_HISTORY - watch->n_history || values[i] < 0
                                                 ? " "
                                                 : plot_block(screen->terminal.utf8,
                                                              plot_level(values[i], most)));
        screen_put(screen, STYLE_DIM, " up to %s",
                   format_most(most_text, sizeof(most_text), series, most));
        screen_next(screen);
}

static void draw_history(const struct watch *watch, struct screen *screen)
{
        screen_next(screen);
        draw_series(watch, screen, "saved", WATCH_SAVED);
        draw_series(watch, screen, "free", WATCH_FREE);
        draw_series(watch, screen, "ksmd CPU", WATCH_KSMD);
        draw_series(watch, screen, "scanned", WATCH_SCANNED);
}

/* --- Guests -------------------------------------------------------------------------------- */

static void draw_guest(const struct watch_guest *guest, struct screen *screen, size_t name_width)
{
        char rss[32], merged[48];

        if (guest->error == 0)
                (void)format_kb(merged, sizeof(merged), guest->merged_kb);
        else
                (void)snprintf(merged, sizeof(merged), "%s",
                               guest->error == -EACCES       ? "not permitted"
                               : guest->error == -EOPNOTSUPP ? "not on this kernel"
                                                             : "unknown");
        screen_put(screen, STYLE_PLAIN, "%-*.*s %8d %10s %10s", (int)name_width, (int)name_width,
                   guest->name, (int)guest->pid, format_kb(rss, sizeof(rss), guest->rss_kb),
                   merged);
        screen_next(screen);
}

static void draw_guests(const struct watch *watch, struct screen *screen)
{
        size_t fixed = sizeof(" 12345678  999.9 MiB  999.9 MiB"), width = screen->terminal.width;
        size_t name_width = width > fixed + 8 ? width - fixed : 8;

        if (name_width > 40)
                name_width = 40;
        screen_next(screen);
        screen_put(screen, STYLE_DIM, "%-*.*s %8s %10s %10s", (int)name_width, (int)name_width,
                   "GUEST", "PID", "RSS", "MERGED");
        screen_next(screen);
        for (size_t t = 0; t < watch->guests.n_top && screen_rows_left(screen) > 0; t++)
                draw_guest(&watch->guests.list[watch->guests.top[t]], screen, name_width);
        if (screen->row < screen->terminal.height && watch->guests.n_top < watch->guests.n)
                screen_put(screen, STYLE_DIM, "...");
}

void watch_draw(const struct watch *watch, struct screen *screen)
{
        screen_begin(screen);
        draw_title(watch, screen);
        draw_ksm(watch, screen);
        draw_daemon(watch, screen);
        draw_memory(watch, screen);
        draw_rates(watch, screen);
        draw_guest_count(watch, screen);
        if (screen_rows_left(screen) >= HISTORY_ROWS_LEFT)
                draw_history(watch, screen);
        if (watch->guests.n > 0 && screen_rows_left(screen) >= GUESTS_ROWS_LEFT)
                draw_guests(watch, screen);
}
