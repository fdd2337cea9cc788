/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Wake-ups and bursts of them. The clock that the code under test sees stands still, or jumps
 * (--wrap=clock_gettime); it lies an hour behind that of the loop, so no timer has to be waited
 * for.
 */

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/daemon/events.h"

#define N_DECISIONS_MAX 64

static uint64_t clock_usec;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
        if (clock != CLOCK_MONOTONIC)
                return __real_clock_gettime(clock, ts);
        *ts = (struct timespec){(time_t)(clock_usec / 1000000),
                                (long)(clock_usec % 1000000) * 1000};
        return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

struct fixture {
        struct events *events;
        enum trigger triggers[N_DECISIONS_MAX];
        unsigned n_decisions, n_reloads, n_stops, n_steps;
        unsigned end_at; /* ends the loop at this decision; 0: never */
        int result;      /* what the handlers return */
        uint64_t takes_usec;
};

static int decide(void *userdata, enum trigger trigger)
{
        struct fixture *fixture = userdata;

        assert_true(fixture->n_decisions < N_DECISIONS_MAX);
        fixture->triggers[fixture->n_decisions++] = trigger;
        clock_usec += fixture->takes_usec;
        if (fixture->n_decisions == fixture->end_at)
                assert_int_equal(sd_event_exit(events_loop(fixture->events), 0), 0);
        return fixture->result;
}

static int step(void *userdata)
{
        struct fixture *fixture = userdata;

        fixture->n_steps++;
        return fixture->result;
}

static int reload(void *userdata)
{
        struct fixture *fixture = userdata;

        fixture->n_reloads++;
        return fixture->result;
}

static int stop(void *userdata)
{
        struct fixture *fixture = userdata;

        fixture->n_stops++;
        assert_int_equal(sd_event_exit(events_loop(fixture->events), 0), 0);
        return fixture->result;
}

static int setup(void **state)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));
        const struct events_handler handler = {.decide = decide,
                                               .step = step,
                                               .reload = reload,
                                               .stop = stop,
                                               .userdata = fixture};
        struct timespec now;

        assert_non_null(fixture);
        assert_int_equal(__real_clock_gettime(CLOCK_MONOTONIC, &now), 0);
        /* A machine that has just started has no hour to go back. */
        clock_usec = now.tv_sec > 7200 ? (uint64_t)(now.tv_sec - 3600) * 1000000 : 1000000;
        assert_int_equal(events_block_signals(), 0);
        assert_int_equal(events_new(&fixture->events, &handler), 0);
        *state = fixture;
        return 0;
}

static int teardown(void **state)
{
        struct fixture *fixture = *state;
        const struct timespec at_once = {0, 0};
        sigset_t set;

        assert_null(events_free(fixture->events));
        free(fixture);
        /* What was raised and not taken is not for the next test. */
        (void)sigfillset(&set);
        while (sigtimedwait(&set, NULL, &at_once) > 0)
                ;
        return 0;
}

/* Does what is due, and returns when there is nothing more to do at once. */
static void run_what_is_due(struct fixture *fixture)
{
        while (sd_event_run(events_loop(fixture->events), 0) > 0)
                ;
}

static void test_names(void **state)
{
        assert_string_equal(trigger_name(TRIGGER_START), "start");
        assert_string_equal(trigger_name(TRIGGER_TIMER), "timer");
        assert_string_equal(trigger_name(TRIGGER_SIGNAL), "signal");
        assert_string_equal(trigger_name(TRIGGER_RELOAD), "reload");
        assert_string_equal(trigger_name(TRIGGER_LIBVIRT), "libvirt");
        assert_string_equal(trigger_name(TRIGGER_GUEST), "guest");
        assert_string_equal(trigger_name(TRIGGER_PRESSURE), "pressure");
        assert_null(events_free(NULL));
}

static void test_step(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        /* What is due comes once, and is no decision. */
        assert_int_equal(events_set_step(fixture->events, clock_usec), 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_steps, 1);
        assert_int_equal(fixture->n_decisions, 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_steps, 1);

        /* Not due; taken back; nothing any more at the end. */
        assert_int_equal(events_set_step(fixture->events, UINT64_MAX / 2), 0);
        run_what_is_due(fixture);
        assert_int_equal(events_set_step(fixture->events, clock_usec), 0);
        assert_int_equal(events_set_step(fixture->events, 0), 0);
        run_what_is_due(fixture);
        events_quiet(fixture->events);
        assert_int_equal(events_set_step(fixture->events, clock_usec), 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_steps, 1);
}

