/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The kernel's part: each figure with its name, its value, and its meaning in a few words. */

#include <errno.h>
#include <stdio.h>

#include "ksmtuned/reason.h"
#include "ksmtuned/sample.h"
#include "status.h"
#include "table.h"

#define VALUE_WIDTH 18 /* "not on this kernel" */
/* What is left of a line. */
#define MEANING_WIDTH (TABLE_WIDTH - STATUS_NAME_WIDTH - VALUE_WIDTH - 2 * TABLE_GAP)

static const struct row {
        enum ksm_attribute attribute;
        char meaning[MEANING_WIDTH + 1]; /* "": see meaning() */
} rows[] = {
        {KSM_PAGES_SHARED, "pages kept, each standing in for several"},
        {KSM_PAGES_SHARING, "pages given back, their content is in these"},
        {KSM_ZERO_PAGES, "pages given back that held only zeros"},
        {KSM_PAGES_UNSHARED, "pages without an equal so far"},
        {KSM_PAGES_VOLATILE, "pages that changed too fast or were skipped"},
        {KSM_FULL_SCANS, "passes over all memory that may be merged"},
        {KSM_PAGES_TO_SCAN, "pages that ksmd looks at between two sleeps"},
        {KSM_SLEEP_MILLISECS, "length of such a sleep, in ms"},
        {KSM_SMART_SCAN, ""},
        {KSM_ADVISOR_MODE, ""},
};

static const char *run_meaning(int64_t run)
{
        switch (run) {
        case KSM_RUN_STOP:
                return "stopped; what is merged stays merged";
        case KSM_RUN_MERGE:
                return "ksmd looks for equal pages and merges them";
        case KSM_RUN_UNMERGE:
                return "stopped, and everything was unmerged";
        default:
                return "a value that ksmctl does not know";
        }
}

static const char *meaning(const struct row *row, int64_t value)
{
        switch (row->attribute) {
        case KSM_RUN:
                return run_meaning(value);
        case KSM_SMART_SCAN:
                return value ? "pages that did not merge are tried less"
                             : "every pass tries every page";
        case KSM_ADVISOR_MODE:
                return value == KSM_ADVISOR_NONE ? "the kernel leaves pages_to_scan alone"
                                                 : "the kernel sets pages_to_scan itself";
        default:
                return row->meaning;
        }
}

static int add_figure(struct libscols_table *table, const char *name, const char *value,
                      const char *text)
{
        return table_add(table, (const char *[]){name, value, text}, 3);
}

/* An attribute that has no value to show. */
static int add_absent(struct libscols_table *table, const char *name,
                      const struct ksm_attribute_info *info, int error)
{
        char text[64];

        if (error != -EOPNOTSUPP)
                return add_figure(table, name, "cannot be read", status_error_text(error));
        (void)snprintf(text, sizeof(text), "came with Linux %s", info->since);
        return add_figure(table, name, "not on this kernel", text);
}

static int add_attribute(struct libscols_table *table, const struct status *status,
                         const struct row *row)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(row->attribute);
        int64_t value = status->value[row->attribute];
        char text[32];

        if (status->error[row->attribute] < 0)
                return add_absent(table, info->name, info, status->error[row->attribute]);
        if (row->attribute == KSM_ADVISOR_MODE)
                return add_figure(table, info->name, status_advisor_name(value),
                                  meaning(row, value));
        (void)snprintf(text, sizeof(text), "%lld", (long long)value);
        return add_figure(table, info->name, text, meaning(row, value));
}

static int add_saved(struct libscols_table *table, const struct status *status, bool bytes)
{
        char text[64], value[48];

        if (status->saved_bytes == SAMPLE_ABSENT)
                return add_absent(table, "saved", ksm_attribute_info(KSM_PAGES_SHARING),
                                  status->error[KSM_PAGES_SHARING]);
        (void)snprintf(text, sizeof(text), "memory gained by merging, %lld MiB",
                       (long long)(status->saved_bytes / (1024 * 1024)));
        return add_figure(table, "saved",
                          status_size(value, sizeof(value), status->saved_bytes, bytes), text);
}

static int add_profit(struct libscols_table *table, const struct status *status, bool bytes)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(KSM_GENERAL_PROFIT);
        char value[48];

        if (status->error[KSM_GENERAL_PROFIT] < 0)
                return add_absent(table, info->name, info, status->error[KSM_GENERAL_PROFIT]);
        status_size(value, sizeof(value), status->value[KSM_GENERAL_PROFIT], bytes);
        return add_figure(table, info->name, value, "the same, less what KSM itself takes");
}

static int add_rate(struct libscols_table *table, const struct status *status)
{
        int64_t rate = status->sharing_rate_hundreds;
        char text[32];

        if (status->error[KSM_PAGES_SHARING] < 0 || status->error[KSM_PAGES_SHARED] < 0)
                return add_figure(table, "sharing rate", "unknown",
                                  "it takes pages_sharing and pages_shared");
        if (rate == SAMPLE_ABSENT)
                return add_figure(table, "sharing rate", "none", "nothing is merged");
        (void)snprintf(text, sizeof(text), "%lld.%02lld", (long long)(rate / 100),
                       (long long)(rate % 100));
        return add_figure(table, "sharing rate", text, "pages given back for each page kept");
}

static int add_ksmd(struct libscols_table *table, const struct status *status)
{
        char text[48];

        if (status->ksmd_cpu_nsec == SAMPLE_ABSENT)
                return add_figure(table, "ksmd", "cannot be seen",
                                  "the kernel's thread that merges");
        return add_figure(table, "ksmd",
                          format_usec(text, sizeof(text), (uint64_t)status->ksmd_cpu_nsec / 1000),
                          "CPU time that merging has taken since boot");
}

int status_print_kernel(const struct status *status, bool bytes)
{
        static const struct table_column columns[] = {
                {.width = STATUS_NAME_WIDTH}, {.width = VALUE_WIDTH, .right = true}, {0}};
        static const struct row run = {KSM_RUN, ""};
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, 3);

        if (r == 0)
                r = add_attribute(table, status, &run);
        if (r == 0)
                r = add_saved(table, status, bytes);
        if (r == 0)
                r = add_profit(table, status, bytes);
        if (r == 0)
                r = add_rate(table, status);
        for (size_t i = 0; r == 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
                r = add_attribute(table, status, &rows[i]);
        if (r == 0)
                r = add_ksmd(table, status);
        return r < 0 ? r : scols_print_table(table);
}
