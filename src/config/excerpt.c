/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "excerpt.h"

#define ELLIPSIS "..."

const char *excerpt(char buf[EXCERPT_SIZE], const char *text, size_t len)
{
        const size_t room = EXCERPT_SIZE - sizeof(ELLIPSIS);
        size_t n = len < room ? len : room;

        for (size_t i = 0; i < n; i++) {
                buf[i] = text[i];
                if (buf[i] < ' ' || buf[i] > '~')
                        buf[i] = '?';
        }
        buf[n] = '\0';
        if (len > n)
                memcpy(buf + n, ELLIPSIS, sizeof(ELLIPSIS));

        return buf;
}
