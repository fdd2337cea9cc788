/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The adaptive policy on literals: when it looks again, when it begins, and how it stops ksmd. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adaptive-host.h"

/* The guests have all that is not available. */
static struct sample a_full_host(int64_t available_kb)
{
        struct sample sample = a_host(available_kb);

        sample.guests.committed_kb = sample.memory.total_kb - available_kb;
        return sample;
}

/* With plenty of memory nothing is to be waited for, until memory is seen to fall. */
static void test_falling(void **state)
{
        struct sample sample = a_full_host(8 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision = decide(&policy_state, &sample, SECOND);

        assert_int_equal(decision.phase, PHASE_OFF);
        assert_int_equal(decision.next_usec, SECOND + ADAPTIVE_CALL_MAX_USEC);
        /* 1 GiB in 10 s, 3.8 GiB above the threshold: short in 38 s. */
        sample = a_full_host(7 * GIB_KB);
        decision = decide(&policy_state, &sample, 11 * SECOND);
        assert_in_range(decision.next_usec, 28 * SECOND, 32 * SECOND);
        /* Trifles are noise. */
        sample = a_full_host(7 * GIB_KB - 16000);
        decision = decide(&policy_state, &sample, 31 * SECOND);
        assert_int_equal(decision.next_usec, 31 * SECOND + ADAPTIVE_CALL_MAX_USEC);
        sample = a_full_host(8 * GIB_KB);
        decision = decide(&policy_state, &sample, 41 * SECOND);
        assert_int_equal(decision.next_usec, 41 * SECOND + ADAPTIVE_CALL_MAX_USEC);
        /* However fast it falls. */
        sample = a_full_host(3355444);
        decision = decide(&policy_state, &sample, 41 * SECOND + 1000);
        assert_int_equal(decision.phase, PHASE_OFF);
        assert_in_range(decision.next_usec, 41 * SECOND + 400000, 42 * SECOND);
}

/* A guest that starts has not filled its memory yet. */
static void test_guest_starts(void **state)
{
        struct sample sample = a_full_host(8 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision;
        uint64_t now = 100 * SECOND, longest = 0;
        unsigned looks = 0;

        (void)decide(&policy_state, &sample, SECOND);
        sample.events = EVENT_GUEST_STARTED;
        decision = decide(&policy_state, &sample, now);
        sample.events = 0;
        assert_int_equal(decision.phase, PHASE_OFF);
        assert_int_equal(decision.next_usec, now + SECOND);
        for (now = decision.next_usec; now < 220 * SECOND; now = decision.next_usec) {
                decision = decide(&policy_state, &sample, now);
                if (decision.next_usec - now > longest)
                        longest = decision.next_usec - now;
                looks++;
        }
        assert_in_range(looks, 8, 16);
        assert_true(longest <= 15 * SECOND);
        decision = decide(&policy_state, &sample, now);
        assert_int_equal(decision.next_usec, now + ADAPTIVE_CALL_MAX_USEC);
}

/* 256 MiB a second come: the first pass would meet but a part, and the next one, too. */
static void test_first_pass(void **state)
{
        for (unsigned ends_after = 1; ends_after < 20; ends_after++) {
                struct sample sample = a_full_host(6 * GIB_KB);
                struct policy_state policy_state = {0};
                struct decision decision = {0};
                uint64_t short_usec = 0, now = SECOND;
                int64_t available_kb = 6 * GIB_KB;

                sample.events = EVENT_GUEST_STARTED;
                for (unsigned i = 0; i < 60 && decision.phase != PHASE_BURST; i++) {
                        decision = decide(&policy_state, &sample, now);
                        if (short_usec == 0 && decision.phase != PHASE_OFF)
                                short_usec = now;
                        if (decision.phase == PHASE_REST) {
                                assert_int_equal(decision.why, WHY_GROWS);
                                assert_true(decision.next_usec <= now + SECOND);
                        }
                        if (decision.phase == PHASE_BURST)
                                break;
                        now += SECOND / 2;
                        if (short_usec == 0 || now < short_usec + ends_after * SECOND)
                                available_kb -= GIB_KB / 8;
                        sample = a_full_host(available_kb > GIB_KB / 4 ? available_kb : GIB_KB / 4);
                }
                assert_int_equal(decision.phase, PHASE_BURST);
                assert_int_equal(decision.why, WHY_SHORT);
                assert_true(now <= short_usec + 9 * SECOND);
                assert_true(now <= short_usec + (ends_after + 2) * SECOND);
                if (ends_after > 2)
                        assert_true(now >= short_usec + 2 * SECOND);
        }
}

/* Two passes, and all is merged at 61 s. */
static struct decision first_burst(struct policy_state *policy_state, struct sample *sample)
{
        struct decision decision;

        *sample = a_full_host(3 * GIB_KB);
        decision = decide(policy_state, sample, SECOND);
        sample->ksm.run = 1;
        for (unsigned pass = 1; pass <= 2; pass++) {
                struct ksm_sample *ksm = &sample->ksm;

                ksm->full_scans = pass;
                ksm->pages_scanned += 3407872;
                ksm->pages_volatile = pass == 1 ? 3407872 : 0;
                ksm->pages_unshared = pass == 1 ? 0 : 2359296;
                ksm->pages_shared = pass == 1 ? 0 : 262144;
                ksm->pages_sharing = pass == 1 ? 0 : 786432;
                ksm->ksmd_cpu_nsec += pass == 1 ? INT64_C(3000000000) : INT64_C(20000000000);
                decision = decide(policy_state, sample, (1 + 30 * pass) * SECOND);
        }
        assert_int_equal(decision.phase, PHASE_REST);
        sample->ksm.run = 0;
        return decision;
}

/* What has come minutes ago does not make a pass begin in the midst of a guest's boot. */
static void test_growth_begins_anew(void **state)
{
        struct sample sample;
        struct policy_state policy_state = {0};
        struct decision decision;

        (void)first_burst(&policy_state, &sample);
        /* 64 MiB come, and no more. */
        sample.guests.committed_kb += 65536;
        (void)decide(&policy_state, &sample, 70 * SECOND);
        (void)decide(&policy_state, &sample, 80 * SECOND);
        decision = decide(&policy_state, &sample, 120 * SECOND);
        assert_int_equal(decision.phase, PHASE_REST);
        for (unsigned i = 1; i <= 4; i++) {
                sample.events = i == 1 ? EVENT_GUEST_STARTED : 0;
                sample.guests.committed_kb += GIB_KB / 4;
                decision = decide(&policy_state, &sample, (120 + i) * SECOND);
                assert_int_equal(decision.phase, PHASE_REST);
                assert_true(decision.next_usec <= (121 + i) * SECOND);
        }
        sample.events = 0;
        (void)decide(&policy_state, &sample, 125 * SECOND);
        decision = decide(&policy_state, &sample, 126 * SECOND);
        assert_int_equal(decision.phase, PHASE_BURST);
        assert_int_equal(decision.why, WHY_GUEST);
}

/* Nobody waits for a probe, until somebody does. */
static void test_probe_in_haste(void **state)
{
        const struct {
                int64_t pressure_centi;
                unsigned events;
                enum decision_why why;
        } haste[] = {
                {0, EVENT_GUEST_STARTED, WHY_GUEST},
                {0, EVENT_PRESSURE, WHY_PRESSURE},
                {0, EVENT_ASKED, WHY_ASKED},
                {3000, 0, WHY_PRESSURE},
        };

        for (unsigned i = 0; i < sizeof(haste) / sizeof(haste[0]); i++) {
                struct sample sample;
                struct policy_state policy_state = {0};
                struct decision decision = first_burst(&policy_state, &sample);
                uint64_t now = decision.pass_due_usec;

                decision = decide(&policy_state, &sample, now);
                assert_int_equal(decision.phase, PHASE_PROBE);
                assert_int_equal(decision.cpu_percent, 25);
                sample.ksm.run = 1;
                sample.ksm.pages_scanned += 100000;
                sample.events = EVENT_GUEST_ENDED;
                decision = decide(&policy_state, &sample, now + SECOND);
                assert_int_equal(decision.phase, PHASE_PROBE);
                sample.events = haste[i].events;
                sample.pressure.some.avg10_centi = haste[i].pressure_centi;
                sample.ksm.pages_scanned += 100000;
                decision = decide(&policy_state, &sample, now + 2 * SECOND);
                assert_int_equal(decision.phase, PHASE_BURST);
                assert_int_equal(decision.why, haste[i].why);
                assert_int_equal(decision.cpu_percent, 100);
                /* To its end. */
                sample.events = 0;
                sample.pressure.some.avg10_centi = 0;
                sample.ksm.pages_scanned += 100000;
                decision = decide(&policy_state, &sample, now + 3 * SECOND);
                assert_int_equal(decision.phase, PHASE_BURST);
        }
}

/*
 * Where more is to come than it seemed, since a guest has ended while others started, the end of
 * the pass is not awaited page by page: not even if most of it was skipped, and so seems cheap, nor
 * if hardly anything seemed to be new.
 */
static void test_landing_goes_on(void **state)
{
        const int64_t ended_kb[] = {0, GIB_KB / 4 - 16384};

        for (unsigned i = 0; i < 2; i++) {
                struct sample sample;
                struct policy_state policy_state = {0};
                struct decision decision = first_burst(&policy_state, &sample);
                uint64_t now = 70 * SECOND;
                unsigned calls = 0;

                sample.guests.committed_kb += GIB_KB / 4;
                for (; decision.phase != PHASE_BURST && now < 90 * SECOND; now += SECOND)
                        decision = decide(&policy_state, &sample, now);
                assert_int_equal(decision.phase, PHASE_BURST);
                sample.guests.committed_kb -= ended_kb[i];
                sample.ksm.run = 1;
                sample.ksm.pages_skipped += 3407872 - 100000;
                sample.ksm.pages_scanned += 100000 + 65536 - ended_kb[i] / 4;
                sample.ksm.ksmd_cpu_nsec += INT64_C(900000000);
                sample.ksm.pages_volatile += 65536 - ended_kb[i] / 4;
                decision = decide(&policy_state, &sample, now + SECOND);
                assert_int_equal(decision.sleep_millisecs, 50);
                for (; decision.sleep_millisecs == 50 && calls < 1000; calls++) {
                        assert_true(decision.pages_to_scan >= 1000);
                        sample.ksm.pages_scanned += decision.pages_to_scan;
                        sample.ksm.pages_volatile += decision.pages_to_scan;
                        sample.ksm.ksmd_cpu_nsec += 1100 * decision.pages_to_scan;
                        now = decision.next_usec;
                        decision = decide(&policy_state, &sample, now);
                }
                assert_in_range(calls, 1, 10);
                assert_int_equal(decision.phase, PHASE_BURST);
        }
}

/* ksmd that does not sleep is made to, and stopped while it does. */
static void test_brake(void **state)
{
        const int64_t smart[] = {1, 0, SAMPLE_ABSENT};

        for (unsigned i = 0; i < 3; i++) {
                struct sample sample = a_full_host(3 * GIB_KB);
                struct policy_state policy_state = {0};
                struct decision decision;

                sample.ksm.smart_scan = smart[i];
                /* What somebody else has let run is not ours to drive. */
                sample.ksm.run = 1;
                sample.ksm.sleep_millisecs = 0;
                sample.memory.available_kb = 12 * GIB_KB;
                decision = decide(&policy_state, &sample, SECOND / 2);
                assert_int_equal(decision.verdict, VERDICT_STOP);
                sample = a_full_host(3 * GIB_KB);
                sample.ksm.smart_scan = smart[i];
                decision = decide(&policy_state, &sample, SECOND);
                assert_int_equal(decision.phase, PHASE_BURST);
                assert_int_equal(decision.sleep_millisecs, 0);
                sample.ksm.run = 1;
                sample.ksm.sleep_millisecs = 0;
                sample.ksm.pages_to_scan = decision.pages_to_scan;
                /* Memory is plentiful again. */
                sample.memory.available_kb = 12 * GIB_KB;
                decision = decide(&policy_state, &sample, 400 * SECOND);
                assert_int_equal(decision.verdict, VERDICT_START);
                assert_int_equal(decision.phase, PHASE_BURST);
                assert_int_equal(decision.sleep_millisecs, 100);
                assert_int_equal(decision.smart_scan == SMART_SCAN_LEAVE,
                                 smart[i] == SAMPLE_ABSENT);
                assert_true(decision.next_usec <= 400 * SECOND + 100000);
                sample.ksm.sleep_millisecs = 100;
                decision = decide(&policy_state, &sample, decision.next_usec);
                assert_int_equal(decision.verdict, VERDICT_STOP);
                assert_int_equal(decision.phase, PHASE_OFF);
                /* Nothing is to be braked that stands. */
                sample.ksm.sleep_millisecs = 0;
                sample.ksm.run = 0;
                decision = decide(&policy_state, &sample, decision.next_usec);
                assert_int_equal(decision.verdict, VERDICT_STOP);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_falling),         cmocka_unit_test(test_guest_starts),
                cmocka_unit_test(test_first_pass),      cmocka_unit_test(test_growth_begins_anew),
                cmocka_unit_test(test_brake),           cmocka_unit_test(test_probe_in_haste),
                cmocka_unit_test(test_landing_goes_on),
        };

        return cmocka_run_group_tests_name("adaptive-timing", tests, NULL, NULL);
}
