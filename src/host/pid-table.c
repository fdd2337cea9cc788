/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pid-table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void pid_table_clear(struct pid_table *table)
{
        free(table->entries);
        *table = (struct pid_table){.entries = NULL};
}

size_t pid_table_lower_bound(const struct pid_table *table, uint32_t pid)
{
        size_t low = 0, high = table->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (table->entries[middle].pid < pid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct pid_entry *pid_table_find(const struct pid_table *table, uint32_t pid)
{
        size_t i = pid_table_lower_bound(table, pid);

        return i < table->n && table->entries[i].pid == pid ? &table->entries[i] : NULL;
}

/* An eighth more than asked for: the table follows the number of processes, which drifts. */
static int reserve(struct pid_table *table, size_t n)
{
        struct pid_entry *entries;

        if (n <= table->n_allocated)
                return 0;
        n += n / 8 + 64;
        entries = realloc(table->entries, n * sizeof(*entries));
        if (!entries)
                return -ENOMEM;
        table->entries = entries;
        table->n_allocated = n;
        return 0;
}

int pid_table_append(struct pid_table *table, struct pid_entry entry)
{
        int r = reserve(table, table->n + 1);

        if (r == 0)
                table->entries[table->n++] = entry;
        return r;
}

int pid_table_splice(struct pid_table *table, size_t from, size_t to,
                     const struct pid_table *entries)
{
        size_t n = table->n - (to - from) + entries->n;
        int r = reserve(table, n);

        if (r < 0)
                return r;
        if (n > 0) {
                memmove(table->entries + from + entries->n, table->entries + to,
                        (table->n - to) * sizeof(*table->entries));
                if (entries->n > 0)
                        memcpy(table->entries + from, entries->entries,
                               entries->n * sizeof(*table->entries));
        }
        table->n = n;
        return 0;
}

void pid_table_remove(struct pid_table *table, uint32_t pid)
{
        struct pid_entry *entry = pid_table_find(table, pid);
        size_t i;

        if (!entry)
                return;
        i = (size_t)(entry - table->entries);
        memmove(entry, entry + 1, (table->n - i - 1) * sizeof(*entry));
        table->n--;
}
