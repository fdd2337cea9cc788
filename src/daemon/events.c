/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "events.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* The timer may come late by this share of the interval, so that the kernel can join wake-ups. */
#define ACCURACY_SHARE    50
#define ACCURACY_MAX_USEC UINT64_C(250000)
/* Steps drive ksmd while it works: what comes late, ksmd scans in vain. */
#define STEP_ACCURACY_USEC 1000

struct burst {
        struct events *events;
        enum trigger trigger;
        uint64_t gap_usec;
        bool ends_free;     /* the answer at a burst's end opens no gap: the next word is a first */
        uint64_t last_usec; /* CLOCK_MONOTONIC of the answer that opened the gap; 0: none yet */
        sd_event_source *timer;
};

#define N_BURSTS 4

struct events {
        sd_event *loop;
        sd_event_source *interval, *step;
        struct burst bursts[N_BURSTS];
        struct events_handler handler;
        uint64_t interval_usec;
        bool quiet;
};

static const int handled_signals[] = {SIGUSR1, SIGHUP, SIGTERM, SIGINT};
#define N_SIGNALS (sizeof(handled_signals) / sizeof(handled_signals[0]))

const char *trigger_name(enum trigger trigger)
{
        switch (trigger) {
        case TRIGGER_START:
                return "start";
        case TRIGGER_TIMER:
                return "timer";
        case TRIGGER_SIGNAL:
                return "signal";
        case TRIGGER_RELOAD:
                return "reload";
        case TRIGGER_LIBVIRT:
                return "libvirt";
        case TRIGGER_GUEST:
                return "guest";
        case TRIGGER_PRESSURE:
                return "pressure";
        case TRIGGER_COUNT:
                break;
        }
        return "unknown";
}

int events_block_signals(void)
{
        sigset_t set;

        (void)sigemptyset(&set);
        for (size_t i = 0; i < N_SIGNALS; i++)
                (void)sigaddset(&set, handled_signals[i]);
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

uint64_t events_now_usec(void)
{
        struct timespec ts;

        (void)clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t)ts.tv_sec * UINT64_C(1000000) + (uint64_t)ts.tv_nsec / 1000;
}

/* The bursts that a trigger belongs to, or NULL. */
static struct burst *burst_of(struct events *events, enum trigger trigger)
{
        for (size_t i = 0; i < N_BURSTS; i++)
                if (events->bursts[i].trigger == trigger)
                        return &events->bursts[i];
        return NULL;
}

static int decide_now(struct events *events, enum trigger trigger, bool opens_gap)
{
        struct burst *burst = burst_of(events, trigger);
        int r;

        if (burst) {
                r = sd_event_source_set_enabled(burst->timer, SD_EVENT_OFF);
                if (r < 0)
                        return r;
        }
        r = events->handler.decide(events->handler.userdata, trigger);
        if (r < 0)
                return r;
        /* From its end: a slow one must not eat up its own gap. */
        if (burst && opens_gap)
                burst->last_usec = events_now_usec();
        return events_set_interval(events, events->interval_usec);
}

int events_request(struct events *events, enum trigger trigger)
{
        struct burst *burst = burst_of(events, trigger);
        int r;

        if (events->quiet)
                return 0;
        if (!burst || burst->last_usec == 0 ||
            events_now_usec() >= burst->last_usec + burst->gap_usec)
                return decide_now(events, trigger, true);
        r = sd_event_source_set_time(burst->timer, burst->last_usec + burst->gap_usec);
        return r < 0 ? r : sd_event_source_set_enabled(burst->timer, SD_EVENT_ONESHOT);
}

static int on_interval(sd_event_source *source, uint64_t usec, void *userdata)
{
        return events_request(userdata, TRIGGER_TIMER);
}

static int on_step(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct events *events = userdata;

        return events->quiet ? 0 : events->handler.step(events->handler.userdata);
}

static int on_burst_end(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct burst *burst = userdata;

        if (burst->events->quiet)
                return 0;
        return decide_now(burst->events, burst->trigger, !burst->ends_free);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct events *events = userdata;

        switch (info->ssi_signo) {
        case SIGUSR1:
                return events_request(events, TRIGGER_SIGNAL);
        case SIGHUP:
                return events->quiet ? 0 : events->handler.reload(events->handler.userdata);
        default:
                return events->handler.stop(events->handler.userdata);
        }
}