/* A handler's error is the loop's. */
static void test_step_fails(void **state)
{
        struct fixture *fixture = *state;

        fixture->result = -EIO;
        assert_int_equal(events_set_step(fixture->events, clock_usec), 0);
        assert_int_equal(events_run(fixture->events), -EIO);
}

/* Each decision sets up the next: a timer that is long due comes once for each. */
static void test_interval(void **state)
{
        struct fixture *fixture = *state;

        fixture->end_at = 5;
        fixture->takes_usec = EVENTS_SIGNAL_GAP_USEC;
        assert_int_equal(events_set_interval(fixture->events, 100000), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_START), 0);
        assert_int_equal(fixture->n_decisions, 1);
        assert_int_equal(events_run(fixture->events), 0);
        assert_int_equal(fixture->n_decisions, 5);
        assert_int_equal(fixture->triggers[0], TRIGGER_START);
        for (unsigned i = 1; i < 5; i++)
                assert_int_equal(fixture->triggers[i], TRIGGER_TIMER);
}

/* One that lies ahead does not come. */
static void test_interval_ahead(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_START), 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_decisions, 1);
}

static void test_burst(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        /* The first at once; the thousand behind it together, at the end of the gap. */
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 1);
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 1);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_decisions, 2);
        assert_int_equal(fixture->triggers[1], TRIGGER_SIGNAL);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_decisions, 2);
}

static void test_gap(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        clock_usec += EVENTS_SIGNAL_GAP_USEC - 1;
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 1);
        clock_usec += 1;
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 2);
        /* The one that was gathered is in this one. */
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_decisions, 2);

        /* Start and reload do not wait, nor does who comes first behind them. */
        fixture->takes_usec = 10 * EVENTS_SIGNAL_GAP_USEC;
        assert_int_equal(events_request(fixture->events, TRIGGER_RELOAD), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_START), 0);
        assert_int_equal(fixture->n_decisions, 4);
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 5);
        /* The gap begins at the end of a slow decision. */
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 5);
}

static const enum trigger guest_triggers[] = {TRIGGER_LIBVIRT, TRIGGER_GUEST};

/* The first at once, two hundred behind it together, and then the next at once. */
static void test_guest_burst(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        for (unsigned i = 0; i < 2; i++) {
                fixture->n_decisions = 0;
                assert_int_equal(events_request(fixture->events, guest_triggers[i]), 0);
                assert_int_equal(fixture->n_decisions, 1);
                for (unsigned n = 0; n < 200; n++) {
                        clock_usec += EVENTS_GUEST_GAP_USEC / 201;
                        assert_int_equal(events_request(fixture->events, guest_triggers[i]), 0);
                }
                assert_int_equal(fixture->n_decisions, 1);
                clock_usec += EVENTS_GUEST_GAP_USEC / 2;
                run_what_is_due(fixture);
                assert_int_equal(fixture->n_decisions, 2);
                assert_int_equal(fixture->triggers[1], guest_triggers[i]);
                /* The answer at the end is no beginning: nobody waits because of it. */
                assert_int_equal(events_request(fixture->events, guest_triggers[i]), 0);
                assert_int_equal(fixture->n_decisions, 3);
                /* And that one is: what comes behind it waits again. */
                assert_int_equal(events_request(fixture->events, guest_triggers[i]), 0);
                assert_int_equal(fixture->n_decisions, 3);
                run_what_is_due(fixture);
                assert_int_equal(fixture->n_decisions, 4);
        }
}

/* Each kind has its own bursts, and a signal waits for neither. */
static void test_bursts_apart(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_GUEST), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_LIBVIRT), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_SIGNAL), 0);
        assert_int_equal(fixture->n_decisions, 3);
        assert_int_equal(fixture->triggers[0], TRIGGER_GUEST);
        assert_int_equal(fixture->triggers[1], TRIGGER_LIBVIRT);
        assert_int_equal(fixture->triggers[2], TRIGGER_SIGNAL);
        assert_int_equal(events_request(fixture->events, TRIGGER_GUEST), 0);
        assert_int_equal(events_request(fixture->events, TRIGGER_LIBVIRT), 0);
        assert_int_equal(fixture->n_decisions, 3);
}

