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
        TRIGGER_LIBVIRT,  /* libvirt told of a domain */
        TRIGGER_GUEST,    /* a guest came or went, as the kernel told */
        TRIGGER_PRESSURE, /* tasks wait for memory, as the kernel told */
        TRIGGER_COUNT,
};

/* "start", "timer", "signal", "reload", "libvirt", "guest", "pressure" */
const char *trigger_name(enum trigger trigger);

/*
 * The first of a burst is answered at once; what comes within this time of the answer is answered
 * together at its end. Each kind of trigger has its own bursts, so that the kernel's word of a new
 * process does not hold up libvirt's word that it has become a running domain.
 *
 * Behind the end of a burst of guests, the next word is the first of another and answered at once:
 * a domain that is destroyed 1.1 s after it was created (two events) does not wait. So however many
 * come, each kind makes two decisions a second at most. Signals, which anyone may send without end,
 * keep their distance to the last answer.
 */
#define EVENTS_SIGNAL_GAP_USEC UINT64_C(50000)
#define EVENTS_GUEST_GAP_USEC  UINT64_C(1000000)
/* The kernel tells of pressure every 2 s for as long as it lasts. */
#define EVENTS_PRESSURE_GAP_USEC UINT64_C(10000000)

/* The manager's side. Negative returns end the loop with that error. */
struct events_handler {
        int (*decide)(void *userdata, enum trigger trigger);
        int (*step)(void *userdata); /* what events_set_step() asked for */
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

/* CLOCK_MONOTONIC in µs, as it is now; sd_event_now() tells when this turn of the loop began. */
uint64_t events_now_usec(void);

/* The loop, for further sources. */
sd_event *events_loop(struct events *events);

/* From now on the next decision comes after @interval_usec at the latest. Return: 0; -errno. */
int events_set_interval(struct events *events, uint64_t interval_usec);

/*
 * Calls the handler's step at @usec (CLOCK_MONOTONIC), once; the call before is forgotten, also by
 * 0, which asks for none. Return: 0; -errno.
 */
int events_set_step(struct events *events, uint64_t usec);

/* Asks for a decision: at once, or at the end of the burst's gap. Return: 0; -errno. */
int events_request(struct events *events, enum trigger trigger);

/* No decisions any more: what is left of the loop is for ending. */
void events_quiet(struct events *events);

/* Return: 0 when the loop was left with sd_event_exit(); the error that ended it. */
int events_run(struct events *events);
