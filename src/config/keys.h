/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The keys of ksmtuned.conf: their names, ranges and defaults. One table, for everything. */

#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/settings.h"

enum key {
        KEY_MONITOR_INTERVAL,
        KEY_SLEEP_MSEC,
        KEY_NPAGES_BOOST,
        KEY_NPAGES_DECAY,
        KEY_NPAGES_MIN,
        KEY_NPAGES_MAX,
        KEY_THRES_COEF,
        KEY_THRES_CONST,
        KEY_DEBUG,
        KEY_LOGFILE,
        KEY_PIDFILE,
        KEY_POLICY,
        KEY_CPU_MAX,
        KEY_CPU_BUDGET,
        KEY_MEMORY_PRICE,
        KEY_VM_MATCH,
        KEY_PS_METRIC,
        KEY_STOP_ACTION,
        KEY_LIBVIRT_URI,
        KEY_METRICS_FILE,
        KEY_METRICS_GUESTS,
        KEY_MERGE_ACROSS_NODES,
        KEY_MAX_PAGE_SHARING,
        KEY_USE_ZERO_PAGES,
        KEY_SMART_SCAN,
        KEY_COUNT,
};

enum key_type {
        KEY_TYPE_INTEGER,
        KEY_TYPE_OPTIONAL, /* an integer, or nothing */
        KEY_TYPE_DECIMAL,
        KEY_TYPE_INTERVAL,
        KEY_TYPE_FLAG,
        KEY_TYPE_PATH,
        KEY_TYPE_URI,
        KEY_TYPE_WORDS,
        KEY_TYPE_CHOICE,
};

struct key_info {
        const char *name;
        const char *default_text; /* as it would stand in the file */
        enum key_type type;
        size_t offset;    /* of the member of struct settings */
        int64_t min, max; /* of numbers; of intervals in µs; of decimals in parts */
        int64_t scale;    /* of decimals: how many parts make 1 */
        const char *unit; /* of numbers; NULL where they count something */
};

extern const struct key_info key_infos[KEY_COUNT];

/* Return: the key of that name; KEY_COUNT if there is none. */
enum key key_find(const char *name);

/* Return: the key whose name is so near to @name that it was probably meant; else KEY_COUNT. */
enum key key_nearest(const char *name);

/*
 * Sets a key. An empty @value stands for the default; but DEBUG is off then, LOGFILE standard
 * error, PIDFILE and KSM_METRICS_FILE none, KSM_LIBVIRT_URI no libvirt. Where the value is bad,
 * @text says what would be accepted. Return: 0; -EBADMSG; -ENOMEM.
 */
int key_set(enum key key, struct settings *settings, const char *value, char *text, size_t size);
