/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The classic policy on literals: at its thresholds, at their ends, and on what nobody has. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ksmtuned/policy.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static struct decision decide(struct classic_state *state, int64_t total_kb, int64_t free_kb,
                              int64_t committed_kb)
{
        const struct classic_params params = CLASSIC_PARAMS_DEFAULT;
        const struct sample sample = {
                .memory = {.total_kb = total_kb, .free_kb = free_kb},
                .guests = {.committed_kb = committed_kb},
        };
        struct decision decision;

        classic_decide(&params, state, &sample, &decision);
        return decision;
}

static void test_all_zero(void **state)
{
        const struct sample sample = {.memory = {.total_kb = 0}};
        const struct policy_settings settings = {.kind = POLICY_CLASSIC};
        struct policy_state policy_state = {0};
        struct decision decision;

        policy_decide(&settings, &policy_state, &sample, 0, &decision);
        assert_int_equal(decision.verdict, VERDICT_NONE);
        assert_int_equal(decision.phase, PHASE_UNDECIDED);
        assert_int_equal(decision.pages_to_scan, 0);
        assert_int_equal(decision.sleep_millisecs, 10);
        assert_int_equal(decision.total_kb, 0);
        assert_int_equal(decision.free_kb, 0);
        assert_int_equal(decision.committed_kb, 0);
        assert_int_equal(decision.threshold_kb, 0);
        assert_int_equal(policy_state.classic.npages, 0);
}

/* Without a total nothing is decided and nothing forgotten. */
static void test_total_of_nothing(void **state)
{
        const int64_t totals[] = {0, -1, INT64_MIN};

        for (size_t i = 0; i < ELEMENTS(totals); i++) {
                struct classic_state classic = {.npages = 400};
                struct decision decision = decide(&classic, totals[i], 100, 100);

                assert_int_equal(decision.verdict, VERDICT_NONE);
                assert_int_equal(decision.phase, PHASE_UNDECIDED);
                assert_int_equal(decision.pages_to_scan, 400);
                assert_int_equal(decision.sleep_millisecs, 10);
                assert_int_equal(classic.npages, 400);
        }
}

/* 1,000,000 kB and 20 %: the threshold is 200,000 kB. */
static void test_at_the_threshold(void **state)
{
        static const struct {
                int64_t free_kb, committed_kb;
                enum verdict verdict;
                enum phase phase;
        } cases[] = {
                {200001, 799999, VERDICT_STOP, PHASE_OFF},
                {200000, 799999, VERDICT_START, PHASE_DECAY},
                {199999, 799999, VERDICT_START, PHASE_BOOST},
                {200001, 800000, VERDICT_START, PHASE_DECAY},
                {200000, 800000, VERDICT_START, PHASE_DECAY},
                {199999, 800000, VERDICT_START, PHASE_BOOST},
                {200001, 800001, VERDICT_START, PHASE_DECAY},
                {1000000, 0, VERDICT_STOP, PHASE_OFF},
                {0, 0, VERDICT_START, PHASE_BOOST},
                {1000000, 1000000, VERDICT_START, PHASE_DECAY},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct classic_state classic = {.npages = 500};
                struct decision decision =
                        decide(&classic, 1000000, cases[i].free_kb, cases[i].committed_kb);

                assert_int_equal(decision.threshold_kb, 200000);
                assert_int_equal(decision.verdict, cases[i].verdict);
                assert_int_equal(decision.phase, cases[i].phase);
                assert_int_equal(decision.pages_to_scan, cases[i].phase == PHASE_OFF     ? 500
                                                         : cases[i].phase == PHASE_BOOST ? 800
                                                                                         : 450);
                assert_int_equal(classic.npages, decision.pages_to_scan);
                assert_int_equal(decision.free_kb, cases[i].free_kb);
                assert_int_equal(decision.committed_kb, cases[i].committed_kb);
                assert_int_equal(decision.total_kb, 1000000);
        }
}

