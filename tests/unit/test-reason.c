/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Sizes, time spans and decisions in words. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/reason.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void test_sizes(void **state)
{
        static const struct {
                int64_t kb;
                const char *text;
        } cases[] = {
                {0, "0 kB"},
                {1, "1 kB"},
                {-1, "-1 kB"},
                {512, "512 kB"},
                {999, "999 kB"},
                {1000, "1.0 MiB"},
                {1024, "1.0 MiB"},
                {1536, "1.5 MiB"},
                {3482, "3.4 MiB"},
                {10240, "10.0 MiB"},
                {102348, "99.9 MiB"},
                {102400, "100 MiB"},
                {1023487, "999 MiB"},
                {1023488, "1.0 GiB"},
                {1048576, "1.0 GiB"},
                {24222105, "23.1 GiB"},
                {INT64_C(1) << 30, "1.0 TiB"},
                {INT64_C(1) << 40, "1.0 PiB"},
                {INT64_C(1) << 50, "1.0 EiB"},
                {INT64_MAX, "8192 EiB"},
                {INT64_MIN, "-8192 EiB"},
                {-1048576, "-1.0 GiB"},
        };
        char buf[32];

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_ptr_equal(format_kb(buf, sizeof(buf), cases[i].kb), buf);
                assert_string_equal(buf, cases[i].text);
        }
}

static void test_spans(void **state)
{
        static const struct {
                uint64_t usec;
                const char *text;
        } cases[] = {
                {0, "0 ms"},
                {999, "0 ms"},
                {100000, "100 ms"},
                {999999, "999 ms"},
                {1000000, "1 s"},
                {1500000, "1.5 s"},
                {59000000, "59 s"},
                {60000000, "60 s"},
                {60500000, "60 s"},
                {119999999, "119 s"},
                {120000000, "2 min"},
                {300000000, "5 min"},
                {UINT64_C(7199999999), "119 min"},
                {UINT64_C(7200000000), "2 h"},
                {UINT64_C(10800000000), "3 h"},
                {UINT64_C(172799999999), "47 h"},
                {UINT64_C(172800000000), "2 days"},
                {UINT64_MAX, "213503982 days"},
        };
        char buf[32];

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                assert_ptr_equal(format_usec(buf, sizeof(buf), cases[i].usec), buf);
                assert_string_equal(buf, cases[i].text);
        }
}

#define DECISION(verdict_, phase_, pages, msec, total, free, committed, threshold)  \
        {                                                                           \
                .verdict = (verdict_), .phase = (phase_), .pages_to_scan = (pages), \
                .sleep_millisecs = (msec), .total_kb = (total), .free_kb = (free),  \
                .committed_kb = (committed), .threshold_kb = (threshold),           \
        }

static const struct decision_case {
        struct decision decision;
        const char *reason, *status;
} decision_cases[] = {
        {DECISION(VERDICT_STOP, PHASE_OFF, 64, 10, 16777216, 12582912, 4194304, 3355443),
         "12.0 GiB are free and the guests leave 12.0 GiB of 16.0 GiB; both are above the "
         "threshold "
         "of 3.2 GiB",
         "KSM off, memory is plentiful: 12.0 GiB free, threshold 3.2 GiB; 3 guests with 4.0 GiB; "
         "40.0 MiB saved"},
        {DECISION(VERDICT_START, PHASE_BOOST, 364, 10, 16777216, 2097152, 14000000, 3355443),
         "2.0 GiB are free, below the threshold of 3.2 GiB",
         "KSM on (364 pages every 10 ms), memory is short: 2.0 GiB free, threshold 3.2 GiB; "
         "3 guests with 13.4 GiB; 40.0 MiB saved"},
        {DECISION(VERDICT_START, PHASE_DECAY, 314, 10, 16777216, 4194304, 14680064, 3355443),
         "4.0 GiB are free, but the guests leave only 2.0 GiB of 16.0 GiB, not more than the "
         "threshold of 3.2 GiB",
         "KSM on (314 pages every 10 ms), memory may become short: 4.0 GiB free, threshold "
         "3.2 GiB; 3 guests with 14.0 GiB; 40.0 MiB saved"},
        {DECISION(VERDICT_START, PHASE_DECAY, 314, 10, 16777216, 3355443, 1048576, 3355443),
         "just the threshold of 3.2 GiB is free",
         "KSM on (314 pages every 10 ms), memory may become short: 3.2 GiB free, threshold "
         "3.2 GiB; 3 guests with 1.0 GiB; 40.0 MiB saved"},
        {DECISION(VERDICT_NONE, PHASE_UNDECIDED, 0, 10, 0, 0, 0, 2048),
         "nothing can be decided on a MemTotal of 0",
         "KSM left alone, MemTotal is 0: 0 kB free, threshold 2.0 MiB; 3 guests with 0 kB; "
         "40.0 MiB saved"},
        {DECISION(VERDICT_START, PHASE_BOOST, INT64_MAX, INT64_MAX, INT64_MAX, 0, INT64_MAX,
                  INT64_MAX),
         "0 kB are free, below the threshold of 8192 EiB",
         "KSM on (9223372036854775807 pages every 9223372036854775807 ms), memory is short: 0 kB "
         "free, threshold 8192 EiB; 3 guests with 8192 EiB; 40.0 MiB saved"},
};

