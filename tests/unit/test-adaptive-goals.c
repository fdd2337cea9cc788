/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the adaptive policy is for, on the model of KSM: sooner, cheaper and no less than what it
 * is compared with; nothing where nothing pays; more as memory gets dearer.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model-fleet.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define TOTAL_KB        (INT64_C(25) << 20)
#define REST_SEC        1800

/* 8 guests of 256 MiB: 40 % common, 10 % zero, 5 % changing; two more and late twins at half time.
 */
struct outcome {
        double to_90_sec, cpu_sec, rest_cpu_sec, gib_sec, saved_share;
};

/* Where programs run slowly, few random hosts are asked for; then few sizes are enough, and coarse
 * ones: as many units, of more pages each. */
static bool runs_slowly(void)
{
        const char *hosts = getenv("MODEL_HOSTS");

        return hosts && strtoul(hosts, NULL, 10) < 100;
}

static void set_up_size(struct model_host *host, enum model_driver driver, double unit_pages)
{
        model_host_init(host, 1, unit_pages, TOTAL_KB, 1024);
        host->driver = driver;
        host->settings.classic.thres_coef = 99;
        for (unsigned i = 0; i < 8; i++)
                (void)model_host_start_guest(host);
}

static void set_up(struct model_host *host, enum model_driver driver)
{
        set_up_size(host, driver, runs_slowly() ? 256 : 64);
}

static struct outcome run(struct model_host *host)
{
        struct outcome outcome = {.to_90_sec = 1e9};
        double reachable = model_ksm_reachable(&host->ksm);

        for (unsigned second = 1; second <= 600; second++) {
                model_host_run(host, second, 1);
                if (second < 300 && outcome.to_90_sec > 1e8 &&
                    model_ksm_saved(&host->ksm) >= 0.9 * reachable)
                        outcome.to_90_sec = second;
                if (second == 300) {
                        (void)model_host_start_guest(host);
                        (void)model_host_start_guest(host);
                        model_host_make_twins(host, 32);
                }
        }
        outcome.cpu_sec = host->ksm.cpu_sec;
        outcome.gib_sec = host->saved_gib_sec;
        outcome.saved_share = model_ksm_saved(&host->ksm) / model_ksm_reachable(&host->ksm);
        model_host_run(host, 600 + REST_SEC, 1);
        outcome.rest_cpu_sec = host->ksm.cpu_sec - outcome.cpu_sec;
        return outcome;
}

static struct outcome outcome_of(double unit_pages, enum model_driver driver, int64_t pages,
                                 int64_t msec)
{
        struct model_host host;
        struct outcome outcome;

        set_up_size(&host, driver, unit_pages);
        host.fixed_pages = pages;
        host.fixed_msec = msec;
        outcome = run(&host);
        model_host_release(&host);
        return outcome;
}

static void check_beside_others(double unit_pages)
{
        struct outcome ours = outcome_of(unit_pages, DRIVER_ADAPTIVE, 0, 0);
        struct outcome original = outcome_of(unit_pages, DRIVER_FORCED, 0, 0);
        struct outcome slow = outcome_of(unit_pages, DRIVER_FIXED, 100, 20);
        struct outcome middle = outcome_of(unit_pages, DRIVER_FIXED, 1250, 10);
        struct outcome fast = outcome_of(unit_pages, DRIVER_FIXED, 9000, 20);
        struct outcome advisor = outcome_of(unit_pages, DRIVER_ADVISOR, 0, 0);
        const struct outcome *others[] = {&original, &slow, &middle, &fast, &advisor};

        assert_true(ours.to_90_sec <= 0.25 * original.to_90_sec);
        assert_true(ours.to_90_sec <= fast.to_90_sec);
        assert_true(ours.cpu_sec <= 0.4 * original.cpu_sec);
        assert_true(ours.rest_cpu_sec <= 0.03 * original.rest_cpu_sec);
        assert_true(ours.rest_cpu_sec <= 0.03 * middle.rest_cpu_sec);
        assert_true(ours.gib_sec / ours.cpu_sec >= 3 * original.gib_sec / original.cpu_sec);
        for (size_t i = 0; i < ELEMENTS(others); i++) {
                assert_true(ours.saved_share >= others[i]->saved_share);
                assert_true(ours.gib_sec / ours.cpu_sec >=
                                    others[i]->gib_sec / others[i]->cpu_sec ||
                            others[i]->gib_sec < ours.gib_sec);
        }
}

