/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The kernel's part: each figure with its name, its value, and its meaning in a few words. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksmtuned/reason.h"
#include "ksmtuned/sample.h"
#include "status.h"
#include "table.h"

#define VALUE_WIDTH 18 /* "not on this kernel" */
/* What is left of a line. */
#define MEANING_WIDTH (TABLE_WIDTH - STATUS_NAME_WIDTH - VALUE_WIDTH - 2 * TABLE_GAP)

struct row {
        enum ksm_attribute attribute;
        char meaning[MEANING_WIDTH + 1]; /* "": see meaning() */
};

/* On the one screen. */
static const struct row settings[] = {
        {KSM_PAGES_TO_SCAN, "pages looked at between two sleeps"},
        {KSM_SLEEP_MILLISECS, "length of such a sleep, in ms"},
        {KSM_SMART_SCAN, ""},
        {KSM_ADVISOR_MODE, ""},
        {KSM_USE_ZERO_PAGES, ""},
        {KSM_MERGE_ACROSS_NODES, ""},
};

/* With --verbose. */
static const struct row details[] = {
        {KSM_PAGES_SHARED, "pages kept, each standing in for several"},
        {KSM_PAGES_SHARING, "pages given back, equal to one of these"},
        {KSM_ZERO_PAGES, "pages given back that held only zeros"},
        {KSM_PAGES_UNSHARED, "pages without an equal so far"},
        {KSM_PAGES_VOLATILE, "changed too fast, or were skipped"},
        {KSM_PAGES_SCANNED, "pages looked at since boot"},
        {KSM_PAGES_SKIPPED, "pages that smart_scan has left out"},
        {KSM_MAX_PAGE_SHARING, "a kept page may stand in for so many"},
        {KSM_STABLE_NODE_CHAINS, "contents kept more than once for that"},
        {KSM_STABLE_NODE_DUPS, "pages kept for these"},
};

#define N_SETTINGS (sizeof(settings) / sizeof(settings[0]))
#define N_DETAILS  (sizeof(details) / sizeof(details[0]))

static const char *run_meaning(int64_t run)
{
        switch (run) {
        case KSM_RUN_STOP:
                return "stopped; what is merged stays merged";
        case KSM_RUN_MERGE:
                return "ksmd looks for equal pages to merge";
        case KSM_RUN_UNMERGE:
                return "stopped, and everything was unmerged";
        default:
                return "a value that ksmctl does not know";
        }
}

static const char *nodes_meaning(const struct status *status, int64_t value)
{
        if (status->numa_nodes == 1)
                return "of no matter here: one NUMA node";
        return value ? "also between the NUMA nodes" : "only within each NUMA node";
}

static const char *meaning(const struct status *status, const struct row *row, int64_t value)
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
        case KSM_MERGE_ACROSS_NODES:
                return nodes_meaning(status, value);
        case KSM_USE_ZERO_PAGES:
                return value ? "pages of zeros go to the kernel's own"
                             : "pages of zeros are like any others";
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

/* The value that the daemon would give it, and cannot; SAMPLE_ABSENT where there is none. */
static int64_t owed(const struct status *status, enum ksm_attribute attribute)
{
        const char *name = ksm_attribute_info(attribute)->name;
        size_t len = strlen(name);
        long long value;

        if (status->state_error < 0 || status->running == 0)
                return SAMPLE_ABSENT;
        for (const char *p = status->state.settings_owed; *p; p += strcspn(p, " ")) {
                p += strspn(p, " ");
                if (strncmp(p, name, len) != 0 || p[len] != '=')
                        continue;
                value = strtoll(p + len + 1, NULL, 10);
                /* It may have come by it since. */
                return value == status->value[attribute] ? SAMPLE_ABSENT : value;
        }
        return SAMPLE_ABSENT;
}

static int add_attribute(struct libscols_table *table, const struct status *status,
                         const struct row *row)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(row->attribute);
        int64_t value = status->value[row->attribute], wanted;
        char text[32], remark[64];

        if (status->error[row->attribute] < 0)
                return add_absent(table, info->name, info, status->error[row->attribute]);
        if (row->attribute == KSM_ADVISOR_MODE)
                return add_figure(table, info->name, status_advisor_name(value),
                                  meaning(status, row, value));
        (void)snprintf(text, sizeof(text), "%lld", (long long)value);
        wanted = owed(status, row->attribute);
        if (wanted == SAMPLE_ABSENT)
                return add_figure(table, info->name, text, meaning(status, row, value));
        (void)snprintf(remark, sizeof(remark), "%lld configured: ksmctl settings",
                       (long long)wanted);
        return add_figure(table, info->name, text, remark);
}

