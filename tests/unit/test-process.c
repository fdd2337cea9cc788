/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /proc/PID/stat: names that try to fool the parser, kernel threads, broken texts. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/process.h"
#include "made-up-root.h"

/* Fields 4 to 24 and what stands behind them. */
#define BEFORE_FLAGS " 1 812 812 0 -1 "
#define FLAGS        "4194560"
#define FLAGS_KERNEL "2129984"
#define FAULTS       " 15 0 1 0 "
#define TICKS        "200 34"
#define MIDDLE       " 0 0 20 0 4 0 "
#define AFTER        " 18446744073709551615 1 1 0 0\n"
#define FIELDS       BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "5500 1048576 77" AFTER

static void test_stat(void **state)
{
        struct process_stat stat;

        assert_int_equal(process_stat_parse("812 (qemu-kvm) S" FIELDS, &stat), 0);
        assert_int_equal(stat.pid, 812);
        assert_string_equal(stat.comm, "qemu-kvm");
        assert_int_equal(stat.state, 'S');
        assert_false(stat.kernel_thread);
        assert_int_equal(stat.cpu_ticks, 234);
        assert_int_equal(stat.start_time, 5500);
        assert_int_equal(stat.vsize_bytes, 1048576);
        assert_int_equal(stat.rss_pages, 77);
}

static void test_kernel_thread(void **state)
{
        struct process_stat stat;

        assert_int_equal(
                process_stat_parse("39 (ksmd) S 2 0 0 0 -1 " FLAGS_KERNEL FAULTS TICKS MIDDLE
                                   "29 0 0" AFTER,
                                   &stat),
                0);
        assert_true(stat.kernel_thread);
        assert_int_equal(stat.vsize_bytes, 0);
        assert_int_equal(stat.rss_pages, 0);
}

static void test_names(void **state)
{
        static const struct {
                const char *in, *comm;
        } cases[] = {
                {"a) S (b", "a) S (b"},
                {"a) S 1 2 3 (b", "a) S 1 2 3 (b"},
                {"", ""},
                {"(", "("},
                {")", ")"},
                {") (", ") ("},
                {"))))", "))))"},
                {" ", " "},
                {"two\nlines", "two\nlines"},
                {"\n", "\n"},
                {"tab\there", "tab\there"},
                {"\xff\xfe", "\xff\xfe"},
                {"exactly-fifteen", "exactly-fifteen"},
                /* Workqueues describe themselves at length. */
                {"kworker/u4:2-events_unbound", "kworker/u4:2-ev"},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct process_stat stat;
                char text[256];

                (void)snprintf(text, sizeof(text), "812 (%s) R%s", cases[i].in, FIELDS);
                assert_int_equal(process_stat_parse(text, &stat), 0);
                assert_string_equal(stat.comm, cases[i].comm);
                assert_int_equal(stat.state, 'R');
                assert_int_equal(stat.start_time, 5500);
                assert_int_equal(stat.rss_pages, 77);
        }
}

static void test_extremes(void **state)
{
        struct process_stat stat;

        assert_int_equal(process_stat_parse("2147483647 (x) S" BEFORE_FLAGS
                                            "4294967295" FAULTS TICKS MIDDLE
                                            "18446744073709551615 18446744073709551615 "
                                            "9223372036854775807" AFTER,
                                            &stat),
                         0);
        assert_int_equal(stat.pid, INT32_MAX);
        assert_true(stat.start_time == UINT64_MAX);
        assert_true(stat.vsize_bytes == UINT64_MAX);
        assert_true(stat.rss_pages == INT64_MAX);

        /* The kernel's counters can dip below zero; so can what a recorded root says of RSS. */
        assert_int_equal(process_stat_parse("1 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE
                                            "5500 1048576 -3" AFTER,
                                            &stat),
                         0);
        assert_int_equal(stat.rss_pages, 0);
        /* A kernel of long ago ended its line here. */
        assert_int_equal(process_stat_parse("1 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE
                                            "5500 1048576 3\n",
                                            &stat),
                         0);
        assert_int_equal(stat.rss_pages, 3);
}

