/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/recording.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "recording-columns.h"

#define AT(member)             offsetof(struct recording_row, member)
#define NUMBER                 0, INT64_MAX, SAMPLE_ABSENT
#define KNOB                   0, UINT32_MAX, SAMPLE_ABSENT
#define FLAG                   0, 1, SAMPLE_ABSENT
#define SHARE                  0, 10000, SAMPLE_ABSENT /* hundredths of a per cent */
#define CENTI(name)            "psi_" #name "_centi"
#define NEEDED                 true, false
#define COUNTER                false, true
#define JUST_SO                false, false
#define PRESSURE(line, member) AT(sample.pressure.line.member)

const struct recording_column recording_columns[RECORDING_N_COLUMNS] = {
        {"time_usec", AT(time_usec), NUMBER, NEEDED},
        {"monotonic_usec", AT(monotonic_usec), NUMBER, NEEDED},
        {"mem_total_kb", AT(sample.memory.total_kb), NUMBER, NEEDED},
        {"mem_free_kb", AT(sample.memory.free_kb), NUMBER, NEEDED},
        {"buffers_kb", AT(sample.memory.buffers_kb), NUMBER, NEEDED},
        {"cached_kb", AT(sample.memory.cached_kb), NUMBER, NEEDED},
        {"mem_available_kb", AT(sample.memory.available_kb), NUMBER, JUST_SO},
        {"mem_anon_kb", AT(sample.memory.anon_kb), NUMBER, JUST_SO},
        {"swap_free_kb", AT(sample.memory.swap_free_kb), NUMBER, JUST_SO},
        {CENTI(some_avg10), PRESSURE(some, avg10_centi), SHARE, JUST_SO},
        {CENTI(some_avg60), PRESSURE(some, avg60_centi), SHARE, JUST_SO},
        {CENTI(some_avg300), PRESSURE(some, avg300_centi), SHARE, JUST_SO},
        {"psi_some_total_usec", PRESSURE(some, total_usec), NUMBER, COUNTER},
        {CENTI(full_avg10), PRESSURE(full, avg10_centi), SHARE, JUST_SO},
        {CENTI(full_avg60), PRESSURE(full, avg60_centi), SHARE, JUST_SO},
        {CENTI(full_avg300), PRESSURE(full, avg300_centi), SHARE, JUST_SO},
        {"psi_full_total_usec", PRESSURE(full, total_usec), NUMBER, COUNTER},
        {"guests", AT(sample.guests.count), NUMBER, NEEDED},
        {"committed_kb", AT(sample.guests.committed_kb), NUMBER, NEEDED},
        {"run", AT(sample.ksm.run), 0, 2, SAMPLE_ABSENT, NEEDED},
        {"pages_to_scan", AT(sample.ksm.pages_to_scan), KNOB, NEEDED},
        {"sleep_millisecs", AT(sample.ksm.sleep_millisecs), KNOB, NEEDED},
        {"full_scans", AT(sample.ksm.full_scans), NUMBER, COUNTER},
        {"pages_shared", AT(sample.ksm.pages_shared), NUMBER, JUST_SO},
        {"pages_sharing", AT(sample.ksm.pages_sharing), NUMBER, JUST_SO},
        {"pages_unshared", AT(sample.ksm.pages_unshared), NUMBER, JUST_SO},
        {"pages_volatile", AT(sample.ksm.pages_volatile), NUMBER, JUST_SO},
        {"ksm_zero_pages", AT(sample.ksm.ksm_zero_pages), INT64_MIN, INT64_MAX, SAMPLE_ABSENT,
         JUST_SO},
        {"ksmd_cpu_nsec", AT(sample.ksm.ksmd_cpu_nsec), NUMBER, COUNTER},
        {"pages_scanned", AT(sample.ksm.pages_scanned), NUMBER, COUNTER},
        {"pages_skipped", AT(sample.ksm.pages_skipped), NUMBER, COUNTER},
        {"general_profit", AT(general_profit), INT64_MIN + 1, INT64_MAX, RECORDING_PROFIT_ABSENT,
         JUST_SO},
        {"stable_node_chains", AT(stable_node_chains), NUMBER, JUST_SO},
        {"stable_node_dups", AT(stable_node_dups), NUMBER, JUST_SO},
        {"cow_ksm", AT(cow_ksm), NUMBER, COUNTER},
        {"smart_scan", AT(sample.ksm.smart_scan), FLAG, JUST_SO},
        {"use_zero_pages", AT(use_zero_pages), FLAG, JUST_SO},
        {"merge_across_nodes", AT(merge_across_nodes), FLAG, JUST_SO},
        {"max_page_sharing", AT(max_page_sharing), KNOB, JUST_SO},
        {"advisor_mode", AT(advisor_mode), FLAG, JUST_SO},
        {"advisor_target_scan_time", AT(advisor_target_scan_time), NUMBER, JUST_SO},
        {"advisor_max_cpu", AT(advisor_max_cpu), KNOB, JUST_SO},
        {"advisor_min_pages_to_scan", AT(advisor_min_pages_to_scan), NUMBER, JUST_SO},
        {"advisor_max_pages_to_scan", AT(advisor_max_pages_to_scan), NUMBER, JUST_SO},
        {"daemon_decisions", AT(daemon_decisions), NUMBER, JUST_SO},
        {"daemon_time_usec", AT(daemon_time_usec), NUMBER, JUST_SO},
};

