/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Guests of made-up hosts: who they are, and what they have committed. */

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

static void test_counting(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        const struct guest *list;
        size_t n;

        put_process(host, 1, "systemd", "/usr/lib/systemd/systemd", 100);
        put_process(host, 300, "qemu-system-x86", "/usr/bin/qemu-system-x86_64", 20);
        put_process(host, 20, "qemu-kvm", "/usr/libexec/qemu-kvm", 1);
        put_process(host, 4194304, "qemu-kvm", "/usr/libexec/qemu-kvm", 400);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 421, 20, 300, 4194304);
        list = guests_list(guests, &n);
        assert_string_equal(list[1].comm, "qemu-system-x86");
        assert_int_equal(list[1].start_time, 1300);
        assert_int_equal(list[1].committed_kb, kb(20));
        assert_false(list[1].by_rss);

        /* One grows, one ends, one comes. */
        put_of(host, 300, "statm", "90 33 1 1 0 1 0\n");
        put_away(host, "/proc/20");
        put_process(host, 21, "qemu-kvm", NULL, 1000);
        ASSERT_SCAN(guests, 1433, 21, 300, 4194304);
        /* One becomes something else, and one that was something else becomes a guest. */
        put_of(host, 21, "comm", "bash\n");
        put_away_of(host, 1, "exe");
        put_of(host, 1, "comm", "qemu-kvm\n");
        ASSERT_SCAN(guests, 533, 1, 300, 4194304);
        assert_null(guests_free(guests));
        assert_null(guests_free(NULL));
}

static void test_scan_without_info(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        struct guests_sample sample;

        put_process(host, 1, "qemu-kvm", NULL, 100);
        put_process(host, 2, "bash", NULL, 100);
        guests = new_guests(host, GUEST_METRIC_RSS);
        assert_int_equal(guests_scan(guests, &sample, NULL), 0);
        assert_int_equal(sample.count, 1);
        (void)guests_free(guests);

        /* Before it is told whom to look for, nobody is a guest. */
        assert_int_equal(guests_new(&guests, &host->root), 0);
        assert_nothing(guests);
        (void)guests_free(guests);
}

static void test_names(void **state)
{
        static const struct {
                const char *comm, *exe, *cmdline;
                bool guest;
        } cases[] = {
                {"web-1", "/usr/bin/qemu-system-x86_64", NULL, true},
                {"web-1", "/usr/bin/qemu-system-x86_64 (deleted)", NULL, true},
                {"web-1", " (deleted)", NULL, false},
                {"web-1", "qemu-kvm", NULL, true},
                {"web-1", "/qemu-kvm/bash", NULL, false},
                {"web-1", "/bin/bash", "qemu-kvm", false},
                /* A recording without links has the command line's first word. */
                {"web-1", NULL, "/usr/bin/qemu-system-x86_64", true},
                {"web-1", NULL, "qemu-kvm", true},
                {"web-1", NULL, "/bin/bash", false},
                {"web-1", NULL, "", false},
                {"web-1", NULL, NULL, false},
                {"qemu-kvm", NULL, NULL, true},
                {"cloud-hyperviso", NULL, NULL, true},
                {"cloud-hyperviso", "/usr/bin/cloud-hypervisor", NULL, true},
                {"cloud-hyperviso", "/usr/bin/another", NULL, false},
                {"qemu-img", "/usr/bin/qemu-img", NULL, false},
                {"qemu-nbd", NULL, NULL, false},
                {"qemu-storage-da", "/usr/bin/qemu-storage-daemon", NULL, false},
                {"qemu-kvm", "/usr/bin/qemu-storage-daemon", NULL, false},
                {"", "/usr/bin/qemu-kvm", NULL, true},
                {"a name that no process has, for it is too long", "/usr/bin/qemu-kvm", NULL, true},
                {"two\nlines", "/bin/qemu-kvm", NULL, true},
                {"qemu-kvm\n", "/bin/bash", NULL, false},
        };
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_folder(host, "/proc");
        guests = new_guests(host, GUEST_METRIC_RSS);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct guests_sample sample;

                put_process(host, 812, cases[i].comm, cases[i].exe, 5);
                /* The words end with NUL bytes, and the first of them counts. */
                if (cases[i].cmdline) {
                        char text[128];
                        int n = snprintf(text, sizeof(text), "%s%cqemu-kvm", cases[i].cmdline, 0);

                        put_bytes(host, "/proc/812/cmdline", text, (size_t)n);
                }
                assert_int_equal(guests_scan(guests, &sample, NULL), 0);
                if (sample.count != cases[i].guest)
                        fail_msg("comm '%s', exe '%s', cmdline '%s'", cases[i].comm, cases[i].exe,
                                 cases[i].cmdline);
                put_away(host, "/proc/812");
        }
        (void)guests_free(guests);
}

static void test_zombies(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_process(host, 812, "qemu-kvm", NULL, 7);
        put_of(host, 812, "statm", "0 0 0 0 0 0 0\n");
        put_stat(host, 812, "qemu-kvm", 'Z', 55, 0);
        put_process(host, 813, "qemu-kvm", NULL, 9);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 9, 813);
        ASSERT_SCAN(guests, 9, 813);
        (void)guests_free(guests);
}

static void test_metrics(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        char rollup[128];

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 1000);
        (void)snprintf(rollup, sizeof(rollup), "0-1 ---p 0 0:0 0 [rollup]\nRss: 1 kB\nPss: %d kB\n",
                       (int)kb(40));
        put_of(host, 10, "smaps_rollup", rollup);

        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 1100, 10, 11);
        guests_set_match(guests, globs, GUEST_METRIC_VSZ);
        ASSERT_SCAN(guests, 3300, 10, 11);
        /* Whose figure cannot be read is counted with its resident set, and that is told. */
        guests_set_match(guests, globs, GUEST_METRIC_PSS);
        assert_scan(guests, (const unsigned[]){10, 11}, 2, 1040, 1);
        put_of(host, 10, "smaps_rollup", "rubbish");
        assert_scan(guests, (const unsigned[]){10, 11}, 2, 1100, 2);
        put_of(host, 10, "smaps_rollup", rollup);
        put_of(host, 11, "smaps_rollup", rollup);
        ASSERT_SCAN(guests, 80, 10, 11);
        (void)guests_free(guests);
}

static void test_sum_does_not_wrap(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        struct guests_sample sample;

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 100);
        put_of(host, 10, "statm", "9223372036854775807 9223372036854775807 0 0 0 0 0\n");
        put_of(host, 11, "statm", "9223372036854775807 9223372036854775807 0 0 0 0 0\n");
        guests = new_guests(host, GUEST_METRIC_RSS);
        assert_int_equal(guests_scan(guests, &sample, NULL), 0);
        assert_int_equal(sample.count, 2);
        assert_true(sample.committed_kb == INT64_MAX);
        (void)guests_free(guests);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_A_HOST(test_counting), ON_A_HOST(test_scan_without_info),
                ON_A_HOST(test_names),    ON_A_HOST(test_zombies),
                ON_A_HOST(test_metrics),  ON_A_HOST(test_sum_does_not_wrap),
        };

        return cmocka_run_group_tests_name("guests", tests, NULL, NULL);
}
