/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * ksmctl replay: the policy's own code over a recording. It is open loop: the memory that was
 * recorded does not react to what a replayed policy would have done. No I/O but in replay.c and
 * the printing.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/decision.h"
#include "ksmtuned/policy.h"
#include "ksmtuned/recording.h"
#include "ksmtuned/settings.h"
#include "terminal.h"

/* What the host did, and a configuration each. */
#define REPLAY_CONFIGS_MAX 8
#define REPLAY_TRACKS_MAX  (1 + REPLAY_CONFIGS_MAX)

/* Steps of time for the plot, which become longer as the recording does. */
#define REPLAY_STEPS 512

/* When a replayed policy decides. */
enum replay_at {
        REPLAY_AT_INTERVAL, /* as KSM_MONITOR_INTERVAL says, at the nearest samples */
        REPLAY_AT_SAMPLE,   /* at every sample */
        REPLAY_AT_DAEMON,   /* where the daemon had decided since the sample before */
};

/* One line of events: number 0 is what the host did, the others what a policy would have done. */
struct replay_track {
        const char *name;
        struct settings *settings; /* owned; NULL for what the host did */
        struct policy_state state;
        int64_t due_usec; /* of the next decision, CLOCK_MONOTONIC */
        bool started;     /* decided at least once in this recording */
        unsigned events;  /* EVENT_* since the last decision */
        bool hurried;     /* the policy wished to decide sooner than the next sample comes */
        /* Now. */
        bool known, running;
        struct decision decision; /* the last one */
        /* Sums. */
        uint64_t n_decisions, n_on, n_off;
        double on_usec, short_usec;    /* KSM on; less free than the threshold */
        double pages_usec, sleep_usec; /* pages_to_scan and sleep_millisecs while on × time */
        double rate_usec;              /* pages a second at most while on × time */
        int64_t pages_most;            /* pages_to_scan while on */
};

struct replay_step {
        double usec; /* of the recording in it */
        double free_kb_usec;
        double pages_usec[REPLAY_TRACKS_MAX];
        double on_usec[REPLAY_TRACKS_MAX];
        double threshold_kb_usec[REPLAY_TRACKS_MAX];
};

/* A decision of the list. */
struct replay_decision {
        unsigned line;
        int64_t time_usec, monotonic_usec;
        size_t track;
        struct decision decision;
};

#define REPLAY_REMARKS_MAX 16

struct replay {
        enum replay_at at;
        bool keep_decisions;
        struct replay_track tracks[REPLAY_TRACKS_MAX];
        size_t n_tracks;
        /* The recording. */
        struct recording_header header; /* of the first */
        struct recording_row first, last;
        size_t n_rows, n_recordings;
        bool fresh;        /* the next row is the first of a recording */
        int64_t ksmd_nsec; /* CPU time of ksmd over the whole, or SAMPLE_ABSENT */
        double usec;       /* from the first to the last sample, without the time between two
                              recordings */
        uint64_t n_missed; /* decisions of the daemon between two samples */
        struct recording_remark remarks[REPLAY_REMARKS_MAX];
        size_t n_remarks; /* may be more than there is room for */
        /* For the plot. */
        struct replay_step *steps; /* owned */
        double step_usec;
        /* With keep_decisions. */
        struct replay_decision *decisions; /* owned */
        size_t n_decisions, room;
};

/* Return: 0; -ENOMEM. */
int replay_init(struct replay *replay);
void replay_release(struct replay *replay);

/* Adds a track, which takes @settings over. Return: 0; -E2BIG. */
int replay_add(struct replay *replay, const char *name, struct settings *settings);

/* A recording begins: policies begin afresh. */
void replay_begin(struct replay *replay, const struct recording_header *header);

/* The next sample, from line @line. Return: 0; -ENOMEM. */
int replay_row(struct replay *replay, const struct recording_row *row, unsigned line);

/* Something to tell about a line. */
void replay_remark(struct replay *replay, unsigned line, const char *text);

/* value / whole × 100, 0 where there is no whole. */
double replay_percent(double value, double whole);

/* For people and for programs, on standard output. Return: 0; -ENOMEM. */
int replay_print(const struct replay *replay, const struct terminal *terminal, const char *file);
int replay_print_json(const struct replay *replay, const char *file);
/* Parts of it. */
void replay_plot(const struct replay *replay, const struct terminal *terminal);
int replay_print_decisions(const struct replay *replay);
/* "start", "stop", "none" */
const char *replay_verdict_name(enum verdict verdict);
/* "2026-11-21 12:00:00" in local time. Return: @buf. */
const char *format_local_time(char *buf, size_t size, int64_t time_usec);
