/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The adaptive policy beside others on the model of KSM (tests/unit/model-*.h): a table of what
 * each of them saves, when, and for how much of ksmd's CPU time. No kernel is touched. With -v the
 * adaptive policy tells each of its passes.
 *
 * The columns: seconds until 50 and 90 % of what is reachable is saved, and ksmd's CPU time then;
 * at the end its CPU time, what was saved over the time, what is saved, and how often the daemon
 * was woken; then the same for the rest that follows, in which nothing happens. The last one is the
 * highest share of a CPU that ksmd used in any 5 seconds. Then the schedules of `./dev bench
 * policy`, with the seconds from the event until 90 % is saved again, and the share of late twins
 * that are merged at the end.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/model-fleet.h"

#define GIB   1073741824.0
#define STEPS 24000

static const struct model_contestant contestants[] = {
        {"adaptive", DRIVER_ADAPTIVE, 0, 0, 100, false},
        {"adaptive, KSM_CPU_MAX=25", DRIVER_ADAPTIVE, 0, 0, 25, false},
        {"original, forced on", DRIVER_FORCED, 0, 0, 0, false},
        {"fixed 100/20", DRIVER_FIXED, 100, 20, 0, false},
        {"fixed 1250/10", DRIVER_FIXED, 1250, 10, 0, false},
        {"fixed 9000/20", DRIVER_FIXED, 9000, 20, 0, false},
        {"advisor", DRIVER_ADVISOR, 0, 0, 0, false},
        {"adaptive, no smart_scan", DRIVER_ADAPTIVE, 0, 0, 100, true},
        {"original, no smart_scan", DRIVER_FORCED, 0, 0, 0, true},
};

struct scenario {
        const char *name;
        int64_t total_kb;
        unsigned guests, late_guests;
        uint32_t guest_units;
        unsigned twins;
        double unit_pages;
        double boot_sec, until_sec, late_sec, rest_sec;
        double rewrites_per_sec, rewrites_common;
};

static const struct scenario scenarios[] = {
        {.name = "8 x 256 MiB, 2 more at half time, 600 s, half an hour of rest",
         .total_kb = 25 << 20,
         .guests = 8,
         .late_guests = 2,
         .guest_units = 1024,
         .unit_pages = 64,
         .until_sec = 600,
         .late_sec = 300,
         .rest_sec = 1800,
         .twins = 32},
        {.name = "8 x 1 GiB, 2 more at half time, 600 s, half an hour of rest",
         .total_kb = 25 << 20,
         .guests = 8,
         .late_guests = 2,
         .guest_units = 1024,
         .unit_pages = 256,
         .until_sec = 600,
         .late_sec = 300,
         .rest_sec = 1800,
         .twins = 32},
        {.name = "32 x 4 GiB, 8 more booting at half time, an hour, an hour of rest",
         .total_kb = 192 << 20,
         .guests = 32,
         .late_guests = 8,
         .guest_units = 512,
         .unit_pages = 2048,
         .boot_sec = 60,
         .until_sec = 3600,
         .late_sec = 1800,
         .rest_sec = 3600,
         .twins = 64},
        {.name = "8 x 256 MiB, rewriting 4 MiB/s, half of it mergeable",
         .total_kb = 25 << 20,
         .guests = 8,
         .late_guests = 2,
         .guest_units = 1024,
         .unit_pages = 64,
         .until_sec = 600,
         .late_sec = 300,
         .rest_sec = 1800,
         .rewrites_per_sec = 16,
         .rewrites_common = 0.5},
};

static void set_up(struct model_host *host, const struct model_contestant *this,
                   const struct scenario *scenario)
{
        model_host_init(host, 1, scenario->unit_pages, scenario->total_kb, scenario->guest_units);
        host->driver = this->driver;
        host->fixed_pages = this->pages;
        host->fixed_msec = this->msec;
        if (this->no_smart)
                model_host_is_old(host);
        host->rates.boot_sec = scenario->boot_sec;
        host->rates.rewrites_per_sec = scenario->rewrites_per_sec;
        host->rates.rewrites_common = scenario->rewrites_common;
        host->settings.adaptive.cpu_max = this->cpu_max;
        host->settings.classic.thres_coef = 99;
        for (unsigned i = 0; i < scenario->guests; i++)
                (void)model_host_start_guest(host);
}

