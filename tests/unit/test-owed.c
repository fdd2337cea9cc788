/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is taken from the kernel's settings is given back as it was. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../../src/daemon/owed.h"
#include "capture.h"
#include "made-up-root.h"

static const struct ksm_knobs found = {
        .run = 1, .pages_to_scan = 100, .sleep_millisecs = 20, .smart_scan = 1};

static int64_t get(const struct made_up_root *host, enum ksm_attribute attribute)
{
        int64_t value;

        assert_int_equal(ksm_get(&host->root, attribute, &value), 0);
        return value;
}

static void put_knobs(const struct made_up_root *host)
{
        put(host, KSM_FOLDER "/run", "1\n");
        put(host, KSM_FOLDER "/pages_to_scan", "9000\n");
        put(host, KSM_FOLDER "/sleep_millisecs", "0\n");
        put(host, KSM_FOLDER "/smart_scan", "0\n");
        put(host, KSM_FOLDER "/advisor_mode", "[none] scan-time\n");
}

static void test_nothing(void **state)
{
        struct owed owed = OWED_NOTHING;

        put_knobs(*state);
        assert_true(owed_give_back(&owed, &((struct made_up_root *)*state)->root));
        assert_int_equal(get(*state, KSM_PAGES_TO_SCAN), 9000);
        assert_int_equal(get(*state, KSM_SMART_SCAN), 0);
}

static void test_knobs(void **state)
{
        const struct made_up_root *host = *state;
        const struct ksm_knobs later = {.pages_to_scan = 5000, .smart_scan = 0};
        struct owed owed = OWED_NOTHING;

        put_knobs(host);
        owed_take_knobs(&owed, &found);
        /* The first word counts. */
        owed_take_knobs(&owed, &later);
        assert_true(owed_give_back(&owed, &host->root));
        assert_int_equal(get(host, KSM_PAGES_TO_SCAN), 100);
        assert_int_equal(get(host, KSM_SLEEP_MILLISECS), 20);
        assert_int_equal(get(host, KSM_SMART_SCAN), 1);
        assert_int_equal(get(host, KSM_RUN), 1);

        /* And only once. */
        put_knobs(host);
        assert_true(owed_give_back(&owed, &host->root));
        assert_int_equal(get(host, KSM_PAGES_TO_SCAN), 9000);
}

/* What this kernel does not have was not taken. */
static void test_old_kernel(void **state)
{
        const struct made_up_root *host = *state;
        struct ksm_knobs old = found;
        struct owed owed = OWED_NOTHING;

        put(host, KSM_FOLDER "/pages_to_scan", "9000\n");
        put(host, KSM_FOLDER "/sleep_millisecs", "0\n");
        old.smart_scan = SAMPLE_ABSENT;
        owed_take_knobs(&owed, &old);
        assert_true(owed_give_back(&owed, &host->root));
        assert_int_equal(get(host, KSM_PAGES_TO_SCAN), 100);
}

/* ksmd that works is stopped; one that is not, or that unmerges, is left alone. */
static void test_pass(void **state)
{
        static const struct {
                const char *run;
                int64_t then;
        } cases[] = {{"1\n", KSM_RUN_STOP}, {"0\n", KSM_RUN_STOP}, {"2\n", KSM_RUN_UNMERGE}};
        const struct made_up_root *host = *state;

        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct owed owed = OWED_NOTHING;

                put_knobs(host);
                put(host, KSM_FOLDER "/run", cases[i].run);
                owed.pass = true;
                assert_true(owed_anything(&owed));
                assert_true(owed_give_back(&owed, &host->root));
                assert_int_equal(get(host, KSM_RUN), cases[i].then);
                assert_false(owed_anything(&owed));
        }
}

