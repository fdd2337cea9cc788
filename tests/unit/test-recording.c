/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Recordings: written, read, refused, and one of them through the policy. */

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/policy.h"
#include "ksmtuned/recording.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define FACTS "#format=ksmtuned-recording\n#version=1\n#page_bytes=4096\n"
#define COLUMNS                                                                       \
        "time_usec\tmonotonic_usec\tmem_total_kb\tmem_free_kb\tbuffers_kb\tcached_kb" \
        "\tguests\tcommitted_kb\trun\tpages_to_scan\tsleep_millisecs"
#define ROW        "1000\t5\t16384\t100\t1\t2\t3\t20\t1\t100\t20"
#define JSON_FACTS "{\"format\":\"ksmtuned-recording\",\"version\":1,\"page_bytes\":4096}\n"
#define JSON_ROW                                                                           \
        "{\"time_usec\":1000,\"monotonic_usec\":5,\"mem_total_kb\":16384,\"mem_free_kb\":" \
        "100,\"buffers_kb\":1,\"cached_kb\":2,\"guests\":3,\"committed_kb\":20,\"run\":1," \
        "\"pages_to_scan\":100,\"sleep_millisecs\":20}\n"

/* What reading a text came to. */
struct outcome {
        struct recording_reader reader;
        struct recording_row last;
        struct recording_remark problem;
        struct recording_remark note; /* the last one */
        unsigned n_rows, n_begins;
};

/* Return: 0; -EBADMSG. */
static int read_text(const char *text, struct outcome *ret)
{
        *ret = (struct outcome){.reader = RECORDING_READER_INIT};
        while (*text) {
                const char *end = strchr(text, '\n');
                size_t len = end ? (size_t)(end + 1 - text) : strlen(text);
                int r = recording_read_line(&ret->reader, text, len, &ret->last, &ret->problem);

                if (r < 0)
                        return r;
                ret->n_rows += r == RECORDING_ROW;
                ret->n_begins += r == RECORDING_BEGIN;
                if (*ret->reader.note.text)
                        ret->note = ret->reader.note;
                text += len;
        }
        return recording_read_end(&ret->reader, &ret->problem);
}

static void assert_accepted(const char *text, struct outcome *ret)
{
        int r = read_text(text, ret);

        if (r < 0)
                fail_msg("line %u: %s", ret->problem.line, ret->problem.text);
}

static void assert_refused(const char *text, unsigned line, const char *words)
{
        struct outcome outcome;

        assert_int_equal(read_text(text, &outcome), -EBADMSG);
        if (!strstr(outcome.problem.text, words) || outcome.problem.line != line)
                fail_msg("'%s' is not in line %u: %s", words, outcome.problem.line,
                         outcome.problem.text);
}

/* Every figure with a value of its own. */
static void fill(struct recording_row *row)
{
        static const int64_t few[] = {0, 1, 100, 20};

        recording_row_init(row);
        *row = (struct recording_row){
                .time_usec = 1795261827000000,
                .monotonic_usec = 7,
                .sample = {.memory = {11, 12, 13, 14, 15, 16, 17},
                           .pressure = {{21, 22, 23, 24}, {25, 26, 27, 28}},
                           .guests = {31, 32},
                           .ksm = {.run = 1,
                                   .pages_to_scan = few[2],
                                   .sleep_millisecs = few[3],
                                   .full_scans = 41,
                                   .pages_shared = 42,
                                   .pages_sharing = 43,
                                   .pages_unshared = 44,
                                   .pages_volatile = 45,
                                   .ksm_zero_pages = -46,
                                   .page_bytes = 4096,
                                   .ksmd_cpu_nsec = INT64_MAX,
                                   .pages_scanned = 51,
                                   .pages_skipped = 52,
                                   .smart_scan = 1}},
                .general_profit = -1,
                .stable_node_chains = 54,
                .stable_node_dups = 55,
                .cow_ksm = 56,
                .use_zero_pages = few[0],
                .merge_across_nodes = few[1],
                .max_page_sharing = 256,
                .advisor_mode = 1,
                .advisor_target_scan_time = 61,
                .advisor_max_cpu = 62,
                .advisor_min_pages_to_scan = 63,
                .advisor_max_pages_to_scan = 64,
                .daemon_decisions = 71,
                .daemon_time_usec = 72,
        };
}

