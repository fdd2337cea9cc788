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

/* Calls a parser on @text, and checks that a failure leaves the result as it was. */
#define CHECK_PARSER(call, result)                                                  \
        ({                                                                          \
                __typeof__(result) _before;                                         \
                int _r;                                                             \
                                                                                    \
                memset(&(result), 0xa5, sizeof(result));                            \
                memset(&_before, 0xa5, sizeof(_before));                            \
                _r = (call);                                                        \
                CHECK(_r <= 0);                                                     \
                CHECK(_r == 0 || memcmp(&(result), &_before, sizeof(result)) == 0); \
                _r;                                                                 \
        })
