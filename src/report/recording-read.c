/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flat-json.h"
#include "ksmtuned/recording.h"
#include "recording-reading.h"

/* --- TSV ----------------------------------------------------------------------------------- */

/* The next field of a line. Return: behind it; NULL when it was the last. */
static const char *next_field(const char *p, const char *end, size_t *ret_len)
{
        const char *tab = memchr(p, '\t', (size_t)(end - p));

        *ret_len = (size_t)((tab ? tab : end) - p);
        return tab ? tab + 1 : NULL;
}

/* "#name=value"; a comment that is no such thing is passed over. */
static int read_tsv_fact(struct reading *reading, const char *line, size_t len)
{
        const char *equals = memchr(line, '=', len), *value;
        size_t name_len, value_len;

        if (!equals)
                return RECORDING_NOTHING;
        name_len = (size_t)(equals - line - 1);
        value = equals + 1;
        value_len = len - name_len - 2;
        if (name_len == 6 && memcmp(line + 1, "format", 6) == 0) {
                reading_begin_header(reading->reader, RECORDING_TSV);
                return reading_take_format(reading, value, value_len);
        }
        if (reading->reader->where != READ_FACTS)
                return reading->reader->where == READ_ROWS
                               ? RECORDING_NOTHING
                               : reading_refuse(reading,
                                                "the first line of a recording is "
                                                "'#format=" RECORDING_FORMAT "', or a JSON object");
        if (name_len == 7 && memcmp(line + 1, "version", 7) == 0)
                return reading_take_version(reading, value, value_len);
        if (value_len == strlen(RECORDING_NA) && memcmp(value, RECORDING_NA, value_len) == 0)
                return RECORDING_NOTHING;
        return reading_take_fact(reading, line + 1, name_len, value, value_len);
}

static int name_column(struct reading *reading, const char *name, size_t len)
{
        struct recording_reader *reader = reading->reader;
        char shown[QUOTE_MAX + 1];
        int column = recording_column_find(name, len);

        if (len == 0)
                return reading_refuse(reading, "column %zu has no name", reader->n_columns + 1);
        if (column >= 0 && reading->seen[column])
                return reading_refuse(reading, "the column %s is there twice",
                                      recording_columns[column].name);
        if (reader->n_columns == RECORDING_COLUMNS_MAX)
                return reading_refuse(reading, "there are more than %d columns",
                                      RECORDING_COLUMNS_MAX);
        if (column >= 0)
                reading->seen[column] = true;
        else if (reader->n_unknown++ == 0)
                (void)snprintf(reader->unknown, sizeof(reader->unknown), "%s",
                               reading_quote(shown, name, len));
        reader->columns[reader->n_columns++] = column;
        return 0;
}

static int read_tsv_columns(struct reading *reading, const char *line, size_t len)
{
        const char *p = line, *next;
        size_t field_len;
        int r;

        for (; p; p = next) {
                next = next_field(p, line + len, &field_len);
                r = name_column(reading, p, field_len);
                if (r < 0)
                        return r;
        }
        r = reading_check_required(reading, "column");
        return r < 0 ? r : reading_finish_header(reading);
}

static int read_tsv_row(struct reading *reading, const char *line, size_t len)
{
        const struct recording_reader *reader = reading->reader;
        const char *p = line, *next;
        size_t n = 0, field_len;

        for (; p; p = next, n++) {
                int column, r;

                next = next_field(p, line + len, &field_len);
                column = n < reader->n_columns ? reader->columns[n] : -1;
                if (column < 0)
                        continue;
                r = reading_take_value(reading, column, p, field_len,
                                       field_len == strlen(RECORDING_NA) &&
                                               memcmp(p, RECORDING_NA, field_len) == 0);
                if (r < 0)
                        return r;
        }
        if (n != reader->n_columns)
                return reading_refuse(reading,
                                      "has %zu fields; the header names %zu columns, separated by "
                                      "tabs",
                                      n, reader->n_columns);
        return RECORDING_ROW;
}

/* --- JSON lines ---------------------------------------------------------------------------- */

static int on_fact(void *userdata, const char *key, const struct flat_json_value *value)
{
        const struct reading *reading = userdata;
        size_t len = strlen(value->text);

        if (strcmp(key, "format") == 0)
                return reading_take_format(reading, value->text, len);
        if (strcmp(key, "version") == 0)
                return reading_take_version(reading, value->text, len);
        if (value->type == FLAT_JSON_WORD)
                return 0;
        return reading_take_fact(reading, key, strlen(key), value->text, len);
}

static int on_value(void *userdata, const char *key, const struct flat_json_value *value)
{
        struct reading *reading = userdata;
        int column = recording_column_find(key, strlen(key));

        if (column < 0)
                return 0;
        if (reading->seen[column])
                return reading_refuse(reading, "%s is there twice", key);
        if (value->type == FLAT_JSON_TEXT)
                return reading_refuse(reading, "%s is a text; a whole number or null is accepted",
                                      key);
        return reading_take_value(reading, column, value->text, strlen(value->text),
                                  strcmp(value->text, "null") == 0);
}

/* A header is known by its first key. */
static bool is_json_header(const char *line)
{
        const char *p = line + 1 + strspn(line + 1, " \t");

        return strncmp(p, "\"format\"", 8) == 0;
}