static void test_written_and_read(void **state)
{
        const struct recording_header header = {.ksmtuned = "1.2",
                                                .kernel = "6.18-x \"y\\\t",
                                                .ps_metric = "pss",
                                                .page_bytes = 4096,
                                                .total_kb = SAMPLE_ABSENT,
                                                .cpus = 8,
                                                .interval_usec = 500000};

        for (int form = RECORDING_TSV; form <= RECORDING_JSONL; form++) {
                char text[3 * RECORDING_LINE_SIZE];
                struct recording_row known, unknown;
                struct outcome outcome;
                int len, more;

                fill(&known);
                recording_row_init(&unknown);
                unknown.sample.memory = known.sample.memory;
                unknown.sample.guests = known.sample.guests;
                unknown.sample.ksm.run = unknown.sample.ksm.pages_to_scan =
                        unknown.sample.ksm.sleep_millisecs = 0;
                unknown.sample.ksm.page_bytes = 4096;
                unknown.time_usec = unknown.monotonic_usec = 1;

                len = recording_format_header(form, &header, text, RECORDING_LINE_SIZE);
                assert_true(len > 0);
                more = recording_format_row(form, &unknown, text + len, RECORDING_LINE_SIZE);
                assert_true(more > 0);
                assert_accepted(text, &outcome);
                assert_memory_equal(&outcome.last, &unknown, sizeof(unknown));

                len += more;
                assert_true(recording_format_row(form, &known, text + len, RECORDING_LINE_SIZE) >
                            0);
                assert_accepted(text, &outcome);
                assert_memory_equal(&outcome.last, &known, sizeof(known));
                assert_int_equal(outcome.n_rows, 2);
                assert_int_equal(outcome.reader.n_unknown, 0);
                assert_string_equal(outcome.reader.header.ksmtuned, "1.2");
                assert_string_equal(outcome.reader.header.kernel, "6.18-x ?y??");
                assert_string_equal(outcome.reader.header.ps_metric, "pss");
                assert_int_equal(outcome.reader.header.total_kb, SAMPLE_ABSENT);
                assert_int_equal(outcome.reader.header.cpus, 8);
                assert_int_equal(outcome.reader.header.interval_usec, 500000);
                /* A column that is written twice, or not at all, would not have come back. */
                assert_int_equal(strstr(text, "cow_ksm") != NULL, 1);
        }
}

static void test_too_small_a_buffer(void **state)
{
        const struct recording_header header = {.page_bytes = 4096};
        struct recording_row row;
        char text[RECORDING_LINE_SIZE];

        fill(&row);
        for (int form = RECORDING_TSV; form <= RECORDING_JSONL; form++) {
                int len = recording_format_row(form, &row, text, sizeof(text));

                assert_int_equal(recording_format_row(form, &row, text, (size_t)len), -ENOBUFS);
                assert_int_equal(recording_format_row(form, &row, text, (size_t)len + 1), len);
                assert_int_equal(recording_format_header(form, &header, text, 10), -ENOBUFS);
        }
}

static void test_largest_line_fits(void **state)
{
        struct recording_row row;
        char text[RECORDING_LINE_SIZE];

        /* All columns are 64-bit numbers, whatever their range. */
        for (size_t i = 0; i < sizeof(row) / sizeof(int64_t); i++)
                ((int64_t *)(void *)&row)[i] = INT64_MIN + 1;
        assert_true(recording_format_row(RECORDING_TSV, &row, text, sizeof(text)) > 0);
        assert_true(recording_format_row(RECORDING_JSONL, &row, text, sizeof(text)) > 0);
}

