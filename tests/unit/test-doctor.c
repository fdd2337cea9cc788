/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl doctor's checks as functions: literals in, a verdict out; and numbers at their limits. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/classic.h"
#include "src/ctl/doctor.h"

#define GIB_KB          (INT64_C(1024) * 1024)
#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

/* A host on which there is nothing to say. */
static struct doctor_facts healthy(void)
{
        struct doctor_facts facts = {
                .is_root = true,
                .run_writable = 1,
                .schedstat = 1,
                .memory = {.sample = {.total_kb = 32 * GIB_KB,
                                      .free_kb = 12 * GIB_KB,
                                      .available_kb = 12 * GIB_KB,
                                      .swap_free_kb = GIB_KB},
                           .thp = THP_MADVISE,
                           .nodes = 1,
                           .min_free_kb = 67584},
                .config = {.policy = "classic",
                           .classic = CLASSIC_PARAMS_DEFAULT,
                           .interval_usec = 60 * INT64_C(1000000),
                           .kernel = {.value = {-1, -1, -1, -1}}},
        };
        struct status *status = &facts.status;

        status->supported = 1;
        status->page_bytes = 4096;
        status->value[KSM_RUN] = KSM_RUN_MERGE;
        status->value[KSM_FULL_SCANS] = 7;
        status->value[KSM_PAGES_SHARED] = 100;
        status->value[KSM_PAGES_SHARING] = 900;
        status->saved_bytes = 900 * INT64_C(4096);
        status->value[KSM_GENERAL_PROFIT] = status->saved_bytes - 64000;
        status->value[KSM_MAX_PAGE_SHARING] = 256;
        status->value[KSM_SMART_SCAN] = 1;
        status->running = 1;
        status->age_known = true;
        state_init(&status->state);
        status->state.pid = 4711;
        status->state.threshold_kb = 6 * GIB_KB;
        status->state.run = KSM_RUN_MERGE;
        return facts;
}

static struct finding run(const char *id, const struct doctor_facts *facts)
{
        struct finding finding;

        for (size_t i = 0; i < doctor_n_checks; i++)
                if (strcmp(doctor_checks[i].id, id) == 0) {
                        doctor_run(&doctor_checks[i], facts, &finding);
                        return finding;
                }
        fail_msg("there is no check %s", id);
        return (struct finding){.verdict = DOCTOR_OK};
}

/* What holds for every finding. */
static void assert_sound(const struct doctor_check *check, const struct finding *finding)
{
        bool wants_remedy = finding->verdict == DOCTOR_ADVICE || finding->verdict == DOCTOR_TROUBLE;

        if (!*finding->figure || strlen(finding->figure) >= DOCTOR_TEXT_SIZE - 1 ||
            strlen(finding->remedy) >= DOCTOR_TEXT_SIZE - 1)
                fail_msg("%s: '%s' '%s'", check->id, finding->figure, finding->remedy);
        if (wants_remedy && !*finding->remedy)
                fail_msg("%s: '%s' without a remedy", check->id, finding->figure);
}

static void test_healthy(void **state)
{
        struct doctor_facts facts = healthy();

        for (size_t i = 0; i < doctor_n_checks; i++) {
                struct finding finding;

                doctor_run(&doctor_checks[i], &facts, &finding);
                assert_sound(&doctor_checks[i], &finding);
                if (finding.verdict != DOCTOR_OK)
                        fail_msg("%s: %s", doctor_checks[i].id, finding.figure);
        }
}

static void test_ids(void **state)
{
        for (size_t i = 0; i < doctor_n_checks; i++)
                for (size_t j = 0; j < i; j++)
                        assert_string_not_equal(doctor_checks[i].id, doctor_checks[j].id);
}

/* Without KSM what needs it is not checked, and says so. */
static void test_no_ksm(void **state)
{
        static const int supported[] = {0, -EACCES};

        for (size_t s = 0; s < ELEMENTS(supported); s++) {
                struct doctor_facts facts = healthy();

                facts.status.supported = supported[s];
                for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                        facts.status.error[i] = supported[s] ? supported[s] : -EOPNOTSUPP;
                for (size_t i = 0; i < doctor_n_checks; i++) {
                        struct finding finding;

                        doctor_run(&doctor_checks[i], &facts, &finding);
                        assert_sound(&doctor_checks[i], &finding);
                        if (doctor_checks[i].needs_ksm)
                                assert_int_equal(finding.verdict, DOCTOR_UNKNOWN);
                }
                assert_int_equal(run("kernel", &facts).verdict,
                                 supported[s] ? DOCTOR_UNKNOWN : DOCTOR_TROUBLE);
        }
}

