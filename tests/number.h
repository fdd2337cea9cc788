/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Numbers on the command lines of the tests' own programs. */

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

/* Return: whether @text is a number from 0 to @max, and nothing else but a newline behind it. */
static inline bool parse_number(const char *text, unsigned max, unsigned *ret_value)
{
        unsigned long value;
        char *end;

        errno = 0;
        value = strtoul(text, &end, 10);
        if (errno != 0 || end == text || (*end != '\0' && *end != '\n') || value > max)
                return false;
        *ret_value = (unsigned)value;
        return true;
}
