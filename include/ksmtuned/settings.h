/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The configuration: ksmtuned.conf(5). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/kernel-settings.h"
#include "ksmtuned/policy.h"
#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

#define SETTINGS_PATH        "/etc/ksmtuned.conf"
#define SETTINGS_DROPIN_PATH "/etc/ksmtuned.conf.d"
#define SETTINGS_MAX_BYTES   (1024 * 1024)

/* 64 MiB. Below this a KSM_THRES_CONST means nothing on a host of today: MB were probably meant. */
#define THRES_CONST_KB_LOW INT64_C(65536)

enum stop_action {
        STOP_ACTION_KEEP,    /* leave the knobs as they are */
        STOP_ACTION_STOP,    /* run=0 */
        STOP_ACTION_UNMERGE, /* run=2 where it fits into memory, else run=0 */
};

struct settings {
        uint64_t monitor_interval_usec; /* KSM_MONITOR_INTERVAL, 100 ms to a day */
        struct policy_settings policy;  /* KSM_POLICY and the keys of the policies */
        bool debug;                     /* DEBUG set and not 0 */
        char *log_file;                 /* LOGFILE; "" means standard error */
        char *pid_file;                 /* PIDFILE; "" means none */
        char *libvirt_uri;              /* KSM_LIBVIRT_URI; "" means no libvirt */
        char *metrics_file;             /* KSM_METRICS_FILE; "" means none */
        int64_t metrics_guests;         /* KSM_METRICS_GUESTS: how many are told one by one */
        char **vm_match;                /* KSM_VM_MATCH, ends with NULL */
        enum guest_metric ps_metric;    /* KSM_PS_METRIC */
        enum stop_action stop_action;   /* KSM_STOP_ACTION */
        struct kernel_settings kernel;  /* KSM_MERGE_ACROSS_NODES and the like */
};

/* Something to tell the administrator about a file. */
struct settings_problem {
        bool is_error; /* else a warning: the setting was applied as written, or ignored as told */
        char *file;    /* as the administrator would name it */
        unsigned line; /* from 1; 0 where the file as a whole is meant */
        char *text;    /* what is wrong and what is accepted */
};

struct settings_problems {
        struct settings_problem *list;
        size_t n;
};

void settings_problems_clear(struct settings_problems *problems);

/* The defaults. Return: 0; -ENOMEM. */
int settings_new(struct settings **ret_settings);
struct settings *settings_free(struct settings *settings);

/*
 * Reads the configuration into a new object. With @file NULL: SETTINGS_PATH and then
 * SETTINGS_DROPIN_PATH/(name).conf in order of their names (in the root; each may be missing).
 * Otherwise @file alone, as this process sees it (not in the root), and it must be there.
 * A later assignment of a key replaces an earlier one. All errors are collected, not just the
 * first, and problems are appended to @problems in the order of files and lines.
 * Return: 0 (perhaps with warnings); -EBADMSG if there was an error; -ENOMEM.
 */
int settings_load(struct settings **ret_settings, const struct sysroot *root, const char *file,
                  struct settings_problems *problems);

/* "keep", "stop", "unmerge" and "rss", "pss", "vsz" */
const char *stop_action_name(enum stop_action action);
const char *guest_metric_name(enum guest_metric metric);
/*
 * What counts as a guest's memory with these settings: KSM_PS_METRIC; with the adaptive policy the
 * RSS, which tells it what guests have come to hold, be it merged or not.
 */
enum guest_metric settings_guest_metric(const struct settings *settings);

/*
 * A time span as KSM_MONITOR_INTERVAL takes it, "10", "0.5", "2m", from SETTINGS_INTERVAL_MIN_USEC
 * to SETTINGS_INTERVAL_MAX_USEC. Return: 0; -EBADMSG if it is none; -ERANGE; -ENOMEM.
 */
#define SETTINGS_INTERVAL_MIN_USEC UINT64_C(100000)
#define SETTINGS_INTERVAL_MAX_USEC (UINT64_C(86400) * 1000000)
int settings_interval(const char *text, uint64_t *ret_usec);