/* What each attribute is needed for is unknown without it, and nothing else. */
static void test_each_attribute_unreadable(void **state)
{
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                struct doctor_facts facts = healthy();

                facts.status.error[i] = -EACCES;
                for (size_t c = 0; c < doctor_n_checks; c++) {
                        struct finding finding;

                        doctor_run(&doctor_checks[c], &facts, &finding);
                        assert_sound(&doctor_checks[c], &finding);
                        if (finding.verdict != DOCTOR_OK && finding.verdict != DOCTOR_UNKNOWN)
                                fail_msg("%s: %s", doctor_checks[c].id, finding.figure);
                }
                assert_int_equal(run("files", &facts).verdict, DOCTOR_UNKNOWN);
        }
}

static void test_policies(void **state)
{
        struct doctor_facts facts = healthy();

        facts.memory.psi_error = -EOPNOTSUPP;
        facts.schedstat = 0;
        assert_int_equal(run("psi", &facts).verdict, DOCTOR_OK);
        assert_int_equal(run("schedstat", &facts).verdict, DOCTOR_OK);

        /* The running daemon's counts more than the configuration's. */
        strcpy(facts.status.state.policy, "adaptive");
        assert_int_equal(run("psi", &facts).verdict, DOCTOR_ADVICE);
        assert_int_equal(run("schedstat", &facts).verdict, DOCTOR_ADVICE);
        strcpy(facts.config.policy, "adaptive");
        strcpy(facts.status.state.policy, "classic");
        assert_int_equal(run("psi", &facts).verdict, DOCTOR_OK);
        facts.status.running = 0;
        assert_int_equal(run("psi", &facts).verdict, DOCTOR_ADVICE);
}

/* Profit is told at any loss, but not before a page could have merged. */
static void test_profit(void **state)
{
        struct doctor_facts facts = healthy();

        facts.status.value[KSM_GENERAL_PROFIT] = -1;
        assert_int_equal(run("profit", &facts).verdict, DOCTOR_ADVICE);
        facts.status.value[KSM_FULL_SCANS] = 1;
        assert_int_equal(run("profit", &facts).verdict, DOCTOR_OK);

        facts = healthy();
        facts.status.error[KSM_GENERAL_PROFIT] = -EOPNOTSUPP;
        assert_int_equal(run("profit", &facts).value, 900 * 4096 - 1000 * 64);
}

static void test_settings(void **state)
{
        struct doctor_facts facts = healthy();
        struct finding finding;

        facts.config.kernel.value[KERNEL_MAX_PAGE_SHARING] = 1000;
        finding = run("settings", &facts);
        assert_int_equal(finding.verdict, DOCTOR_ADVICE);
        assert_int_equal(finding.value, facts.status.saved_bytes);
        assert_string_equal(finding.figure, "max_page_sharing is 256 (1000 configured): needs "
                                            "3.5 MiB unmerged, and 12.0 GiB available");
        facts.memory.error = -EACCES;
        finding = run("settings", &facts);
        assert_non_null(strstr(finding.figure, "and it is not known what is available"));
        assert_non_null(strstr(finding.remedy, "There is not room enough now"));

        facts.status.error[KSM_MAX_PAGE_SHARING] = -EACCES;
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_UNKNOWN);
        facts.status.error[KSM_MAX_PAGE_SHARING] = -EOPNOTSUPP;
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_OK);
        facts.config.error = -EBADMSG;
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_UNKNOWN);

        /* smart_scan belongs to the policy that drives passes, while it does. */
        facts = healthy();
        facts.config.kernel.value[KERNEL_SMART_SCAN] = 0;
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_ADVICE);
        strcpy(facts.status.state.policy, "adaptive");
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_OK);
        facts.status.running = 0;
        assert_int_equal(run("settings", &facts).verdict, DOCTOR_ADVICE);
}

