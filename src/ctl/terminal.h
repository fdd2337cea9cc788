/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What standard output can show: its width, colours, characters beyond ASCII. */

#include <stdbool.h>
#include <stddef.h>

enum terminal_style {
        STYLE_BOLD,
        STYLE_DIM,
        STYLE_GOOD,  /* green */
        STYLE_WARN,  /* yellow */
        STYLE_BAD,   /* red */
        STYLE_PLAIN, /* ends any of them */
};

struct terminal {
        bool is_terminal;
        bool colours;         /* a terminal, NO_COLOR is unset or empty, TERM is not "dumb" */
        bool utf8;            /* the locale's characters; needs setlocale() */
        size_t width, height; /* of the terminal, else COLUMNS and LINES, else 80 and 24 */
};

void terminal_look(struct terminal *ret_terminal);

/* The escape sequence of @style, or "" without colours. */
const char *terminal_style(const struct terminal *terminal, enum terminal_style style);
