/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "line.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void line_print(const char *format, ...)
{
        char line[HELPER_LINE_MAX];
        va_list args;
        size_t len;

        va_start(args, format);
        if (vsnprintf(line, sizeof(line) - 1, format, args) < 0)
                line[0] = '\0';
        va_end(args);
        len = strlen(line);
        for (size_t i = 0; i < len; i++)
                if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
                        line[i] = '?';
        line[len] = '\n';
        /* One write() of less than PIPE_BUF bytes goes as a whole or not at all. */
        (void)!write(STDOUT_FILENO, line, len + 1);
}
