/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <string.h>

#include "keys.h"
#include "ksmtuned/reader.h"

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
 * (Optimal string alignment, row by row.) Both are at most READER_KEY_MAX long.
 */
static unsigned distance(const char *a, const char *b)
{
        unsigned rows[3][READER_KEY_MAX + 1];
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

enum key key_nearest(const char *name)
{
        size_t least = DISTANCE_MAX + 1;
        enum key nearest = KEY_COUNT;
        size_t len = strlen(name);

        if (len > READER_KEY_MAX)
                return KEY_COUNT;

        for (int key = 0; key < KEY_COUNT; key++) {
                size_t d = distance(name, key_infos[key].name);

                /* A short word is near to every other short word. */
                if (d < least && 2 * d <= len) {
                        least = d;
                        nearest = (enum key)key;
                }
        }

        return nearest;
}
