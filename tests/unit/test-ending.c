/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * How it ends: what KSM_STOP_ACTION does to the knobs of a made-up host, and what is said of it.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "child-exit.h"
#include "ksm-help.h"
#include "ksmtuned/journal.h"
#include "src/daemon/ending.h"

static void test_fits(void **state)
{
        static const struct {
                int64_t available_kb, saved_bytes;
                bool fits;
        } cases[] = {
                /* More than 1.1 times what is saved. */
                {1100, 1000 * 1024, false},
                {1101, 1000 * 1024, true},
                {1099, 1000 * 1024, false},
                {1000, 1000 * 1024, false},
                {1, 0, true},
                {0, 0, false},
                /* Not known is not enough. */
                {SAMPLE_ABSENT, 0, false},
                {SAMPLE_ABSENT, 4096, false},
                {INT64_MIN, 0, false},
                {INT64_MAX, 4096, true},
                {4096, INT64_MAX, false},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_int_equal(ksm_unmerge_fits(cases[i].available_kb, cases[i].saved_bytes),
                                 cases[i].fits);
}

static int decide(void *userdata, enum trigger trigger)
{
        return 0;
}

static int do_nothing(void *userdata)
{
        return 0;
}

static void put_host(const struct made_up_root *host, const char *available_kb)
{
        put_ksm(host, KSM_RUN, "1\n");
        put_ksm(host, KSM_PAGES_TO_SCAN, "364\n");
        put_ksm(host, KSM_SLEEP_MILLISECS, "10\n");
        /* 4,000 kB of pages are saved; with a tenth to spare that takes 4,400. */
        put_ksm(host, KSM_PAGES_SHARING, "1000\n");
        put_ksm(host, KSM_ADVISOR_MODE, "[none] scan-time\n");
        put_format(host, "/proc/meminfo", "MemTotal: 100000 kB\nMemFree: 1 kB\n%s%s%s",
                   available_kb ? "MemAvailable: " : "", available_kb ? available_kb : "",
                   available_kb ? " kB\n" : "");
}

struct end {
        enum stop_action action;
        bool dry_run;
        int64_t advisor_before;
};

/* Ends a daemon on @host. Return: what was said, in @text. */
static void end(const struct made_up_root *host, const struct end *how, char *text, size_t size)
{
        const struct events_handler handler = {
                .decide = decide, .step = do_nothing, .reload = do_nothing, .stop = do_nothing};
        const struct options options = {.root = "/", .dry_run = how->dry_run};
        struct settings settings = {.stop_action = how->action};
        struct manager manager = {
                .options = &options,
                .root = &host->root,
                .settings = &settings,
                .owed = OWED_NOTHING,
        };
        struct capture capture;
        int begun, ran;

        manager.owed.advisor_mode = how->advisor_before;
        assert_int_equal(events_new(&manager.events, &handler), 0);
        capture_begin(&capture, stderr);
        begun = ending_begin(&manager);
        ran = events_run(manager.events);
        (void)capture_end(&capture, text, size);
        assert_true(begun >= 0);
        assert_int_equal(ran, 0);
        /* Again, it only hurries what goes on. */
        assert_int_equal(ending_begin(&manager), 0);
        ending_free(manager.ending);
        (void)events_free(manager.events);
}

static void test_actions(void **state)
{
        static const struct {
                struct end how;
                const char *available_kb;
                const char *run, *advisor, *said;
        } cases[] = {
                {{STOP_ACTION_KEEP, false, -1},
                 "9000",
                 "1\n",
                 "[none] scan-time\n",
                 "the KSM knobs are left as they are; ksmd goes on merging, and what is merged "
                 "stays merged\n"},
                {{STOP_ACTION_STOP, false, -1},
                 "9000",
                 "0\n",
                 "[none] scan-time\n",
                 "KSM is stopped, as KSM_STOP_ACTION asks; ksmd sleeps, and what is merged stays "
                 "merged\n"},
                {{STOP_ACTION_UNMERGE, false, -1},
                 "4400",
                 "0\n",
                 "[none] scan-time\n",
                 "not unmerging: it takes 3.9 MiB, and with a tenth to spare that does not fit "
                 "into "
                 "the 4.3 MiB available; only stopping\n"},
                {{STOP_ACTION_UNMERGE, false, -1},
                 NULL,
                 "0\n",
                 "[none] scan-time\n",
                 "does not fit into the unknown memory available; only stopping\n"},
                {{STOP_ACTION_UNMERGE, false, -1},
                 "x",
                 "0\n",
                 "[none] scan-time\n",
                 "not unmerging: what it needs cannot be told: Bad message; only stopping\n"},
                {{STOP_ACTION_UNMERGE, false, -1},
                 "4401",
                 "0\n",
                 "[none] scan-time\n",
                 "all pages are unmerged, as KSM_STOP_ACTION asks"},
                {{STOP_ACTION_STOP, false, KSM_ADVISOR_SCAN_TIME},
                 "9000",
                 "0\n",
                 "scan-time\n",
                 "KSM is given back to the kernel's advisor\n"},
                {{STOP_ACTION_STOP, true, KSM_ADVISOR_SCAN_TIME},
                 "9000",
                 "1\n",
                 "[none] scan-time\n",
                 "nothing was changed"},
        };
        const struct made_up_root *host = *state;

        /* The figures above are those of pages of 4 KiB. */
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char text[1024];

                put_host(host, cases[i].available_kb);
                end(host, &cases[i].how, text, sizeof(text));
                assert_ksm(host, KSM_RUN, cases[i].run);
                assert_ksm(host, KSM_PAGES_TO_SCAN, "364\n");
                assert_ksm(host, KSM_ADVISOR_MODE, cases[i].advisor);
                if (sysconf(_SC_PAGESIZE) == 4096 && !strstr(text, cases[i].said))
                        fail_msg("case %zu said: %s", i, text);
        }
}

