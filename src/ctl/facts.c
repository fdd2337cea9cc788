/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "facts.h"

#include <stdarg.h>

#define NAME_WIDTH 10
#define TEXT_WIDTH (TABLE_WIDTH - NAME_WIDTH - TABLE_GAP)

int facts_new(struct libscols_table **ret_table)
{
        static const struct table_column columns[] = {{.width = NAME_WIDTH}, {.lines = true}};

        return table_new(ret_table, columns, sizeof(columns) / sizeof(columns[0]));
}

int facts_add(struct libscols_table *table, const char *name, const char *format, ...)
{
        va_list args;
        int r;

        va_start(args, format);
        r = table_add_text(table, TEXT_WIDTH, name, format, args);
        va_end(args);
        return r;
}

int facts_print(struct libscols_table *table)
{
        return scols_print_table(table);
}
