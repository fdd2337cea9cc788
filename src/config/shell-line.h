/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The assignments of one line, read with a shell's rules for quoting. Nothing is expanded, and
 * whatever a shell would expand or run is refused.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ksmtuned/reader.h"

struct shell_line {
        const char *at, *end;   /* what is left of the line, without its newline */
        bool started;           /* something came before */
        bool after_export;      /* the last word was "export" */
        bool after_empty_value; /* the last word was "KEY=", as in "KEY= 1" */
};

struct shell_assignment {
        char key[READER_KEY_MAX + 1];
        char value[READER_LINE_MAX + 1];
        size_t value_len;
};

struct shell_line shell_line(const char *text, size_t len);

/*
 * The next assignment. @assignment is scratch until the answer is 1.
 * Return: 1; 0 at the end of the line; -EBADMSG with the text of @ret_error filled.
 */
int shell_line_next(struct shell_line *line, struct shell_assignment *assignment,
                    struct reader_error *ret_error);
