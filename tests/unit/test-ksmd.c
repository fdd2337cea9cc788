/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmd's CPU time, and who is not ksmd. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksm-help.h"

#define KERNEL_THREAD "2129984"
#define USER_PROCESS  "4194304"

static void put_process(const struct made_up_root *host, int pid, const char *comm,
                        const char *flags, const char *ticks)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        put_format(host, path, "%s\n", comm);
        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        put_format(host, path, "%d (%s) S 2 0 0 0 -1 %s 0 0 0 0 %s 0 0 25 5 1 0 29 0 0 0 0\n", pid,
                   comm, flags, ticks);
}

static void test_schedstat(void **state)
{
        const struct made_up_root *host = *state;
        struct ksmd ksmd = {0};
        int64_t nsec = -1;

        put_process(host, 1, "init", USER_PROCESS, "1 2");
        put_process(host, 39, "ksmd", KERNEL_THREAD, "500 34");
        put(host, "/proc/39/schedstat", "123456789012 55 66\n");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_true(nsec == INT64_C(123456789012));
        assert_int_equal(ksmd.pid, 39);

        /* Remembered: nobody is looked at again. */
        put(host, "/proc/39/comm", "renamed\n");
        put(host, "/proc/39/schedstat", "123456789013 55 66\n");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_true(nsec == INT64_C(123456789013));
}

/* A kernel without scheduler statistics, and broken ones: clock ticks are what is left. */
static void test_ticks(void **state)
{
        static const char *const broken[] = {"",  "\n",  "x 1 1\n", "-5 1 1\n",
                                             "5", "5\n", "0 0 0\n", "9223372036854775808 1 1\n"};
        const struct made_up_root *host = *state;
        const int64_t tick_nsec = INT64_C(1000000000) / sysconf(_SC_CLK_TCK);
        struct ksmd ksmd = {0};
        int64_t nsec = -1;

        put_process(host, 39, "ksmd", KERNEL_THREAD, "500 34");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_true(nsec == 534 * tick_nsec);
        for (size_t i = 0; i < ELEMENTS(broken); i++) {
                put(host, "/proc/39/schedstat", broken[i]);
                nsec = -1;
                assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
                assert_true(nsec == 534 * tick_nsec);
                assert_true(ksmd.in_ticks);
        }
        /* It has run for less than the clock can tell. */
        put(host, "/proc/39/schedstat", "0 0 1\n");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_true(nsec == 0);
        assert_false(ksmd.in_ticks);
        put_away(host, "/proc/39/schedstat");

        put_process(host, 39, "ksmd", KERNEL_THREAD, "9223372036854775807 0");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_true(nsec == INT64_MAX);
        nsec = -1;
        put_process(host, 39, "ksmd", KERNEL_THREAD, "-5 0");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -EBADMSG);
        put(host, "/proc/39/stat", "39 (ksmd) S\n");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -EBADMSG);
        put_process(host, 39, "ksmd", USER_PROCESS, "500 34");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -ESRCH);
        put_away(host, "/proc/39");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -ENOENT);
        assert_int_equal(nsec, -1);
}

static void test_impostors(void **state)
{
        const struct made_up_root *host = *state;
        struct ksmd ksmd = {0};
        int64_t nsec = -1;

        put_process(host, 10, "ksmd", USER_PROCESS, "1 1");
        put(host, "/proc/10/schedstat", "1 1 1\n");
        put_process(host, 11, "ksmd2", KERNEL_THREAD, "1 1");
        put_process(host, 12, "aksmd", KERNEL_THREAD, "1 1");
        put_process(host, 13, "ksmd\n", KERNEL_THREAD, "1 1");
        put(host, "/proc/14/comm", "ksmd\n");
        put(host, "/proc/15/comm", "ksmd\n");
        put(host, "/proc/15/stat", "15 (ksmd)");
        put_fifo(host, "/proc/16/comm");
        put(host, "/proc/17", "ksmd\n");
        put_process(host, 18, "a name that is much longer than any name of a process can be",
                    KERNEL_THREAD, "1 1");
        put(host, "/proc/ksmd/comm", "ksmd\n");
        put(host, "/proc/123456789012345678901234567890/comm", "ksmd\n");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -EOPNOTSUPP);
        assert_int_equal(ksmd.pid, -1);

        /* Looked for once. */
        put_process(host, 39, "ksmd", KERNEL_THREAD, "500 34");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -EOPNOTSUPP);
        assert_int_equal(nsec, -1);

        /* The true one among them. */
        ksmd.pid = 0;
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), 0);
        assert_int_equal(ksmd.pid, 39);
}

static void test_no_proc(void **state)
{
        const struct made_up_root *host = *state;
        struct ksmd ksmd = {0};
        int64_t nsec = -1;

        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -ENOENT);
        assert_int_equal(ksmd.pid, 0);
        put_folder(host, "/proc");
        assert_int_equal(ksmd_cpu_nsec(&ksmd, &host->root, &nsec), -EOPNOTSUPP);
        assert_int_equal(nsec, -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_schedstat),
                ON_A_HOST(test_ticks),
                ON_A_HOST(test_impostors),
                ON_A_HOST(test_no_proc),
        };

        return cmocka_run_group_tests_name("ksmd", tests, NULL, NULL);
}