static void run(const struct model_contestant *this, const struct scenario *scenario, bool verbose)
{
        struct model_host *host = calloc(1, sizeof(*host));
        double to_50 = -1, to_90 = -1, cpu_90 = 0, cpu, gib_sec, reachable;

        if (!host)
                abort();
        set_up(host, this, scenario);
        host->verbose = verbose;
        reachable = 0;
        for (unsigned step = 1; step <= STEPS; step++) {
                double until = scenario->until_sec * step / STEPS;

                model_host_run(host, until, 1);
                if (step == STEPS / 2 && scenario->late_sec > 0) {
                        for (unsigned i = 0; i < scenario->late_guests; i++)
                                (void)model_host_start_guest(host);
                        model_host_make_twins(host, scenario->twins);
                }
                if (step % 100 == 1)
                        reachable = model_ksm_reachable(&host->ksm);
                if (to_50 < 0 && reachable > 0 && model_ksm_saved(&host->ksm) >= 0.5 * reachable)
                        to_50 = until;
                if (to_90 < 0 && reachable > 0 && model_ksm_saved(&host->ksm) >= 0.9 * reachable) {
                        to_90 = until;
                        cpu_90 = host->ksm.cpu_sec;
                }
        }
        cpu = host->ksm.cpu_sec;
        gib_sec = host->saved_gib_sec;
        reachable = model_ksm_reachable(&host->ksm);
        printf("%-26s %8.1f %8.1f %8.1f %8.1f %9.0f %7.1f %6.0f ", this->name, to_50, to_90, cpu_90,
               cpu, gib_sec, 100 * model_ksm_saved(&host->ksm) / reachable, host->calls);
        model_host_run(host, scenario->until_sec + scenario->rest_sec, 1);
        printf("%8.1f %7.1f %6.0f %6.0f\n", host->ksm.cpu_sec - cpu,
               100 * model_ksm_saved(&host->ksm) / model_ksm_reachable(&host->ksm), host->calls,
               100 * host->window_most);
        model_host_release(host);
        free(host);
}

static void run_form(const struct model_form *form, bool verbose)
{
        struct model_outcome o;

        printf("%s\n%-26s %8s %8s %8s %8s %8s %9s %7s %7s %6s %8s %6s\n", form->name, "", "50 % s",
               "90 % s", "CPU s", "again s", "CPU s", "GiB x s", "saved %", "late %", "calls",
               "rest CPU", "5 s %");
        for (size_t c = 0; c < sizeof(contestants) / sizeof(contestants[0]); c++) {
                model_fleet_run(form, &contestants[c], verbose, &o);
                printf("%-26s %8.1f %8.1f %8.1f %8.1f %8.1f %9.0f %7.1f %7.0f %6.0f %8.1f %6.0f\n",
                       contestants[c].name, o.to_50_sec, o.to_90_sec, o.cpu_90_sec, o.again_90_sec,
                       o.cpu_sec, o.gib_sec, 100 * o.saved_share, 100 * o.late_share, o.calls,
                       o.rest_cpu_sec, 100 * o.most_share);
        }
        putchar('\n');
}

int main(int argc, char **argv)
{
        size_t n = sizeof(scenarios) / sizeof(scenarios[0]);
        bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0;

        for (size_t s = 0; s < n; s++) {
                printf("%s\n%-26s %8s %8s %8s %8s %9s %7s %6s %8s %7s %6s %6s\n", scenarios[s].name,
                       "", "50 % s", "90 % s", "CPU s", "CPU s", "GiB x s", "saved %", "calls",
                       "rest CPU", "saved %", "calls", "5 s %");
                for (size_t c = 0; c < sizeof(contestants) / sizeof(contestants[0]); c++)
                        run(&contestants[c], &scenarios[s], verbose);
                putchar('\n');
        }
        run_form(&model_standard_form, verbose);
        run_form(&model_long_form, verbose);
        return 0;
}
