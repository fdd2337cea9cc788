/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/nearest.h"

#include <stdbool.h>
#include <string.h>

#define DISTANCE_MAX 3

static unsigned lesser(unsigned a, unsigned b)
{
        return a < b ? a : b;
}

/* Without a locale, and so that ksm_thres_coef is near, too. */
static int upper(char c)
{
        return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

/*
 * How many characters to add, remove, replace, or swap with their neighbour to get from @a to @b.
 * (Optimal string alignment, row by row.) Both are at most NEAREST_MAX long.
 */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][NEAREST_MAX + 1];
        unsigned *before = rows[0], *above = rows[1], *row = rows[2];
        size_t n = strlen(b);

        for (size_t j = 0; j <= n; j++)
                row[j] = (unsigned)j;

        for (size_t i = 1; a[i - 1]; i++) {
                unsigned *reuse = before;

                before = above;
                above = row;
                row = reuse;
                row[0] = (unsigned)i;
                for (size_t j = 1; j <= n; j++) {
                        bool same = upper(a[i - 1]) == upper(b[j - 1]);

                        row[j] = lesser(above[j - 1] + !same, lesser(above[j], row[j - 1]) + 1);
                        if (i > 1 && j > 1 && upper(a[i - 1]) == upper(b[j - 2]) &&
                            upper(a[i - 2]) == upper(b[j - 1]))
                                row[j] = lesser(row[j], before[j - 2] + 1);
                }
        }

        return row[n];
}

size_t nearest_word(const char *word, const char *(*words)(size_t index), size_t n)
{
        unsigned least = DISTANCE_MAX + 1;
        size_t len = strlen(word), nearest = n;

        if (len > NEAREST_MAX)
                return n;

        for (size_t i = 0; i < n; i++) {
                unsigned d = distance(word, words(i));

                /* A short word is near to every other short word. */
                if (d < least && 2 * (size_t)d <= len) {
                        least = d;
                        nearest = i;
                }
        }

        return nearest;
}
