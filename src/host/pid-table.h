/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes that a scan has looked at, in order of their PIDs. Eight bytes each. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pid_entry {
        uint32_t pid;
        uint32_t cpu_nsec; /* low half of the CPU clock just before it was looked into */
};

struct pid_table {
        struct pid_entry *entries;
        size_t n, n_allocated;
};

void pid_table_clear(struct pid_table *table);

/* Index of the first entry whose PID is @pid or more; table->n if there is none. */
size_t pid_table_lower_bound(const struct pid_table *table, uint32_t pid);

/* The entry of @pid, or NULL. */
struct pid_entry *pid_table_find(const struct pid_table *table, uint32_t pid);

/* Adds an entry behind the last; the caller keeps the order. Return: 0; -ENOMEM. */
int pid_table_append(struct pid_table *table, struct pid_entry entry);

/* Puts all of @entries where [@from, @to) was. Return: 0; -ENOMEM (nothing changed). */
int pid_table_splice(struct pid_table *table, size_t from, size_t to,
                     const struct pid_table *entries);

void pid_table_remove(struct pid_table *table, uint32_t pid);