static void test_beside_others(void **state)
{
        if (!runs_slowly())
                check_beside_others(64);
        check_beside_others(256);
}

/* The benchmark's schedule. Two passes over all old pages at the event cost what they cost. */
static void check_form(const struct model_form *form, double most_cpu, double least_per_cpu)
{
        const struct model_contestant us = {.driver = DRIVER_ADAPTIVE, .cpu_max = 100};
        const struct model_contestant peers[] = {
                {.driver = DRIVER_FORCED},
                {.driver = DRIVER_FIXED, .pages = 1250, .msec = 10},
                {.driver = DRIVER_FIXED, .pages = 9000, .msec = 20},
        };
        struct model_outcome ours, theirs[ELEMENTS(peers)];

        model_fleet_run(form, &us, false, &ours);
        for (size_t i = 0; i < ELEMENTS(peers); i++) {
                model_fleet_run(form, &peers[i], false, &theirs[i]);
                assert_true(ours.saved_share >= 0.99 * theirs[i].saved_share);
        }
        assert_true(ours.to_90_sec > 0 && ours.to_90_sec <= 0.25 * theirs[0].to_90_sec);
        assert_true(ours.to_90_sec <= theirs[2].to_90_sec);
        assert_true(ours.cpu_sec <= most_cpu * theirs[0].cpu_sec);
        assert_true(ours.gib_sec / ours.cpu_sec >=
                    least_per_cpu * theirs[0].gib_sec / theirs[0].cpu_sec);
        assert_true(ours.rest_cpu_sec <= 0.04 * theirs[0].rest_cpu_sec);
        assert_true(ours.rest_cpu_sec <= 0.04 * theirs[1].rest_cpu_sec);
        assert_true(ours.late_share > 0.9);
}

static void test_schedule(void **state)
{
        struct model_form form = model_long_form;

        if (!runs_slowly()) {
                check_form(&form, 0.43, 2.9);
                form.guests = 6;
                check_form(&form, 0.42, 3);
                form = model_long_form;
        }
        form.unit_pages = 64;
        form.stagger_sec = 1;
        form.boot_sec = 3;
        form.qemu_stagger_sec = 2;
        check_form(&form, 0.35, 3.5);
}

/* Without smart_scan, as on Linux 6.1, every pass of the original is a whole one. */
static void test_old_kernel(void **state)
{
        const struct model_contestant us = {
                .driver = DRIVER_ADAPTIVE, .cpu_max = 100, .no_smart = true};
        const struct model_contestant original = {.driver = DRIVER_FORCED, .no_smart = true};
        struct model_outcome ours, theirs;

        model_fleet_run(&model_long_form, &us, false, &ours);
        model_fleet_run(&model_long_form, &original, false, &theirs);
        assert_true(ours.saved_share >= 0.99 * theirs.saved_share);
        assert_true(ours.to_90_sec > 0 && ours.to_90_sec <= 0.25 * theirs.to_90_sec);
        assert_true(ours.cpu_sec <= 0.37 * theirs.cpu_sec);
        assert_true(ours.gib_sec / ours.cpu_sec >= 3.5 * theirs.gib_sec / theirs.cpu_sec);
        assert_true(ours.rest_cpu_sec <= 0.04 * theirs.rest_cpu_sec);
        assert_true(ours.late_share > 0.9);
}

/*
 * A new guest writes what old pages hold that were looked at often. Whoever skips pages looks at
 * the old ones in every ninth pass, and then, by the time of its start, not at the new ones.
 */
static double missed_twins(enum model_driver driver, double at_sec)
{
        struct model_host host;
        double missed;

        set_up(&host, DRIVER_FIXED);
        host.fixed_pages = 1250;
        host.fixed_msec = 10;
        model_host_run(&host, at_sec, 1);
        host.driver = driver;
        model_host_copy_old(&host, model_host_start_guest(&host), 64);
        model_host_run(&host, at_sec + 1800, 1);
        missed = model_ksm_reachable(&host.ksm) - model_ksm_saved(&host.ksm);
        model_host_release(&host);
        return missed / host.ksm.unit_pages;
}

