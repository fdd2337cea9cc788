/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* ksmctl guests: what was found, apart from how it is shown. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/cgroup.h"
#include "ksmtuned/guests.h"
#include "ksmtuned/ksm-process.h"
#include "ksmtuned/sysroot.h"

struct guest_row {
        pid_t pid;
        bool is_guest; /* else another process whose memory is mergeable */
        char name[GUEST_NAME_SIZE];
        struct cgroup cgroup; /* "" where it is not known */
        struct ksm_process ksm;
        int64_t rss_bytes; /* SAMPLE_ABSENT where it is not known, like the others */
        int64_t merged_bytes;
        int64_t zero_bytes;
        int64_t share_hundredths; /* merged / RSS in hundredths of a per cent */
};

struct guest_table {
        struct guest_row *rows; /* owned */
        size_t n;
        struct guest_row total; /* sums of what is known; its name is "total" */
        bool all;               /* other processes were looked for, too */
        size_t n_denied;        /* processes that only root and their owners may know of */
        bool hidden;            /* other users' processes are not to be seen at all */
        bool of_daemon;         /* the guests are those that ksmtuned knows */
};

/* The columns, by which it may be sorted, too. */
enum guest_column {
        GUEST_COLUMN_NAME,
        GUEST_COLUMN_PID,
        GUEST_COLUMN_RSS,
        GUEST_COLUMN_MERGEABLE,
        GUEST_COLUMN_MERGED,
        GUEST_COLUMN_ZERO,
        GUEST_COLUMN_PROFIT,
        GUEST_COLUMN_SHARE,
        GUEST_COLUMN_UNIT, /* with --all only */
        GUEST_COLUMN_COUNT,
};

/* In small letters, as the option has it. */
const char *guest_column_name(enum guest_column column);

/*
 * Finds the guests, which are those of @globs, and with @all the other mergeable processes.
 * Return: 0; -ENOMEM; what listing /proc said. Release with guest_table_clear().
 */
int guest_table_read(const struct sysroot *root, const char *const *globs, bool all,
                     struct guest_table *ret_table);

/*
 * The guests that a running daemon knows, at a fraction of the cost; one that has just started may
 * be missing. Return: 1; 0 where its word is not to be had, and @ret_table is untouched; -ENOMEM.
 */
int guest_table_read_known(const struct sysroot *root, struct guest_table *ret_table);
void guest_table_clear(struct guest_table *table);

/* Numbers from the largest, texts from A; equal ones by PID. What is not known comes last. */
void guest_table_sort(struct guest_table *table, enum guest_column column, bool reverse);

/*
 * Calls @fn for each guest that a running daemon has published, verified by its start time.
 * Return: 1; 0 where there is none, its list is bad or out of date, or other users' processes are
 * hidden: @fn may have been called, and that is void; -ENOMEM; what @fn returned if negative.
 */
int guests_of_daemon(const struct sysroot *root, guests_found_fn *fn, void *userdata);

/* On standard output. Return: 0; -ENOMEM. */
int guest_table_print(const struct guest_table *table, bool bytes);
int guest_table_print_json(const struct guest_table *table);