static void test_what_is_passed_over(void **state)
{
        struct outcome outcome;

        assert_accepted(FACTS "#later=x\n" COLUMNS "\tnew\tnewer\n" ROW "\tfoo\t\n", &outcome);
        assert_int_equal(outcome.reader.n_unknown, 2);
        assert_string_equal(outcome.reader.unknown, "new");
        assert_int_equal(outcome.last.sample.memory.total_kb, 16384);
        assert_int_equal(outcome.last.sample.ksm.full_scans, SAMPLE_ABSENT);
        assert_int_equal(outcome.last.general_profit, RECORDING_PROFIT_ABSENT);

        assert_accepted(FACTS COLUMNS "\n\n# a comment\n" ROW "\n\n", &outcome);
        assert_accepted("#format=ksmtuned-recording\r\n#version=1\r\n#page_bytes=4096\r\n" COLUMNS
                        "\r\n" ROW "\r\n",
                        &outcome);
        assert_int_equal(outcome.last.sample.ksm.sleep_millisecs, 20);
        assert_accepted(JSON_FACTS "{ \"x\" : 1.5e-3 , \"y\":true,\"z\":\"\\u00e9\\n\\\"\","
                                   "\"run\":2, \"time_usec\":1000,\"monotonic_usec\":5,"
                                   "\"mem_total_kb\":16384,\"mem_free_kb\":100,\"buffers_kb\":1,"
                                   "\"cached_kb\":2,\"guests\":3,\"committed_kb\":20,"
                                   "\"pages_to_scan\":100,\"sleep_millisecs\":20} \n",
                        &outcome);
        assert_int_equal(outcome.last.sample.ksm.run, 2);
}

static void test_recordings_behind_each_other(void **state)
{
        struct outcome outcome;

        assert_accepted(FACTS COLUMNS "\n" ROW "\n" JSON_FACTS JSON_ROW FACTS COLUMNS "\n" ROW "\n",
                        &outcome);
        assert_int_equal(outcome.n_begins, 3);
        assert_int_equal(outcome.n_rows, 3);
}

static void test_what_is_no_recording(void **state)
{
        assert_refused("", 0, "is empty");
        assert_refused("\n\n", 2, "is empty");
        assert_refused("hello\n", 1, "is no recording: the first line is '#format=");
        assert_refused("# hello=1\n", 1, "the first line of a recording is");
        assert_refused("#format=csv\n", 1, "the format is 'csv'; ksmtuned-recording is accepted");
        assert_refused("\x7f"
                       "ELF\n",
                       1, "is no recording");
        assert_refused(FACTS, 3, "ends within the header");
        assert_refused(FACTS COLUMNS "\n", 4, "has a header and no sample");
}

static void test_headers_that_are_wrong(void **state)
{
        assert_refused("#format=ksmtuned-recording\n#version=2\n", 2,
                       "is of version 2; version 1 is accepted");
        assert_refused("#format=ksmtuned-recording\n#version=one\n", 2,
                       "version is 'one'; a whole number is accepted");
        assert_refused("#format=ksmtuned-recording\n#page_bytes=4096\n" COLUMNS "\n", 3,
                       "has no version");
        assert_refused("#format=ksmtuned-recording\n#version=1\n" COLUMNS "\n", 3,
                       "has no page_bytes");
        assert_refused("#format=ksmtuned-recording\n#page_bytes=3\n", 2,
                       "page_bytes is '3'; a number from 512 to 16777216");
        assert_refused(FACTS COLUMNS "\trun\n", 4, "the column run is there twice");
        assert_refused(FACTS COLUMNS "\t\n", 4, "column 12 has no name");
        assert_refused(FACTS "time_usec\tmonotonic_usec\n", 4,
                       "the column mem_total_kb is missing");
        assert_refused("{\"format\":\"ksmtuned-recording\",\"version\":7}\n", 1, "of version 7");
        assert_refused("{\"format\":\"x\"}\n", 1, "the format is 'x'");
        assert_refused("{\"version\":1}\n", 1, "without a header before it");
}

