/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "facts.h"

#include <stdarg.h>
#include <stdio.h>

#define NAME_WIDTH 10
#define TEXT_WIDTH (TABLE_WIDTH - NAME_WIDTH - TABLE_GAP)
#define TEXT_SIZE  512

int facts_new(struct libscols_table **ret_table)
{
        static const struct table_column columns[] = {{.width = NAME_WIDTH}, {.lines = true}};

        return table_new(ret_table, columns, sizeof(columns) / sizeof(columns[0]));
}

int facts_add(struct libscols_table *table, const char *name, const char *format, ...)
{
        char text[TEXT_SIZE];
        va_list args;

        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        make_printable(text);
        wrap_words(text, TEXT_WIDTH);
        return table_add(table, (const char *[]){name, text}, 2);
}

int facts_print(struct libscols_table *table)
{
        return scols_print_table(table);
}