static int read_json(struct reading *reading, const char *line)
{
        bool header = is_json_header(line);
        const char *what;
        size_t at;
        int r;

        if (header)
                reading_begin_header(reading->reader, RECORDING_JSONL);
        else if (reading->reader->where != READ_ROWS || reading->reader->form != RECORDING_JSONL)
                return reading_refuse(reading,
                                      "a JSON object without a header before it; the first key of "
                                      "a header is \"format\"");
        r = flat_json_parse(line, header ? on_fact : on_value, reading, &what, &at);
        if (r < 0)
                return what ? reading_refuse(reading,
                                             "is no flat JSON object: %s is expected at column "
                                             "%zu",
                                             what, at + 1)
                            : r;
        if (header)
                return reading_finish_header(reading);
        r = reading_check_required(reading, "key");
        return r < 0 ? r : RECORDING_ROW;
}

/* --- Rows ---------------------------------------------------------------------------------- */

/* What this sample tells against the one before. */
static int compare_rows(const struct reading *reading)
{
        struct recording_reader *reader = reading->reader;
        struct recording_row *row = reading->row, *last = &reader->last;

        if (row->monotonic_usec < last->monotonic_usec)
                return reading_refuse(
                        reading,
                        "the time goes back: monotonic_usec is %" PRId64 " behind %" PRId64
                        "; samples in the order of time are accepted, and another recording "
                        "with a header of its own",
                        row->monotonic_usec, last->monotonic_usec);
        for (size_t i = 0; i < RECORDING_N_COLUMNS; i++) {
                const struct recording_column *column = &recording_columns[i];
                int64_t before = *recording_column_value(last, column);
                int64_t now = *recording_column_value(row, column);

                if (!column->counter || now == column->absent || now >= before)
                        continue;
                reader->note.line = reader->line;
                (void)snprintf(reader->note.text, sizeof(reader->note.text),
                               "%s goes back from %" PRId64 " to %" PRId64 ": %s", column->name,
                               before, now,
                               strcmp(column->name, "full_scans") == 0
                                       ? "KSM was unmerged"
                                       : "the host was booted, or these are two hosts");
        }
        return 0;
}

static int finish_row(const struct reading *reading)
{
        struct recording_reader *reader = reading->reader;
        int r;

        reading->row->sample.ksm.page_bytes = reader->header.page_bytes;
        if (reader->n_rows > 0) {
                r = compare_rows(reading);
                if (r < 0)
                        return r;
        }
        reader->n_rows++;
        reader->last = *reading->row;
        return RECORDING_ROW;
}

static int read_whole_line(struct reading *reading, const char *line, size_t len)
{
        struct recording_reader *reader = reading->reader;

        if (len == 0)
                return RECORDING_NOTHING;
        if (*line == '{')
                return read_json(reading, line);
        if (*line == '#')
                return read_tsv_fact(reading, line, len);
        if (reader->where == READ_START || reader->form != RECORDING_TSV)
                return reading_refuse(
                        reading,
                        reader->where == READ_START
                                ? "is no recording: the first line is '#format=" RECORDING_FORMAT
                                  "', or a JSON object with that "
                                  "format"
                                : "is no JSON object, as the lines before it were");
        return reader->where == READ_FACTS ? read_tsv_columns(reading, line, len)
                                           : read_tsv_row(reading, line, len);
}

int recording_read_line(struct recording_reader *reader, const char *line, size_t len,
                        struct recording_row *ret_row, struct recording_remark *ret_problem)
{
        struct recording_row row;
        struct reading reading = {.reader = reader, .row = &row, .problem = ret_problem};
        char *text;
        int r;

        reader->line++;
        reader->note.text[0] = '\0';
        if (len > RECORDING_LINE_MAX)
                return reading_refuse(&reading, "is longer than %d bytes", RECORDING_LINE_MAX);
        if (memchr(line, '\0', len))
                return reading_refuse(&reading, "holds a NUL byte; text is accepted");
        if (len == 0 || line[len - 1] != '\n')
                return reading_refuse(&reading, "is cut: it has no line end. Without this line the "
                                                "recording is accepted (head -n -1)");
        len -= len > 1 && line[len - 2] == '\r' ? 2 : 1;

        text = strndup(line, len);
        if (!text)
                return -ENOMEM;
        recording_row_init(&row);
        r = read_whole_line(&reading, text, len);
        free(text);
        if (r == RECORDING_ROW)
                r = finish_row(&reading);
        if (r == RECORDING_ROW)
                *ret_row = row;
        return r;
}

int recording_read_end(const struct recording_reader *reader, struct recording_remark *ret_problem)
{
        ret_problem->line = reader->line;
        if (reader->line == 0 || reader->where == READ_START)
                (void)snprintf(ret_problem->text, sizeof(ret_problem->text),
                               "is empty; a recording is accepted, as 'ksmctl record' writes it");
        else if (reader->where == READ_FACTS)
                (void)snprintf(ret_problem->text, sizeof(ret_problem->text),
                               "ends within the header; the names of the columns are missing");
        else if (reader->n_rows == 0)
                (void)snprintf(ret_problem->text, sizeof(ret_problem->text),
                               "has a header and no sample");
        else
                return 0;
        return -EBADMSG;
}
