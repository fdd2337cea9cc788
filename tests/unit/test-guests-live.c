/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Guests on the machine itself: when each is found, when it is gone, and what it has committed. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

static void test_come_and_go(void **state)
{
        struct live *live = *state;
        struct child first, second, other;

        child_start(&first, live->guest);
        child_start(&other, live->other);
        assert_int_equal(scan(live), 1);
        assert_non_null(find(live, first.pid));
        assert_memory_equal(find(live, first.pid)->comm, live->prefix, strlen(live->prefix));
        assert_true(find(live, first.pid)->statm_fd >= 0);
        assert_int_equal(fcntl(find(live, first.pid)->statm_fd, F_GETFD), FD_CLOEXEC);

        /* A new one is found at once, an ended one is gone at once. */
        child_start(&second, live->guest2);
        assert_int_equal(scan(live), 2);
        assert_non_null(find(live, second.pid));
        child_end(&first);
        assert_int_equal(scan(live), 1);
        assert_null(find(live, first.pid));
        child_end(&second);
        child_end(&other);
        assert_int_equal(scan(live), 0);
}

/* Something is started after every scan, over several cycles: it is found in the next. */
static void test_new_ones_at_every_step(void **state)
{
        struct live *live = *state;
        struct child children[2 * GUESTS_CYCLE + 5];

        for (size_t i = 0; i < ELEMENTS(children); i++) {
                assert_int_equal(scan(live), i);
                child_start(&children[i], i % 2 ? live->guest : live->guest2);
        }
        for (size_t i = 0; i < ELEMENTS(children); i++) {
                assert_int_equal(scan(live), ELEMENTS(children) - i);
                child_end(&children[i]);
        }
        assert_int_equal(scan(live), 0);
}

/* It was forked before a scan and calls exec just behind it: found in the next. */
static void test_exec_after_fork(void **state)
{
        struct live *live = *state;
        struct child child;

        assert_int_equal(scan(live), 0);
        child_start(&child, live->other);
        assert_int_equal(scan(live), 0);
        child_tell(&child, "exec %s\n", live->guest);
        assert_int_equal(scan(live), 1);
        child_end(&child);
}

/* At every place in the cycle. */
static void test_late_exec(void **state)
{
        struct live *live = *state;
        struct child child;

        child_start(&child, live->other);
        for (unsigned at = 0; at < GUESTS_CYCLE; at++) {
                for (unsigned i = 0; i < 12 + at; i++)
                        assert_int_equal(scan(live), 0);
                child_tell(&child, "exec %s\n", live->guest);
                assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
                assert_non_null(find(live, child.pid));
                /* And back: it is dropped again. */
                for (unsigned i = 0; i < 12; i++)
                        assert_int_equal(scan(live), 1);
                child_tell(&child, "exec %s\n", live->other);
                assert_true(scans_until(live, 0) <= GUESTS_CYCLE);
                assert_null(find(live, child.pid));
        }
        child_end(&child);
}

static void test_other_names(void **state)
{
        struct live *live = *state;
        struct child child;

        /* A comm of its own choice, under an executable that is no guest's. */
        child_start(&child, live->other);
        for (unsigned i = 0; i < 12; i++)
                assert_int_equal(scan(live), 0);
        child_tell(&child, "name %s1\n", live->prefix);
        assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
        child_tell(&child, "name %s2\n", live->prefix);
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_int_equal(find(live, child.pid)->comm[strlen(live->prefix)], '2');
        child_tell(&child, "name sleepy\n");
        assert_true(scans_until(live, 0) <= GUESTS_CYCLE);

        /* "-name process=": the executable tells, also when an upgrade has replaced it. */
        child_tell(&child, "exec %s\n", live->guest);
        assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
        child_tell(&child, "name a) S (b\n");
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_string_equal(find(live, child.pid)->comm, "a) S (b");
        assert_int_equal(unlink(live->guest), 0);
        child_tell(&child, "name a) S (c\n");
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_string_equal(find(live, child.pid)->comm, "a) S (c");
        child_end(&child);
}

static void test_zombie(void **state)
{
        struct live *live = *state;
        struct child child, born_dead;

        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        child_end_as_zombie(&child);
        child_start(&born_dead, live->guest);
        child_end_as_zombie(&born_dead);
        for (unsigned i = 0; i < 2 * GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 0);
        child_end(&child);
        child_end(&born_dead);
        assert_int_equal(scan(live), 0);
}

/* The figure of @metric as the kernel tells it here. */
static int64_t memory_kb(const struct live *live, pid_t pid, enum guest_metric metric)
{
        const int64_t page_kb = sysconf(_SC_PAGESIZE) / 1024;
        char path[64], text[4096];
        int64_t size, resident;
        char *figure;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid,
                       metric == GUEST_METRIC_PSS ? "smaps_rollup" : "statm");
        assert_true(sysroot_read(&live->root, path, text, sizeof(text)) > 0);
        if (metric == GUEST_METRIC_PSS) {
                figure = strstr(text, "\nPss:");
                assert_non_null(figure);
                return strtoll(figure + strlen("\nPss:"), NULL, 10);
        }
        size = strtoll(text, &figure, 10);
        resident = strtoll(figure, NULL, 10);
        return (metric == GUEST_METRIC_VSZ ? size : resident) * page_kb;
}

static void assert_memory_of(struct live *live, pid_t pid, enum guest_metric metric)
{
        /* What it shares with others changes as they come and go; then it is asked again. */
        for (unsigned tries = 0; tries < 100; tries++) {
                int64_t before = memory_kb(live, pid, metric);

                assert_int_equal(scan(live), 1);
                if (find(live, pid)->committed_kb == before &&
                    memory_kb(live, pid, metric) == before)
                        return;
        }
        fail_msg("its memory is never what the kernel tells");
}

static void test_metrics(void **state)
{
        static const enum guest_metric metrics[] = {GUEST_METRIC_RSS, GUEST_METRIC_PSS,
                                                    GUEST_METRIC_VSZ};
        struct live *live = *state;

        for (size_t i = 0; i < ELEMENTS(metrics); i++) {
                struct child child;
                int64_t before;

                guests_set_match(live->guests, live->globs, metrics[i]);
                child_start(&child, live->guest);
                assert_memory_of(live, child.pid, metrics[i]);
                before = find(live, child.pid)->committed_kb;
                child_tell(&child, "grow 16384\n");
                assert_int_equal(scan(live), 1);
                /* Give or take what the kernel counts for each CPU apart. */
                assert_true(find(live, child.pid)->committed_kb > before + 12288);
                assert_memory_of(live, child.pid, metrics[i]);
                child_end(&child);
        }
}

static void test_other_globs(void **state)
{
        static const char *const nobody[] = {"no-such-name-here", NULL};
        struct live *live = *state;
        struct child child;

        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        guests_set_match(live->guests, nobody, GUEST_METRIC_RSS);
        assert_int_equal(scan(live), 0);
        assert_int_equal(scan(live), 0);
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        assert_int_equal(scan(live), 1);
        child_end(&child);
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_setup, live_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                LIVE(test_come_and_go),     LIVE(test_new_ones_at_every_step),
                LIVE(test_exec_after_fork), LIVE(test_late_exec),
                LIVE(test_other_names),     LIVE(test_zombie),
                LIVE(test_metrics),         LIVE(test_other_globs),
        };

        return cmocka_run_group_tests_name("guests-live", tests, NULL, NULL);
}
