/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ksmctl watch: what was looked at, apart from how it is shown. */

#include <stdbool.h>
#include <stdint.h>

#include "ksmtuned/recording.h"
#include "ksmtuned/state.h"
#include "sampler.h"
#include "screen.h"

/* Looks that are remembered. */
#define WATCH_HISTORY SCREEN_WIDTH_MAX

/* Guests that are shown, at most. */
#define WATCH_GUESTS_MAX SCREEN_HEIGHT_MAX

/* A guest's merged memory is read again within so many looks; of those with most, at each. */
#define WATCH_GUESTS_CYCLE 5
#define WATCH_GUESTS_FRESH 20

struct watch_guest {
        pid_t pid;
        uint64_t start_time;
        int error;         /* of reading its KSM figures; 0 */
        int64_t merged_kb; /* where error is 0: merged and zero pages */
        int64_t rss_kb;
        char name[64];
};

struct watch_guests {
        struct watch_guest *list; /* owned; in order of PIDs */
        size_t n;
        unsigned turn;
        /* The ones with most merged memory, most first; indices into list. */
        size_t top[WATCH_GUESTS_MAX];
        size_t n_top;
};

enum watch_series {
        WATCH_SAVED,   /* bytes */
        WATCH_KSMD,    /* % of one CPU */
        WATCH_SCANNED, /* pages/s */
        WATCH_FREE,    /* kB */
        WATCH_SERIES_COUNT,
};

/* What can be told only between two looks is negative, "not known", at the first. */
struct watch {
        struct sampler sampler;
        uint64_t interval_usec;
        struct recording_row row;
        bool looked;
        int error; /* of the last look: the rest is as of the one before */
        int64_t saved_bytes;
        bool rates_known;
        double merging_bytes;   /* per second, of what the counters say: the net of both */
        double unmerging_bytes; /* per second, likewise; one of the two is 0 */
        double copied_pages;    /* per second, merged pages that were written to; < 0 not known */
        double scanned_pages;   /* per second; < 0 not known */
        double ksmd_percent;    /* of one CPU; < 0 not known */
        /* The threshold: the daemon's where it decides, else the configuration's. */
        bool daemon_fresh;
        bool daemon_seen; /* there is a state */
        struct state state;
        int64_t free_kb, threshold_kb;
        struct watch_guests guests;
        double history[WATCH_SERIES_COUNT][WATCH_HISTORY]; /* newest last; < 0 not known */
        size_t n_history;
};

/* Looks at everything. Return: 0; -errno, and sampler.failed says at what. */
int watch_look(struct watch *watch);

/* Follows the guests of the last scan. Return: 0; -ENOMEM. */
int watch_guests_follow(struct watch_guests *guests, const struct sysroot *root,
                        const struct guest *list, size_t n);
void watch_guests_release(struct watch_guests *guests);

/* Draws all of it. */
void watch_draw(const struct watch *watch, struct screen *screen);

/* A change of state, for --log; the first look is one. */
struct watch_log {
        bool begun;
        int64_t run;
        char phase[16];
};

/* Return: whether the state is another now. */
bool watch_log_changed(struct watch_log *log, const struct watch *watch);
/* The line. Return: its length. */
int watch_log_line(const struct watch *watch, char *buf, size_t size);
