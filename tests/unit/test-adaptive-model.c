/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The adaptive policy on the model of KSM: thousands of random hosts, each for a simulated day,
 * and what must hold on all of them. MODEL_HOSTS says how many (fewer where it runs slowly);
 * MODEL_SEED names one host, and it tells what it does.
 */

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model-host.h"

#define HOSTS        1500
#define DAY_SEC      86400.0
#define SETTLING_SEC 7200.0

static unsigned n_hosts(unsigned usual)
{
        const char *wanted = getenv("MODEL_HOSTS");

        if (!wanted)
                return usual;
        return (unsigned)strtoul(wanted, NULL, 10) * usual / HOSTS + 1;
}

static uint64_t now_usec(const struct model_host *host)
{
        return (uint64_t)(host->now_sec * 1e6) + 1000000;
}

/* What every decision must keep to. */
static void check_decision(const struct model_host *host, const struct sample *sample)
{
        const struct decision *decision = &host->decision;

        assert_true(decision->next_usec > now_usec(host));
        assert_true(decision->next_usec <= now_usec(host) + ADAPTIVE_CALL_MAX_USEC);
        assert_true(decision->verdict == VERDICT_START || decision->verdict == VERDICT_STOP);
        assert_int_equal(decision->verdict == VERDICT_START,
                         decision->phase == PHASE_BURST || decision->phase == PHASE_PROBE);
        assert_true(decision->why != WHY_NONE);
        if (decision->verdict == VERDICT_START) {
                assert_true(decision->pages_to_scan >= 1 && decision->pages_to_scan <= 100000);
                assert_true(decision->sleep_millisecs >= 0 && decision->sleep_millisecs <= 1000);
                assert_int_equal(decision->smart_scan == SMART_SCAN_LEAVE,
                                 sample->ksm.smart_scan == SAMPLE_ABSENT);
                assert_true(decision->next_usec <= now_usec(host) + 1000000);
        } else if (decision->phase == PHASE_REST) {
                assert_true(decision->pass_due_usec >= now_usec(host));
        }
}

static double between(struct model_host *host, double least, double most)
{
        return least + (most - least) * model_random(host);
}

static void random_host(struct model_host *host, uint64_t seed)
{
        double guest_gib, unit_pages;
        unsigned guests;

        model_host_init(host, seed * 7919 + 1, 1, 0, 1);
        guests = 1 + (unsigned)between(host, 0, 24);
        guest_gib = between(host, 0.25, 8);
        model_host_release(host);
        unit_pages = guest_gib * 262144 / 48;
        model_host_init(
                host, seed, unit_pages,
                (int64_t)(guests * guest_gib * 1048576 * (1 + 0.8 * (double)(seed % 7) / 6)), 48);
        host->check = check_decision;
        host->verbose = getenv("MODEL_SEED") != NULL;
        host->rates.zero = between(host, 0, 0.2);
        host->rates.common = between(host, 0, 0.6);
        host->rates.busy = between(host, 0, 0.2);
        host->rates.boot_sec = between(host, 0, 90);
        if (seed % 3 == 0)
                host->rates.rewrites_per_sec = between(host, 0, 0.2);
        host->rates.rewrites_common = between(host, 0, 1);
        if (seed % 4 == 1)
                host->rates.guests_per_hour = between(host, 0, 6);
        if (seed % 5 == 2)
                host->hide_from = (int)(seed / 5 % MODEL_HIDE_ALL);
        if (seed % 11 == 3)
                host->hide_from |= MODEL_HIDE_GUESTS;
        host->ksm.use_zero_pages = seed % 6 == 4;
        host->ksm.speed = between(host, 0.3, 3);
        host->settings.adaptive.cpu_max = (int64_t)between(host, 5, 100.9);
        host->settings.adaptive.cpu_budget_milli = (int64_t)between(host, 200, 5000);
        host->interval_sec = 60;
        for (unsigned i = 0; i < guests; i++)
                (void)model_host_start_guest(host);
}

static void describe(uint64_t seed, const char *what, double is, double bound)
{
        fail_msg("MODEL_SEED=%llu: %s is %g, not within %g", (unsigned long long)seed, what, is,
                 bound);
}

/* Budget, flapping, convergence, and how often the daemon is woken. */
static void check_host(uint64_t seed)
{
        struct model_host host;
        double cpu, calls, saved, reachable, budget, switches;
        double pages, worst_pass;

        random_host(&host, seed);
        pages = (double)host.ksm.unit_pages * 48 * model_host_guests(&host);
        worst_pass = pages * 14e-6 * host.ksm.speed;
        /* Until all is merged that was there at the start. */
        model_host_run(
                &host,
                SETTLING_SEC + 20 * worst_pass * 100 / (double)host.settings.adaptive.cpu_max, 10);
        cpu = host.ksm.cpu_sec;
        calls = host.calls;
        switches = host.switches;
        saved = model_ksm_saved(&host.ksm) / host.ksm.unit_pages;
        reachable = model_ksm_reachable(&host.ksm) / host.ksm.unit_pages;
        if (host.state.adaptive.short_of_memory && host.rates.rewrites_per_sec <= 0 &&
            host.rates.guests_per_hour <= 0 && saved < 0.9 * reachable && reachable > 3)
                describe(seed, "saved", saved, 0.9 * reachable);
        host.price_most = host.wall_in_pass_sec = 0;
        model_host_run(&host, host.now_sec + DAY_SEC, 10);
        cpu = host.ksm.cpu_sec - cpu;
        calls = (host.calls - calls) / 24;
        switches = (host.switches - switches) / 24;

        /* At rest, nothing comes but what is rewritten: the budget, and a pass of each kind. */
        budget = DAY_SEC * (double)host.settings.adaptive.cpu_budget_milli / 1e5;
        /* An accounting that stands still cannot be kept to. */
        if (host.rates.guests_per_hour <= 0 &&
            !(host.hide_from & (MODEL_HIDE_CPU | MODEL_HIDE_TICKS)) &&
            cpu > 1.05 * budget + 3 * worst_pass)
                describe(seed, "ksmd's CPU time in a day", cpu, budget + 3 * worst_pass);
        if (switches > 24)
                describe(seed, "switches an hour", switches, 24);
        if (calls > 700 + 6 * host.wall_in_pass_sec / 24)
                describe(seed, "calls an hour", calls, 700 + 6 * host.wall_in_pass_sec / 24);
        if (host.rates.rewrites_per_sec <= 0 && host.rates.guests_per_hour <= 0 &&
            host.state.adaptive.short_of_memory && reachable > 3 &&
            model_ksm_saved(&host.ksm) < 0.95 * reachable * host.ksm.unit_pages)
                describe(seed, "saved after a day",
                         model_ksm_saved(&host.ksm) / host.ksm.unit_pages, 0.95 * reachable);
        model_host_release(&host);
}

static void test_random_hosts(void **state)
{
        const char *seed = getenv("MODEL_SEED");

        if (seed) {
                check_host(strtoull(seed, NULL, 10));
                return;
        }
        for (unsigned i = 1; i <= n_hosts(HOSTS); i++)
                check_host(i);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_random_hosts),
        };

        return cmocka_run_group_tests_name("adaptive-model", tests, NULL, NULL);
}