static void test_late_twins(void **state)
{
        double most = 0;
        unsigned step = runs_slowly() ? 6 : 1;

        for (unsigned i = 0; i < 18; i += step) {
                double at_sec = 1000 + 1.7 * i, missed = missed_twins(DRIVER_FIXED, at_sec);

                most = missed > most ? missed : most;
                assert_true(missed_twins(DRIVER_ADAPTIVE, at_sec) < 2);
        }
        assert_true(most > 30);
}

static void test_plenty(void **state)
{
        struct model_host host;

        set_up(&host, DRIVER_ADAPTIVE);
        host.settings.classic.thres_coef = 20;
        model_host_run(&host, 86400, 10);
        assert_int_equal(host.ksm.cpu_sec * 1e9, 0);
        assert_int_equal(host.ksm.full_scans, 0);
        assert_true(host.calls < 1500);
        model_host_release(&host);
}

/* Guests with nothing in common, which come and go. */
static void test_nothing_to_merge(void **state)
{
        struct model_host host;

        set_up(&host, DRIVER_ADAPTIVE);
        host.rates.zero = host.rates.common = 0;
        for (unsigned i = 0; i < 4; i++)
                (void)model_host_start_guest(&host);
        host.rates.guests_per_hour = 4;
        model_host_run(&host, 4 * 86400.0, 5);
        assert_true(host.ksm.cpu_sec <= 0.02 * 4 * 86400);
        model_host_release(&host);
}

/*
 * The same with so much memory, and so many guests that come and go, that each would be worth a
 * burst if it merged as others do. What they take beyond the budget is owed, and paid for by
 * waiting: guests that do merge are found once that is over.
 */
static void turnover(unsigned seed, double days)
{
        struct model_host host;
        double budget_sec = 0.02 * days * 86400, pass_sec, owed_sec, most, hours = 0;

        model_host_init(&host, seed, 1024, TOTAL_KB * 5, 1024);
        host.settings.classic.thres_coef = 99;
        host.rates.zero = host.rates.common = 0;
        host.rates.boot_sec = 60;
        for (unsigned i = 0; i < 24; i++)
                (void)model_host_start_guest(&host);
        host.rates.guests_per_hour = 12;
        model_host_run(&host, days * 86400, 5);
        pass_sec = 24 * 1024 * 1024 * 7e-6 * host.ksm.speed;
        owed_sec = host.ksm.cpu_sec > budget_sec ? host.ksm.cpu_sec - budget_sec : 0;
        /* As much in a week as in two days. */
        if (owed_sec > 8 * pass_sec)
                fail_msg("seed %u: ksmd took %g s of %g", seed, host.ksm.cpu_sec, budget_sec);
        most = (owed_sec + pass_sec) / 0.02 / 3600;
        host.rates.common = 0.5;
        for (unsigned i = 0; i < 4; i++)
                (void)model_host_start_guest(&host);
        host.rates.guests_per_hour = 0;
        model_host_run(&host, days * 86400 + 120, 5);
        while (hours < most && model_ksm_saved(&host.ksm) < 0.9 * model_ksm_reachable(&host.ksm))
                model_host_run(&host, days * 86400 + (hours += 0.25) * 3600, 5);
        if (hours >= most)
                fail_msg("seed %u: guests that merge were not found within %g hours", seed, most);
        model_host_release(&host);
}

static void test_turnover(void **state)
{
        turnover(1, 2);
        if (runs_slowly())
                return;
        for (unsigned seed = 2; seed <= 4; seed++)
                turnover(seed, 2);
        turnover(1, 7);
}

/*
 * Merged zero pages that are the kernel's own are saved, but no longer known. They are not to pass
 * for pages that ksmd need not search for: then old pages would never be looked at again, as the
 * cheap pass would seem to see all.
 */
static void test_zero_pages(void **state)
{
        struct model_host host;
        uint32_t guest;

        model_host_init(&host, 1, 64, TOTAL_KB, 1024);
        host.settings.classic.thres_coef = 99;
        host.ksm.use_zero_pages = 1;
        host.rates.zero = 0.6;
        host.rates.common = 0.05;
        for (unsigned i = 0; i < 12; i++)
                (void)model_host_start_guest(&host);
        model_host_run(&host, 86400, 1);
        assert_true(host.ksm.zero_pages > host.ksm.present / 2);
        for (unsigned i = 1; i <= 4; i++) {
                guest = model_host_start_guest(&host);
                model_host_copy_old(&host, guest, 100);
                model_host_run(&host, 86400 + i * 3600, 1);
        }
        assert_true(model_ksm_reachable(&host.ksm) - model_ksm_saved(&host.ksm) <
                    10 * host.ksm.unit_pages);
        model_host_release(&host);
}

