/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The daemon and the kernel's settings: what it writes when, what it owes, what it tells and how
 * often. What is refused while pages are merged is so by pages_shared here, and by ksm_set() where
 * the two do not agree.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "ksm-set-fails.h"
#include "ksmtuned/journal.h"
#include "src/daemon/manager.h"

#define UNSET KERNEL_SETTING_UNSET

struct daemon {
        const struct made_up_root *host;
        struct options options;
        struct settings settings;
        struct manager manager;
        struct sample sample;
};

static void daemon_init(struct daemon *daemon, const struct made_up_root *host,
                        const struct kernel_settings *want)
{
        memset(&ksm_set_fails, 0, sizeof(ksm_set_fails));
        *daemon = (struct daemon){.host = host, .settings = {.kernel = *want}};
        daemon->manager = (struct manager){.options = &daemon->options,
                                           .root = &host->root,
                                           .settings = &daemon->settings,
                                           .owed = OWED_NOTHING};
        daemon->sample.ksm.smart_scan = 1;
        put_ksm(host, KSM_RUN, "1\n");
        put_ksm(host, KSM_PAGES_TO_SCAN, "100\n");
        put_ksm(host, KSM_SLEEP_MILLISECS, "20\n");
        put_ksm(host, KSM_PAGES_SHARED, "0\n");
        put_ksm(host, KSM_PAGES_SHARING, "0\n");
        put_ksm(host, KSM_MERGE_ACROSS_NODES, "1\n");
        put_ksm(host, KSM_MAX_PAGE_SHARING, "256\n");
        put_ksm(host, KSM_USE_ZERO_PAGES, "0\n");
        put_ksm(host, KSM_SMART_SCAN, "1\n");
        put(host, "/proc/meminfo",
            "MemTotal: 9000000 kB\nMemFree: 1 kB\nMemAvailable: 4711000 kB\n");
}

/* 4,000 kB of pages are saved. */
static void merge(const struct made_up_root *host)
{
        put_ksm(host, KSM_PAGES_SHARED, "10\n");
        put_ksm(host, KSM_PAGES_SHARING, "1000\n");
}

static void unmerge(const struct made_up_root *host)
{
        put_ksm(host, KSM_PAGES_SHARED, "0\n");
        put_ksm(host, KSM_PAGES_SHARING, "0\n");
}

/* A decision. Return: what was said. */
static const char *step(struct daemon *daemon)
{
        static char text[4096];
        struct capture capture;

        capture_begin(&capture, stderr);
        kernel_settings_step(&daemon->manager, &daemon->sample);
        return capture_end(&capture, text, sizeof(text));
}

static void assert_owed(const struct daemon *daemon, const char *owed)
{
        char text[128];

        kernel_settings_owed(&daemon->manager, text, sizeof(text));
        assert_string_equal(text, owed);
}

static void assert_says(struct daemon *daemon, const char *words)
{
        const char *said = step(daemon);

        if (!strstr(said, words))
                fail_msg("said '%s', and not '%s'", said, words);
}

static void assert_silent(struct daemon *daemon)
{
        assert_string_equal(step(daemon), "");
}

