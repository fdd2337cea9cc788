/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The schedule of `./dev bench policy` (tests/bench/policy/fleet.py) on the model: guests that boot
 * one behind the other, an event at which more of them come, one ends and memory is rewritten,
 * late twins of old pages, QEMU guests beside them; then rest.
 */

#include "model-host.h"

#define FLEET_GUESTS_MAX 64

struct model_form {
        const char *name;
        unsigned guests, qemu;
        uint32_t units; /* of a guest */
        double unit_pages;
        double stagger_sec, boot_sec; /* between two starts; of a start */
        double qemu_stagger_sec;
        double event_sec, end_sec, rest_sec;
        int64_t thres_coef;          /* KSM_THRES_COEF: when memory is short */
        double rewrites_mib_per_sec; /* of common pages, half of which become equal again */
};

extern const struct model_form model_standard_form, model_long_form;

/* Who drives ksmd. */
struct model_contestant {
        const char *name;
        enum model_driver driver;
        int64_t pages, msec;
        int64_t cpu_max;
        bool no_smart; /* model_host_is_old() */
};

struct model_outcome {
        double to_50_sec, to_90_sec, cpu_90_sec; /* of what can be saved at the event; -1: never */
        double again_90_sec; /* from the event, of what can be saved at the end */
        double cpu_sec, gib_sec, saved_share, calls;
        double rest_cpu_sec, rest_saved_share, rest_calls;
        double late_share; /* of the late twins that are merged at the end */
        double most_share; /* of a CPU in any 5 seconds */
};

void model_fleet_run(const struct model_form *form, const struct model_contestant *contestant,
                     bool verbose, struct model_outcome *ret_outcome);
