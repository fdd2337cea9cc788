/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the tests of the reader share. Include cmocka.h before. */

#include <string.h>

#include "ksmtuned/reader.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define TAKEN_MAX 8

struct taken {
        unsigned n;
        unsigned lines[TAKEN_MAX];
        char keys[TAKEN_MAX][READER_KEY_MAX + 1];
        char values[TAKEN_MAX][READER_LINE_MAX + 1];
};

static inline int take(void *userdata, unsigned line, const char *key, const char *value)
{
        struct taken *taken = userdata;

        assert_true(taken->n < TAKEN_MAX);
        assert_true(strlen(key) <= READER_KEY_MAX);
        assert_true(strlen(value) <= READER_LINE_MAX);
        taken->lines[taken->n] = line;
        (void)strcpy(taken->keys[taken->n], key);
        (void)strcpy(taken->values[taken->n], value);
        taken->n++;

        return 0;
}