static void test_nothing_configured(void **state)
{
        struct kernel_settings want = {.value = {UNSET, UNSET, UNSET, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        assert_silent(&daemon);
        assert_owed(&daemon, "");
        assert_int_equal(ksm_set_fails.n_writes, 0);
}

/* As at boot: nothing is merged. */
static void test_at_once(void **state)
{
        struct kernel_settings want = {.value = {0, 1000, 1, 0}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        assert_says(&daemon, "max_page_sharing is set to 1000, as KSM_MAX_PAGE_SHARING asks; it "
                             "was 256");
        assert_ksm(*state, KSM_MERGE_ACROSS_NODES, "0\n");
        assert_ksm(*state, KSM_MAX_PAGE_SHARING, "1000\n");
        assert_ksm(*state, KSM_USE_ZERO_PAGES, "1\n");
        assert_ksm(*state, KSM_SMART_SCAN, "0\n");
        assert_int_equal(ksm_set_fails.n_writes, 4);
        /* The decision that follows, and the look for a foreign hand, know of it. */
        assert_int_equal(daemon.sample.ksm.smart_scan, 0);
        assert_int_equal(daemon.manager.foreign.knobs.smart_scan, 0);
        assert_owed(&daemon, "");
        merge(*state);
        assert_silent(&daemon);
        assert_int_equal(ksm_set_fails.n_writes, 4);
}

static void test_owed(void **state)
{
        struct kernel_settings want = {.value = {0, 1000, 1, UNSET}};
        struct daemon daemon;
        const char *said;

        daemon_init(&daemon, *state, &want);
        merge(*state);
        said = step(&daemon);
        /* One line on what is owed, with the cost, and one on what was written. */
        assert_non_null(strstr(said, "use_zero_pages is set to 1"));
        assert_non_null(strstr(
                said, "merge_across_nodes is 1 (0 configured) and max_page_sharing is 256 (1000 "
                      "configured), and the kernel does not change it while pages are merged"));
        assert_non_null(strstr(said, "takes 3.9 MiB of memory, and 4.5 GiB are available, "
                                     "which suffices; ksmctl settings --apply does it"));
        assert_owed(&daemon, "merge_across_nodes=0 max_page_sharing=1000");
        assert_ksm(*state, KSM_MAX_PAGE_SHARING, "256\n");
        assert_int_equal(ksm_set_fails.n_writes, 1);

        /* Told once, and not tried while pages are merged. */
        assert_silent(&daemon);
        assert_int_equal(ksm_set_fails.n_writes, 1);

        unmerge(*state);
        assert_says(&daemon, "max_page_sharing is set to 1000");
        assert_ksm(*state, KSM_MERGE_ACROSS_NODES, "0\n");
        assert_owed(&daemon, "");
        assert_silent(&daemon);
}

static void test_cost(void **state)
{
        static const struct {
                const char *meminfo, *words;
        } cases[] = {
                {"MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable: 4000 kB\n",
                 "and 3.9 MiB are available, which does not suffice"},
                {"MemTotal: 9000 kB\nMemFree: 1 kB\n",
                 "and it is not known what is available; ksmctl"},
        };
        struct kernel_settings want = {.value = {UNSET, 1000, UNSET, UNSET}};

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct daemon daemon;

                daemon_init(&daemon, *state, &want);
                merge(*state);
                put(*state, "/proc/meminfo", cases[i].meminfo);
                assert_says(&daemon, cases[i].words);
        }
}

/* What it would cost cannot be told. */
static void test_cost_unknown(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, UNSET, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        merge(*state);
        put_ksm(*state, KSM_PAGES_SHARING, "many\n");
        assert_says(&daemon, "while pages are merged: it is done when none are\n");
        assert_owed(&daemon, "max_page_sharing=1000");
}

/* Somebody has unmerged for it, and written it, as ksmctl settings does. */
static void test_done_by_others(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, UNSET, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        merge(*state);
        assert_says(&daemon, "max_page_sharing is 256");
        daemon.manager.foreign.known = true;
        put_ksm(*state, KSM_MAX_PAGE_SHARING, "1000\n");
        assert_says(&daemon, "max_page_sharing is 1000 now, as KSM_MAX_PAGE_SHARING asks");
        /* That full_scans fell for it is no foreign hand. */
        assert_false(daemon.manager.foreign.known);
        assert_owed(&daemon, "");
}

static void test_foreign(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, 1, 0}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        (void)step(&daemon);
        put_ksm(*state, KSM_USE_ZERO_PAGES, "0\n");
        assert_says(&daemon, "somebody else writes the KSM knobs: use_zero_pages reads 0, and "
                             "KSM_USE_ZERO_PAGES asks for 1");
        assert_int_equal(daemon.manager.metering.counters.foreign_writes, 1);
        assert_owed(&daemon, "use_zero_pages=1");
        /* Told once, and not fought. */
        assert_silent(&daemon);
        assert_ksm(*state, KSM_USE_ZERO_PAGES, "0\n");
        /* smart_scan is told with the other knobs. */
        put_ksm(*state, KSM_SMART_SCAN, "1\n");
        assert_silent(&daemon);
        assert_owed(&daemon, "use_zero_pages=1 smart_scan=0");
        assert_int_equal(ksm_set_fails.n_writes, 3);

        /* It is set right by hand; or anew when the configuration is read again. */
        put_ksm(*state, KSM_USE_ZERO_PAGES, "1\n");
        assert_silent(&daemon);
        assert_owed(&daemon, "smart_scan=0");
        daemon.manager.kernel_wishes = (struct kernel_wishes){.of = {{.left = 0}}};
        assert_says(&daemon, "smart_scan is set to 0");
        assert_owed(&daemon, "");
}

/* While it is owed others write another value: then it is theirs. */
static void test_foreign_while_owed(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, UNSET, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        merge(*state);
        (void)step(&daemon);
        put_ksm(*state, KSM_MAX_PAGE_SHARING, "512\n");
        unmerge(*state);
        assert_says(&daemon, "max_page_sharing reads 512");
        assert_ksm(*state, KSM_MAX_PAGE_SHARING, "512\n");
        assert_owed(&daemon, "max_page_sharing=1000");
}

/* The kernel is the judge: nothing seems to be merged, and it refuses. */
static void test_busy(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, UNSET, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        ksm_set_fails.attribute = KSM_MAX_PAGE_SHARING;
        ksm_set_fails.error = -EBUSY;
        assert_says(&daemon, "max_page_sharing is 256 (1000 configured), and the kernel");
        assert_silent(&daemon);
        assert_owed(&daemon, "max_page_sharing=1000");
        ksm_set_fails.error = 0;
        assert_says(&daemon, "max_page_sharing is set to 1000");
}

static void test_cannot_write(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, 1, UNSET}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        ksm_set_fails.attribute = KSM_MAX_PAGE_SHARING;
        ksm_set_fails.error = -EACCES;
        assert_says(&daemon, "cannot set max_page_sharing to 1000, as KSM_MAX_PAGE_SHARING asks: "
                             "Permission denied; it stays 256");
        /* The others are written all the same. */
        assert_ksm(*state, KSM_USE_ZERO_PAGES, "1\n");
        assert_silent(&daemon);
        assert_owed(&daemon, "max_page_sharing=1000");
        assert_int_equal(daemon.manager.metering.counters.knob_write_failures, 1);
}

