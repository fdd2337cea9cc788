/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm-properties.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORD_SIZE 32

/* A piece of the option: one that is too long for its place is marked by n == size. */
struct piece {
        char *text;
        size_t size, n;
};

static void piece_add(struct piece *piece, char c)
{
        if (piece->n < piece->size)
                piece->text[piece->n++] = c;
}

/* Return: whether it fitted. */
static bool piece_end(struct piece *piece)
{
        if (piece->n == piece->size)
                return false;
        piece->text[piece->n] = '\0';
        return true;
}

/* Up to the next single comma. Return: what follows it, or NULL at the end. */
static const char *take_option(const char *p, struct piece *piece)
{
        for (; *p; p++) {
                if (*p == ',') {
                        if (p[1] != ',')
                                return p + 1;
                        p++;
                }
                piece_add(piece, *p);
        }
        return NULL;
}

/* Return: what stands behind "KEY" in "KEY=VALUE,…": "" for a key alone; NULL: another key. */
static const char *value_of(const char *p, const char *key)
{
        size_t n = strlen(key);

        if (strncmp(p, key, n) != 0)
                return NULL;
        if (p[n] == '=')
                return p + n + 1;
        return p[n] == '\0' || p[n] == ',' ? p + n : NULL;
}

static bool option_text(const char *p, const char *key, char *ret, size_t size)
{
        bool found = false;

        while (p) {
                const char *value = value_of(p, key);
                struct piece piece = {ret, size, 0}, other = {0};
                /* A key that stands alone is switched on, unless it is the first word, a type. */
                bool alone = value && value[-1] != '=';

                if (!value || alone) {
                        if (alone && size > 2) {
                                memcpy(ret, "on", 3);
                                found = true;
                        }
                        p = take_option(p, &other);
                        continue;
                }
                p = take_option(value, &piece);
                found = piece_end(&piece);
        }
        return found;
}

static const char *skip_blanks(const char *p)
{
        while (isspace((unsigned char)*p))
                p++;
        return p;
}

/* A text in quotes, at @p. What is escaped stays so but for its backslash. Return: behind it. */
static const char *take_string(const char *p, struct piece *piece)
{
        for (p++; *p && *p != '"'; p++) {
                if (*p == '\\' && p[1])
                        p++;
                piece_add(piece, *p);
        }
        return *p ? p + 1 : p;
}

/* Any value; the text of objects and arrays is kept as it stands. */
static const char *take_value(const char *p, struct piece *piece)
{
        unsigned depth = 0;

        if (*p == '"')
                return take_string(p, piece);
        for (; *p; p++) {
                if (*p == '"') {
                        struct piece none = {0};

                        p = take_string(p, &none);
                        if (!*p)
                                break;
                }
                if (depth == 0 && (*p == ',' || *p == '}' || isspace((unsigned char)*p)))
                        break;
                if (*p == '{' || *p == '[')
                        depth++;
                else if ((*p == '}' || *p == ']') && depth > 0)
                        depth--;
                piece_add(piece, *p);
        }
        return p;
}

static bool json_member(const char *p, const char *key, char *ret, size_t size)
{
        char name[WORD_SIZE] = "";
        bool found = false;

        for (p = skip_blanks(p + 1); *p == '"';) {
                struct piece name_piece = {name, sizeof(name), 0}, value = {ret, size, 0};
                struct piece other = {0};
                bool wanted;

                p = skip_blanks(take_string(p, &name_piece));
                if (*p != ':')
                        break;
                wanted = piece_end(&name_piece) && strcmp(name, key) == 0;
                p = skip_blanks(take_value(skip_blanks(p + 1), wanted ? &value : &other));
                if (wanted)
                        found = piece_end(&value);
                if (*p != ',')
                        break;
                p = skip_blanks(p + 1);
        }
        return found;
}

/* @ret may hold rubbish after a failure. */
static bool find(const char *value, const char *key, char *ret, size_t size)
{
        return *value == '{' ? json_member(value, key, ret, size)
                             : option_text(value, key, ret, size);
}

bool property_text(const char *value, const char *key, char *ret, size_t size)
{
        if (find(value, key, ret, size))
                return true;
        *ret = '\0';
        return false;
}

bool property_boolean(const char *value, const char *key, bool *ret)
{
        static const char *const yes[] = {"on", "yes", "true", "y"};
        static const char *const no[] = {"off", "no", "false", "n"};
        char word[WORD_SIZE];

        if (!find(value, key, word, sizeof(word)))
                return false;
        for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
                if (strcmp(word, yes[i]) == 0 || strcmp(word, no[i]) == 0) {
                        *ret = strcmp(word, yes[i]) == 0;
                        return true;
                }
        }
        return false;
}

bool property_is_true(const char *value, const char *key)
{
        bool on = false;

        return property_boolean(value, key, &on) && on;
}

bool property_size(const char *value, const char *key, uint64_t *ret)
{
        static const char units[] = "BKMGTPE";
        char word[WORD_SIZE], *rest;
        const char *unit;
        uint64_t n;

        if (!find(value, key, word, sizeof(word)) || !isdigit((unsigned char)*word))
                return false;
        errno = 0;
        n = strtoull(word, &rest, 0);
        if (errno == ERANGE)
                n = UINT64_MAX;
        unit = *rest ? strchr(units, toupper((unsigned char)*rest)) : units;
        if (!unit)
                return false;
        for (; unit > units; unit--)
                if (__builtin_mul_overflow(n, UINT64_C(1024), &n))
                        n = UINT64_MAX;
        *ret = n;
        return true;
}

bool property_type(const char *value, char *ret, size_t size)
{
        struct piece piece = {ret, size, 0};

        if (find(value, "qom-type", ret, size))
                return true;
        if (*value == '{')
                return false;
        (void)take_option(value, &piece);
        return piece_end(&piece) && !strchr(ret, '=');
}