static void test_rows_that_are_wrong(void **state)
{
        static const struct {
                const char *row, *words;
        } rows[] = {
                {"1000\t5\t16384\n", "has 3 fields; the header names 11 columns"},
                {ROW "\t1\n", "has 12 fields"},
                {"1000\t5\t16384\t100\t1\t2", "is cut: it has no line end"},
                {"1000\t5\tNA\t100\t1\t2\t3\t20\t1\t100\t20\n", "mem_total_kb is not known"},
                {"1000\t5\tmany\t100\t1\t2\t3\t20\t1\t100\t20\n",
                 "mem_total_kb is 'many'; a whole number is accepted"},
                {"1000\t5\t\t100\t1\t2\t3\t20\t1\t100\t20\n", "mem_total_kb is ''"},
                {"1000\t5\t1.5\t100\t1\t2\t3\t20\t1\t100\t20\n", "mem_total_kb is '1.5'"},
                {"1000\t5\t-1\t100\t1\t2\t3\t20\t1\t100\t20\n", "a number from 0 to"},
                {"1000\t5\t9223372036854775808\t100\t1\t2\t3\t20\t1\t100\t20\n",
                 "a number from 0 to 9223372036854775807"},
                {"1000\t5\t16384\t100\t1\t2\t3\t20\t3\t100\t20\n",
                 "run is '3'; a number from 0 to 2"},
                {"1000\t5\t16384\t100\t1\t2\t3\t20\t1\t4294967296\t20\n",
                 "a number from 0 to 4294967295"},
                {ROW "\n1000\t4\t16384\t100\t1\t2\t3\t20\t1\t100\t20\n", "the time goes back"},
                {JSON_ROW, "without a header"},
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                char text[1024];

                (void)snprintf(text, sizeof(text), FACTS COLUMNS "\n%s", rows[i].row);
                assert_refused(text, 5 + (strncmp(rows[i].row, ROW "\n", sizeof(ROW)) == 0),
                               rows[i].words);
        }
}

static void test_json_that_is_wrong(void **state)
{
        static const struct {
                const char *row, *words;
        } rows[] = {
                {"{}\n", "the key time_usec is missing"},
                {"{\"run\":1,\"run\":1}\n", "run is there twice"},
                {"{\"run\":\"1\"}\n", "run is a text"},
                {"{\"run\":1.0}\n", "run is '1.0'; a whole number"},
                {"{\"run\":01}\n", "a ',' or a '}' is expected at column 9"},
                {"{\"run\":null}\n", "run is not known"},
                {"{\"run\":true}\n", "run is 'true'"},
                {"{\"run\":[1]}\n", "a number, a text in quotes, true, false or null"},
                {"{\"run\":{\"x\":1}}\n", "a number, a text in quotes"},
                {"{\"run\":+1}\n", "a number, a text in quotes"},
                {"{\"run\":-}\n", "a digit is expected"},
                {"{\"run\":1.}\n", "a digit is expected"},
                {"{\"x\":1e}\n", "a digit is expected"},
                {"{\"run\" 1}\n", "a ':' is expected"},
                {"{run:1}\n", "a '\"' is expected"},
                {"{\"x\":1,}\n", "a '\"' is expected"},
                {"{\"x\":\"\\x\"}\n", "an escape"},
                {"{\"x\":\"\\u00g0\"}\n", "four hexadecimal digits"},
                {"{\"x\":\"\t\"}\n", "the '\"' that ends a text"},
                {"{\"x\":\"\n", "the '\"' that ends a text"},
                {"{\"x\":1} 2\n", "nothing behind the '}'"},
                {"{\"x\":1", "is cut"},
                {"{\"x\":1\n", "a ',' or a '}'"},
                {ROW "\n", "is no JSON object"},
        };

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                char text[512];

                (void)snprintf(text, sizeof(text), JSON_FACTS "%s", rows[i].row);
                assert_refused(text, 2, rows[i].words);
        }
}

static void test_lines_that_are_no_text(void **state)
{
        struct recording_reader reader = RECORDING_READER_INIT;
        struct recording_remark problem;
        struct recording_row row;
        char *line = malloc(RECORDING_LINE_MAX + 1);

        assert_non_null(line);
        memset(line, '1', RECORDING_LINE_MAX + 1);
        assert_int_equal(recording_read_line(&reader, line, RECORDING_LINE_MAX + 1, &row, &problem),
                         -EBADMSG);
        assert_non_null(strstr(problem.text, "is longer than 65536 bytes"));
        free(line);
        reader = (struct recording_reader)RECORDING_READER_INIT;
        assert_int_equal(recording_read_line(&reader, "#a\0b\n", 5, &row, &problem), -EBADMSG);
        assert_non_null(strstr(problem.text, "NUL"));
}