static void test_thresholds_of_exposure(void **state)
{
        static const struct {
                int64_t saved_kb, available_kb, swap_kb;
                enum doctor_verdict verdict;
        } cases[] = {
                {0, 0, 0, DOCTOR_OK},
                {1000, 1101, 0, DOCTOR_OK},
                {1000, 1100, 0, DOCTOR_TROUBLE},
                {1000, 1100, 1, DOCTOR_ADVICE},
                {1000, 0, SAMPLE_ABSENT, DOCTOR_TROUBLE},
                {1000, 0, 1101, DOCTOR_ADVICE},
                {1000, SAMPLE_ABSENT, 5000, DOCTOR_UNKNOWN},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct doctor_facts facts = healthy();

                facts.status.saved_bytes = cases[i].saved_kb * 1024;
                facts.memory.sample.available_kb = cases[i].available_kb;
                facts.memory.sample.swap_free_kb = cases[i].swap_kb;
                assert_int_equal(run("exposure", &facts).verdict, cases[i].verdict);
        }
}

static void test_scale(void **state)
{
        assert_int_equal(fact_scale(7, 3, 2), 10);
        assert_int_equal(fact_scale(7, 3, 0), 0);
        assert_int_equal(fact_scale(INT64_MAX, INT64_MAX, INT64_MAX), INT64_MAX);
        assert_int_equal(fact_scale(INT64_MAX, INT64_MAX, 1), INT64_MAX);
        assert_int_equal(fact_scale(INT64_MAX, 2, 4), INT64_MAX / 2);
        assert_int_equal(fact_scale(INT64_MAX - 1, INT64_MAX - 2, INT64_MAX), INT64_MAX - 3);
        assert_int_equal(fact_scale(INT64_MAX / 3, 300, 100), INT64_MAX / 3 * 3);
        assert_int_equal(fact_scale(0, 5, 3), 0);
        assert_int_equal(fact_scale(INT64_C(1000000007) * 1000003, INT64_C(998244353) * 1009,
                                    1000003 * 1009),
                         INT64_C(1000000007) * 998244353);
}

static void set_all(struct doctor_facts *facts, int64_t value)
{
        struct doctor_memory *memory = &facts->memory;
        struct memory_sample *sample = &memory->sample;
        struct state *state = &facts->status.state;

        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                facts->status.value[i] = value;
        facts->status.saved_bytes = facts->status.ksmd_cpu_nsec = facts->status.age_usec = value;
        sample->total_kb = sample->free_kb = sample->buffers_kb = sample->cached_kb = value;
        sample->available_kb = sample->swap_free_kb = value;
        memory->shmem_kb = memory->anon_huge_kb = memory->min_free_kb = value;
        memory->hugepages_kb = memory->hugepages_unused_kb = memory->arc_kb = value;
        memory->arc_min_kb = memory->nodes = value;
        state->threshold_kb = state->interval_usec = state->run = value;
        state->pages_to_scan = state->sleep_msec = value;
        facts->config.interval_usec = facts->config.classic.thres_const_kb = value;
}

/* Nothing overflows (the sanitizers watch), and no text is cut off. */
static void test_extremes(void **state)
{
        static const int64_t values[] = {0, 1, 2, INT64_MAX / 2, INT64_MAX};

        for (size_t i = 0; i < ELEMENTS(values); i++)
                for (int64_t on = 0; on <= 1; on++)
                        for (size_t j = 0; j < ELEMENTS(values); j++) {
                                struct doctor_facts facts = healthy();

                                set_all(&facts, values[i]);
                                facts.status.value[KSM_RUN] = on;
                                facts.status.value[KSM_ADVISOR_MODE] = on;
                                facts.status.value[KSM_STABLE_NODE_DUPS] = values[j];
                                facts.status.value[KSM_MERGE_ACROSS_NODES] = on;
                                facts.status.state.threshold_kb = values[j];
                                facts.memory.sample.total_kb = values[j];
                                facts.memory.thp = on ? THP_ALWAYS : THP_ABSENT;
                                for (size_t c = 0; c < doctor_n_checks; c++) {
                                        struct finding finding;

                                        doctor_run(&doctor_checks[c], &facts, &finding);
                                        assert_sound(&doctor_checks[c], &finding);
                                }
                        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_healthy),  cmocka_unit_test(test_ids),
                cmocka_unit_test(test_no_ksm),   cmocka_unit_test(test_each_attribute_unreadable),
                cmocka_unit_test(test_policies), cmocka_unit_test(test_profit),
                cmocka_unit_test(test_settings), cmocka_unit_test(test_thresholds_of_exposure),
                cmocka_unit_test(test_scale),    cmocka_unit_test(test_extremes),
        };

        return cmocka_run_group_tests_name("doctor", tests, NULL, NULL);
}