static const struct sample a_sample = {
        .guests = {.count = 3},
        .ksm = {.pages_sharing = 10000, .ksm_zero_pages = 240, .page_bytes = 4096},
};

static void test_decisions(void **state)
{
        char buf[256];

        for (size_t i = 0; i < ELEMENTS(decision_cases); i++) {
                const struct decision_case *this = &decision_cases[i];

                assert_ptr_equal(decision_reason(buf, sizeof(buf), &this->decision), buf);
                assert_string_equal(buf, this->reason);
                assert_ptr_equal(decision_status(buf, sizeof(buf), &this->decision, &a_sample),
                                 buf);
                assert_string_equal(buf, this->status);
        }
}

#define PASS(kb, msec)                                                      \
        {                                                                   \
                .known = true, .page_bytes = 4096, .yield_pages = (kb) / 4, \
                .cpu_nsec = INT64_C(1000000) * (msec),                      \
        }
#define SECONDS(n) (UINT64_C(1000000) * (n))

static const struct pass_case {
        struct decision decision;
        const char *reason, *what;
} pass_cases[] = {
        {{.phase = PHASE_OFF, .why = WHY_PLENTY, .unmerged_kb = 12582912, .threshold_kb = 3355443},
         "12.0 GiB would be available with nothing merged, more than the threshold of 3.2 GiB",
         "KSM off, memory is plentiful: "},
        {{.phase = PHASE_BURST, .why = WHY_SHORT, .pass_done_percent = -1, .cpu_percent = 100},
         "memory has become short",
         "KSM merging (up to 100 % of a CPU), memory has become short: "},
        {{.phase = PHASE_BURST, .why = WHY_GUEST, .pass_done_percent = 0, .cpu_percent = 25},
         "a guest has started; 0 % of the pass are done",
         "KSM merging (up to 25 % of a CPU), a guest has started: "},
        {{.phase = PHASE_BURST,
          .why = WHY_CANDIDATES,
          .pass_done_percent = 47,
          .cpu_percent = 25,
          .last_pass = PASS(0, 720)},
         "the last pass met pages that this one can merge; 47 % of the pass are done; the last "
         "pass saved nothing for 720 ms of CPU time",
         "KSM merging (up to 25 % of a CPU), the last pass met pages that this one can merge: "},
        {{.phase = PHASE_PROBE,
          .why = WHY_TWINS,
          .pass_done_percent = 99,
          .cpu_percent = 25,
          .last_pass = PASS(1258292, 3400)},
         "it is time to look for what smart_scan misses; 99 % of the pass are done; the last pass "
         "saved 1.2 GiB for 3.4 s of CPU time",
         "KSM looking again (up to 25 % of a CPU), it is time to look for what smart_scan "
         "misses: "},
        {{.phase = PHASE_REST,
          .why = WHY_NOTHING,
          .last_pass = PASS(1258292, 3400),
          .decided_usec = SECONDS(100),
          .pass_due_usec = SECONDS(400)},
         "all is merged that pays; the last pass saved 1.2 GiB for 3.4 s of CPU time; the next "
         "pass is due in 5 min",
         "KSM at rest for 5 min, all is merged that pays: "},
        {{.phase = PHASE_REST, .why = WHY_NO_PAGES},
         "no page is mergeable",
         "KSM at rest, no page is mergeable: "},
        {{.phase = PHASE_REST,
          .why = WHY_GROWS,
          .decided_usec = SECONDS(400),
          .pass_due_usec = SECONDS(404)},
         "the guests' memory still grows, and so a pass is soon worth more; the next pass is due "
         "in 4 s",
         "KSM at rest for 4 s, the guests' memory still grows, and so a pass is soon worth more: "},
        {{.phase = PHASE_REST,
          .why = WHY_BUDGET,
          .last_pass = PASS(-2048, 12340),
          .decided_usec = SECONDS(400),
          .pass_due_usec = SECONDS(400) + 1},
         "the CPU time of the last passes is more than KSM_CPU_BUDGET allows by now; in the last "
         "pass 2.0 MiB broke up again, for 12.3 s of CPU time; the next pass is due in 1 s",
         "KSM at rest for 1 s, the CPU time of the last passes is more than KSM_CPU_BUDGET allows "
         "by now: "},
};