/* Knobs that cannot be written: it ends all the same, and says so. */
static void test_failures(void **state)
{
        static const enum stop_action actions[] = {STOP_ACTION_STOP, STOP_ACTION_UNMERGE};
        const struct made_up_root *host = *state;

        for (size_t i = 0; i < ELEMENTS(actions); i++) {
                const struct end how = {actions[i], false, KSM_ADVISOR_SCAN_TIME};
                char text[32768]; /* a build that counts coverage complains there, too */

                put_host(host, "9000");
                put_mode(host, KSM_FOLDER "/run", 0444);
                put_mode(host, KSM_FOLDER "/advisor_mode", 0444);
                become_ordinary();
                end(host, &how, text, sizeof(text));
                become_self();
                assert_ksm(host, KSM_RUN, "1\n");
                if (actions[i] == STOP_ACTION_UNMERGE)
                        assert_non_null(strstr(
                                text, "cannot unmerge: writing 2 to run: Permission denied"));
                assert_non_null(
                        strstr(text, "cannot stop KSM: writing 0 to run: Permission denied"));
                assert_non_null(strstr(text, "cannot give KSM back to the kernel's advisor"));
                assert_non_null(strstr(text, "ended: KSM could not be stopped"));
                put_away(host, "/sys");
        }
}

static void test_no_ksm(void **state)
{
        const struct made_up_root *host = *state;
        const struct end how = {STOP_ACTION_KEEP, false, -1};
        char text[1024];

        end(host, &how, text, sizeof(text));
        assert_string_equal(text, "ksmtuned: ended: the KSM knobs are left as they are\n");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                cmocka_unit_test(test_fits),
                ON_A_HOST(test_actions),
                ON_A_HOST(test_failures),
                ON_A_HOST(test_no_ksm),
        };

        journal_open(JOURNAL_STDERR);
        if (unsetenv("NOTIFY_SOCKET") < 0 || events_block_signals() < 0)
                return 1;
        return cmocka_run_group_tests_name("ending", tests, NULL, NULL);
}
