/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Undoing all sharing: who writes, how far it is, and when memory is short. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "child-exit.h"
#include "ksm-help.h"
#include "ksmtuned/unmerge.h"

static void put_counters(const struct made_up_root *host)
{
        put_ksm(host, KSM_RUN, "1\n");
        put_ksm(host, KSM_PAGES_TO_SCAN, "100\n");
        put_ksm(host, KSM_SLEEP_MILLISECS, "20\n");
        put_ksm(host, KSM_PAGES_SHARED, "10\n");
        put_ksm(host, KSM_PAGES_SHARING, "100\n");
        put_ksm(host, KSM_ZERO_PAGES, "1000\n");
        put(host, "/proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 4711 kB\n");
}

/* --- the process that writes --------------------------------------------------------------- */

static int status_of_start(const struct made_up_root *host)
{
        pid_t pid = -1;
        int status = -1;

        assert_int_equal(unmerge_start(&host->root, &pid), 0);
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_writes(void **state)
{
        const struct made_up_root *host = *state;

        put_counters(host);
        assert_int_equal(status_of_start(host), 0);
        assert_ksm(host, KSM_RUN, "2\n");
}

static void test_cannot_write(void **state)
{
        const struct made_up_root *host = *state;
        char path[96];

        assert_int_equal(status_of_start(host), EOPNOTSUPP);
        put_folder(host, ksm_path(KSM_RUN, path));
        assert_int_equal(status_of_start(host), EISDIR);
}

/* --- figures ------------------------------------------------------------------------------- */

static void test_look(void **state)
{
        const struct made_up_root *host = *state;
        int64_t page = sysconf(_SC_PAGESIZE);
        struct unmerge_figures figures;

        assert_int_equal(unmerge_look(&host->root, &figures), -EOPNOTSUPP);
        put_counters(host);
        assert_int_equal(unmerge_look(&host->root, &figures), 0);
        assert_int_equal(figures.run, 1);
        assert_int_equal(figures.merged_bytes, 1110 * page);
        assert_int_equal(figures.saved_bytes, 1100 * page);
        assert_int_equal(figures.zero_bytes, 1000 * page);
        assert_int_equal(figures.copied_bytes, SAMPLE_ABSENT);
        assert_int_equal(figures.total_kb, 9000);
        assert_int_equal(figures.available_kb, 4711);
        assert_int_equal(figures.swap_free_kb, SAMPLE_ABSENT);

        put_away(host, "/proc/meminfo");
        put_ksm(host, KSM_ZERO_PAGES, "-5\n");
        assert_int_equal(unmerge_look(&host->root, &figures), 0);
        assert_int_equal(figures.available_kb, SAMPLE_ABSENT);
        assert_int_equal(figures.total_kb, SAMPLE_ABSENT);
        assert_int_equal(figures.zero_bytes, 0);
        assert_int_equal(figures.merged_bytes, 110 * page);

        put_ksm(host, KSM_PAGES_SHARING, "9223372036854775807\n");
        assert_int_equal(unmerge_look(&host->root, &figures), 0);
        assert_int_equal(figures.merged_bytes, INT64_MAX);
        put_ksm(host, KSM_PAGES_SHARING, "many\n");
        assert_int_equal(unmerge_look(&host->root, &figures), -EBADMSG);
}

static void test_copies(void **state)
{
        static const struct {
                const char *vmstat;
                int64_t pages;
        } cases[] = {
                {"nr_free_pages 7\ncow_ksm 42\nzswpin 3\n", 42},
                {"nr_free_pages 7\ncow_ksm 0\n", 0},
                {"nr_free_pages 7\ncow_ksm 9223372036854775807\n", INT64_MAX},
                {"nr_free_pages 7\ncow_ksm 9223372036854775808\n", SAMPLE_ABSENT},
                {"nr_free_pages 7\ncow_ksm -1\n", SAMPLE_ABSENT},
                {"nr_free_pages 7\ncow_ksm \n", SAMPLE_ABSENT},
                {"nr_free_pages 7\ncow_ksm 4", SAMPLE_ABSENT},
                {"nr_free_pages 7\ncow_ksm 4 2\n", SAMPLE_ABSENT},
                {"nr_free_pages 7\nnot_cow_ksm 42\n", SAMPLE_ABSENT},
                {"nr_free_pages 7\n", SAMPLE_ABSENT},
                {"", SAMPLE_ABSENT},
        };
        const struct made_up_root *host = *state;

        put_counters(host);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct unmerge_figures figures;
                int64_t want = cases[i].pages;

                if (want > 0)
                        want = saturating_mul(want, sysconf(_SC_PAGESIZE));
                put(host, "/proc/vmstat", cases[i].vmstat);
                assert_int_equal(unmerge_look(&host->root, &figures), 0);
                assert_int_equal(figures.copied_bytes, want);
        }
}

