/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The adaptive policy on literals: what it says at each step, and on figures that are none. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "adaptive-host.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static void test_names(void **state)
{
        assert_string_equal(policy_name(POLICY_ADAPTIVE), "adaptive");
        assert_string_equal(decision_phase_name(PHASE_BURST), "burst");
        assert_string_equal(decision_phase_name(PHASE_REST), "rest");
        assert_string_equal(decision_phase_name(PHASE_PROBE), "probe");
}

static void test_all_zero(void **state)
{
        const int64_t totals[] = {0, -1, INT64_MIN};

        for (size_t i = 0; i < ELEMENTS(totals); i++) {
                const struct sample sample = {.memory = {.total_kb = totals[i]}};
                struct policy_state policy_state = {0};
                struct decision decision = decide(&policy_state, &sample, 0);

                assert_int_equal(decision.verdict, VERDICT_NONE);
                assert_int_equal(decision.phase, PHASE_UNDECIDED);
                assert_int_equal(decision.smart_scan, SMART_SCAN_LEAVE);
                assert_true(decision.next_usec > 0);
        }
}

/* A pass cannot be driven where passes are not counted. */
static void test_without_full_scans(void **state)
{
        struct sample sample = a_host(GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision;

        sample.ksm.full_scans = SAMPLE_ABSENT;
        decision = decide(&policy_state, &sample, SECOND);
        assert_int_equal(decision.verdict, VERDICT_START);
        assert_int_equal(decision.phase, PHASE_BOOST);
        assert_int_equal(decision.pages_to_scan, 300);
        assert_int_equal(decision.next_usec, 0);
}

/* 20 % of 16 GiB are 3.2 GiB: at it and below memory is short, and then for five minutes. */
static void test_when_memory_is_short(void **state)
{
        struct sample sample = a_host(4 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision = decide(&policy_state, &sample, SECOND);

        assert_int_equal(decision.phase, PHASE_OFF);
        assert_int_equal(decision.verdict, VERDICT_STOP);
        assert_int_equal(decision.why, WHY_PLENTY);
        assert_int_equal(decision.threshold_kb, 3355443);
        sample.memory.available_kb = 3355444;
        assert_int_equal(decide(&policy_state, &sample, 2 * SECOND).phase, PHASE_OFF);
        sample.memory.available_kb = 3355443;
        decision = decide(&policy_state, &sample, 3 * SECOND);
        assert_int_equal(decision.phase, PHASE_BURST);
        assert_int_equal(decision.why, WHY_SHORT);
        assert_int_equal(decision.verdict, VERDICT_START);
        assert_int_equal(decision.smart_scan, 1);
        assert_true(decision.light_next);

        sample.memory.available_kb = 8 * GIB_KB;
        assert_int_equal(decide(&policy_state, &sample, 302 * SECOND).phase, PHASE_REST);
        assert_int_equal(decide(&policy_state, &sample, 304 * SECOND).phase, PHASE_OFF);
        /* Within an eighth of the threshold it stays as it is. */
        sample.memory.available_kb = 3355443;
        assert_int_not_equal(decide(&policy_state, &sample, 305 * SECOND).phase, PHASE_OFF);
        sample.memory.available_kb = 3355443 + 3355443 / 8;
        assert_int_not_equal(decide(&policy_state, &sample, 1305 * SECOND).phase, PHASE_OFF);
        sample.memory.available_kb++;
        assert_int_equal(decide(&policy_state, &sample, 1306 * SECOND).phase, PHASE_OFF);
}

/* What merging has freed does not count, or it would switch itself off. */
static void test_available_with_nothing_merged(void **state)
{
        struct sample sample = a_host(6 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision;

        sample.ksm.pages_sharing = 3 * 262144;
        decision = decide(&policy_state, &sample, SECOND);
        assert_int_equal(decision.unmerged_kb, 3 * GIB_KB);
        assert_int_not_equal(decision.phase, PHASE_OFF);
        /* MemAvailable is since 3.14: MemFree, Buffers and Cached stand in for it. */
        sample.memory.available_kb = SAMPLE_ABSENT;
        sample.memory.free_kb = GIB_KB;
        sample.memory.buffers_kb = 2 * GIB_KB;
        sample.memory.cached_kb = 3 * GIB_KB;
        decision = decide(&policy_state, &sample, 2 * SECOND);
        assert_int_equal(decision.unmerged_kb, 3 * GIB_KB);
        assert_int_equal(decision.free_kb, 6 * GIB_KB);
}

/* The price falls with plenty, and rises with shortage and with pressure; nowhere otherwise. */
static void test_price(void **state)
{
        int64_t last = INT64_MAX;

        for (int64_t kb = 0; kb <= 16 * GIB_KB; kb += GIB_KB / 16) {
                struct sample sample = a_host(kb);
                struct policy_state policy_state = {0};
                int64_t price = decide(&policy_state, &sample, SECOND).price_micro;

                assert_true(price > 0 && price <= last);
                last = price;
                for (int64_t centi = 0; centi <= 10000; centi += 100) {
                        struct policy_state other_state = {0};
                        int64_t pressed;

                        sample.pressure.some.avg10_centi = centi;
                        pressed = decide(&other_state, &sample, SECOND).price_micro;
                        assert_true(pressed >= price);
                        price = pressed;
                }
        }
}

/* 1 GiB of new pages: hashed in the first pass, merged in the second, which is the last one. */
static void test_two_passes(void **state)
{
        struct sample sample = a_host(3 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision = decide(&policy_state, &sample, SECOND);

        assert_int_equal(decision.smart_scan, 1);
        sample.ksm.run = 1;
        sample.ksm.full_scans = 1;
        sample.ksm.pages_volatile = sample.ksm.pages_scanned = 262144;
        sample.ksm.ksmd_cpu_nsec = 350000000;
        decision = decide(&policy_state, &sample, 2 * SECOND);
        assert_int_equal(decision.phase, PHASE_BURST);
        assert_int_equal(decision.why, WHY_CANDIDATES);
        /* Of pages that are as young none is skipped. */
        assert_int_equal(decision.smart_scan, 1);
        assert_true(decision.last_pass.known);
        assert_true(decision.last_pass.smart);
        assert_int_equal(decision.last_pass.cpu_nsec, 350000000);

        sample.ksm.full_scans = 2;
        sample.ksm.pages_scanned += 262144;
        sample.ksm.pages_volatile = 10000; /* these change all the time */
        sample.ksm.pages_shared = 20000;
        sample.ksm.pages_sharing = 120000;
        sample.ksm.pages_unshared = 112144;
        sample.ksm.ksmd_cpu_nsec += INT64_C(3000000000);
        decision = decide(&policy_state, &sample, 6 * SECOND);
        assert_int_equal(decision.phase, PHASE_REST);
        assert_int_equal(decision.verdict, VERDICT_STOP);
        assert_int_equal(decision.why, WHY_NOTHING);
        assert_int_equal(decision.last_pass.yield_pages, 120000);
        assert_true(decision.last_pass.smart);
        assert_true(decision.pass_due_usec > 60 * SECOND);
        assert_false(decision.light_next);
}

/* In the middle of the first pass of a burst. */
static void in_a_pass(struct policy_state *policy_state, struct sample *sample)
{
        *sample = a_host(3 * GIB_KB);
        (void)decide(policy_state, sample, SECOND);
        sample->ksm.run = 1;
        sample->ksm.pages_volatile = sample->ksm.pages_scanned = 100000;
        sample->ksm.ksmd_cpu_nsec = 130000000;
        assert_int_equal(decide(policy_state, sample, 2 * SECOND).phase, PHASE_BURST);
}

static void test_foreign_stop(void **state)
{
        struct policy_state policy_state = {0};
        struct sample sample;
        struct decision decision;

        in_a_pass(&policy_state, &sample);
        sample.ksm.run = 0;
        decision = decide(&policy_state, &sample, 3 * SECOND);
        assert_int_equal(decision.phase, PHASE_REST);
        assert_true(decision.pass_due_usec >= 63 * SECOND);
}

static void test_foreign_unmerge(void **state)
{
        struct policy_state policy_state = {0};
        struct sample sample;
        struct decision decision;

        in_a_pass(&policy_state, &sample);
        sample.ksm.full_scans = 5;
        (void)decide(&policy_state, &sample, 3 * SECOND);
        sample.ksm.run = 2;
        sample.ksm.full_scans = 0;
        sample.ksm.pages_volatile = 0;
        decision = decide(&policy_state, &sample, 4 * SECOND);
        assert_int_equal(decision.phase, PHASE_REST);
        assert_true(decision.pass_due_usec >= 64 * SECOND);
        assert_int_equal(decide(&policy_state, &sample, 65 * SECOND).phase, PHASE_BURST);
}

/* ksmd sleeps while no process has mergeable memory, and full_scans stands still. */
static void test_no_pages(void **state)
{
        struct sample sample = a_host(3 * GIB_KB);
        struct policy_state policy_state = {0};
        struct decision decision = decide(&policy_state, &sample, SECOND);
        uint64_t now = SECOND;

        sample.ksm.run = 1;
        while (decision.verdict == VERDICT_START && now < 100 * SECOND) {
                now = decision.next_usec;
                decision = decide(&policy_state, &sample, now);
        }
        assert_int_equal(decision.phase, PHASE_REST);
        assert_int_equal(decision.why, WHY_NO_PAGES);
        assert_true(now < 30 * SECOND);
}

/* A clock that jumps back, counters that fall, one after the other and all at once. */
static void test_jumps(void **state)
{
        for (unsigned kind = 0; kind < 32; kind++) {
                struct policy_state policy_state = {0};
                struct sample sample;
                uint64_t now;

                in_a_pass(&policy_state, &sample);
                now = kind & 1 ? 0 : 3 * SECOND;
                if (kind & 2)
                        sample.ksm.pages_scanned = 0;
                if (kind & 4)
                        sample.ksm.ksmd_cpu_nsec = 0;
                if (kind & 8)
                        sample.ksm.pages_volatile = 0;
                if (kind & 16)
                        now += UINT64_C(1) << 50;
                for (unsigned i = 0; i < 100; i++) {
                        struct decision decision = decide(&policy_state, &sample, now);

                        assert_true(decision.next_usec > now);
                        assert_true(decision.next_usec <= now + ADAPTIVE_CALL_MAX_USEC);
                        now = decision.next_usec;
                        sample.ksm.full_scans += i % 7 == 0;
                }
        }
}

static uint64_t random_number(uint64_t *seed)
{
        uint64_t x;

        *seed += UINT64_C(0x9e3779b97f4a7c15);
        x = (*seed ^ (*seed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        return x ^ (x >> 31);
}

/* Any figure may be absent, at its end, or rubbish; the sanitizers watch. */
static void test_rubbish(void **state)
{
        const int64_t values[] = {SAMPLE_ABSENT, 0, 1, 4096, 1000000, INT64_MAX, INT64_MIN};
        uint64_t seed = 1;

        for (unsigned i = 0; i < 2000; i++) {
                struct policy_settings settings = adaptive;
                struct policy_state policy_state = {0};
                uint64_t now = random_number(&seed) >> (random_number(&seed) % 64);

                settings.adaptive.cpu_max = 1 + (int64_t)(random_number(&seed) % 100);
                for (unsigned step = 0; step < 20; step++) {
                        struct sample sample;
                        int64_t *figures = (int64_t *)(void *)&sample;
                        struct decision decision;

                        memset(&sample, 0, sizeof(sample));
                        for (size_t f = 0; f < sizeof(sample) / sizeof(*figures); f++)
                                figures[f] = values[random_number(&seed) % ELEMENTS(values)];
                        sample.events = (unsigned)random_number(&seed) % 16;
                        now += random_number(&seed) >> (20 + random_number(&seed) % 44);
                        policy_decide(&settings, &policy_state, &sample, now, &decision);
                        if (decision.why == WHY_NONE)
                                continue;
                        assert_true(decision.next_usec > now ||
                                    now > UINT64_MAX - ADAPTIVE_CALL_MAX_USEC);
                        if (decision.verdict == VERDICT_START)
                                assert_in_range(decision.pages_to_scan, 1, 100000);
                }
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_all_zero),
                cmocka_unit_test(test_without_full_scans),
                cmocka_unit_test(test_when_memory_is_short),
                cmocka_unit_test(test_available_with_nothing_merged),
                cmocka_unit_test(test_price),
                cmocka_unit_test(test_two_passes),
                cmocka_unit_test(test_foreign_stop),
                cmocka_unit_test(test_foreign_unmerge),
                cmocka_unit_test(test_no_pages),
                cmocka_unit_test(test_jumps),
                cmocka_unit_test(test_rubbish),
        };

        return cmocka_run_group_tests_name("adaptive", tests, NULL, NULL);
}
