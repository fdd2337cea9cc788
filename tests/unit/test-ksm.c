/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The attributes of KSM, each of them, and ksmd's accounting. */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksm-help.h"

#define UINT_MAX_TEXT "4294967295"

/* Apart from the code under test: what the kernel's documentation says of each. */
static const struct attribute_case {
        const char *name, *since;
        bool writable;
        int64_t min, max;
} attribute_cases[KSM_ATTRIBUTE_COUNT] = {
        [KSM_RUN] = {"run", "2.6.32", true, 0, 2},
        [KSM_PAGES_TO_SCAN] = {"pages_to_scan", "2.6.32", true, 0, UINT32_MAX},
        [KSM_SLEEP_MILLISECS] = {"sleep_millisecs", "2.6.32", true, 0, UINT32_MAX},
        [KSM_PAGES_SHARED] = {"pages_shared", "2.6.32", false, 0, INT64_MAX},
        [KSM_PAGES_SHARING] = {"pages_sharing", "2.6.32", false, 0, INT64_MAX},
        [KSM_PAGES_UNSHARED] = {"pages_unshared", "2.6.32", false, 0, INT64_MAX},
        [KSM_PAGES_VOLATILE] = {"pages_volatile", "2.6.32", false, 0, INT64_MAX},
        [KSM_FULL_SCANS] = {"full_scans", "2.6.32", false, 0, INT64_MAX},
        [KSM_MAX_KERNEL_PAGES] = {"max_kernel_pages", "2.6.32", true, 0, INT64_MAX},
        [KSM_MERGE_ACROSS_NODES] = {"merge_across_nodes", "3.9", true, 0, 1},
        [KSM_USE_ZERO_PAGES] = {"use_zero_pages", "4.11", true, 0, 1},
        [KSM_MAX_PAGE_SHARING] = {"max_page_sharing", "4.13", true, 2, INT32_MAX},
        [KSM_STABLE_NODE_CHAINS] = {"stable_node_chains", "4.13", false, 0, INT64_MAX},
        [KSM_STABLE_NODE_DUPS] = {"stable_node_dups", "4.13", false, 0, INT64_MAX},
        [KSM_STABLE_NODE_CHAINS_PRUNE_MILLISECS] = {"stable_node_chains_prune_millisecs", "4.13",
                                                    true, 0, UINT32_MAX},
        [KSM_GENERAL_PROFIT] = {"general_profit", "6.4", false, INT64_MIN, INT64_MAX},
        [KSM_PAGES_SCANNED] = {"pages_scanned", "6.6", false, 0, INT64_MAX},
        [KSM_ZERO_PAGES] = {"ksm_zero_pages", "6.6", false, INT64_MIN, INT64_MAX},
        [KSM_SMART_SCAN] = {"smart_scan", "6.7", true, 0, 1},
        [KSM_PAGES_SKIPPED] = {"pages_skipped", "6.7", false, 0, INT64_MAX},
        [KSM_ADVISOR_MODE] = {"advisor_mode", "6.8", true, 0, 1},
        [KSM_ADVISOR_TARGET_SCAN_TIME] = {"advisor_target_scan_time", "6.8", true, 0, INT64_MAX},
        [KSM_ADVISOR_MAX_CPU] = {"advisor_max_cpu", "6.8", true, 0, UINT32_MAX},
        [KSM_ADVISOR_MIN_PAGES_TO_SCAN] = {"advisor_min_pages_to_scan", "6.8", true, 0, INT64_MAX},
        [KSM_ADVISOR_MAX_PAGES_TO_SCAN] = {"advisor_max_pages_to_scan", "6.8", true, 0, INT64_MAX},
};

static const char *advisor_text(int64_t mode)
{
        return mode == 0 ? "[none] scan-time\n" : "none [scan-time]\n";
}

static void assert_gets(const struct made_up_root *host, enum ksm_attribute attribute,
                        const char *text, int expected_r, int64_t expected)
{
        int64_t value = -99;
        int r;

        put_ksm(host, attribute, text);
        r = ksm_get(&host->root, attribute, &value);
        if (r != expected_r)
                fail_msg("%s: '%s': %s", ksm_attribute_info(attribute)->name, text, strerror(-r));
        assert_true(value == (r < 0 ? -99 : expected));
}

static void test_table(void **state)
{
        for (unsigned i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                const struct ksm_attribute_info *info = ksm_attribute_info(i);
                const struct attribute_case *expected = &attribute_cases[i];

                assert_string_equal(info->name, expected->name);
                assert_string_equal(info->since, expected->since);
                assert_int_equal(info->writable, expected->writable);
                assert_true(info->min == expected->min && info->max == expected->max);
        }
}

