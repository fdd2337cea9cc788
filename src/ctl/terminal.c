/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "terminal.h"

#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Return: the number in the environment, or @otherwise if it is none of use. */
static size_t size_from(const char *variable, size_t otherwise)
{
        const char *text = getenv(variable);
        char *rest;
        unsigned long n;

        if (!text || *text < '1' || *text > '9')
                return otherwise;
        n = strtoul(text, &rest, 10);
        return *rest || n > 10000 ? otherwise : n;
}

static bool wants_colours(void)
{
        const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

        return (!no_color || !*no_color) && term && strcmp(term, "dumb") != 0;
}

void terminal_look(struct terminal *ret_terminal)
{
        struct terminal terminal = {.is_terminal = isatty(STDOUT_FILENO) == 1};
        struct winsize size = {.ws_col = 0};

        terminal.colours = terminal.is_terminal && wants_colours();
        terminal.utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
        if (terminal.is_terminal)
                (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
        terminal.width = size.ws_col > 0 ? size.ws_col : size_from("COLUMNS", 80);
        terminal.height = size.ws_row > 0 ? size.ws_row : size_from("LINES", 24);
        *ret_terminal = terminal;
}

const char *terminal_style(const struct terminal *terminal, enum terminal_style style)
{
        static const char *const sequences[] = {
                [STYLE_BOLD] = "\033[1m",  [STYLE_DIM] = "\033[2m",  [STYLE_GOOD] = "\033[32m",
                [STYLE_WARN] = "\033[33m", [STYLE_BAD] = "\033[31m", [STYLE_PLAIN] = "\033[0m",
        };

        return terminal->colours ? sequences[style] : "";
}