static void test_passes(void **state)
{
        char buf[256];

        for (size_t i = 0; i < ELEMENTS(pass_cases); i++) {
                const struct pass_case *this = &pass_cases[i];

                (void)decision_reason(buf, sizeof(buf), &this->decision);
                assert_string_equal(buf, this->reason);
                (void)decision_status(buf, sizeof(buf), &this->decision, &a_sample);
                assert_int_equal(strncmp(buf, this->what, strlen(this->what)), 0);
        }
}

/* Each reason has its own words. */
static void test_whys(void **state)
{
        char texts[WHY_BUDGET + 1][256];

        for (int why = 0; why <= WHY_BUDGET; why++) {
                const struct decision decision = {.phase = PHASE_REST,
                                                  .why = (enum decision_why)why};

                (void)decision_reason(texts[why], sizeof(texts[why]), &decision);
                for (int other = 0; other < why; other++)
                        assert_string_not_equal(texts[why], texts[other]);
        }
}

static void test_one_guest(void **state)
{
        struct sample sample = a_sample;
        char buf[256];

        sample.guests.count = 1;
        sample.ksm.pages_sharing = SAMPLE_ABSENT;
        sample.ksm.ksm_zero_pages = SAMPLE_ABSENT;
        (void)decision_status(buf, sizeof(buf), &decision_cases[0].decision, &sample);
        assert_non_null(strstr(buf, "; 1 guest with 4.0 GiB; 0 kB saved"));
        sample.guests.count = 0;
        (void)decision_status(buf, sizeof(buf), &decision_cases[0].decision, &sample);
        assert_non_null(strstr(buf, "; 0 guests with 4.0 GiB; 0 kB saved"));
}

/* Figures at their ends: nothing wraps (the sanitizers watch). */
static void test_extremes(void **state)
{
        const int64_t values[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
        const enum phase phases[] = {PHASE_UNDECIDED, PHASE_OFF,  PHASE_BOOST, PHASE_DECAY,
                                     PHASE_BURST,     PHASE_REST, PHASE_PROBE};
        const size_t n = ELEMENTS(values);
        char buf[256];

        for (size_t i = 0; i < n * n * n * ELEMENTS(phases); i++) {
                const struct decision decision = {
                        .phase = phases[i / n / n / n],
                        .total_kb = values[i % n],
                        .committed_kb = values[i / n % n],
                        .free_kb = values[i / n / n % n],
                        .threshold_kb = values[i / n % n],
                        .unmerged_kb = values[i % n],
                        .pass_done_percent = values[i / n % n],
                        .cpu_percent = values[i % n],
                        .decided_usec = (uint64_t)values[i % n],
                        .pass_due_usec = (uint64_t)values[i / n % n],
                        .last_pass = {.known = true,
                                      .page_bytes = values[i / n % n],
                                      .yield_pages = values[i % n],
                                      .cpu_nsec = values[i / n / n % n]},
                };
                const struct sample sample = {
                        .guests = {.count = values[i % n]},
                        .ksm = {.pages_sharing = values[i % n],
                                .ksm_zero_pages = values[i % n],
                                .page_bytes = values[i % n]},
                };

                assert_true(strlen(decision_reason(buf, sizeof(buf), &decision)) > 0);
                assert_true(strlen(decision_status(buf, sizeof(buf), &decision, &sample)) > 0);
        }
}

/* Whatever the room: no byte behind it is touched, and what is there is the beginning of it. */
static void check_room(const char *text, const char *whole, const char *behind, size_t size)
{
        if (size > 0) {
                assert_int_equal(strlen(text), strlen(whole) < size ? strlen(whole) : size - 1);
                assert_memory_equal(text, whole, strlen(text));
        }
        assert_int_equal(*behind, 0x5a);
}

static void test_small_buffers(void **state)
{
        for (size_t size = 0; size < 256; size++) {
                const struct decision_case *this = &decision_cases[2];
                char buf[257];

                memset(buf, 0x5a, sizeof(buf));
                (void)decision_reason(buf, size, &this->decision);
                check_room(buf, this->reason, buf + size, size);
                memset(buf, 0x5a, sizeof(buf));
                (void)decision_status(buf, size, &this->decision, &a_sample);
                check_room(buf, this->status, buf + size, size);
                memset(buf, 0x5a, sizeof(buf));
                (void)format_kb(buf, size, 24222105);
                check_room(buf, "23.1 GiB", buf + size, size);
                memset(buf, 0x5a, sizeof(buf));
                (void)format_usec(buf, size, UINT64_C(172800000000));
                check_room(buf, "2 days", buf + size, size);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_sizes),     cmocka_unit_test(test_spans),
                cmocka_unit_test(test_decisions), cmocka_unit_test(test_passes),
                cmocka_unit_test(test_whys),      cmocka_unit_test(test_one_guest),
                cmocka_unit_test(test_extremes),  cmocka_unit_test(test_small_buffers),
        };

        return cmocka_run_group_tests_name("reason", tests, NULL, NULL);
}
