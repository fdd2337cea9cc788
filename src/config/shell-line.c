/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "excerpt.h"
#include "shell-line.h"

/* Not isalpha() and its like: they follow the locale. */
static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool is_key_start(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_key(char c)
{
        return is_key_start(c) || (c >= '0' && c <= '9');
}

static bool is_control(char c)
{
        unsigned char byte = (unsigned char)c;

        return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

__attribute__((format(printf, 2, 3))) static int refuse(struct reader_error *ret_error,
                                                        const char *format, ...)
{
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(ret_error->text, sizeof(ret_error->text), format, ap);
        va_end(ap);

        return -EBADMSG;
}

struct shell_line shell_line(const char *text, size_t len)
{
        return (struct shell_line){.at = text, .end = text + len};
}

/* The key and its '='. On success the line stands at the value. Return: as shell_line_next(). */
static int read_key(struct shell_line *line, struct shell_assignment *assignment)
{
        const char *p = line->at;
        size_t n;

        if (p == line->end || !is_key_start(*p))
                return 0;
        while (p < line->end && is_key(*p))
                p++;
        n = (size_t)(p - line->at);
        if (p == line->end || *p != '=')
                return 0;
        if (n > READER_KEY_MAX)
                return -EBADMSG;

        memcpy(assignment->key, line->at, n);
        assignment->key[n] = '\0';
        line->at = p + 1;
        return 1;
}

/* Says what is wrong with a word that is no assignment. */
static int refuse_word(const struct shell_line *line, struct reader_error *ret_error)
{
        const char *p = line->at, *name_end;
        char word[EXCERPT_SIZE];
        bool is_name;

        while (p < line->end && is_key(*p))
                p++;
        name_end = p;
        while (p < line->end && !is_blank(*p))
                p++;
        (void)excerpt(word, line->at, (size_t)(p - line->at));
        is_name = name_end == p && is_key_start(*line->at);
        while (p < line->end && is_blank(*p))
                p++;

        if (*line->at == '[' && !line->started)
                return refuse(ret_error, "there are no sections here: write KEY=VALUE");
        if (is_name && p < line->end && *p == '=')
                return refuse(ret_error, "a space before '=': write %s=VALUE", word);
        if (line->after_empty_value)
                return refuse(ret_error, "a space after '=', before '%s': write KEY=VALUE", word);
        if (line->after_export && is_name)
                return refuse(ret_error, "'export %s' has no value: write %s=VALUE", word, word);
        if (line->started)
                return refuse(ret_error,
                              "'%s' is no assignment: write KEY=VALUE, "
                              "with quotes around a value that holds spaces",
                              word);
        return refuse(ret_error,
                      "'%s' is no assignment: write KEY=VALUE, with a key of letters, digits and _",
                      word);
}

static int refuse_char(char c, struct reader_error *ret_error)
{
        if (is_control(c))
                return refuse(ret_error, "a control character (0x%02x)", (unsigned)c & 0xff);
        if (c == '$' || c == '`')
                return refuse(ret_error,
                              "'%c': variables and commands are not expanded here; "
                              "put single quotes around it if it is meant literally",
                              c);
        if (c == '~')
                return refuse(ret_error, "'~' is not expanded here: write the whole path");
        return refuse(ret_error, "'%c' has a meaning in a shell: put quotes around it", c);
}

static void append(struct shell_assignment *assignment, char c)
{
        /* A value is never longer than its line, and that was measured before. */
        assignment->value[assignment->value_len++] = c;
}

/* From behind the opening quote to behind the closing one. */
static int read_quoted(struct shell_line *line, struct shell_assignment *assignment, char quote,
                       struct reader_error *ret_error)
{
        while (line->at < line->end) {
                char c = *line->at++;

                if (c == quote)
                        return 0;
                if (is_control(c))
                        return refuse_char(c, ret_error);
                if (quote == '"') {
                        if (c == '$' || c == '`')
                                return refuse_char(c, ret_error);
                        /* Before anything else a backslash stands for itself. */
                        if (c == '\\' && line->at < line->end && strchr("\"\\$`", *line->at))
                                c = *line->at++;
                }
                append(assignment, c);
        }

        return refuse(ret_error, "the quote %c is not closed on this line", quote);
}

/* One step of a value outside of quotes; @first: nothing of the value came before. */
static int read_bare(struct shell_line *line, struct shell_assignment *assignment, bool first,
                     struct reader_error *ret_error)
{
        char c = *line->at;

        if (is_control(c) || strchr("$`;&|<>()", c))
                return refuse_char(c, ret_error);
        /* Where a shell would put somebody's home folder. */
        if (c == '~' && (first || line->at[-1] == ':'))
                return refuse_char(c, ret_error);
        line->at++;

        if (c == '\\') {
                if (line->at == line->end)
                        return refuse(ret_error,
                                      "a backslash at the end: a value ends on its line");
                c = *line->at++;
                if (is_control(c))
                        return refuse_char(c, ret_error);
        }
        append(assignment, c);

        return 0;
}

static int read_value(struct shell_line *line, struct shell_assignment *assignment,
                      struct reader_error *ret_error)
{
        const char *start = line->at;

        assignment->value_len = 0;
        while (line->at < line->end && !is_blank(*line->at)) {
                int r;

                if (*line->at == '\'' || *line->at == '"') {
                        char quote = *line->at++;

                        r = read_quoted(line, assignment, quote, ret_error);
                } else {
                        r = read_bare(line, assignment, line->at == start, ret_error);
                }
                if (r < 0)
                        return r;
        }
        assignment->value[assignment->value_len] = '\0';
        line->after_empty_value = line->at == start;

        return 0;
}

/* Passes over blanks and a comment. Return: whether something else follows. */
static bool skip_blanks(struct shell_line *line)
{
        while (line->at < line->end && is_blank(*line->at))
                line->at++;
        if (line->at < line->end && *line->at == '#')
                line->at = line->end;

        return line->at < line->end;
}

static bool skip_export(struct shell_line *line)
{
        const size_t n = strlen("export");
        size_t left = (size_t)(line->end - line->at);

        if (left < n || memcmp(line->at, "export", n) != 0)
                return false;
        if (left > n && !is_blank(line->at[n]))
                return false;
        line->at += n;

        return true;
}

int shell_line_next(struct shell_line *line, struct shell_assignment *assignment,
                    struct reader_error *ret_error)
{
        int r;

        if (!skip_blanks(line))
                return 0;

        if (!line->started && skip_export(line)) {
                line->started = true;
                line->after_export = true;
                if (!skip_blanks(line))
                        return refuse(ret_error, "export alone: write KEY=VALUE behind it");
        }

        r = read_key(line, assignment);
        if (r == 0)
                return refuse_word(line, ret_error);
        if (r < 0)
                return refuse(ret_error, "a key of more than %d characters", READER_KEY_MAX);

        r = read_value(line, assignment, ret_error);
        if (r < 0)
                return r;
        line->started = true;

        return 1;
}