static void test_what_happened_between(void **state)
{
        struct outcome outcome;

        assert_accepted(FACTS COLUMNS "\tfull_scans\n" ROW "\t9\n" ROW "\t0\n", &outcome);
        assert_int_equal(outcome.note.line, 6);
        assert_string_equal(outcome.note.text,
                            "full_scans goes back from 9 to 0: KSM was unmerged");
        assert_accepted(FACTS COLUMNS "\tksmd_cpu_nsec\n" ROW "\t9\n" ROW "\t0\n", &outcome);
        assert_non_null(strstr(outcome.note.text, "the host was booted"));
        assert_accepted(FACTS COLUMNS "\tfull_scans\n" ROW "\t9\n" ROW "\tNA\n" ROW "\t9\n",
                        &outcome);
        assert_string_equal(outcome.note.text, "");
        /* People's clock may be set back. */
        assert_accepted(FACTS COLUMNS "\n" ROW "\n9"
                                      "\t5\t16384\t100\t1\t2\t3\t20\t1\t100\t20\n",
                        &outcome);
}

/* --- A recording through the policy --------------------------------------------------------- */

/* The knobs of the recording are those that the daemon left, decision by decision. */
static void test_evening(void **state)
{
        const struct policy_settings settings = {.kind = POLICY_CLASSIC,
                                                 .classic = CLASSIC_PARAMS_DEFAULT};
        struct recording_reader reader = RECORDING_READER_INIT;
        struct policy_state policy_state = {0};
        struct recording_remark problem;
        CLEANUP_FREE char *line = NULL;
        CLEANUP_FILE FILE *file = NULL;
        unsigned n_rows = 0, n_on = 0;
        size_t size = 0;
        char path[512];
        ssize_t len;

        assert_non_null(getenv("TEST_DATA"));
        (void)snprintf(path, sizeof(path), "%s/recordings/evening.tsv", getenv("TEST_DATA"));
        file = fopen(path, "re");
        assert_non_null(file);
        while ((len = getline(&line, &size, file)) > 0) {
                struct recording_row row;
                struct decision decision;
                int r = recording_read_line(&reader, line, (size_t)len, &row, &problem);

                assert_true(r >= 0);
                if (r != RECORDING_ROW)
                        continue;
                policy_decide(&settings, &policy_state, &row.sample, (uint64_t)row.monotonic_usec,
                              &decision);
                assert_int_equal(decision.verdict == VERDICT_START, row.sample.ksm.run == 1);
                if (row.sample.ksm.run == 1) {
                        assert_int_equal(decision.pages_to_scan, row.sample.ksm.pages_to_scan);
                        assert_int_equal(decision.sleep_millisecs, row.sample.ksm.sleep_millisecs);
                }
                n_rows++;
                n_on += row.sample.ksm.run == 1;
        }
        assert_int_equal(recording_read_end(&reader, &problem), 0);
        assert_int_equal(n_rows, 40);
        assert_int_equal(n_on, 10);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_written_and_read),
                cmocka_unit_test(test_too_small_a_buffer),
                cmocka_unit_test(test_largest_line_fits),
                cmocka_unit_test(test_what_is_passed_over),
                cmocka_unit_test(test_recordings_behind_each_other),
                cmocka_unit_test(test_what_is_no_recording),
                cmocka_unit_test(test_headers_that_are_wrong),
                cmocka_unit_test(test_rows_that_are_wrong),
                cmocka_unit_test(test_json_that_is_wrong),
                cmocka_unit_test(test_lines_that_are_no_text),
                cmocka_unit_test(test_what_happened_between),
                cmocka_unit_test(test_evening),
        };

        return cmocka_run_group_tests_name("recording", tests, NULL, NULL);
}