/* The loop keeps it. A handler's error ends the loop; by itself sd-event would go on without it. */
static int add_signal(struct events *events, int signal)
{
        sd_event_source *source;
        int r;

        r = sd_event_add_signal(events->loop, &source, signal, on_signal, events);
        if (r < 0)
                return r;
        r = sd_event_source_set_exit_on_failure(source, true);
        if (r >= 0)
                r = sd_event_source_set_floating(source, true);
        sd_event_source_unref(source);
        return r;
}

static int add_timer(struct events *events, sd_event_source **ret_source, uint64_t accuracy_usec,
                     sd_event_time_handler_t handler, void *userdata)
{
        int r;

        r = sd_event_add_time(events->loop, ret_source, CLOCK_MONOTONIC, 0, accuracy_usec, handler,
                              userdata);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(*ret_source, true);
        return r < 0 ? r : sd_event_source_set_enabled(*ret_source, SD_EVENT_OFF);
}

static int add_sources(struct events *events)
{
        int r;

        r = add_timer(events, &events->interval, 0, on_interval, events);
        if (r >= 0)
                r = add_timer(events, &events->step, STEP_ACCURACY_USEC, on_step, events);
        for (size_t i = 0; r >= 0 && i < N_BURSTS; i++) {
                struct burst *burst = &events->bursts[i];

                burst->events = events;
                r = add_timer(events, &burst->timer, 1000, on_burst_end, burst);
        }
        for (size_t i = 0; r >= 0 && i < N_SIGNALS; i++)
                r = add_signal(events, handled_signals[i]);
        return r;
}

int events_new(struct events **ret_events, const struct events_handler *handler)
{
        struct events *events;
        int r;

        events = calloc(1, sizeof(*events));
        if (!events)
                return -ENOMEM;
        events->handler = *handler;
        events->bursts[0] =
                (struct burst){.trigger = TRIGGER_SIGNAL, .gap_usec = EVENTS_SIGNAL_GAP_USEC};
        events->bursts[1] = (struct burst){
                .trigger = TRIGGER_LIBVIRT, .gap_usec = EVENTS_GUEST_GAP_USEC, .ends_free = true};
        events->bursts[2] = (struct burst){
                .trigger = TRIGGER_GUEST, .gap_usec = EVENTS_GUEST_GAP_USEC, .ends_free = true};
        events->bursts[3] =
                (struct burst){.trigger = TRIGGER_PRESSURE, .gap_usec = EVENTS_PRESSURE_GAP_USEC};
        r = sd_event_new(&events->loop);
        if (r >= 0)
                r = add_sources(events);
        if (r < 0) {
                (void)events_free(events);
                return r;
        }
        *ret_events = events;
        return 0;
}

struct events *events_free(struct events *events)
{
        if (!events)
                return NULL;
        sd_event_source_unref(events->interval);
        sd_event_source_unref(events->step);
        for (size_t i = 0; i < N_BURSTS; i++)
                sd_event_source_unref(events->bursts[i].timer);
        sd_event_unref(events->loop);
        free(events);
        return NULL;
}

sd_event *events_loop(struct events *events)
{
        return events->loop;
}

int events_set_interval(struct events *events, uint64_t interval_usec)
{
        uint64_t accuracy = interval_usec / ACCURACY_SHARE;
        int r;

        events->interval_usec = interval_usec;
        if (events->quiet)
                return 0;
        if (accuracy > ACCURACY_MAX_USEC)
                accuracy = ACCURACY_MAX_USEC;
        r = sd_event_source_set_time(events->interval, events_now_usec() + interval_usec);
        if (r >= 0)
                r = sd_event_source_set_time_accuracy(events->interval, accuracy);
        if (r >= 0)
                r = sd_event_source_set_enabled(events->interval, SD_EVENT_ONESHOT);
        return r < 0 ? r : 0;
}

int events_set_step(struct events *events, uint64_t usec)
{
        int r;

        if (usec == 0 || events->quiet)
                return sd_event_source_set_enabled(events->step, SD_EVENT_OFF);
        r = sd_event_source_set_time(events->step, usec);
        return r < 0 ? r : sd_event_source_set_enabled(events->step, SD_EVENT_ONESHOT);
}

void events_quiet(struct events *events)
{
        events->quiet = true;
        (void)sd_event_source_set_enabled(events->interval, SD_EVENT_OFF);
        (void)sd_event_source_set_enabled(events->step, SD_EVENT_OFF);
        for (size_t i = 0; i < N_BURSTS; i++)
                (void)sd_event_source_set_enabled(events->bursts[i].timer, SD_EVENT_OFF);
}

int events_run(struct events *events)
{
        int r = sd_event_loop(events->loop);

        return r < 0 ? r : 0;
}
