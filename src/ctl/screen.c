/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "screen.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "table.h"

#define ENTER       "\033[?1049h\033[?25l" /* alternate screen, no cursor */
#define LEAVE       "\033[0m\033[?25h\033[?1049l"
#define HOME        "\033[H"
#define CLEAR_LINE  "\033[K"
#define CLEAR_BELOW "\033[J"

/* How long giving the terminal back may wait for one that is stopped. */
#define LEAVE_MSEC 200

bool screen_possible(void)
{
        const char *term = getenv("TERM");

        return isatty(STDOUT_FILENO) == 1 && term && *term && strcmp(term, "dumb") != 0;
}

void screen_resize(struct screen *screen)
{
        terminal_look(&screen->terminal);
        if (screen->terminal.width > SCREEN_WIDTH_MAX)
                screen->terminal.width = SCREEN_WIDTH_MAX;
        if (screen->terminal.height > SCREEN_HEIGHT_MAX)
                screen->terminal.height = SCREEN_HEIGHT_MAX;
}

/* A few bytes to a terminal that may have been stopped: not for ever. */
static int write_some(const char *text)
{
        struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
        size_t len = strlen(text);

        if (poll(&out, 1, LEAVE_MSEC) <= 0)
                return -EAGAIN;
        return write(STDOUT_FILENO, text, len) == (ssize_t)len ? 0 : -EIO;
}

int screen_open(struct screen *screen)
{
        struct termios keys;
        int r;

        screen_resize(screen);
        screen->in_fd = -1;
        if (isatty(STDIN_FILENO) == 1) {
                if (tcgetattr(STDIN_FILENO, &screen->before) < 0)
                        return -errno;
                keys = screen->before;
                /* Signals stay keys' affair: Ctrl-C, Ctrl-Z. */
                keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
                keys.c_cc[VMIN] = 1;
                keys.c_cc[VTIME] = 0;
                if (tcsetattr(STDIN_FILENO, TCSANOW, &keys) < 0)
                        return -errno;
                screen->in_fd = STDIN_FILENO;
        }
        screen->shown = true;
        r = write_some(ENTER);
        if (r < 0)
                screen_close(screen);
        return r;
}

void screen_close(struct screen *screen)
{
        if (!screen->shown)
                return;
        screen->shown = false;
        (void)write_some(LEAVE);
        if (screen->in_fd >= 0)
                (void)tcsetattr(screen->in_fd, TCSANOW, &screen->before);
}

static void append(struct screen *screen, const char *text)
{
        size_t len = strlen(text);

        if (len > sizeof(screen->text) - screen->len)
                return;
        memcpy(screen->text + screen->len, text, len);
        screen->len += len;
}

void screen_begin(struct screen *screen)
{
        screen->row = screen->column = screen->len = 0;
        append(screen, HOME CLEAR_LINE);
}

size_t screen_rows_left(const struct screen *screen)
{
        return screen->row < screen->terminal.height ? screen->terminal.height - screen->row - 1
                                                     : 0;
}

size_t screen_columns_left(const struct screen *screen)
{
        if (screen->row >= screen->terminal.height || screen->column >= screen->terminal.width)
                return 0;
        return screen->terminal.width - screen->column;
}

void screen_put(struct screen *screen, enum terminal_style style, const char *format, ...)
{
        char text[SCREEN_WIDTH_MAX + 1];
        size_t room = screen_columns_left(screen);
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        make_printable(text);
        if (room == 0 || !*text)
                return;
        if (strlen(text) > room)
                text[room] = '\0';
        if (style != STYLE_PLAIN)
                append(screen, terminal_style(&screen->terminal, style));
        append(screen, text);
        if (style != STYLE_PLAIN)
                append(screen, terminal_style(&screen->terminal, STYLE_PLAIN));
        screen->column += strlen(text);
}

void screen_go_to(struct screen *screen, size_t column)
{
        while (screen->column < column && screen_columns_left(screen) > 0)
                screen_put_block(screen, " ");
}

void screen_put_block(struct screen *screen, const char *block)
{
        if (screen_columns_left(screen) == 0)
                return;
        append(screen, block);
        screen->column++;
}

void screen_next(struct screen *screen)
{
        screen->column = 0;
        screen->row++;
        if (screen->row < screen->terminal.height)
                append(screen, "\r\n" CLEAR_LINE);
}

int screen_show(struct screen *screen, const struct ticker *ticker)
{
        size_t written;

        append(screen, CLEAR_BELOW);
        return ticker_write(ticker, STDOUT_FILENO, screen->text, screen->len, &written);
}
