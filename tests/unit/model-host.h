/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A host for the tests of policies: guests of the model of KSM that come, boot, rewrite their
 * memory and go, the memory that they leave, the pressure when it runs out, and somebody who
 * drives ksmd: the adaptive policy, or one of those that it is compared with.
 */

#include <stddef.h>

#include "ksmtuned/policy.h"
#include "model-ksm.h"

enum model_driver {
        DRIVER_ADAPTIVE,
        DRIVER_FORCED, /* the original, memory short all the time */
        DRIVER_FIXED,
        DRIVER_ADVISOR, /* the kernel's, with its defaults */
};

struct model_rates {
        double zero, common, busy; /* shares of a guest's memory; the rest is like no other */
        double boot_sec;           /* until it has touched all of it */
        double rewrites_per_sec;   /* units of all guests */
        double rewrites_common;    /* share of those that become equal to another guest's */
        double guests_per_hour;    /* that come, and as many go */
};

struct model_host {
        struct model_ksm ksm;
        struct model_rates rates;
        uint64_t random;
        int64_t total_kb, other_kb, wanted_other_kb;
        int64_t anon_other_kb;
        uint32_t guest_units;
        uint32_t image[4096]; /* contents of the image that guests are started from */
        uint32_t n_image;
        struct {
                bool alive;
                double started_sec;
                uint32_t touched;
        } guests[MODEL_PROCESSES_MAX];
        double now_sec, pressure_centi;
        unsigned events;

        enum model_driver driver;
        struct policy_settings settings;
        struct policy_state state;
        struct decision decision;
        struct sample last_sample;
        int64_t fixed_pages, fixed_msec;
        double interval_sec; /* KSM_MONITOR_INTERVAL */
        double next_call_sec, next_tick_sec, lived_sec;
        int64_t hide_from; /* MODEL_HIDE_* */

        /* What is measured. */
        double saved_gib_sec, calls, switches;
        double cpu_in_pass_sec, wall_in_pass_sec; /* of long bursts, for the CPU share */
        enum phase last_phase;
        enum decision_why last_why;
        bool was_off;
        double price_most; /* µs of CPU for a GiB and a second */
        double window_start_sec, window_cpu_sec, window_most; /* 5 seconds */
        /* Called at each tick, in place of rates; NULL: by rates. */
        void (*live)(struct model_host *host, void *context);
        void *live_context;
        bool verbose; /* tells on standard output what the policy does */
        void (*check)(const struct model_host *host, const struct sample *sample);
};

/* Old kernels: which figures there are none of. */
enum {
        MODEL_HIDE_COUNTERS = 1, /* pages_scanned, pages_skipped */
        MODEL_HIDE_SMART = 2,
        MODEL_HIDE_CPU = 4,
        MODEL_HIDE_AVAILABLE = 8,
        MODEL_HIDE_ANON = 16,
        MODEL_HIDE_TICKS = 32, /* CPU time in hundredths of a second */
        MODEL_HIDE_GUESTS = 64,
        MODEL_HIDE_ALL = 128,
};

/* As Debian 12's Linux 6.1: no smart_scan, and none of the counters that came with it. */
void model_host_is_old(struct model_host *host);

double model_random(struct model_host *host); /* 0 to 1 */
void model_host_init(struct model_host *host, uint64_t seed, double unit_pages, int64_t total_kb,
                     uint32_t guest_units);
void model_host_release(struct model_host *host);
/* Return: the process, MODEL_PROCESSES_MAX where there is no room. */
uint32_t model_host_start_guest(struct model_host *host);
void model_host_end_guest(struct model_host *host, uint32_t guest);
unsigned model_host_guests(const struct model_host *host);
/* So many units that nobody shares become, in pairs of guests, equal. */
void model_host_make_twins(struct model_host *host, unsigned n);
/* A guest writes so many units that are like old ones of others, which nobody shares. */
void model_host_copy_old(struct model_host *host, uint32_t guest, uint32_t n);
void model_host_sample(const struct model_host *host, struct sample *ret_sample);
void model_host_run(struct model_host *host, double until_sec, double tick_sec);
