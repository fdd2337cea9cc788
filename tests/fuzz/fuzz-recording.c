/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Recordings: what is read must be writable again, and read the same. */

#include <errno.h>

#include "fuzz.h"
#include "ksmtuned/recording.h"

static void check_remark(const struct recording_remark *remark, unsigned line)
{
        CHECK(remark->line == line);
        CHECK(memchr(remark->text, '\0', sizeof(remark->text)));
        for (const char *p = remark->text; *p; p++)
                CHECK(*p >= ' ' && *p <= '~');
}

/* Both forms of the row give the row again. */
static void check_row(const struct recording_reader *reader, const struct recording_row *row)
{
        static const enum recording_form forms[] = {RECORDING_TSV, RECORDING_JSONL};

        CHECK(row->monotonic_usec >= 0 && row->sample.memory.total_kb >= 0);
        CHECK(row->sample.ksm.run >= 0 && row->sample.ksm.run <= 2);
        CHECK(row->sample.ksm.page_bytes == reader->header.page_bytes);
        for (size_t i = 0; i < 2; i++) {
                struct recording_reader again = RECORDING_READER_INIT;
                struct recording_remark problem;
                struct recording_row copy;
                char text[RECORDING_LINE_SIZE], again_text[RECORDING_LINE_SIZE];
                int len = recording_format_header(forms[i], &reader->header, text, sizeof(text));
                int r = 0;

                CHECK(len > 0);
                for (char *line = text, *end; (end = memchr(line, '\n', (size_t)len)) != NULL;) {
                        r = recording_read_line(&again, line, (size_t)(end + 1 - line), &copy,
                                                &problem);
                        CHECK(r >= 0);
                        len -= (int)(end + 1 - line);
                        line = end + 1;
                }
                CHECK(len == 0 && r == RECORDING_BEGIN);
                len = recording_format_row(forms[i], row, text, sizeof(text));
                CHECK(len > 0 && text[len - 1] == '\n');
                r = recording_read_line(&again, text, (size_t)len, &copy, &problem);
                CHECK(r == RECORDING_ROW);
                CHECK(recording_format_row(forms[i], &copy, again_text, sizeof(again_text)) == len);
                CHECK(strcmp(text, again_text) == 0);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct recording_reader reader = RECORDING_READER_INIT;
        struct recording_remark problem;
        const char *line = (const char *)data;
        unsigned n_lines = 0;

        while (size > 0) {
                const char *end = memchr(line, '\n', size);
                size_t len = end ? (size_t)(end + 1 - line) : size;
                struct recording_row row;
                int r;

                fuzz_mark(&row, sizeof(row));
                r = recording_read_line(&reader, line, len, &row, &problem);
                CHECK(reader.line == ++n_lines);
                if (r != RECORDING_ROW && r >= 0)
                        fuzz_check_failure(-1, &row, sizeof(row));
                if (r < 0) {
                        fuzz_check_failure(r, &row, sizeof(row));
                        CHECK(r == -EBADMSG);
                        check_remark(&problem, n_lines);
                        return 0;
                }
                if (r == RECORDING_ROW)
                        check_row(&reader, &row);
                if (*reader.note.text)
                        check_remark(&reader.note, n_lines);
                line += len;
                size -= len;
        }
        if (recording_read_end(&reader, &problem) < 0)
                check_remark(&problem, n_lines);
        return 0;
}