static void test_pages_stay_in_their_range(void **state)
{
        struct classic_state classic = {0};
        static const int64_t boosted[] = {300, 600, 900, 1200, 1250, 1250};
        static const int64_t decayed[] = {1200, 1150, 1100};

        for (size_t i = 0; i < ELEMENTS(boosted); i++)
                assert_int_equal(decide(&classic, 1000000, 0, 0).pages_to_scan, boosted[i]);
        /* Kept while KSM is stopped. */
        assert_int_equal(decide(&classic, 1000000, 900000, 0).verdict, VERDICT_STOP);
        assert_int_equal(decide(&classic, 1000000, 900000, 0).pages_to_scan, 1250);
        for (size_t i = 0; i < ELEMENTS(decayed); i++)
                assert_int_equal(decide(&classic, 1000000, 900000, 900000).pages_to_scan,
                                 decayed[i]);
        for (unsigned i = 0; i < 100; i++)
                (void)decide(&classic, 1000000, 900000, 900000);
        assert_int_equal(classic.npages, 64);
}

/* The test of MIN comes first, so the two take turns. */
static void test_min_above_max(void **state)
{
        struct classic_params params = CLASSIC_PARAMS_DEFAULT;
        const struct sample sample = {.memory = {.total_kb = 1000000}};
        struct classic_state classic = {0};
        struct decision decision;

        params.npages_min = 2000;
        params.npages_max = 100;
        for (unsigned i = 0; i < 6; i++) {
                classic_decide(&params, &classic, &sample, &decision);
                assert_int_equal(decision.pages_to_scan, i % 2 == 0 ? 2000 : 100);
        }
}

static void test_threshold(void **state)
{
        static const struct {
                int64_t total_kb, coef, const_kb, threshold_kb;
        } cases[] = {
                {0, 20, 2048, 2048},
                {10239, 20, 2048, 2048},
                {10240, 20, 2048, 2048},
                {10245, 20, 2048, 2049},
                {99, 1, 0, 0},
                {199, 1, 0, 1},
                {1000000, 0, 0, 0},
                {1000000, 101, 0, 1010000},
                {1000000, 100, 5000000, 5000000},
                {INT64_MAX, 20, 2048, INT64_MAX / 100},
                {INT64_MAX, INT64_MAX, 0, INT64_MAX / 100},
                {1, INT64_MAX, 0, INT64_MAX / 100},
                {1, 0, INT64_MAX, INT64_MAX},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct classic_params params = CLASSIC_PARAMS_DEFAULT;

                params.thres_coef = cases[i].coef;
                params.thres_const_kb = cases[i].const_kb;
                assert_int_equal(classic_threshold_kb(&params, cases[i].total_kb),
                                 cases[i].threshold_kb);
        }
}

static void test_sleep(void **state)
{
        static const struct {
                int64_t total_kb, sleep_msec, sleep_millisecs;
        } cases[] = {
                {16777216, 10, 10},
                {16777216, 11, 11},
                {16777217, 11, 10},
                {8388608, 10, 20},
                {1048576, 10, 160},
                {33554432, 10, 10},
                {1, 10, 167772160},
                {0, 10, 10},
                {-5, 10, 10},
                {INT64_MAX, 10, 10},
                {1, INT64_MAX, UINT32_MAX},
                {16777216, UINT32_MAX, UINT32_MAX},
                {16777216, INT64_C(1) << 32, UINT32_MAX},
                {16777217, UINT32_MAX, 4294967039},
                {16777216, 0, 10},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct classic_params params = CLASSIC_PARAMS_DEFAULT;

                params.sleep_msec = cases[i].sleep_msec;
                assert_int_equal(classic_sleep_msec(&params, cases[i].total_kb),
                                 cases[i].sleep_millisecs);
        }
}

/* Every combination of extremes: nothing wraps (the sanitizers watch), and npages stays in range.
 */
