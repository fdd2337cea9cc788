/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "flat-json.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

struct parser {
        const char *p;
        const char *what; /* was expected where p stands; NULL while all is well */
};

static bool expect(struct parser *parser, bool condition, const char *what)
{
        if (!condition && !parser->what)
                parser->what = what;
        return condition;
}

static void skip_blanks(struct parser *parser)
{
        parser->p += strspn(parser->p, " \t\r\n");
}

static void put(char *text, size_t *len, char c)
{
        if (*len + 1 < FLAT_JSON_TEXT_SIZE)
                text[(*len)++] = (char)(c < ' ' || c > '~' ? '?' : c);
}

/* Behind the backslash of an escape. Return: whether it is one. */
static bool parse_escape(struct parser *parser, char *ret_c)
{
        static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
        const char *name = *parser->p ? strchr(names, *parser->p) : NULL;

        if (name) {
                *ret_c = values[name - names];
                parser->p++;
                return true;
        }
        if (!expect(parser, *parser->p == 'u', "an escape such as \\n or \\u0041"))
                return false;
        parser->p++;
        for (int i = 0; i < 4; i++, parser->p++)
                if (!expect(parser, isxdigit((unsigned char)*parser->p), "four hexadecimal digits"))
                        return false;
        /* Nothing that is looked for has any, so they need not be told apart. */
        *ret_c = '?';
        return true;
}

static bool parse_text(struct parser *parser, char text[FLAT_JSON_TEXT_SIZE])
{
        size_t len = 0;

        if (!expect(parser, *parser->p == '"', "a '\"'"))
                return false;
        parser->p++;
        while (*parser->p != '"') {
                char c = *parser->p;

                if (!expect(parser, (unsigned char)c >= ' ', "the '\"' that ends a text"))
                        return false;
                parser->p++;
                if (c == '\\' && !parse_escape(parser, &c))
                        return false;
                put(text, &len, c);
        }
        parser->p++;
        text[len] = '\0';
        return true;
}

static bool skip_digits(struct parser *parser)
{
        if (!expect(parser, isdigit((unsigned char)*parser->p), "a digit"))
                return false;
        while (isdigit((unsigned char)*parser->p))
                parser->p++;
        return true;
}

static bool parse_number(struct parser *parser, char text[FLAT_JSON_TEXT_SIZE])
{
        const char *begin = parser->p;
        size_t len = 0;

        if (*parser->p == '-')
                parser->p++;
        if (*parser->p == '0')
                parser->p++; /* no digit may follow: 0 leads no number */
        else if (!skip_digits(parser))
                return false;
        if (*parser->p == '.' && (parser->p++, !skip_digits(parser)))
                return false;
        if (*parser->p == 'e' || *parser->p == 'E') {
                parser->p++;
                if (*parser->p == '+' || *parser->p == '-')
                        parser->p++;
                if (!skip_digits(parser))
                        return false;
        }
        for (; begin < parser->p; begin++)
                put(text, &len, *begin);
        text[len] = '\0';
        return true;
}

static bool parse_value(struct parser *parser, struct flat_json_value *value)
{
        static const char *const words[] = {"null", "true", "false"};

        if (*parser->p == '"') {
                value->type = FLAT_JSON_TEXT;
                return parse_text(parser, value->text);
        }
        if (*parser->p == '-' || isdigit((unsigned char)*parser->p)) {
                value->type = FLAT_JSON_NUMBER;
                return parse_number(parser, value->text);
        }
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
                size_t len = strlen(words[i]);

                if (strncmp(parser->p, words[i], len) == 0) {
                        value->type = FLAT_JSON_WORD;
                        memcpy(value->text, words[i], len + 1);
                        parser->p += len;
                        return true;
                }
        }
        return expect(parser, false, "a number, a text in quotes, true, false or null");
}

static int parse_members(struct parser *parser, flat_json_fn fn, void *userdata)
{
        for (;;) {
                char key[FLAT_JSON_TEXT_SIZE];
                struct flat_json_value value;
                int r;

                if (!parse_text(parser, key))
                        return -EBADMSG;
                skip_blanks(parser);
                if (!expect(parser, *parser->p == ':', "a ':'"))
                        return -EBADMSG;
                parser->p++;
                skip_blanks(parser);
                if (!parse_value(parser, &value))
                        return -EBADMSG;
                r = fn(userdata, key, &value);
                if (r != 0)
                        return r;
                skip_blanks(parser);
                if (*parser->p == '}')
                        return 0;
                if (!expect(parser, *parser->p == ',', "a ',' or a '}'"))
                        return -EBADMSG;
                parser->p++;
                skip_blanks(parser);
        }
}

int flat_json_parse(const char *text, flat_json_fn fn, void *userdata, const char **ret_what,
                    size_t *ret_at)
{
        struct parser parser = {.p = text};
        int r = 0;

        skip_blanks(&parser);
        if (!expect(&parser, *parser.p == '{', "a '{'")) {
                r = -EBADMSG;
        } else {
                parser.p++;
                skip_blanks(&parser);
                if (*parser.p != '}')
                        r = parse_members(&parser, fn, userdata);
        }
        if (r == 0) {
                parser.p++;
                skip_blanks(&parser);
                if (!expect(&parser, *parser.p == '\0', "nothing behind the '}'"))
                        r = -EBADMSG;
        }
        *ret_what = parser.what;
        *ret_at = (size_t)(parser.p - text);
        return r;
}