/* Every attribute: absent, its least and its greatest value, and one beyond each. */
static void test_get_each(void **state)
{
        const struct made_up_root *host = *state;

        for (unsigned i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                const struct attribute_case *info = &attribute_cases[i];
                int64_t value = -99;
                char text[64];

                assert_int_equal(ksm_get(&host->root, i, &value), -EOPNOTSUPP);
                assert_true(value == -99);
                if (i == KSM_ADVISOR_MODE) {
                        assert_gets(host, i, advisor_text(0), 0, 0);
                        assert_gets(host, i, advisor_text(1), 0, 1);
                        continue;
                }
                (void)snprintf(text, sizeof(text), "%" PRId64 "\n", info->min);
                assert_gets(host, i, text, 0, info->min);
                (void)snprintf(text, sizeof(text), "%" PRId64 "\n", info->max);
                assert_gets(host, i, text, 0, info->max);
                (void)snprintf(text, sizeof(text), "%" PRId64, info->max);
                assert_gets(host, i, text, 0, info->max);
                if (info->min > INT64_MIN)
                        (void)snprintf(text, sizeof(text), "%" PRId64 "\n", info->min - 1);
                else
                        (void)strcpy(text, "-9223372036854775809\n");
                assert_gets(host, i, text, -EBADMSG, 0);
                if (info->max < INT64_MAX)
                        (void)snprintf(text, sizeof(text), "%" PRId64 "\n", info->max + 1);
                else
                        (void)strcpy(text, "9223372036854775808\n");
                assert_gets(host, i, text, -EBADMSG, 0);
        }
}

