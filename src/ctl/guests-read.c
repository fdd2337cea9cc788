/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guests.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/process.h"
#include "table.h"

struct reading {
        const struct sysroot *root;
        struct guest_table *table;
        size_t n_guests; /* the first rows, in the order of their PIDs */
        size_t n_max;
};

static int64_t times(int64_t n, int64_t factor)
{
        return n == SAMPLE_ABSENT ? SAMPLE_ABSENT : saturating_mul(n, factor);
}

/* Sums up what is known. */
static void add_known(int64_t *sum, int64_t value)
{
        if (value != SAMPLE_ABSENT)
                *sum = *sum == SAMPLE_ABSENT ? value : saturating_add(*sum, value);
}

static int64_t share_of(const struct guest_row *row)
{
        if (row->merged_bytes == SAMPLE_ABSENT || row->rss_bytes <= 0)
                return SAMPLE_ABSENT;
        return saturating_mul(row->merged_bytes, 10000) / row->rss_bytes;
}

static void fill(struct guest_row *row)
{
        int64_t page_bytes = sysconf(_SC_PAGESIZE);

        row->rss_bytes = times(row->ksm.rss_kb, 1024);
        row->merged_bytes = times(row->ksm.merging_pages, page_bytes);
        row->zero_bytes = times(row->ksm.zero_pages, page_bytes);
        row->share_hundredths = share_of(row);
}

/* Return: a row at the end, which does not count yet; NULL without memory. */
static struct guest_row *spare_row(struct reading *reading)
{
        struct guest_table *table = reading->table;
        size_t n_max = reading->n_max ? reading->n_max * 2 : 64;
        struct guest_row *rows;

        if (table->n == reading->n_max) {
                rows = reallocarray(table->rows, n_max, sizeof(*rows));
                if (!rows)
                        return NULL;
                table->rows = rows;
                reading->n_max = n_max;
        }
        memset(&table->rows[table->n], 0, sizeof(*rows));
        return &table->rows[table->n];
}

/* Only with --all it is told, and it costs a read. */
static void read_cgroup(struct reading *reading, struct guest_row *row)
{
        if (!reading->table->all || cgroup_read(reading->root, row->pid, &row->cgroup) < 0)
                return;
        make_printable(row->cgroup.path);
        make_printable(row->cgroup.unit);
}

/* Return: 0, also if it has ended meanwhile; -ENOMEM. */
static int add_row(struct reading *reading, pid_t pid, const char *comm, bool is_guest)
{
        struct guest_row *row = spare_row(reading);

        if (!row)
                return -ENOMEM;
        if (ksm_process_read(reading->root, pid, &row->ksm) < 0)
                return 0;
        row->pid = pid;
        row->is_guest = is_guest;
        (void)snprintf(row->name, sizeof(row->name), "%s",
                       is_guest && *row->ksm.name ? row->ksm.name : comm);
        make_printable(row->name);
        fill(row);
        read_cgroup(reading, row);
        reading->table->n_denied += is_guest && row->ksm.error == -EACCES;
        reading->table->n++;
        return 0;
}

static int add_guest(void *userdata, pid_t pid, const char *comm)
{
        return add_row(userdata, pid, comm, true);
}

static int compare_rows(const void *a, const void *b)
{
        const struct guest_row *one = a, *other = b;

        return (one->pid > other->pid) - (one->pid < other->pid);
}

static int compare_pids(const void *a, const void *b)
{
        const struct guest_row *row = b;
        pid_t pid = *(const pid_t *)a;

        return (pid > row->pid) - (pid < row->pid);
}

/* A process that is no guest. */
static int add_other(void *userdata, pid_t pid)
{
        struct reading *reading = userdata;
        char path[64], comm[GUEST_NAME_SIZE];
        ssize_t n;

        if (reading->n_guests > 0 && bsearch(&pid, reading->table->rows, reading->n_guests,
                                             sizeof(struct guest_row), compare_pids))
                return 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/comm", pid);
        n = sysroot_read(reading->root, path, comm, sizeof(comm));
        if (n <= 0)
                return 0;
        if (comm[n - 1] == '\n')
                comm[n - 1] = '\0';
        return add_row(reading, pid, comm, false);
}

static void sum_up(struct guest_table *table)
{
        struct guest_row *total = &table->total;

        memset(total, 0, sizeof(*total));
        (void)snprintf(total->name, sizeof(total->name), "total");
        ksm_process_init(&total->ksm);
        total->rss_bytes = total->merged_bytes = total->zero_bytes = SAMPLE_ABSENT;
        for (size_t i = 0; i < table->n; i++) {
                const struct guest_row *row = &table->rows[i];

                add_known(&total->rss_bytes, row->rss_bytes);
                add_known(&total->merged_bytes, row->merged_bytes);
                add_known(&total->zero_bytes, row->zero_bytes);
                add_known(&total->ksm.profit_bytes, row->ksm.profit_bytes);
        }
        total->share_hundredths = share_of(total);
}

static int read_all(struct reading *reading, const char *const *globs)
{
        struct guests_scan_info info;
        int r = guests_find(reading->root, globs, add_guest, reading, &info);

        if (r < 0)
                return r;
        reading->table->hidden = info.others_hidden || info.names_denied;
        if (!reading->table->all)
                return 0;
        /* Those of a made-up root come in any order. */
        reading->n_guests = reading->table->n;
        if (reading->n_guests > 0)
                qsort(reading->table->rows, reading->n_guests, sizeof(struct guest_row),
                      compare_rows);
        return ksm_process_scan(reading->root, add_other, reading, &reading->table->n_denied);
}

int guest_table_read(const struct sysroot *root, const char *const *globs, bool all,
                     struct guest_table *ret_table)
{
        struct guest_table table = {.all = all};
        struct reading reading = {.root = root, .table = &table};
        int r = read_all(&reading, globs);

        if (r < 0) {
                guest_table_clear(&table);
                return r;
        }
        sum_up(&table);
        *ret_table = table;
        return 0;
}

int guest_table_read_known(const struct sysroot *root, struct guest_table *ret_table)
{
        struct guest_table table = {.of_daemon = true};
        struct reading reading = {.root = root, .table = &table};
        int r = guests_of_daemon(root, add_guest, &reading);

        if (r <= 0) {
                guest_table_clear(&table);
                return r;
        }
        sum_up(&table);
        *ret_table = table;
        return 1;
}

void guest_table_clear(struct guest_table *table)
{
        free(table->rows);
        *table = (struct guest_table){.n = 0};
}
