/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Hosts that are made up to harm. Memory runs out on demand (--wrap=realloc, --wrap=calloc).
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guests-help.h"

static unsigned fail_after; /* how many allocations succeed before one fails; 0: all do */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool must_fail(void)
{
        return fail_after > 0 && --fail_after == 0;
}

void *__wrap_realloc(void *p, size_t size)
{
        return must_fail() ? NULL : __real_realloc(p, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return must_fail() ? NULL : __real_calloc(n, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Without a statm, stat has the figures; without a stat it is no process any more. */
static void test_missing_files(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_process(host, 10, "qemu-kvm", NULL, 7);
        put_away_of(host, 10, "statm");
        put_process(host, 11, "qemu-kvm", NULL, 50);
        put_away_of(host, 11, "stat");
        put_process(host, 12, "qemu-kvm", NULL, 600);
        put_of(host, 12, "statm", "rubbish");
        put_process(host, 13, "qemu-kvm", NULL, 7000);
        put_of(host, 13, "stat", "13 (qemu-kvm)");
        put_process(host, 14, "qemu-kvm", NULL, 80000);
        put_away_of(host, 14, "comm");
        put_folder(host, "/proc/15");
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 7, 10);
        ASSERT_SCAN(guests, 7, 10);
        guests_set_match(guests, globs, GUEST_METRIC_VSZ);
        ASSERT_SCAN(guests, 21, 10);
        put_of(host, 10, "stat", "rubbish");
        assert_nothing(guests);
        (void)guests_free(guests);
}

/* The alarm ends a test that hangs after all. */
static void test_hostile(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        char target[600];

        (void)alarm(60);
        put_process(host, 5, "qemu-kvm", NULL, 7);
        put(host, "/proc/10", "a file");
        put_fifo(host, "/proc/11");
        put_folder(host, "/proc/12/comm");
        put_fifo(host, "/proc/13/comm");
        put_process(host, 14, "bash", NULL, 7);
        put_fifo(host, "/proc/14/cmdline");
        put_process(host, 15, "qemu-kvm", NULL, 7);
        put_away_of(host, 15, "statm");
        put_fifo(host, "/proc/15/statm");
        put_process(host, 16, "qemu-kvm", NULL, 7);
        put_away_of(host, 16, "stat");
        put_fifo(host, "/proc/16/stat");
        put_process(host, 17, "qemu-kvm", NULL, 7);
        put_away_of(host, 17, "statm");
        put_folder(host, "/proc/17/statm");
        put_bytes(host, "/proc/18/comm", "qemu-kvm\0", 9);
        put(host, "/proc/19/comm", "");
        /* Links out of /proc, and out of the host. */
        put_process(host, 20, "qemu-kvm", NULL, 7);
        put(host, "/outside/comm", "qemu-kvm\n");
        put(host, "/outside/statm", "30 10 1 1 0 1 0\n");
        put(host, "/outside/stat", "5 (qemu-kvm) S\n");
        put_link(host, "/proc/21", "../outside");
        (void)snprintf(target, sizeof(target), "%s/outside", host->path);
        put_link(host, "/proc/22", target);
        put_link(host, "/proc/23", "23");
        put_away_of(host, 20, "statm");
        put_link(host, "/proc/20/statm", target);
        put_folder(host, "/proc/self");

        /* 20 is read from its own stat, since its link leads nowhere. */
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 14, 5, 20);
        ASSERT_SCAN(guests, 14, 5, 20);
        guests_set_match(guests, globs, GUEST_METRIC_PSS);
        put_fifo(host, "/proc/5/smaps_rollup");
        assert_scan(guests, (const unsigned[]){5, 20}, 2, 14, 2);
        (void)guests_free(guests);
        (void)alarm(0);
}

/* As with hidepid=1: others' names cannot be read. */
static void test_names_denied(void **state)
{
        const struct made_up_root *host = *state;
        struct guests_scan_info info;
        struct guests_sample sample;
        struct guests *guests;

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 100);
        put_process(host, 12, "bash", NULL, 100);
        put_mode(host, "/proc/10/comm", 0);
        guests = new_guests(host, GUEST_METRIC_RSS);
        become_ordinary();
        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        assert_int_equal(sample.count, 1);
        assert_true(info.names_denied);
        assert_int_equal(info.n_processes, 3);
        become_self();
        put_mode(host, "/proc/10/comm", 0644);
        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        assert_int_equal(sample.count, 2);
        assert_false(info.names_denied);
        (void)guests_free(guests);
}

static void test_no_proc(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests = NULL;
        struct guests_sample sample = {.count = -7};
        size_t n;

        assert_int_equal(guests_new(&guests, &host->root), -ENOENT);
        put(host, "/proc", "");
        assert_int_equal(guests_new(&guests, &host->root), -ENOTDIR);
        assert_null(guests);
        put_away(host, "/proc");
        put_process(host, 10, "qemu-kvm", NULL, 100);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 100, 10);
        put_away(host, "/proc");
        assert_int_equal(guests_scan(guests, &sample, NULL), -ENOENT);
        assert_int_equal(sample.count, -7);
        (void)guests_list(guests, &n);
        assert_int_equal(n, 0);
        (void)guests_free(guests);
}

/* Every allocation fails once; the next scan is right again. */
static void test_out_of_memory(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests = NULL;
        unsigned n_failed = 0;
        int r;

        fail_after = 1;
        r = guests_new(&guests, &host->root);
        fail_after = 0;
        assert_int_equal(r, -ENOMEM);
        assert_null(guests);

        for (unsigned pid = 1; pid <= 200; pid++)
                put_process(host, pid, pid % 2 ? "qemu-kvm" : "bash", NULL, 1);
        for (unsigned i = 1;; i++) {
                struct guests_sample sample = {.count = -7};
                unsigned left;

                guests = new_guests(host, GUEST_METRIC_RSS);
                fail_after = i;
                r = guests_scan(guests, &sample, NULL);
                left = fail_after;
                fail_after = 0;
                if (r == 0) {
                        assert_true(left > 0);
                        assert_int_equal(sample.count, 100);
                        (void)guests_free(guests);
                        break;
                }
                n_failed++;
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(sample.count, -7);
                assert_int_equal(guests_scan(guests, &sample, NULL), 0);
                assert_int_equal(sample.count, 100);
                (void)guests_free(guests);
        }
        assert_true(n_failed >= 4);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_A_HOST(test_missing_files), ON_A_HOST(test_hostile),
                ON_A_HOST(test_names_denied),  ON_A_HOST(test_no_proc),
                ON_A_HOST(test_out_of_memory),
        };

        return cmocka_run_group_tests_name("guests-faults", tests, NULL, NULL);
}
