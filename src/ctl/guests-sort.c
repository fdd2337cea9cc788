/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <stdlib.h>
#include <string.h>

#include "guests.h"

struct order {
        enum guest_column column;
        bool reverse;
};

const char *guest_column_name(enum guest_column column)
{
        static const char *const names[GUEST_COLUMN_COUNT] = {
                [GUEST_COLUMN_NAME] = "name",     [GUEST_COLUMN_PID] = "pid",
                [GUEST_COLUMN_RSS] = "rss",       [GUEST_COLUMN_MERGEABLE] = "mergeable",
                [GUEST_COLUMN_MERGED] = "merged", [GUEST_COLUMN_ZERO] = "zero",
                [GUEST_COLUMN_PROFIT] = "profit", [GUEST_COLUMN_SHARE] = "share",
                [GUEST_COLUMN_UNIT] = "unit",
        };

        return names[column];
}

static bool is_text(enum guest_column column)
{
        return column == GUEST_COLUMN_NAME || column == GUEST_COLUMN_MERGEABLE ||
               column == GUEST_COLUMN_UNIT;
}

/* The text that a column is sorted by. */
static const char *text_of(const struct guest_row *row, enum guest_column column)
{
        switch (column) {
        case GUEST_COLUMN_NAME:
                return row->name;
        case GUEST_COLUMN_MERGEABLE:
                return ksm_verdict_word(row->ksm.verdict);
        case GUEST_COLUMN_UNIT:
                return *row->cgroup.unit ? row->cgroup.unit : row->cgroup.path;
        default:
                return "";
        }
}

static int64_t number_of(const struct guest_row *row, enum guest_column column)
{
        switch (column) {
        case GUEST_COLUMN_RSS:
                return row->rss_bytes;
        case GUEST_COLUMN_ZERO:
                return row->zero_bytes;
        case GUEST_COLUMN_PROFIT:
                return row->ksm.profit_bytes;
        case GUEST_COLUMN_SHARE:
                return row->share_hundredths;
        default:
                return row->merged_bytes;
        }
}

static int compare_numbers(int64_t a, int64_t b, bool reverse)
{
        if (a == b)
                return 0;
        if (a == SAMPLE_ABSENT || b == SAMPLE_ABSENT)
                return a == SAMPLE_ABSENT ? 1 : -1;
        return (a < b) == reverse ? -1 : 1;
}

static int compare_texts(const char *a, const char *b, bool reverse)
{
        int order = strcmp(a, b);

        if (order == 0 || !*a || !*b)
                return !*a - !*b;
        return reverse ? -order : order;
}

static int compare(const void *a, const void *b, void *userdata)
{
        const struct guest_row *one = a, *other = b;
        const struct order *order = userdata;
        int by_pid = (one->pid > other->pid) - (one->pid < other->pid), r;

        /* PIDs are numbers, but their order is that of time, which starts with the oldest. */
        if (order->column == GUEST_COLUMN_PID)
                return order->reverse ? -by_pid : by_pid;
        r = is_text(order->column)
                    ? compare_texts(text_of(one, order->column), text_of(other, order->column),
                                    order->reverse)
                    : compare_numbers(number_of(one, order->column),
                                      number_of(other, order->column), order->reverse);
        return r != 0 ? r : by_pid;
}

void guest_table_sort(struct guest_table *table, enum guest_column column, bool reverse)
{
        struct order order = {column, reverse};

        if (table->n > 0)
                qsort_r(table->rows, table->n, sizeof(table->rows[0]), compare, &order);
}