static void test_get_garbage(void **state)
{
        static const char *const texts[] = {
                "",
                "\n",
                " 1\n",
                "1 \n",
                "1\n\n",
                "1\n2\n",
                "+1\n",
                "0x1\n",
                "1.0\n",
                "1e0\n",
                "one\n",
                "-\n",
                "--1\n",
                "1,000\n",
                "\xff\xfe\n",
                "18446744073709551616\n",
                "1234567890123456789012345678901234567890123456789012345678901234567890\n",
        };
        static const char *const advisor_texts[] = {
                "",          "\n",      "none scan-time\n",
                "[none\n",   "none]\n", "[]\n",
                "[nonee]\n", "[non]\n", "[new-mode] none scan-time\n",
        };
        const struct made_up_root *host = *state;

        for (unsigned i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                for (size_t j = 0; j < ELEMENTS(texts); j++)
                        assert_gets(host, i, texts[j], -EBADMSG, 0);
        for (size_t j = 0; j < ELEMENTS(advisor_texts); j++)
                assert_gets(host, KSM_ADVISOR_MODE, advisor_texts[j], -EBADMSG, 0);
        assert_gets(host, KSM_ADVISOR_MODE, "first [scan-time] and more\n", 0, 1);
}

static void test_get_errors(void **state)
{
        const struct made_up_root *host = *state;
        int64_t value;

        put_folder(host, KSM_FOLDER "/run");
        assert_int_equal(ksm_get(&host->root, KSM_RUN, &value), -EISDIR);
        put_fifo(host, KSM_FOLDER "/full_scans");
        assert_int_equal(ksm_get(&host->root, KSM_FULL_SCANS, &value), -ESPIPE);
        put_ksm(host, KSM_PAGES_SHARED, "1\n");
        put_mode(host, KSM_FOLDER "/pages_shared", 0);
        become_ordinary();
        assert_int_equal(ksm_get(&host->root, KSM_PAGES_SHARED, &value), -EACCES);
}

static void test_set_each(void **state)
{
        const struct made_up_root *host = *state;

        for (unsigned i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                const struct attribute_case *info = &attribute_cases[i];
                const int64_t values[] = {info->min, info->max};

                if (!info->writable) {
                        assert_int_equal(ksm_set(&host->root, i, 1), -EPERM);
                        put_ksm(host, i, "77\n");
                        assert_int_equal(ksm_set(&host->root, i, 1), -EPERM);
                        assert_ksm(host, i, "77\n");
                        continue;
                }
                assert_int_equal(ksm_set(&host->root, i, info->min), -EOPNOTSUPP);
                put_ksm(host, i, "a text that is longer than any number\n");
                for (size_t j = 0; j < ELEMENTS(values); j++) {
                        char text[64];

                        assert_int_equal(ksm_set(&host->root, i, values[j]), 0);
                        if (i == KSM_ADVISOR_MODE)
                                (void)snprintf(text, sizeof(text), "%s\n",
                                               values[j] == 0 ? "none" : "scan-time");
                        else
                                (void)snprintf(text, sizeof(text), "%" PRId64 "\n", values[j]);
                        assert_ksm(host, i, text);
                }
                put_ksm(host, i, "77\n");
                assert_int_equal(ksm_set(&host->root, i, info->min - 1), -ERANGE);
                if (info->max < INT64_MAX)
                        assert_int_equal(ksm_set(&host->root, i, info->max + 1), -ERANGE);
                assert_ksm(host, i, "77\n");
        }
}

static void test_supported(void **state)
{
        const struct made_up_root *host = *state;

        assert_int_equal(ksm_supported(&host->root), 0);
        put_folder(host, KSM_FOLDER);
        assert_int_equal(ksm_supported(&host->root), 0);
        put_ksm(host, KSM_RUN, "0\n");
        assert_int_equal(ksm_supported(&host->root), 1);
        put_mode(host, KSM_FOLDER, 0);
        become_ordinary();
        assert_int_equal(ksm_supported(&host->root), -EACCES);
        become_self();
        put_mode(host, KSM_FOLDER, 0755);
}

static void test_sample(void **state)
{
        const struct made_up_root *host = *state;
        static const enum ksm_attribute counters[] = {KSM_FULL_SCANS, KSM_PAGES_SHARED,
                                                      KSM_PAGES_SHARING, KSM_PAGES_UNSHARED,
                                                      KSM_PAGES_VOLATILE};
        struct ksm_sample before, sample;

        memset(&before, 0x5a, sizeof(before));
        before.ksmd_cpu_nsec = 4711;
        sample = before;
        assert_int_equal(ksm_sample(&host->root, &sample), -EOPNOTSUPP);
        put_ksm(host, KSM_RUN, "1\n");
        assert_int_equal(ksm_sample(&host->root, &sample), -EOPNOTSUPP);
        put_ksm(host, KSM_PAGES_TO_SCAN, "100\n");
        assert_int_equal(ksm_sample(&host->root, &sample), -EOPNOTSUPP);
        assert_memory_equal(&sample, &before, sizeof(sample));

        /* The knobs alone make a KSM; a kernel that lacks a counter has just that one absent. */
        put_ksm(host, KSM_SLEEP_MILLISECS, "20\n");
        assert_int_equal(ksm_sample(&host->root, &sample), 0);
        assert_int_equal(sample.run, 1);
        assert_int_equal(sample.pages_to_scan, 100);
        assert_int_equal(sample.sleep_millisecs, 20);
        assert_int_equal(sample.full_scans, SAMPLE_ABSENT);
        assert_int_equal(sample.pages_volatile, SAMPLE_ABSENT);
        assert_int_equal(sample.ksm_zero_pages, SAMPLE_ABSENT);
        assert_int_equal(sample.pages_scanned, SAMPLE_ABSENT);
        assert_int_equal(sample.pages_skipped, SAMPLE_ABSENT);
        assert_int_equal(sample.smart_scan, SAMPLE_ABSENT);
        assert_int_equal(sample.page_bytes, sysconf(_SC_PAGESIZE));
        assert_int_equal(sample.ksmd_cpu_nsec, 4711);

        for (size_t i = 0; i < ELEMENTS(counters); i++) {
                char text[16];

                (void)snprintf(text, sizeof(text), "%zu\n", i + 1);
                put_ksm(host, counters[i], text);
        }
        put_ksm(host, KSM_ZERO_PAGES, "-3\n");
        put_ksm(host, KSM_PAGES_SCANNED, "77\n");
        put_ksm(host, KSM_PAGES_SKIPPED, "78\n");
        put_ksm(host, KSM_SMART_SCAN, "1\n");
        assert_int_equal(ksm_sample(&host->root, &sample), 0);
        assert_int_equal(sample.full_scans, 1);
        assert_int_equal(sample.pages_shared, 2);
        assert_int_equal(sample.pages_sharing, 3);
        assert_int_equal(sample.pages_unshared, 4);
        assert_int_equal(sample.pages_volatile, 5);
        assert_int_equal(sample.ksm_zero_pages, -3);
        assert_int_equal(sample.pages_scanned, 77);
        assert_int_equal(sample.pages_skipped, 78);
        assert_int_equal(sample.smart_scan, 1);

        before = sample;
        put_ksm(host, KSM_PAGES_SHARED, "rubbish\n");
        assert_int_equal(ksm_sample(&host->root, &sample), -EBADMSG);
        assert_memory_equal(&sample, &before, sizeof(sample));
}

static void test_reader(void **state)
{
        const struct made_up_root *host = *state;
        struct ksm_sample sample = {.run = -7};
        struct ksm_reader *reader;
        struct ksmd ksmd = {.pid = -1};
        int64_t value = -7;

        assert_int_equal(ksm_reader_new(&reader, &host->root), 0);
        assert_int_equal(ksm_reader_get(reader, KSM_RUN, &value), -EOPNOTSUPP);
        assert_int_equal(ksm_reader_sample(reader, &ksmd, &sample), -EOPNOTSUPP);
        assert_int_equal(sample.run, -7);
        put_ksm(host, KSM_RUN, "1\n");
        put_ksm(host, KSM_PAGES_TO_SCAN, "100\n");
        put_ksm(host, KSM_SLEEP_MILLISECS, "20\n");
        assert_int_equal(ksm_reader_sample(reader, &ksmd, &sample), 0);
        assert_int_equal(sample.run, 1);
        assert_int_equal(sample.full_scans, SAMPLE_ABSENT);
        assert_int_equal(sample.ksmd_cpu_nsec, SAMPLE_ABSENT);

        ksmd.pid = 39;
        put(host, "/proc/39/schedstat", "4711 55 66\n");
        put_ksm(host, KSM_RUN, "0\n");
        put_ksm(host, KSM_FULL_SCANS, "3\n");
        put_ksm(host, KSM_ADVISOR_MODE, "none [scan-time]\n");
        assert_int_equal(ksm_reader_sample(reader, &ksmd, &sample), 0);
        assert_int_equal(sample.run, 0);
        assert_int_equal(sample.full_scans, 3);
        assert_int_equal(sample.ksmd_cpu_nsec, 4711);
        /* The kernel has stopped keeping them: clock ticks. */
        put(host, "/proc/39/schedstat", "0 0 0\n");
        put(host, "/proc/39/stat",
            "39 (ksmd) S 2 0 0 0 -1 2129984 0 0 0 0 500 34 0 0 25 5 1 0 29 0 0 0 0\n");
        assert_int_equal(ksm_reader_sample(reader, &ksmd, &sample), 0);
        assert_int_equal(sample.ksmd_cpu_nsec, 534 * (INT64_C(1000000000) / sysconf(_SC_CLK_TCK)));
        assert_int_equal(ksm_reader_get(reader, KSM_ADVISOR_MODE, &value), 0);
        assert_int_equal(value, KSM_ADVISOR_SCAN_TIME);

        put_ksm(host, KSM_FULL_SCANS, "rubbish\n");
        assert_int_equal(ksm_reader_sample(reader, &ksmd, &sample), -EBADMSG);
        put_ksm(host, KSM_FULL_SCANS,
                "1000000000000000000000000000000000000000000000000000000000000000000\n");
        assert_int_equal(ksm_reader_get(reader, KSM_FULL_SCANS, &value), -EBADMSG);
        ksm_reader_free(reader);
}

/* This kernel's own, through files that stay open: the knobs as they read by name. */
static void test_reader_real(void **state)
{
        static const enum ksm_attribute knobs[] = {KSM_FULL_SCANS, KSM_MAX_PAGE_SHARING,
                                                   KSM_MAX_KERNEL_PAGES};
        struct sysroot root;
        struct ksm_reader *reader;

        assert_int_equal(sysroot_open(&root, "/"), 0);
        assert_int_equal(ksm_reader_new(&reader, &root), 0);
        for (int i = 0; i < 2 * (int)ELEMENTS(knobs); i++) {
                enum ksm_attribute knob = knobs[i % (int)ELEMENTS(knobs)];
                int64_t value = -7, early = -7, late = -7;
                int r = ksm_get(&root, knob, &early);

                assert_int_equal(ksm_reader_get(reader, knob, &value), r);
                assert_int_equal(ksm_get(&root, knob, &late), r);
                /* Somebody may be using it. */
                assert_true(value >= early && value <= late);
        }
        ksm_reader_free(reader);
        sysroot_close(&root);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_table),
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_get_each),     ON_A_HOST(test_get_garbage),
                ON_A_HOST(test_get_errors),   ON_A_HOST(test_set_each),
                ON_A_HOST(test_supported),    ON_A_HOST(test_sample),
                ON_A_HOST(test_reader),       cmocka_unit_test(test_reader_real),
        };

        return cmocka_run_group_tests_name("ksm", tests, NULL, NULL);
}