static int add_saved(struct libscols_table *table, const struct status *status, bool bytes)
{
        char text[64], value[48];

        if (status->saved_bytes == SAMPLE_ABSENT)
                return add_absent(table, "saved", ksm_attribute_info(KSM_PAGES_SHARING),
                                  status->error[KSM_PAGES_SHARING]);
        if (status->saved_hundredths == SAMPLE_ABSENT)
                (void)snprintf(text, sizeof(text), "memory gained by merging");
        else
                (void)snprintf(text, sizeof(text), "gained by merging: %lld.%02lld %% of memory",
                               (long long)(status->saved_hundredths / 100),
                               (long long)(status->saved_hundredths % 100));
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

/* How far it is: passes, and what one takes. */
static int add_passes(struct libscols_table *table, const struct status *status)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(KSM_FULL_SCANS);
        char value[32], span[48], text[96];

        if (status->error[KSM_FULL_SCANS] < 0)
                return add_absent(table, info->name, info, status->error[KSM_FULL_SCANS]);
        (void)snprintf(value, sizeof(value), "%lld", (long long)status->value[KSM_FULL_SCANS]);
        if (status->pass_seconds == SAMPLE_ABSENT)
                (void)snprintf(text, sizeof(text), "passes over all mergeable memory");
        else if (status->pass_seconds == 0)
                (void)snprintf(text, sizeof(text), "passes; one takes less than a second");
        else
                (void)snprintf(
                        text, sizeof(text), "passes; one takes about %s",
                        format_usec(span, sizeof(span),
                                    (uint64_t)saturating_mul(status->pass_seconds, 1000000)));
        return add_figure(table, info->name, value, text);
}

static int add_speed(struct libscols_table *table, const struct status *status)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(KSM_PAGES_SCANNED);
        char value[32];

        if (status->scanned_per_second == SAMPLE_ABSENT)
                return status->error[KSM_PAGES_SCANNED] < 0
                               ? add_absent(table, "scanning", info,
                                            status->error[KSM_PAGES_SCANNED])
                               : add_figure(table, "scanning", "unknown", "");
        (void)snprintf(value, sizeof(value), "%lld/s", (long long)status->scanned_per_second);
        return add_figure(table, "scanning", value, "pages that ksmd looks at now");
}

/* Since boot, and now. */
static int add_ksmd(struct libscols_table *table, const struct status *status)
{
        int64_t now = status->ksmd_cpu_hundredths;
        char value[48], text[64];

        if (status->ksmd_cpu_nsec == SAMPLE_ABSENT)
                return add_figure(table, "ksmd", "cannot be seen",
                                  "the kernel's thread that merges");
        if (now == SAMPLE_ABSENT)
                (void)snprintf(text, sizeof(text), "of CPU time since boot");
        else
                (void)snprintf(text, sizeof(text), "of CPU since boot; now %lld.%lld %% of one CPU",
                               (long long)(now / 100), (long long)(now % 100 / 10));
        format_usec(value, sizeof(value), (uint64_t)status->ksmd_cpu_nsec / 1000);
        return add_figure(table, "ksmd", value, text);
}

static int add_huge_pages(struct libscols_table *table, const struct status *status)
{
        if (!*status->thp)
                return add_figure(table, "huge pages", "unknown", "transparent ones (THP)");
        return add_figure(table, "huge pages", status->thp,
                          strcmp(status->thp, "never") == 0 ? "no transparent ones (THP)"
                                                            : "transparent (THP); KSM splits them");
}

static int add_figures(struct libscols_table *table, const struct status *status, bool bytes)
{
        static const struct row run = {KSM_RUN, ""};
        int r = add_attribute(table, status, &run);

        if (r == 0)
                r = add_saved(table, status, bytes);
        if (r == 0)
                r = add_profit(table, status, bytes);
        if (r == 0)
                r = add_rate(table, status);
        if (r == 0)
                r = add_passes(table, status);
        if (r == 0)
                r = add_speed(table, status);
        if (r == 0)
                r = add_ksmd(table, status);
        for (size_t i = 0; r == 0 && i < N_SETTINGS; i++)
                r = add_attribute(table, status, &settings[i]);
        return r < 0 ? r : add_huge_pages(table, status);
}

int status_print_kernel(const struct status *status, bool bytes, bool verbose)
{
        static const struct table_column columns[] = {
                {.width = STATUS_NAME_WIDTH}, {.width = VALUE_WIDTH, .right = true}, {0}};
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, 3);

        if (r == 0)
                r = add_figures(table, status, bytes);
        for (size_t i = 0; r == 0 && i < N_DETAILS; i++)
                if (verbose || owed(status, details[i].attribute) != SAMPLE_ABSENT)
                        r = add_attribute(table, status, &details[i]);
        return r < 0 ? r : scols_print_table(table);
}
