/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The kernel's settings beside those that are wanted: what can be written, and what is written. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ksm-set-fails.h"
#include "ksmtuned/ksm-settings.h"
#include "settings-help.h"

static const struct kernel_settings nothing = {.value = {-1, -1, -1, -1}};
static const struct kernel_settings all = {.value = {0, 1000, 1, 0}};

static void put_settings(const struct made_up_root *host, const char *pages_shared)
{
        memset(&ksm_set_fails, 0, sizeof(ksm_set_fails));
        put_ksm(host, KSM_PAGES_SHARED, pages_shared);
        put_ksm(host, KSM_MERGE_ACROSS_NODES, "1\n");
        put_ksm(host, KSM_MAX_PAGE_SHARING, "256\n");
        put_ksm(host, KSM_USE_ZERO_PAGES, "0\n");
        put_ksm(host, KSM_SMART_SCAN, "1\n");
}

static void assert_settings(const struct made_up_root *host, const char *across,
                            const char *sharing, const char *zero, const char *smart)
{
        assert_ksm(host, KSM_MERGE_ACROSS_NODES, across);
        assert_ksm(host, KSM_MAX_PAGE_SHARING, sharing);
        assert_ksm(host, KSM_USE_ZERO_PAGES, zero);
        assert_ksm(host, KSM_SMART_SCAN, smart);
}

/* The keys are those of the configuration, with the ranges of the kernel's files. */
static void test_keys(void **state)
{
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                const struct kernel_setting_info *info =
                        kernel_setting_info((enum kernel_setting)i);
                const struct ksm_attribute_info *attribute = ksm_attribute_info(info->attribute);
                enum key key = key_find(info->key);

                assert_int_not_equal(key, KEY_COUNT);
                assert_int_equal(key_infos[key].min, attribute->min);
                assert_int_equal(key_infos[key].max, attribute->max);
                assert_int_equal(key_infos[key].offset,
                                 offsetof(struct settings, kernel.value) + (size_t)i * 8);
                assert_true(attribute->writable);
                assert_string_equal(kernel_setting_name((enum kernel_setting)i), attribute->name);
        }
}

static void test_judge(void **state)
{
        static const struct {
                int64_t want, now, pages_shared;
                enum kernel_setting setting;
                int read_error;
                enum kernel_setting_state state;
        } cases[] = {
                {-1, 256, 7, KERNEL_MAX_PAGE_SHARING, 0, KERNEL_SETTING_UNWANTED},
                {-1, 0, 7, KERNEL_MAX_PAGE_SHARING, -EOPNOTSUPP, KERNEL_SETTING_UNWANTED},
                {256, 256, 7, KERNEL_MAX_PAGE_SHARING, 0, KERNEL_SETTING_RIGHT},
                {999, 256, 7, KERNEL_MAX_PAGE_SHARING, 0, KERNEL_SETTING_BLOCKED},
                {999, 256, 0, KERNEL_MAX_PAGE_SHARING, 0, KERNEL_SETTING_DUE},
                {999, 256, SAMPLE_ABSENT, KERNEL_MAX_PAGE_SHARING, 0, KERNEL_SETTING_DUE},
                {999, 0, 7, KERNEL_MAX_PAGE_SHARING, -EOPNOTSUPP, KERNEL_SETTING_ABSENT},
                {999, 0, 7, KERNEL_MAX_PAGE_SHARING, -EACCES, KERNEL_SETTING_UNREAD},
                {0, 1, 1, KERNEL_MERGE_ACROSS_NODES, 0, KERNEL_SETTING_BLOCKED},
                {1, 0, 7, KERNEL_USE_ZERO_PAGES, 0, KERNEL_SETTING_DUE},
                {0, 1, 7, KERNEL_SMART_SCAN, 0, KERNEL_SETTING_DUE},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct kernel_setting_look look =
                        kernel_setting_judge(cases[i].setting, cases[i].want, cases[i].read_error,
                                             cases[i].now, cases[i].pages_shared);

                if (look.state != cases[i].state)
                        fail_msg("case %zu: state %d", i, look.state);
                if (look.state == KERNEL_SETTING_UNREAD)
                        assert_int_equal(look.error, cases[i].read_error);
        }
}