static void test_left(void **state)
{
        static const struct {
                struct unmerge_figures start, now;
                int64_t left;
        } cases[] = {
                {{.merged_bytes = 0}, {.merged_bytes = 0}, 0},
                /* Copies are seen before the counters fall. */
                {{.merged_bytes = 1000, .copied_bytes = 50},
                 {.merged_bytes = 1000, .copied_bytes = 250},
                 800},
                /* The counters fall when a process is done, and tell most at the end. */
                {{.merged_bytes = 1000, .copied_bytes = 50},
                 {.merged_bytes = 300, .copied_bytes = 250},
                 300},
                /* Zero pages are seen at once, in their own counter. */
                {{.merged_bytes = 1000, .copied_bytes = 50, .zero_bytes = 500},
                 {.merged_bytes = 900, .copied_bytes = 250, .zero_bytes = 400},
                 700},
                /* No copies are counted before Linux 5.19. */
                {{.merged_bytes = 1000, .copied_bytes = -1},
                 {.merged_bytes = 600, .copied_bytes = -1},
                 600},
                {{.merged_bytes = 1000, .copied_bytes = 50},
                 {.merged_bytes = 600, .copied_bytes = -1},
                 600},
                /* Counters that go backwards, guests that write, and ends that do not meet. */
                {{.merged_bytes = 1000, .copied_bytes = 250},
                 {.merged_bytes = 1000, .copied_bytes = 50},
                 1000},
                {{.merged_bytes = 1000, .copied_bytes = 0},
                 {.merged_bytes = 1000, .copied_bytes = 5000},
                 0},
                {{.merged_bytes = 1000, .copied_bytes = 0},
                 {.merged_bytes = 2000, .copied_bytes = 100},
                 900},
                {{.merged_bytes = INT64_MAX, .copied_bytes = 0},
                 {.merged_bytes = INT64_MAX, .copied_bytes = INT64_MAX},
                 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(unmerge_left_bytes(&cases[i].start, &cases[i].now), cases[i].left);
}

/* The kernel has 2 in run from the first page to the last, and afterwards. */
static void test_is_unmerging(void **state)
{
        assert_true(ksm_is_unmerging(&(struct ksm_sample){.run = 2, .pages_shared = 1}));
        assert_false(ksm_is_unmerging(&(struct ksm_sample){.run = 2, .pages_shared = 0}));
        assert_false(ksm_is_unmerging(&(struct ksm_sample){.run = 2, .pages_shared = -1}));
        assert_false(ksm_is_unmerging(&(struct ksm_sample){.run = 1, .pages_shared = 1}));
        assert_false(ksm_is_unmerging(&(struct ksm_sample){.run = 0, .pages_shared = 1}));
}

#define KB 1024

static void test_short(void **state)
{
        static const struct {
                struct unmerge_figures start, now;
                bool is_short;
        } cases[] = {
                /* 1,000 kB are saved: 50 are the reserve. */
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 1000 * KB, .copied_bytes = 0, .available_kb = 1050},
                 false},
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 1000 * KB, .copied_bytes = 0, .available_kb = 1049},
                 true},
                /* What is copied needs no memory any more; */
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 1000 * KB, .copied_bytes = 600 * KB, .available_kb = 450},
                 false},
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 1000 * KB, .copied_bytes = 600 * KB, .available_kb = 449},
                 true},
                /* with two guests alike, the second one's copies only take over what is freed. */
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 1000 * KB, .copied_bytes = 1000 * KB, .available_kb = 50},
                 false},
                {{.saved_bytes = 1000 * KB, .copied_bytes = 0},
                 {.saved_bytes = 0, .copied_bytes = 2000 * KB, .available_kb = 49},
                 true},
                /* Where no copies are counted, the counters tell. */
                {{.saved_bytes = 1000 * KB, .copied_bytes = -1},
                 {.saved_bytes = 500 * KB, .copied_bytes = -1, .available_kb = 550},
                 false},
                {{.saved_bytes = 1000 * KB, .copied_bytes = -1},
                 {.saved_bytes = 500 * KB, .copied_bytes = -1, .available_kb = 549},
                 true},
                /* Not known is short; of nothing there is always enough. */
                {{.saved_bytes = 1000 * KB}, {.saved_bytes = 0, .available_kb = -1}, true},
                {{.saved_bytes = 0}, {.saved_bytes = 0, .available_kb = -1}, false},
                {{.saved_bytes = INT64_MAX}, {.saved_bytes = INT64_MAX, .available_kb = 1}, true},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(unmerge_is_short(&cases[i].start, &cases[i].now),
                                 cases[i].is_short);
}

#define ON_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_HOST(test_writes),         ON_HOST(test_cannot_write),
                ON_HOST(test_look),           ON_HOST(test_copies),
                cmocka_unit_test(test_left),  cmocka_unit_test(test_is_unmerging),
                cmocka_unit_test(test_short),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