/* page_bytes is a fact of the header, and events (which come last in a sample) are no figures;
 * every other member has a column. */
_Static_assert(sizeof(struct recording_row) == (RECORDING_N_COLUMNS + 1) * sizeof(int64_t) +
                                                       sizeof(struct sample) -
                                                       offsetof(struct sample, events),
               "a figure of struct recording_row is not recorded: give it a column");

#define FACT(member) \
        offsetof(struct recording_header, member), sizeof(((struct recording_header *)0)->member)

const struct recording_fact recording_facts[RECORDING_N_FACTS] = {
        {"ksmtuned", true, false, FACT(ksmtuned), 0, 0},
        {"kernel", true, false, FACT(kernel), 0, 0},
        {"ps_metric", true, false, FACT(ps_metric), 0, 0},
        {"page_bytes", false, true, FACT(page_bytes), 512, 16 * 1024 * 1024},
        {"total_kb", false, false, FACT(total_kb), 0, INT64_MAX},
        {"cpus", false, false, FACT(cpus), 1, INT32_MAX},
        {"interval_usec", false, false, FACT(interval_usec), 1, INT64_MAX},
};

int recording_column_find(const char *name, size_t len)
{
        for (int i = 0; i < RECORDING_N_COLUMNS; i++)
                if (strlen(recording_columns[i].name) == len &&
                    memcmp(recording_columns[i].name, name, len) == 0)
                        return i;
        return -1;
}

void recording_row_init(struct recording_row *row)
{
        memset(row, 0, sizeof(*row));
        for (size_t i = 0; i < RECORDING_N_COLUMNS; i++)
                *recording_column_value(row, &recording_columns[i]) = recording_columns[i].absent;
}

/* A text that grows; an overflow is remembered. */
struct text {
        char *buf;
        size_t size, len;
        bool overflow;
};

__attribute__((format(printf, 2, 3))) static void append(struct text *text, const char *format, ...)
{
        va_list args;
        int n;

        if (text->overflow)
                return;
        va_start(args, format);
        n = vsnprintf(text->buf + text->len, text->size - text->len, format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= text->size - text->len)
                text->overflow = true;
        else
                text->len += (size_t)n;
}

/* What neither form has a meaning for. */
static void append_clean(struct text *text, const char *words)
{
        for (; *words; words++)
                append(text, "%c",
                       *words < ' ' || *words > '~' || *words == '"' || *words == '\\' ? '?'
                                                                                       : *words);
}

static int finish(const struct text *text)
{
        return text->overflow ? -ENOBUFS : (int)text->len;
}

static void append_fact(struct text *text, enum recording_form form,
                        const struct recording_fact *fact, const struct recording_header *header)
{
        const char *member = (const char *)header + fact->offset;
        bool known = fact->is_text ? *member != '\0'
                                   : *(const int64_t *)(const void *)member >= fact->min;

        append(text, form == RECORDING_TSV ? "#%s=" : ",\"%s\":", fact->name);
        if (!known) {
                append(text, "%s", form == RECORDING_TSV ? RECORDING_NA : "null");
        } else if (fact->is_text) {
                append(text, "%s", form == RECORDING_TSV ? "" : "\"");
                append_clean(text, member);
                append(text, "%s", form == RECORDING_TSV ? "" : "\"");
        } else {
                append(text, "%" PRId64, *(const int64_t *)(const void *)member);
        }
        append(text, "%s", form == RECORDING_TSV ? "\n" : "");
}

int recording_format_header(enum recording_form form, const struct recording_header *header,
                            char *buf, size_t size)
{
        struct text text = {.buf = buf, .size = size};
        bool tsv = form == RECORDING_TSV;

        append(&text, tsv ? "#format=%s\n#version=%d\n" : "{\"format\":\"%s\",\"version\":%d",
               RECORDING_FORMAT, RECORDING_VERSION);
        for (size_t i = 0; i < RECORDING_N_FACTS; i++)
                append_fact(&text, form, &recording_facts[i], header);
        append(&text, "%s", tsv ? "" : ",\"columns\":\"");
        for (size_t i = 0; i < RECORDING_N_COLUMNS; i++)
                append(&text, "%s%s", i == 0 ? "" : tsv ? "\t" : " ", recording_columns[i].name);
        append(&text, "%s", tsv ? "\n" : "\"}\n");
        return finish(&text);
}

int recording_format_row(enum recording_form form, const struct recording_row *row, char *buf,
                         size_t size)
{
        struct text text = {.buf = buf, .size = size};
        bool tsv = form == RECORDING_TSV;

        append(&text, "%s", tsv ? "" : "{");
        for (size_t i = 0; i < RECORDING_N_COLUMNS; i++) {
                const struct recording_column *column = &recording_columns[i];
                int64_t value =
                        *(const int64_t *)(const void *)((const char *)row + column->offset);

                if (tsv)
                        append(&text, "%s", i > 0 ? "\t" : "");
                else
                        append(&text, "%s\"%s\":", i > 0 ? "," : "", column->name);
                if (value == column->absent)
                        append(&text, "%s", tsv ? RECORDING_NA : "null");
                else
                        append(&text, "%" PRId64, value);
        }
        append(&text, "%s", tsv ? "\n" : "}\n");
        return finish(&text);
}
