/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The whole terminal, for a live view: the alternate screen, keys without Enter, and all of it
 * given back at the end. Plain ANSI sequences: what is needed are six of them, which every terminal
 * knows that is not "dumb".
 */

#include <stdbool.h>
#include <stddef.h>
#include <termios.h>

#include "terminal.h"
#include "ticker.h"

/* Larger terminals are used up to here. */
#define SCREEN_WIDTH_MAX  400
#define SCREEN_HEIGHT_MAX 120
/* Every character may take three bytes, and some have a style. */
#define SCREEN_SIZE (SCREEN_WIDTH_MAX * SCREEN_HEIGHT_MAX * 4)

struct screen {
        struct terminal terminal;
        int in_fd; /* of keys; -1 where standard input is no terminal */
        bool shown;
        struct termios before; /* where in_fd is not -1 */
        /* The picture that is being drawn. */
        size_t row, column, len;
        char text[SCREEN_SIZE];
};

/* Whether standard output is a terminal that can show it. */
bool screen_possible(void);

/* Takes the terminal over. Return: 0; -errno, with all as it was. */
int screen_open(struct screen *screen);

/* Gives it back; may be called at any time. */
void screen_close(struct screen *screen);

/* Looks at the size again. */
void screen_resize(struct screen *screen);

/* A new picture, from the top. */
void screen_begin(struct screen *screen);

/* Rows below the one that is being drawn, and columns left in it. */
size_t screen_rows_left(const struct screen *screen);
size_t screen_columns_left(const struct screen *screen);

/* Printable ASCII, cut at the end of the row. */
void screen_put(struct screen *screen, enum terminal_style style, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* Spaces up to a column. */
void screen_go_to(struct screen *screen, size_t column);

/* One character of perhaps several bytes. */
void screen_put_block(struct screen *screen, const char *block);

/* The next row; below the last, all that follows is lost. */
void screen_next(struct screen *screen);

/* Shows the picture. Return: 0; -errno; -EINTR as ticker_write(). */
int screen_show(struct screen *screen, const struct ticker *ticker);
