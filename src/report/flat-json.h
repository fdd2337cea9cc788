/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One flat JSON object (RFC 8259): its values are numbers, texts, true, false and null, no arrays
 * and no objects. What is not JSON to the letter is refused. Pure.
 *
 * A library would be another dependency for one function, and those that are common take numbers
 * over range and keys that come twice as they like.
 */

#include <stddef.h>

#define FLAT_JSON_TEXT_SIZE 128

enum flat_json_type {
        FLAT_JSON_NUMBER, /* text: the number as it is written */
        FLAT_JSON_TEXT,   /* text: decoded; what is not printable ASCII is '?' */
        FLAT_JSON_WORD,   /* text: true, false or null */
};

struct flat_json_value {
        enum flat_json_type type;
        char text[FLAT_JSON_TEXT_SIZE]; /* longer ones are cut */
};

/* A return other than 0 ends the parsing and is passed on. */
typedef int (*flat_json_fn)(void *userdata, const char *key, const struct flat_json_value *value);

/*
 * Calls @fn for each member in turn. @text ends with NUL.
 * Return: 0; -EBADMSG with @ret_what telling what was expected and @ret_at where (an offset); what
 * @fn returned, with @ret_what NULL.
 */
int flat_json_parse(const char *text, flat_json_fn fn, void *userdata, const char **ret_what,
                    size_t *ret_at);
