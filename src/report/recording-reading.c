/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "recording-reading.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int reading_refuse(const struct reading *reading, const char *format, ...)
{
        va_list args;

        reading->problem->line = reading->reader->line;
        va_start(args, format);
        (void)vsnprintf(reading->problem->text, sizeof(reading->problem->text), format, args);
        va_end(args);
        return -EBADMSG;
}

/* What can be shown of a foreign text. */
const char *reading_quote(char buf[QUOTE_MAX + 1], const char *text, size_t len)
{
        size_t n = 0;

        for (; n < len && n < QUOTE_MAX; n++)
                buf[n] = (char)(text[n] < ' ' || text[n] > '~' ? '?' : text[n]);
        buf[n] = '\0';
        return buf;
}

/* A whole decimal number, and nothing else. Return: 0; -EBADMSG; -ERANGE. */
static int parse_number(const char *text, size_t len, int64_t *ret_value)
{
        size_t sign = len > 0 && text[0] == '-';
        char copy[24], *end;
        long long value;

        if (len == sign)
                return -EBADMSG;
        for (size_t i = sign; i < len; i++)
                if (!isdigit((unsigned char)text[i]))
                        return -EBADMSG;
        while (len > sign + 1 && text[sign] == '0') /* zeros may lead */
                text++, len--;
        if (len >= sizeof(copy))
                return -ERANGE;
        memcpy(copy, text, len);
        if (sign)
                copy[0] = '-';
        copy[len] = '\0';
        errno = 0;
        value = strtoll(copy, &end, 10);
        if (errno != 0)
                return -ERANGE;
        *ret_value = value;
        return 0;
}

/* A number of something that is called @name. */
static int take_number(const struct reading *reading, const char *name, const char *text,
                       size_t len, int64_t min, int64_t max, int64_t *ret_value)
{
        char shown[QUOTE_MAX + 1];
        int64_t value;
        int r = parse_number(text, len, &value);

        if (r == -ERANGE || (r == 0 && (value < min || value > max)))
                return reading_refuse(
                        reading, "%s is '%s'; a number from %" PRId64 " to %" PRId64 " is accepted",
                        name, reading_quote(shown, text, len), min, max);
        if (r < 0)
                return reading_refuse(reading, "%s is '%s'; a whole number is accepted", name,
                                      reading_quote(shown, text, len));
        *ret_value = value;
        return 0;
}

/* A header begins: where it is not the first, another recording follows. */
void reading_begin_header(struct recording_reader *reader, enum recording_form form)
{
        reader->form = form;
        reader->where = READ_FACTS;
        reader->version = SAMPLE_ABSENT;
        reader->header = (struct recording_header){.page_bytes = SAMPLE_ABSENT,
                                                   .total_kb = SAMPLE_ABSENT,
                                                   .cpus = SAMPLE_ABSENT,
                                                   .interval_usec = SAMPLE_ABSENT};
        reader->n_columns = 0;
        reader->n_rows = 0;
}

int reading_take_format(const struct reading *reading, const char *text, size_t len)
{
        char shown[QUOTE_MAX + 1];

        if (len == strlen(RECORDING_FORMAT) && memcmp(text, RECORDING_FORMAT, len) == 0)
                return 0;
        return reading_refuse(reading, "the format is '%s'; " RECORDING_FORMAT " is accepted",
                              reading_quote(shown, text, len));
}

int reading_take_version(const struct reading *reading, const char *text, size_t len)
{
        int r = take_number(reading, "version", text, len, 0, INT64_MAX, &reading->reader->version);

        if (r < 0 || reading->reader->version == RECORDING_VERSION)
                return r;
        return reading_refuse(reading,
                              "this recording is of version %" PRId64
                              "; version %d is accepted (another "
                              "version of ksmctl wrote it)",
                              reading->reader->version, RECORDING_VERSION);
}

int reading_take_fact(const struct reading *reading, const char *name, size_t name_len,
                      const char *text, size_t len)
{
        for (size_t i = 0; i < RECORDING_N_FACTS; i++) {
                const struct recording_fact *fact = &recording_facts[i];
                char *member = (char *)&reading->reader->header + fact->offset;

                if (strlen(fact->name) != name_len || memcmp(fact->name, name, name_len) != 0)
                        continue;
                if (!fact->is_text)
                        return take_number(reading, fact->name, text, len, fact->min, fact->max,
                                           (int64_t *)(void *)member);
                if (len >= fact->size)
                        return reading_refuse(reading,
                                              "%s has %zu characters; up to %zu are accepted",
                                              fact->name, len, fact->size - 1);
                memset(member, 0, fact->size);
                for (size_t n = 0; n < len; n++)
                        member[n] = text[n];
                for (char *p = member; *p; p++)
                        if (*p < ' ' || *p > '~')
                                *p = '?';
                return 0;
        }
        return 0; /* of a later version */
}

int reading_finish_header(const struct reading *reading)
{
        struct recording_reader *reader = reading->reader;

        if (reader->version == SAMPLE_ABSENT)
                return reading_refuse(reading, "the header has no version; version %d is accepted",
                                      RECORDING_VERSION);
        if (reader->header.page_bytes == SAMPLE_ABSENT)
                return reading_refuse(reading, "the header has no page_bytes, the size of a page");
        reader->where = READ_ROWS;
        return RECORDING_BEGIN;
}

/* All that a policy needs must have been seen. */
int reading_check_required(const struct reading *reading, const char *what)
{
        for (size_t i = 0; i < RECORDING_N_COLUMNS; i++)
                if (recording_columns[i].required && !reading->seen[i])
                        return reading_refuse(reading,
                                              "the %s %s is missing; no decision can be made "
                                              "without it",
                                              what, recording_columns[i].name);
        return 0;
}

int reading_take_value(struct reading *reading, int column, const char *text, size_t len,
                       bool unknown)
{
        const struct recording_column *info = &recording_columns[column];

        reading->seen[column] = true;
        if (!unknown)
                return take_number(reading, info->name, text, len, info->min, info->max,
                                   recording_column_value(reading->row, info));
        if (info->required)
                return reading_refuse(
                        reading, "%s is not known; no decision can be made without it", info->name);
        return 0; /* as recording_row_init() left it */
}
