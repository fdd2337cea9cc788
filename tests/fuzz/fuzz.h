/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the fuzz targets share. */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() that no build option takes away. */
#define CHECK(condition)                                                                 \
        do {                                                                             \
                if (!(condition)) {                                                      \
                        (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
                                      #condition);                                       \
                        abort();                                                         \
                }                                                                        \
        } while (0)

/* The input as a text, in memory of just its size, so that reading on is noticed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
        char *text = malloc(size + 1);

        CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        text[size] = '\0';

        return text;
}

/* Before a parser is called: something to know its result by, if it fails. */
static inline void fuzz_mark(void *result, size_t size)
{
        memset(result, 0xa5, size);
}

/* After it has failed, by @r: its result is to be as it was. */
static inline void fuzz_check_failure(int r, const void *result, size_t size)
{
        const unsigned char *bytes = result;

        CHECK(r < 0);
        for (size_t i = 0; i < size; i++)
                CHECK(bytes[i] == 0xa5);
}