static void test_extremes(void **state)
{
        const int64_t values[] = {INT64_MIN, -1, 0, 1, INT64_MAX / 2, INT64_MAX - 1, INT64_MAX};
        size_t n = ELEMENTS(values);

        for (size_t i = 0; i < n * n * n * n; i++) {
                const struct sample sample = {
                        .memory = {.total_kb = values[i % n],
                                   .free_kb = values[i / n % n],
                                   .buffers_kb = values[i / n % n],
                                   .cached_kb = values[i / n / n % n]},
                        .guests = {.committed_kb = values[i / n / n / n]},
                };
                const struct classic_params params = {
                        .sleep_msec = values[i % n],
                        .npages_boost = values[i / n % n],
                        .npages_decay = values[i / n / n % n],
                        .npages_min = 64,
                        .npages_max = 1250,
                        .thres_coef = values[i / n / n / n],
                        .thres_const_kb = values[i % n],
                };
                struct classic_state classic = {.npages = 64};
                struct decision decision;

                classic_decide(&params, &classic, &sample, &decision);
                assert_int_equal(decision.verdict == VERDICT_NONE, sample.memory.total_kb <= 0);
                assert_true(classic.npages >= 64 && classic.npages <= 1250);
                assert_true(decision.sleep_millisecs >= 10 &&
                            decision.sleep_millisecs <= UINT32_MAX);
        }
}

static void test_saturating(void **state)
{
        assert_true(saturating_add(INT64_MAX, 1) == INT64_MAX);
        assert_true(saturating_add(INT64_MIN, -1) == INT64_MIN);
        assert_true(saturating_add(INT64_MAX, INT64_MIN) == -1);
        assert_true(saturating_add(2, 3) == 5);
        assert_true(saturating_mul(INT64_MAX, 2) == INT64_MAX);
        assert_true(saturating_mul(INT64_MIN, 2) == INT64_MIN);
        assert_true(saturating_mul(2, INT64_MIN) == INT64_MIN);
        assert_true(saturating_mul(INT64_MIN, -1) == INT64_MAX);
        assert_true(saturating_mul(-3, 5) == -15);
        assert_true(saturating_mul(INT64_MIN, 0) == 0);
}

static void test_saved_bytes(void **state)
{
        static const struct {
                int64_t sharing, zero_pages, page_bytes, bytes;
        } cases[] = {
                {0, 0, 4096, 0},
                {10, 0, 4096, 40960},
                {10, 5, 4096, 61440},
                {10, SAMPLE_ABSENT, 4096, 40960},
                {SAMPLE_ABSENT, SAMPLE_ABSENT, 4096, 0},
                {SAMPLE_ABSENT, 3, 16384, 49152},
                {INT64_MAX, INT64_MAX, 4096, INT64_MAX},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const struct ksm_sample ksm = {
                        .pages_sharing = cases[i].sharing,
                        .ksm_zero_pages = cases[i].zero_pages,
                        .page_bytes = cases[i].page_bytes,
                };

                assert_true(ksm_saved_bytes(&ksm) == cases[i].bytes);
        }
}

static void test_reclaimable(void **state)
{
        const struct memory_sample some = {.free_kb = 1, .buffers_kb = 20, .cached_kb = 300};
        const struct memory_sample much = {
                .free_kb = INT64_MAX, .buffers_kb = INT64_MAX, .cached_kb = INT64_MAX};

        assert_int_equal(memory_reclaimable_kb(&some), 321);
        assert_true(memory_reclaimable_kb(&much) == INT64_MAX);
}

static void test_names(void **state)
{
        assert_string_equal(policy_name(POLICY_CLASSIC), "classic");
        assert_string_equal(decision_phase_name(PHASE_UNDECIDED), "undecided");
        assert_string_equal(decision_phase_name(PHASE_OFF), "off");
        assert_string_equal(decision_phase_name(PHASE_BOOST), "boost");
        assert_string_equal(decision_phase_name(PHASE_DECAY), "decay");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_zero),
                cmocka_unit_test(test_total_of_nothing),
                cmocka_unit_test(test_at_the_threshold),
                cmocka_unit_test(test_pages_stay_in_their_range),
                cmocka_unit_test(test_min_above_max),
                cmocka_unit_test(test_threshold),
                cmocka_unit_test(test_sleep),
                cmocka_unit_test(test_extremes),
                cmocka_unit_test(test_saturating),
                cmocka_unit_test(test_saved_bytes),
                cmocka_unit_test(test_reclaimable),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests_name("classic", tests, NULL, NULL);
}
