/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Lasting troubles are told once, and so is their end; and foreign hands on the knobs. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "ksm-help.h"
#include "ksmtuned/journal.h"
#include "src/daemon/complaints.h"
#include "src/daemon/foreign.h"

#define HOUR_USEC UINT64_C(3600000000)

/* Complains of one after the other. Return: what was said, in @text. */
static void complain_of(const int *errors, size_t n, char *text, size_t size)
{
        struct complaints complaints = {{0}};
        struct capture capture;

        capture_begin(&capture, stderr);
        for (size_t i = 0; i < n; i++)
                complain(&complaints, COMPLAINT_STATE, errors[i], LOG_WARNING, "trouble %d",
                         errors[i]);
        (void)capture_end(&capture, text, size);
}

static void test_once(void **state)
{
        static const struct {
                int errors[8];
                const char *text;
        } cases[] = {
                {{0, 0, 0, 0, 0, 0, 0, 0}, ""},
                {{1, 1, 1, 1, 1, 1, 1, 1}, "ksmtuned: trouble 1\n"},
                {{1, 1, 0, 0, 0, 0, 0, 0},
                 "ksmtuned: trouble 1\nksmtuned: the state file can be written again\n"},
                {{1, 2, 2, 2, 2, 2, 2, 2}, "ksmtuned: trouble 1\nksmtuned: trouble 2\n"},
                {{0, 1, 0, 1, 0, 0, 0, 0},
                 "ksmtuned: trouble 1\nksmtuned: the state file can be written again\n"
                 "ksmtuned: trouble 1\nksmtuned: the state file can be written again\n"},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char text[512];

                complain_of(cases[i].errors, ELEMENTS(cases[i].errors), text, sizeof(text));
                assert_string_equal(text, cases[i].text);
        }
}

/* Each of them has words for its end, and none is in another's way. */
static void test_each(void **state)
{
        struct complaints complaints = {{0}};
        struct capture capture;
        char text[8192];
        unsigned lines = 0;

        capture_begin(&capture, stderr);
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < COMPLAINT_COUNT; i++)
                        complain(&complaints, i, -EACCES, LOG_WARNING, "trouble");
        for (unsigned round = 0; round < 3; round++)
                for (unsigned i = 0; i < COMPLAINT_COUNT; i++)
                        complain(&complaints, i, 0, LOG_WARNING, "trouble");
        (void)capture_end(&capture, text, sizeof(text));
        for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
                lines++;
        assert_int_equal(lines, 2 * COMPLAINT_COUNT);
        assert_null(strstr(text, "(null)"));
}

static const struct ksm_sample left = {
        .run = 1, .pages_to_scan = 364, .sleep_millisecs = 10, .full_scans = 5};
static const struct ksm_knobs knobs = {.run = 1, .pages_to_scan = 364, .sleep_millisecs = 10};

/* What is said of @sample where @left was left. */
static void check(struct foreign *foreign, const struct made_up_root *host,
                  const struct ksm_sample *sample, uint64_t now_usec, const char *expected)
{
        struct capture capture;
        char text[1024];

        capture_begin(&capture, stderr);
        (void)foreign_check(foreign, &host->root, sample, now_usec);
        (void)capture_end(&capture, text, sizeof(text));
        assert_string_equal(text, expected);
}

static void test_foreign(void **state)
{
        const struct made_up_root *host = *state;
        struct foreign foreign = {.known = false};
        struct ksm_sample found = left;

        put_folder(host, "/proc");
        /* Before anything was left there, nothing is foreign. */
        check(&foreign, host, &(struct ksm_sample){.run = 2}, 1, "");
        foreign_remember(&foreign, &knobs, left.full_scans);
        check(&foreign, host, &left, 1, "");
        found.full_scans = 9;
        check(&foreign, host, &found, 1, "");
        found.full_scans = SAMPLE_ABSENT;
        check(&foreign, host, &found, 1, "");

        found = left;
        found.run = 0;
        check(&foreign, host, &found, 1,
              "ksmtuned: somebody else writes the KSM knobs: run reads 0 and was left at 1\n");
        /* Once an hour. */
        found.pages_to_scan = 100;
        check(&foreign, host, &found, HOUR_USEC, "");
        found = left;
        found.pages_to_scan = 100;
        check(&foreign, host, &found, HOUR_USEC + 1,
              "ksmtuned: somebody else writes the KSM knobs: pages_to_scan reads 100 and was left "
              "at 364\n");
        found = left;
        found.sleep_millisecs = 20;
        check(&foreign, host, &found, 2 * HOUR_USEC + 1,
              "ksmtuned: somebody else writes the KSM knobs: sleep_millisecs reads 20 and was left "
              "at 10\n");
        found = left;
        found.full_scans = 4;
        check(&foreign, host, &found, 3 * HOUR_USEC + 1,
              "ksmtuned: somebody else writes the KSM knobs: full_scans fell from 5 to 4, so all "
              "pages were unmerged\n");
}

static void test_foreign_names(void **state)
{
        const struct made_up_root *host = *state;
        struct foreign foreign = {.known = false};
        struct ksm_sample found = left;
        char comm[32], expected[512];

        found.run = 2;
        foreign_remember(&foreign, &knobs, left.full_scans);
        put(host, "/proc/812/comm", "tuned\n");
        (void)snprintf(comm, sizeof(comm), "/proc/%d/comm", getpid());
        put(host, comm, "ksmtuned\n");
        put_ksm(host, KSM_ADVISOR_MODE, "none [scan-time]\n");
        check(&foreign, host, &found, 1,
              "ksmtuned: somebody else writes the KSM knobs, perhaps the kernel's advisor or tuned "
              "(PID 812): run reads 2 and was left at 1\n");

        /* Of a crowd of them, only some are named. */
        put_ksm(host, KSM_ADVISOR_MODE, "[none] scan-time\n");
        put_away(host, "/proc");
        for (unsigned i = 0; i < 20; i++) {
                (void)snprintf(comm, sizeof(comm), "/proc/%u/comm", 1000000 + i);
                put(host, comm, "libvirtd\n");
        }
        foreign.told_usec = 0;
        {
                struct capture capture;

                capture_begin(&capture, stderr);
                assert_true(foreign_check(&foreign, &host->root, &found, 1));
                (void)capture_end(&capture, expected, sizeof(expected));
        }
        assert_non_null(strstr(expected, ", perhaps libvirt (virsh node-memory-tune) (PID 1000"));
        assert_non_null(strstr(expected, ": run reads 2 and was left at 1\n"));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                cmocka_unit_test(test_once),
                cmocka_unit_test(test_each),
                ON_A_HOST(test_foreign),
                ON_A_HOST(test_foreign_names),
        };

        journal_open(JOURNAL_STDERR);
        return cmocka_run_group_tests_name("complaints", tests, NULL, NULL);
}
