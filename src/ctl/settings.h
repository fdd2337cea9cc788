/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ksmctl settings: the kernel's settings beside the configured ones, and the change in stages. */

#include <stdbool.h>

#include "ksmtuned/ksm-settings.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"
#include "ksmtuned/unmerge.h"

enum settings_refusal {
        SETTINGS_GO,
        SETTINGS_DO_NOT_FIT, /* the unmerge does not */
        SETTINGS_AT_WORK,    /* another process unmerges */
};

struct settings_plan {
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        int64_t now[KERNEL_SETTING_COUNT]; /* also of those that nobody wants; or SAMPLE_ABSENT */
        int read_error[KERNEL_SETTING_COUNT];
        struct unmerge_figures start;
        bool needs_unmerge;
        bool any_change; /* there is something to write */
        /* smart_scan belongs to a daemon whose policy writes it; the look is UNWANTED then. */
        bool smart_scan_taken;
        int64_t smart_scan_wanted;
        enum settings_refusal refusal;
};

/* Return: 0; what unmerge_look() said. */
int settings_plan(const struct sysroot *root, const struct kernel_settings *want,
                  struct settings_plan *ret_plan);

/* For people and for programs, on standard output. Return: 0; -ENOMEM. */
int settings_plan_print(const struct settings_plan *plan);
int settings_plan_print_json(const struct settings_plan *plan);

/* What is refused, with the figures: one line on standard error. */
void settings_plan_refuse(const struct settings_plan *plan);

/*
 * Brings the kernel to what is configured: at once where nothing has to be unmerged; else stops
 * ksmd, looks whether it fits, unmerges, writes, and lets ksmd run as before. Whatever goes wrong,
 * settings and run are as before. Return: the exit status.
 */
int settings_work(const struct sysroot *root, const struct settings_plan *plan);
