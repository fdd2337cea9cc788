/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The daemon's part: whether it runs, and what it decided last and why. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/reason.h"
#include "ksmtuned/sample.h"
#include "status.h"
#include "table.h"

/* What is left of a line. */
#define TEXT_WIDTH (TABLE_WIDTH - STATUS_NAME_WIDTH - TABLE_GAP)

const char *status_size(char *buf, size_t size, int64_t bytes, bool exact)
{
        char digits[32];

        if (exact || bytes == INT64_MIN)
                (void)snprintf(buf, size, "%lld", (long long)bytes);
        else
                (void)snprintf(
                        buf, size, "%s%s", bytes < 0 ? "-" : "",
                        format_kb(digits, sizeof(digits), (bytes < 0 ? -bytes : bytes) / 1024));
        return buf;
}

/* A row of free text, in as many lines as it needs. */
__attribute__((format(printf, 3, 4))) static int add_row(struct libscols_table *table,
                                                         const char *name, const char *format, ...)
{
        va_list args;
        int r;

        va_start(args, format);
        r = table_add_text(table, TEXT_WIDTH, name, format, args);
        va_end(args);
        return r;
}

/* "12 s ago", "just now": seconds are fine enough to read. */
static const char *format_age(char *buf, size_t size, int64_t usec)
{
        char span[48];

        if (usec < 1000000)
                return "just now";
        format_usec(span, sizeof(span), (uint64_t)(usec / 1000000 * 1000000));
        (void)snprintf(buf, size, "%s ago", span);
        return buf;
}

/* "; next one in 45 s", "; next one due now" */
static void format_next(char *buf, size_t size, const char *what, int64_t usec)
{
        char span[32];

        if (usec < 1000000)
                (void)snprintf(buf, size, "; %s due now", what);
        else
                (void)snprintf(
                        buf, size, "; %s in %s", what,
                        format_usec(span, sizeof(span), (uint64_t)(usec / 1000000 * 1000000)));
}

/* When the next decision and pass come at the latest, where there is somebody to take them. */
static const char *format_due(char *buf, size_t size, const struct status *status)
{
        char pass[64] = "", decision[64];

        if (status->running <= 0 || status->state.interval_usec < 0)
                return "";
        format_next(decision, sizeof(decision), "next one", status->due_usec);
        if (status->state.pass_due_usec != SAMPLE_ABSENT)
                format_next(pass, sizeof(pass), "next pass", status->pass_due_usec);
        (void)snprintf(buf, size, "%s%s", decision, pass);
        return buf;
}

static int add_running(struct libscols_table *table, const struct status *status)
{
        const struct state *state = &status->state;

        if (status->state_error == -ENOENT)
                return add_row(table, "ksmtuned", "not running");
        if (status->state_error < 0)
                return add_row(table, "ksmtuned", "unknown: " STATE_PATH " cannot be read: %s",
                               status_error_text(status->state_error));
        if (status->running == 0)
                return add_row(table, "ksmtuned", "not running; its last decision was this:");
        if (status->running < 0)
                return add_row(table, "ksmtuned", "cannot be seen from here (process %lld): %s",
                               (long long)state->pid, status_error_text(status->running));
        return add_row(table, "ksmtuned", "running as process %lld, version %s, policy %s",
                       (long long)state->pid, *state->version ? state->version : "unknown",
                       *state->policy ? state->policy : "unknown");
}

static int add_decided(struct libscols_table *table, const struct status *status)
{
        const struct state *state = &status->state;
        char buf[64], interval[48], due[128];
        const char *age;

        if (!status->age_known)
                return add_row(table, "decided", "%s",
                               state->time_usec < 0 ? "at an unknown time"
                                                    : "in the future: the clock was set back");
        age = format_age(buf, sizeof(buf), status->age_usec);
        if (status->stale && status->running != 0)
                return add_row(
                        table, "decided",
                        "%s, which is too long: a decision is due every %s. ksmtuned "
                        "hangs, or it cannot write " STATE_PATH,
                        age,
                        format_usec(interval, sizeof(interval), (uint64_t)state->interval_usec));
        return add_row(table, "decided", "%s%s%s%s%s%s", age, *state->trigger ? ", trigger " : "",
                       state->trigger, *state->phase ? ", phase " : "", state->phase,
                       format_due(due, sizeof(due), status));
}

static int add_memory(struct libscols_table *table, const struct state *state, bool bytes)
{
        char total[48], available[48], threshold[48], committed[48];
        int r = 0;

        if (state->total_kb >= 0 && state->free_kb >= 0 && state->threshold_kb >= 0)
                r = add_row(table, "memory", "%s, of which free: %s; threshold: %s",
                            status_size(total, sizeof(total), saturating_mul(state->total_kb, 1024),
                                        bytes),
                            status_size(available, sizeof(available),
                                        saturating_mul(state->free_kb, 1024), bytes),
                            status_size(threshold, sizeof(threshold),
                                        saturating_mul(state->threshold_kb, 1024), bytes));
        if (r == 0 && state->guests >= 0 && state->committed_kb >= 0)
                r = add_row(table, "guests", "%lld, with %s committed", (long long)state->guests,
                            status_size(committed, sizeof(committed),
                                        saturating_mul(state->committed_kb, 1024), bytes));
        return r;
}

/* A knob that does not read as the running daemon left it. */
static int add_foreign(struct libscols_table *table, const struct status *status,
                       enum ksm_attribute attribute, int64_t decided)
{
        if (status->running <= 0 || decided < 0 || status->error[attribute] < 0 ||
            status->value[attribute] == decided)
                return 0;
        return add_row(table, "note", "ksmtuned left %s at %lld, others set it to %lld",
                       ksm_attribute_info(attribute)->name, (long long)decided,
                       (long long)status->value[attribute]);
}

static int add_decision(struct libscols_table *table, const struct status *status, bool bytes)
{
        const struct state *state = &status->state;
        int r = add_decided(table, status);

        if (r == 0 && *state->reason)
                r = add_row(table, "reason", "%s", state->reason);
        if (r == 0)
                r = add_memory(table, state, bytes);
        if (r == 0)
                r = add_foreign(table, status, KSM_RUN, state->run);
        if (r == 0)
                r = add_foreign(table, status, KSM_PAGES_TO_SCAN, state->pages_to_scan);
        if (r == 0)
                r = add_foreign(table, status, KSM_SLEEP_MILLISECS, state->sleep_msec);
        return r;
}

int status_print_daemon(const struct status *status, bool bytes)
{
        static const struct table_column columns[] = {{.width = STATUS_NAME_WIDTH},
                                                      {.lines = true}};
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, 2);

        if (r == 0)
                r = add_running(table, status);
        if (r == 0 && status->state_error == 0)
                r = add_decision(table, status, bytes);
        return r < 0 ? r : scols_print_table(table);
}
