/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where wake-ups come from: the interval and signals. It turns them into calls of the manager, and
 * keeps a burst of them from becoming a burst of decisions.
 */

#include <stdint.h>
#include <systemd/sd-event.h>

/* What made the daemon decide; trigger_name() is what is published. */
enum trigger {
        TRIGGER_START,
        TRIGGER_TIMER,
        TRIGGER_SIGNAL,
        TRIGGER_RELOAD,
};

/* "start", "timer", "signal", "reload" */
const char *trigger_name(enum trigger trigger);

/* Decisions are at least this far apart, but for start and reload: 20 a second at most. */
#define EVENTS_GAP_USEC UINT64_C(50000)

/* The manager's side. Negative returns end the loop with that error. */
struct events_handler {
        int (*decide)(void *userdata, enum trigger trigger);
        int (*reload)(void *userdata);
        int (*stop)(void *userdata); /* may be called more than once */
        void *userdata;
};

struct events;

/*
 * Signals that are waited for; block them with events_block_signals() as early as possible.
 * Return: 0; -errno.
 */
int events_block_signals(void);

/* Return: 0; -errno of libsystemd. */
int events_new(struct events **ret_events, const struct events_handler *handler);
struct events *events_free(struct events *events);

/* The loop, for further sources. */
sd_event *events_loop(struct events *events);

/* From now on the next decision comes after @interval_usec at the latest. Return: 0; -errno. */
int events_set_interval(struct events *events, uint64_t interval_usec);

/* Asks for a decision: at once, or at the end of the gap after the last one. Return: 0; -errno. */
int events_request(struct events *events, enum trigger trigger);

/* No decisions any more: what is left of the loop is for ending. */
void events_quiet(struct events *events);

/* Return: 0 when the loop was left with sd_event_exit(); the error that ended it. */
int events_run(struct events *events);
