/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table for people, and what is to be said below it. */

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "guests.h"
#include "ksmtuned/sample.h"
#include "table.h"
#include "terminal.h"

#define CELL_SIZE 32

/* In few characters: "512", "1.5K", "23.1G", "1000G". */
static const char *short_size(char *buf, size_t size, int64_t bytes, bool exact)
{
        static const char units[] = "BKMGTPE";
        /* Of INT64_MIN, too. */
        uint64_t n = bytes < 0 ? -(uint64_t)bytes : (uint64_t)bytes, tenths = 0;
        const char *unit = units, *sign = bytes < 0 ? "-" : "";

        if (bytes == SAMPLE_ABSENT)
                return "-";
        if (exact) {
                (void)snprintf(buf, size, "%" PRId64, bytes);
                return buf;
        }
        for (; n >= 1024 && unit[1]; unit++) {
                tenths = n % 1024 * 10 / 1024;
                n /= 1024;
        }
        if (unit == units)
                (void)snprintf(buf, size, "%s%" PRIu64, sign, n);
        else if (n >= 100)
                (void)snprintf(buf, size, "%s%" PRIu64 "%c", sign, n, *unit);
        else
                (void)snprintf(buf, size, "%s%" PRIu64 ".%" PRIu64 "%c", sign, n, tenths, *unit);
        return buf;
}

static const char *share(char *buf, size_t size, int64_t hundredths)
{
        if (hundredths == SAMPLE_ABSENT)
                return "-";
        (void)snprintf(buf, size, "%" PRId64 ".%" PRId64 "%%", hundredths / 100,
                       hundredths % 100 / 10);
        return buf;
}

static int add_row(struct libscols_table *table, const struct guest_row *row, bool bytes, bool all)
{
        char pid[CELL_SIZE] = "", rss[CELL_SIZE], merged[CELL_SIZE], zero[CELL_SIZE],
             profit[CELL_SIZE], part[CELL_SIZE];
        const char *cells[GUEST_COLUMN_COUNT] = {
                [GUEST_COLUMN_NAME] = row->name,
                [GUEST_COLUMN_PID] = pid,
                [GUEST_COLUMN_RSS] = short_size(rss, sizeof(rss), row->rss_bytes, bytes),
                [GUEST_COLUMN_MERGED] =
                        short_size(merged, sizeof(merged), row->merged_bytes, bytes),
                [GUEST_COLUMN_ZERO] = short_size(zero, sizeof(zero), row->zero_bytes, bytes),
                [GUEST_COLUMN_PROFIT] =
                        short_size(profit, sizeof(profit), row->ksm.profit_bytes, bytes),
                [GUEST_COLUMN_SHARE] = share(part, sizeof(part), row->share_hundredths),
                [GUEST_COLUMN_UNIT] = *row->cgroup.unit ? row->cgroup.unit : row->cgroup.path,
        };

        if (row->pid > 0) {
                (void)snprintf(pid, sizeof(pid), "%d", row->pid);
                cells[GUEST_COLUMN_MERGEABLE] = ksm_verdict_word(row->ksm.verdict);
        }
        return table_add(table, cells, all ? GUEST_COLUMN_COUNT : GUEST_COLUMN_UNIT);
}

/* Whole in a file or a pipe, where nobody is helped by what is cut off. */
static bool is_to_fit(const struct terminal *terminal)
{
        return terminal->is_terminal || getenv("COLUMNS");
}

static int print_rows(const struct guest_table *guests, const struct terminal *terminal, bool bytes)
{
        static const struct table_column columns[GUEST_COLUMN_COUNT] = {
                [GUEST_COLUMN_NAME] = {.cut = true, .heading = "NAME"},
                [GUEST_COLUMN_PID] = {.right = true, .heading = "PID"},
                [GUEST_COLUMN_RSS] = {.right = true, .heading = "RSS"},
                [GUEST_COLUMN_MERGEABLE] = {.heading = "MERGEABLE"},
                [GUEST_COLUMN_MERGED] = {.right = true, .heading = "MERGED"},
                [GUEST_COLUMN_ZERO] = {.right = true, .heading = "ZERO"},
                [GUEST_COLUMN_PROFIT] = {.right = true, .heading = "PROFIT"},
                [GUEST_COLUMN_SHARE] = {.right = true, .heading = "SHARE"},
                [GUEST_COLUMN_UNIT] = {.cut = true, .heading = "UNIT"},
        };
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, guests->all ? GUEST_COLUMN_COUNT : GUEST_COLUMN_UNIT);

        if (r == 0 && is_to_fit(terminal))
                r = table_fit(table, terminal->width);
        for (size_t i = 0; r == 0 && i < guests->n; i++)
                r = add_row(table, &guests->rows[i], bytes, guests->all);
        if (r == 0)
                r = add_row(table, &guests->total, bytes, guests->all);
        return r < 0 ? r : scols_print_table(table);
}

/* A paragraph as wide as the terminal, but not wider than can be read. */
__attribute__((format(printf, 2, 3))) static void print_note(const struct terminal *terminal,
                                                             const char *format, ...)
{
        char text[512];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        wrap_words(text, terminal->width < TABLE_WIDTH ? terminal->width : TABLE_WIDTH);
        (void)printf("\n%s\n", text);
}

/* Each reason that has been given is explained once. */
static void print_reasons(const struct guest_table *guests, const struct terminal *terminal)
{
        for (int i = 0; i < KSM_PROCESS_VERDICT_COUNT; i++) {
                enum ksm_process_verdict verdict = (enum ksm_process_verdict)i;
                size_t n = 0;

                for (size_t row = 0; row < guests->n; row++)
                        n += guests->rows[row].ksm.verdict == verdict;
                if (n > 0 && verdict != KSM_PROCESS_MERGEABLE &&
                    verdict != KSM_PROCESS_NO_PERMISSION)
                        print_note(terminal, "%s: %s.", ksm_verdict_word(verdict),
                                   ksm_verdict_sentence(verdict));
        }
}

int guest_table_print(const struct guest_table *guests, bool bytes)
{
        struct terminal terminal;
        int r = 0;

        terminal_look(&terminal);
        if (guests->n > 0)
                r = print_rows(guests, &terminal, bytes);
        else
                (void)puts(guests->all ? "No virtual machine runs, and no other process is "
                                         "mergeable."
                                       : "No virtual machine runs.");
        if (r < 0)
                return r;
        /* Only here somebody may wonder where his guest is. */
        if (guests->n == 0 && guests->of_daemon && terminal.is_terminal)
                (void)printf("%sksmtuned knows of none; --scan looks at every process.%s\n",
                             terminal_style(&terminal, STYLE_DIM),
                             terminal_style(&terminal, STYLE_PLAIN));
        print_reasons(guests, &terminal);
        if (guests->n_denied > 0)
                print_note(&terminal,
                           "Of %zu process%s only root and the owner may know what KSM does.",
                           guests->n_denied, guests->n_denied == 1 ? "" : "es");
        if (guests->hidden)
                print_note(&terminal, "Other users' processes cannot be seen: /proc is mounted "
                                      "with hidepid. Ask as root.");
        return 0;
}