static void test_bad(void **state)
{
        static const char *const texts[] = {
                "",
                "\n",
                "812",
                "812 ",
                "812 (",
                "812 (x",
                "812 (x)",
                "812 (x) ",
                "812 (x) S",
                "812 (x) S ",
                "812 (x) S 1",
                "812 (x)S" FIELDS,
                "812 (x) 5" FIELDS,
                "812 (x) SS" FIELDS,
                "812 (x)" FIELDS,
                "812 x S" FIELDS,
                "812 )x( S" FIELDS,
                "812(x) S" FIELDS,
                "812  (x) S" FIELDS,
                " 812 (x) S" FIELDS,
                "-812 (x) S" FIELDS,
                "+812 (x) S" FIELDS,
                "x (x) S" FIELDS,
                "(x) S" FIELDS,
                "2147483648 (x) S" FIELDS,
                "99999999999999999999 (x) S" FIELDS,
                /* A field missing, no number, or over 64 bits. */
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "5500 1048576\n",
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "5500 1048576 \n",
                "812 (x) S" BEFORE_FLAGS "x" FAULTS TICKS MIDDLE "5500 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "5500x 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "5.5 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "+5 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "- 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE "--5 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE
                "18446744073709551616 1048576 77" AFTER,
                "812 (x) S" BEFORE_FLAGS FLAGS FAULTS TICKS MIDDLE
                "5500 1048576 -9223372036854775809" AFTER,
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                struct process_stat before, stat;

                memset(&before, 0x5a, sizeof(before));
                stat = before;
                if (process_stat_parse(texts[i], &stat) != -EBADMSG)
                        fail_msg("taken: %s", texts[i]);
                assert_memory_equal(&stat, &before, sizeof(stat));
        }
}

/* Cut off before the end of the last field that is used, it is refused; behind it, it is whole. */
static void test_truncated(void **state)
{
        static const char text[] = "812 (a) S (b) S" FIELDS;
        const size_t needed = strlen(text) - strlen(AFTER);

        for (size_t len = 0; len < sizeof(text); len++) {
                struct process_stat stat;
                char *cut = strndup(text, len);
                int r;

                assert_non_null(cut);
                r = process_stat_parse(cut, &stat);
                free(cut);
                assert_int_equal(r, len > needed ? 0 : -EBADMSG);
                if (r == 0) {
                        assert_string_equal(stat.comm, "a) S (b");
                        assert_int_equal(stat.rss_pages, 77);
                }
        }
}

/* This process, by a name of that kind. */
static void test_real(void **state)
{
        struct process_stat stat;
        struct sysroot root;
        char text[1024], name[16] = "";

        assert_int_equal(prctl(PR_GET_NAME, name), 0);
        assert_int_equal(prctl(PR_SET_NAME, "a) S (b\n1 2"), 0);
        assert_int_equal(sysroot_open(&root, "/"), 0);
        assert_true(sysroot_read(&root, "/proc/self/stat", text, sizeof(text)) > 0);
        sysroot_close(&root);
        assert_int_equal(prctl(PR_SET_NAME, name), 0);

        assert_int_equal(process_stat_parse(text, &stat), 0);
        assert_int_equal(stat.pid, getpid());
        assert_int_equal(stat.state, 'R');
        assert_false(stat.kernel_thread);
        assert_true(stat.start_time > 0 && stat.vsize_bytes > 0 && stat.rss_pages > 0);
        /* Older kernels write a newline as backslash and n. */
        if (strcmp(stat.comm, "a) S (b\n1 2") != 0)
                assert_string_equal(stat.comm, "a) S (b\\n1 2");
}

static void test_read(void **state)
{
        const struct made_up_root *host = *state;
        struct process_stat stat = {.pid = -7};

        assert_int_equal(process_stat_read(&host->root, 812, &stat), -ESRCH);
        put(host, "/proc/812/stat", "rubbish\n");
        assert_int_equal(process_stat_read(&host->root, 812, &stat), -EBADMSG);
        put_mode(host, "/proc/812", 0);
        become_ordinary();
        assert_int_equal(process_stat_read(&host->root, 812, &stat), -EACCES);
        become_self();
        put_mode(host, "/proc/812", 0755);
        assert_int_equal(stat.pid, -7);
        put(host, "/proc/812/stat",
            "812 (qemu) S 1 1 1 0 -1 0 0 0 0 0 9 1 0 0 20 0 1 0 4711 8192 2 0\n");
        assert_int_equal(process_stat_read(&host->root, 812, &stat), 0);
        assert_int_equal(stat.start_time, 4711);
        assert_string_equal(stat.comm, "qemu");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stat),
                cmocka_unit_test(test_kernel_thread),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_real),
                cmocka_unit_test_setup_teardown(test_read, made_up_root_setup,
                                                made_up_root_teardown),
        };

        return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