static void test_look(void **state)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        const struct made_up_root *host = *state;
        char text[256];

        put_settings(host, "7\n");
        kernel_settings_look(&host->root, &nothing, looks);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                assert_int_equal(looks[i].state, KERNEL_SETTING_UNWANTED);
        kernel_settings_look(&host->root, &all, looks);
        assert_true(kernel_settings_any(looks, KERNEL_SETTING_BLOCKED));
        assert_false(kernel_settings_any(looks, KERNEL_SETTING_RIGHT));
        assert_string_equal(
                kernel_settings_list(text, sizeof(text), looks, KERNEL_SETTING_BLOCKED),
                "merge_across_nodes is 1 (0 configured) and max_page_sharing is 256 (1000 "
                "configured)");
        assert_string_equal(kernel_settings_list(text, sizeof(text), looks, KERNEL_SETTING_RIGHT),
                            "");
        /* It is cut off where there is no room. */
        assert_string_equal(kernel_settings_list(text, 10, looks, KERNEL_SETTING_BLOCKED),
                            "merge_acr");
}

/* An old kernel has none of them, and a host without NUMA lacks one. */
static void test_missing(void **state)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        const struct made_up_root *host = *state;
        enum kernel_setting failed;

        put_ksm(host, KSM_RUN, "0\n");
        kernel_settings_look(&host->root, &all, looks);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                assert_int_equal(looks[i].state, KERNEL_SETTING_ABSENT);
        assert_int_equal(kernel_settings_write(&host->root, looks, &failed, NULL), 0);

        put_ksm(host, KSM_MAX_PAGE_SHARING, "256\n");
        put_ksm(host, KSM_USE_ZERO_PAGES, "maybe\n");
        kernel_settings_look(&host->root, &all, looks);
        assert_int_equal(looks[KERNEL_MAX_PAGE_SHARING].state, KERNEL_SETTING_DUE);
        assert_int_equal(looks[KERNEL_USE_ZERO_PAGES].state, KERNEL_SETTING_UNREAD);
        assert_int_equal(looks[KERNEL_USE_ZERO_PAGES].error, -EBADMSG);
}

static void test_write(void **state)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        const struct made_up_root *host = *state;
        struct kernel_settings want = all;
        enum kernel_setting failed;
        bool restored = false;

        put_settings(host, "0\n");
        want.value[KERNEL_MERGE_ACROSS_NODES] = KERNEL_SETTING_UNSET;
        want.value[KERNEL_SMART_SCAN] = 1; /* as it is */
        kernel_settings_look(&host->root, &want, looks);
        assert_int_equal(kernel_settings_write(&host->root, looks, &failed, &restored), 0);
        assert_int_equal(failed, KERNEL_SETTING_COUNT);
        assert_true(restored);
        assert_int_equal(ksm_set_fails.n_writes, 2);
        assert_settings(host, "1\n", "1000\n", "1\n", "1\n");
}

/* Each of them refused: those before it are put back. */
static void test_write_fails(void **state)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        const struct made_up_root *host = *state;

        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                enum kernel_setting failed;
                bool restored = false;

                put_settings(host, "7\n");
                kernel_settings_look(&host->root, &all, looks);
                ksm_set_fails.attribute = kernel_setting_info((enum kernel_setting)i)->attribute;
                ksm_set_fails.error = -EBUSY;
                assert_int_equal(kernel_settings_write(&host->root, looks, &failed, &restored),
                                 -EBUSY);
                assert_int_equal(failed, i);
                assert_true(restored);
                assert_settings(host, "1\n", "256\n", "0\n", "1\n");
        }
}

/* What was written cannot be put back. */
static void test_cannot_put_back(void **state)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        const struct made_up_root *host = *state;
        enum kernel_setting failed;
        bool restored = true;

        put_settings(host, "7\n");
        kernel_settings_look(&host->root, &all, looks);
        put_away(host, KSM_FOLDER "/smart_scan");
        ksm_set_fails.attribute = KSM_MAX_PAGE_SHARING;
        ksm_set_fails.error = -EBUSY;
        ksm_set_fails.n_before = 1;
        assert_int_equal(kernel_settings_write(&host->root, looks, &failed, &restored),
                         -EOPNOTSUPP);
        assert_int_equal(failed, KERNEL_SMART_SCAN);
        assert_false(restored);
        assert_ksm(host, KSM_MAX_PAGE_SHARING, "1000\n");
        assert_ksm(host, KSM_MERGE_ACROSS_NODES, "1\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                cmocka_unit_test(test_keys),
                cmocka_unit_test(test_judge),
                ON_A_HOST(test_look),
                ON_A_HOST(test_missing),
                ON_A_HOST(test_write),
                ON_A_HOST(test_write_fails),
                ON_A_HOST(test_cannot_put_back),
        };

        return cmocka_run_group_tests_name("ksm-settings", tests, NULL, NULL);
}