/* Ten seconds of 200 events a second, on a clock that jumps to each of them. */
static void test_guest_storm(void **state)
{
        struct fixture *fixture = *state;
        unsigned n = 0, ends = 0;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        for (unsigned i = 0; i < 200 * 10; i++) {
                uint64_t since = i * UINT64_C(5000);

                assert_int_equal(events_request(fixture->events, TRIGGER_LIBVIRT), 0);
                clock_usec += 5000;
                /* The timers' clock is an hour ahead: what is set is due, so only at its time. */
                if ((since + 5000) % EVENTS_GUEST_GAP_USEC == 0) {
                        run_what_is_due(fixture);
                        ends++;
                }
                n = fixture->n_decisions;
        }
        assert_int_equal(ends, 10);
        assert_true(n >= ends && n <= 2 * ends);
}

/* Signals before the loop began are waiting for it; a thousand of them are few decisions. */
static void test_signals(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, UINT64_C(86400) * 1000000), 0);
        for (unsigned i = 0; i < 1000; i++)
                assert_int_equal(raise(SIGUSR1), 0);
        run_what_is_due(fixture);
        assert_true(fixture->n_decisions >= 1 && fixture->n_decisions <= 2);
        assert_int_equal(fixture->triggers[0], TRIGGER_SIGNAL);

        assert_int_equal(raise(SIGHUP), 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_reloads, 1);

        assert_int_equal(raise(SIGTERM), 0);
        assert_int_equal(raise(SIGINT), 0);
        assert_int_equal(events_run(fixture->events), 0);
        assert_true(fixture->n_stops >= 1);
}

static void test_quiet(void **state)
{
        struct fixture *fixture = *state;

        assert_int_equal(events_set_interval(fixture->events, 100000), 0);
        events_quiet(fixture->events);
        assert_int_equal(events_request(fixture->events, TRIGGER_START), 0);
        assert_int_equal(events_set_interval(fixture->events, 100000), 0);
        assert_int_equal(raise(SIGUSR1), 0);
        assert_int_equal(raise(SIGHUP), 0);
        run_what_is_due(fixture);
        assert_int_equal(fixture->n_decisions, 0);
        assert_int_equal(fixture->n_reloads, 0);
        /* Who asks to end is heard all the same. */
        assert_int_equal(raise(SIGTERM), 0);
        assert_int_equal(events_run(fixture->events), 0);
        assert_int_equal(fixture->n_stops, 1);
}

static void test_failing_decision(void **state)
{
        struct fixture *fixture = *state;

        fixture->result = -EIO;
        assert_int_equal(events_request(fixture->events, TRIGGER_START), -EIO);
        assert_int_equal(fixture->n_decisions, 1);
}

static int end_with_success(sd_event_source *source, void *userdata)
{
        return sd_event_exit(sd_event_source_get_event(source), 0);
}

/* A handler's error ends the loop with it. */
static void test_failing_handler(void **state)
{
        struct fixture *fixture = *state;
        sd_event_source *last;

        /* Should the loop go on in spite of it, this ends it with 0. */
        assert_int_equal(
                sd_event_add_defer(events_loop(fixture->events), &last, end_with_success, NULL), 0);
        assert_int_equal(sd_event_source_set_priority(last, SD_EVENT_PRIORITY_IDLE), 0);
        fixture->result = -EIO;
        assert_int_equal(raise(SIGHUP), 0);
        assert_int_equal(events_run(fixture->events), -EIO);
        assert_int_equal(fixture->n_reloads, 1);
        sd_event_source_unref(last);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define WITH_EVENTS(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
                cmocka_unit_test(test_names),
                WITH_EVENTS(test_step),
                WITH_EVENTS(test_step_fails),
                WITH_EVENTS(test_interval),
                WITH_EVENTS(test_interval_ahead),
                WITH_EVENTS(test_burst),
                WITH_EVENTS(test_gap),
                WITH_EVENTS(test_guest_burst),
                WITH_EVENTS(test_bursts_apart),
                WITH_EVENTS(test_guest_storm),
                WITH_EVENTS(test_signals),
                WITH_EVENTS(test_quiet),
                WITH_EVENTS(test_failing_decision),
                WITH_EVENTS(test_failing_handler),
        };

        return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
