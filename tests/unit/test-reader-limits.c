/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Shell lines: their length, every byte, NUL bytes, and where reading ends. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "reader-help.h"

/* "A=1", a line of @len bytes that starts with @head, goes on with @fill and ends with @tail, and
 * "Z=1". Return: its length. */
static size_t long_text(char *buf, const char *head, char fill, const char *tail, size_t len,
                        const char *line_end)
{
        char *p = stpcpy(buf, "A=1\n");
        size_t n = len - strlen(head) - strlen(tail);

        p = stpcpy(p, head);
        memset(p, fill, n);
        p = stpcpy(p + n, tail);
        p = stpcpy(p, line_end);
        p = stpcpy(p, "Z=1\n");

        return (size_t)(p - buf);
}

static void check_line_length(const char *head, char fill, const char *tail, const char *line_end)
{
        for (size_t len = 4095; len <= 4097; len++) {
                char text[4200];
                size_t text_len = long_text(text, head, fill, tail, len, line_end);
                struct taken taken = {0};
                struct reader_error error = {0};
                int r = reader_parse(text, text_len, take, &taken, &error);

                if (len > 4096) {
                        assert_int_equal(r, -EBADMSG);
                        assert_int_equal(error.line, 2);
                        assert_non_null(strstr(error.text, "4096 bytes"));
                        assert_int_equal(taken.n, 1);
                        continue;
                }
                assert_int_equal(r, 0);
                assert_string_equal(taken.keys[taken.n - 1], "Z");
                assert_int_equal(taken.lines[taken.n - 1], 3);
                if (*head == '#')
                        continue;
                assert_int_equal(taken.n, 3);
                assert_int_equal(strlen(taken.values[1]), len - strlen(head) - strlen(tail));
                for (const char *p = taken.values[1]; *p; p++)
                        assert_int_equal(*p, fill);
        }
}

static void test_line_length(void **state)
{
        check_line_length("B=", 'x', "", "\n");
        check_line_length("B=", '%', "", "\r\n");
        check_line_length("B='", ' ', "'", "\n");
        check_line_length("B=\"", '\xff', "\"", "\n");
        check_line_length("# ", 'x', "", "\n");
}

/* Every byte that a value can hold, at every place within a piece. */
static void test_every_byte(void **state)
{
        for (unsigned c = 1; c < 256; c++) {
                for (size_t before = 0; before < 70; before++) {
                        char text[128];
                        struct taken taken = {0};
                        struct reader_error error = {0};
                        int n = snprintf(text, sizeof(text), "A='%.*s%cx'", (int)before,
                                         "0123456789012345678901234567890123456789"
                                         "012345678901234567890123456789",
                                         (int)c);
                        int r = reader_parse(text, (size_t)n, take, &taken, &error);

                        if ((c < ' ' && c != '\t') || c == 0x7f || c == '\'') {
                                assert_int_equal(r, -EBADMSG);
                                continue;
                        }
                        assert_int_equal(r, 0);
                        assert_int_equal(taken.n, 1);
                        text[n - 1] = '\0';
                        assert_string_equal(taken.values[0], text + strlen("A='"));
                }
        }
}

static void check_nul(const char *text, size_t len, unsigned line, unsigned n)
{
        struct taken taken = {0};
        struct reader_error error = {0};

        assert_int_equal(reader_parse(text, len, take, &taken, &error), -EBADMSG);
        assert_int_equal(error.line, line);
        assert_int_equal(taken.n, n);
        assert_non_null(strstr(error.text, "NUL"));
}

static void test_nul(void **state)
{
        static const char in_value[] = "A=1\nB=x\0y\n", in_comment[] = "A=1\n\n# \0\nB=1\n";
        static const char alone[] = "\0", at_end[] = "A=1\n\0", quoted[] = "A='\0'";

        check_nul(in_value, sizeof(in_value) - 1, 2, 1);
        check_nul(in_comment, sizeof(in_comment) - 1, 3, 1);
        check_nul(alone, sizeof(alone) - 1, 1, 0);
        check_nul(at_end, sizeof(at_end) - 1, 2, 1);
        check_nul(quoted, sizeof(quoted) - 1, 1, 0);
}

/* The text's end is its length, not what lies behind. */
static void test_length_is_kept(void **state)
{
        char *text = malloc(3);
        struct taken taken = {0};
        struct reader_error error;

        assert_non_null(text);
        text[0] = 'A';
        text[1] = '=';
        text[2] = '1';
        assert_int_equal(reader_parse(text, 3, take, &taken, &error), 0);
        assert_string_equal(taken.values[0], "1");
        free(text);
}

static int refuse_second(void *userdata, unsigned line, const char *key, const char *value)
{
        unsigned *calls = userdata;

        return ++*calls == 2 ? -ECANCELED : 0;
}

static void test_callback_ends_it(void **state)
{
        struct reader_error error = {.line = 4711};
        const char *text = "A=1\nB=2\nC=3\n$\n";
        unsigned calls = 0;

        assert_int_equal(reader_parse(text, strlen(text), refuse_second, &calls, &error),
                         -ECANCELED);
        assert_int_equal(calls, 2);
        assert_int_equal(error.line, 4711);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_line_length),
                cmocka_unit_test(test_every_byte),
                cmocka_unit_test(test_nul),
                cmocka_unit_test(test_length_is_kept),
                cmocka_unit_test(test_callback_ends_it),
        };

        return cmocka_run_group_tests_name("reader-limits", tests, NULL, NULL);
}