/* An older kernel, and one without NUMA: said once. */
static void test_missing(void **state)
{
        struct kernel_settings want = {.value = {0, 1000, UNSET, 1}};
        struct daemon daemon;
        const char *said;

        daemon_init(&daemon, *state, &want);
        put_away(*state, KSM_FOLDER "/merge_across_nodes");
        put_away(*state, KSM_FOLDER "/smart_scan");
        put_ksm(*state, KSM_MAX_PAGE_SHARING, "lots\n");
        said = step(&daemon);
        assert_non_null(strstr(said, "this kernel has no merge_across_nodes (it came with Linux "
                                     "3.9, for hosts with NUMA): KSM_MERGE_ACROSS_NODES is passed "
                                     "over"));
        assert_non_null(strstr(said, "this kernel has no smart_scan (it came with Linux 6.7)"));
        assert_non_null(strstr(said, "cannot read max_page_sharing: it holds no number in its "
                                     "range; KSM_MAX_PAGE_SHARING is passed over"));
        assert_silent(&daemon);
        assert_owed(&daemon, "");
        assert_int_equal(ksm_set_fails.n_writes, 0);
}

/* A policy that drives passes writes smart_scan itself, and gives back what is configured. */
static void test_smart_scan_of_policy(void **state)
{
        struct kernel_settings want = {.value = {UNSET, UNSET, UNSET, 0}};
        struct daemon daemon;

        daemon_init(&daemon, *state, &want);
        daemon.settings.policy.kind = POLICY_ADAPTIVE;
        /* Before its first pass it is written, so that this is what is taken. */
        assert_says(&daemon, "smart_scan is set to 0");
        daemon.manager.owed.smart_scan = 1;
        put_ksm(*state, KSM_SMART_SCAN, "1\n");
        assert_silent(&daemon);
        assert_ksm(*state, KSM_SMART_SCAN, "1\n");
        assert_int_equal(daemon.manager.owed.smart_scan, 0);
        assert_owed(&daemon, "");

        /* What a daemon that crashed had taken is no longer what it was before. */
        daemon_init(&daemon, *state, &want);
        daemon.manager.owed.smart_scan = 1;
        assert_says(&daemon, "smart_scan is set to 0");
        assert_int_equal(daemon.manager.owed.smart_scan, 0);
}

static void test_dry_run(void **state)
{
        struct kernel_settings want = {.value = {UNSET, 1000, 1, UNSET}};
        struct daemon daemon;
        const char *said;

        daemon_init(&daemon, *state, &want);
        merge(*state);
        daemon.options.dry_run = true;
        said = step(&daemon);
        assert_non_null(strstr(said, "use_zero_pages is 0 (1 configured) (dry run: not applied)"));
        assert_non_null(strstr(said, "max_page_sharing is 256 (1000 configured) (dry run"));
        assert_silent(&daemon);
        assert_int_equal(ksm_set_fails.n_writes, 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_nothing_configured),
                ON_A_HOST(test_at_once),
                ON_A_HOST(test_owed),
                ON_A_HOST(test_cost),
                ON_A_HOST(test_cost_unknown),
                ON_A_HOST(test_done_by_others),
                ON_A_HOST(test_foreign),
                ON_A_HOST(test_foreign_while_owed),
                ON_A_HOST(test_busy),
                ON_A_HOST(test_cannot_write),
                ON_A_HOST(test_missing),
                ON_A_HOST(test_smart_scan_of_policy),
                ON_A_HOST(test_dry_run),
        };

        journal_open(JOURNAL_STDERR);
        return cmocka_run_group_tests_name("kernel-settings", tests, NULL, NULL);
}