/* Somebody has switched it on: the kernel would not take pages_to_scan. */
static void test_advisor_of_somebody(void **state)
{
        const struct made_up_root *host = *state;
        struct owed owed = OWED_NOTHING;

        put_knobs(host);
        put(host, KSM_FOLDER "/advisor_mode", "none [scan-time]\n");
        owed_take_knobs(&owed, &found);
        assert_true(owed_give_back(&owed, &host->root));
        assert_int_equal(get(host, KSM_PAGES_TO_SCAN), 9000);
        assert_int_equal(get(host, KSM_SLEEP_MILLISECS), 20);
        assert_int_equal(get(host, KSM_SMART_SCAN), 1);
}

/* No smart_scan, no advisor, no run: the others are given back, and nothing is forgotten. */
static void test_failure(void **state)
{
        const struct made_up_root *host = *state;
        struct owed owed = OWED_NOTHING;
        struct capture capture;
        char text[1024];
        bool done;

        put(host, KSM_FOLDER "/pages_to_scan", "9000\n");
        put(host, KSM_FOLDER "/sleep_millisecs", "0\n");
        owed_take_knobs(&owed, &found);
        owed.advisor_mode = KSM_ADVISOR_SCAN_TIME;
        owed.pass = true;
        capture_begin(&capture, stderr);
        done = owed_give_back(&owed, &host->root);
        (void)capture_end(&capture, text, sizeof(text));
        assert_false(done);
        assert_non_null(strstr(text, "cannot end the pass: writing 0 to run"));
        assert_non_null(strstr(text, "cannot set smart_scan back to 1"));
        assert_non_null(strstr(text, "cannot give KSM back to the kernel's advisor"));
        assert_int_equal(get(host, KSM_SLEEP_MILLISECS), 20);
        assert_int_equal(owed.smart_scan, 1);
        assert_int_equal(owed.pages_to_scan, 100);
        assert_int_equal(owed.advisor_mode, KSM_ADVISOR_SCAN_TIME);
        assert_true(owed.pass);

        put_knobs(host);
        capture_begin(&capture, stderr);
        done = owed_give_back(&owed, &host->root);
        (void)capture_end(&capture, text, sizeof(text));
        assert_true(done);
        assert_int_equal(get(host, KSM_RUN), KSM_RUN_STOP);
        assert_int_equal(get(host, KSM_SMART_SCAN), 1);
        assert_false(owed_anything(&owed));
}

static void assert_same(const struct owed *a, const struct owed *b)
{
        assert_int_equal(a->advisor_mode, b->advisor_mode);
        assert_int_equal(a->smart_scan, b->smart_scan);
        assert_int_equal(a->pages_to_scan, b->pages_to_scan);
        assert_int_equal(a->sleep_millisecs, b->sleep_millisecs);
        assert_int_equal(a->pass, b->pass);
}

static void test_state(void **state)
{
        struct owed owed = OWED_NOTHING, read = OWED_NOTHING;
        struct state file;

        state_init(&file);
        owed_from_state(&read, &file);
        assert_same(&read, &owed);
        /* Classic lets ksmd run. */
        file.run = KSM_RUN_MERGE;
        owed_from_state(&read, &file);
        assert_same(&read, &owed);

        owed_take_knobs(&owed, &found);
        owed.advisor_mode = KSM_ADVISOR_SCAN_TIME;
        owed.pass = true;
        owed_to_state(&owed, &file);
        owed_from_state(&read, &file);
        assert_same(&read, &owed);
        file.run = KSM_RUN_STOP;
        owed.pass = false;
        owed_from_state(&read, &file);
        assert_same(&read, &owed);

        file.smart_scan_before = 7;
        file.pages_to_scan_before = -5;
        file.sleep_msec_before = INT64_MAX;
        file.advisor_before = 2;
        owed_from_state(&read, &file);
        assert_false(owed_anything(&read));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_nothing, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_knobs, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_old_kernel, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_pass, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_advisor_of_somebody, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_failure, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test(test_state),
        };

        return cmocka_run_group_tests_name("owed", tests, NULL, NULL);
}