static struct outcome at_price(int64_t price_micro, int64_t budget_milli)
{
        struct model_host host;
        struct outcome outcome;

        set_up(&host, DRIVER_ADAPTIVE);
        host.rates.rewrites_per_sec = 2;
        host.rates.rewrites_common = 0.5;
        host.settings.adaptive.memory_price_micro = price_micro;
        host.settings.adaptive.cpu_budget_milli = budget_milli;
        model_host_run(&host, (runs_slowly() ? 3 : 12) * 3600.0, 5);
        outcome = (struct outcome){.cpu_sec = host.ksm.cpu_sec, .gib_sec = host.saved_gib_sec};
        model_host_release(&host);
        return outcome;
}

/* What is rewritten pays more passes at a higher price, and what they save rises with them. */
static void test_monotone(void **state)
{
        const int64_t prices[] = {1000, 8000, 32000, 125000, 500000, 2000000};
        const int64_t budgets[] = {50, 200, 1000, 2000};
        struct outcome last = {.cpu_sec = 0}, now;

        for (size_t i = 0; i < ELEMENTS(prices); i++, last = now) {
                now = at_price(prices[i], 20000);
                assert_true(now.cpu_sec >= 0.9 * last.cpu_sec);
                assert_true(now.gib_sec >= 0.98 * last.gib_sec);
        }
        last = (struct outcome){.cpu_sec = 0};
        for (size_t i = 0; i < ELEMENTS(budgets); i++, last = now) {
                now = at_price(500000, budgets[i]);
                assert_true(now.cpu_sec >= 0.9 * last.cpu_sec);
                assert_true(now.gib_sec >= 0.98 * last.gib_sec);
        }
}

/*
 * Over a burst, and in each five seconds of it. It is less where a batch for cheap pages would be
 * too long for dear ones.
 */
static void check_batch(const struct model_host *host, const struct sample *sample)
{
        const struct decision *decision = &host->decision;
        double batch_sec = (double)decision->pages_to_scan * host->state.adaptive.page_sec;

        (void)sample;
        if (decision->verdict == VERDICT_START && !host->state.adaptive.landing &&
            batch_sec > 0.0201)
                fail_msg("at %ld %% a batch of %ld pages takes %g s",
                         (long)host->settings.adaptive.cpu_max, (long)decision->pages_to_scan,
                         batch_sec);
}

static void test_cpu_share(void **state)
{
        const int64_t shares[] = {3, 5, 10, 20, 25, 40, 60, 71, 75, 80, 85, 86, 100};

        for (size_t i = 0; i < ELEMENTS(shares); i++) {
                struct model_host host;
                double share = (double)shares[i] / 100, measured;

                set_up_size(&host, DRIVER_ADAPTIVE, shares[i] < 10 ? 256 : 64);
                host.check = check_batch;
                host.ksm.speed = i % 2 ? 0.5 : 2;
                host.settings.adaptive.cpu_max = shares[i];
                model_host_run(&host, 20 / share > 20 ? 20 : 20 / share, 1);
                measured = host.cpu_in_pass_sec / host.wall_in_pass_sec;
                if (measured < 0.6 * share || measured > 1.2 * share ||
                    host.window_most > 1.2 * share + 0.015)
                        fail_msg("of %g of a CPU it was %g, and %g at the most", share, measured,
                                 host.window_most);
                model_host_release(&host);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_beside_others),    cmocka_unit_test(test_schedule),
                cmocka_unit_test(test_late_twins),       cmocka_unit_test(test_plenty),
                cmocka_unit_test(test_nothing_to_merge), cmocka_unit_test(test_monotone),
                cmocka_unit_test(test_turnover),         cmocka_unit_test(test_zero_pages),
                cmocka_unit_test(test_cpu_share),        cmocka_unit_test(test_old_kernel),
        };

        return cmocka_run_group_tests_name("adaptive-goals", tests, NULL, NULL);
}
