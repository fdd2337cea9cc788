/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is told of guests that come, go, and cannot be merged. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

/* How much later it is than the kernel says. */
static time_t later_sec;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
        int r = __real_clock_gettime(clock, ret);

        if (clock == CLOCK_BOOTTIME)
                ret->tv_sec += later_sec;
        return r;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static struct {
        unsigned came, gone, unmergeable;
        pid_t pid;
        char name[GUEST_NAME_SIZE];
        int64_t rss_kb;
} told;

static void listener(void *userdata, const struct guest *guest, enum guest_change change)
{
        assert_ptr_equal(userdata, &told);
        told.came += change == GUEST_CAME;
        told.gone += change == GUEST_GONE;
        told.unmergeable += change == GUEST_UNMERGEABLE;
        told.pid = guest->pid;
        told.rss_kb = guest->rss_kb;
        (void)snprintf(told.name, sizeof(told.name), "%s", guest_name(guest));
}

static void assert_told(unsigned came, unsigned gone)
{
        assert_int_equal(told.came, came);
        assert_int_equal(told.gone, gone);
}

static int setup(void **state)
{
        struct live *live;
        int r = live_setup(state);

        live = *state;
        memset(&told, 0, sizeof(told));
        later_sec = 0;
        guests_listen(live->guests, listener, &told);
        return r;
}

static void test_come_and_go(void **state)
{
        struct live *live = *state;
        struct child first, second;

        /* Those that are there at first have not come. */
        child_start(&first, live->guest);
        assert_int_equal(scan(live), 1);
        assert_told(0, 0);

        child_start(&second, live->guest2);
        assert_int_equal(scan(live), 2);
        assert_told(1, 0);
        assert_int_equal(told.pid, second.pid);
        assert_true(told.rss_kb > 0);
        assert_memory_equal(told.name, live->prefix, strlen(live->prefix));
        assert_int_equal(scan(live), 2);
        assert_told(1, 0);

        child_end(&first);
        told.pid = second.pid;
        assert_int_equal(scan(live), 1);
        assert_told(1, 1);
        assert_int_not_equal(told.pid, second.pid);

        /* One that is forgotten has not gone, and does not come again. */
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        assert_int_equal(scan(live), 1);
        assert_told(1, 1);

        child_end(&second);
        assert_int_equal(scan(live), 0);
        assert_told(1, 2);
        guests_listen(live->guests, NULL, NULL);
        child_start(&first, live->guest);
        assert_int_equal(scan(live), 1);
        assert_told(1, 2);
        child_end(&first);
}

/* Becomes something else: gone, though its process lives. */
static bool scan_changed(struct live *live, int64_t expected)
{
        struct guests_scan_info info;
        struct guests_sample sample;

        assert_int_equal(guests_scan(live->guests, &sample, &info), 0);
        assert_int_equal(sample.count, expected);
        return info.changed;
}

/* Also when all are forgotten and none comes in their place. */
static void test_changed(void **state)
{
        static const char *const nobody[] = {NULL};
        struct live *live = *state;
        struct child child;

        assert_false(scan_changed(live, 0));
        child_start(&child, live->guest);
        assert_true(scan_changed(live, 1));
        assert_false(scan_changed(live, 1));
        guests_set_match(live->guests, nobody, GUEST_METRIC_RSS);
        assert_true(scan_changed(live, 0));
        assert_false(scan_changed(live, 0));
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        assert_true(scan_changed(live, 1));
        child_end(&child);
        assert_true(scan_changed(live, 0));
        assert_false(scan_changed(live, 0));
}

static void test_exec(void **state)
{
        struct live *live = *state;
        struct child child;

        assert_int_equal(scan(live), 0);
        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        assert_told(1, 0);
        child_tell(&child, "exec %s\n", live->other);
        assert_true(scans_until(live, 0) <= GUESTS_CYCLE);
        assert_told(1, 1);
        assert_int_equal(told.pid, child.pid);
        child_end(&child);
}

/* Only once it has run for a while: at its start no memory of any guest is open to KSM. */
static void test_unmergeable(void **state)
{
        struct live *live = *state;
        struct child child;
        bool tells;

        assert_int_equal(scan(live), 0);
        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        /* Kernels before 6.14 do not tell. */
        tells = find(live, child.pid)->mergeable == GUEST_MERGEABLE_NO;
        if (!tells) {
                child_end(&child);
                skip();
        }
        for (unsigned round = 0; round < 3; round++) {
                child_tell(&child, "grow 8\n");
                for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                        assert_int_equal(scan(live), 1);
                assert_int_equal(told.unmergeable, round > 0);
                later_sec = 3600;
        }
        child_end(&child);
        assert_int_equal(scan(live), 0);
        assert_int_equal(told.unmergeable, 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_come_and_go, setup, live_teardown),
                cmocka_unit_test_setup_teardown(test_changed, setup, live_teardown),
                cmocka_unit_test_setup_teardown(test_exec, setup, live_teardown),
                cmocka_unit_test_setup_teardown(test_unmergeable, setup, live_teardown),
        };

        return cmocka_run_group_tests_name("guest-changes", tests, NULL, NULL);
}
