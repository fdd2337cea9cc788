/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

#define TEXT_SIZE 512

static int add_text_column(struct libscols_table *table, const struct table_column *column)
{
        int flags = (column->right ? SCOLS_FL_RIGHT : 0) | (column->lines ? SCOLS_FL_WRAP : 0) |
                    (column->cut ? SCOLS_FL_TRUNC : 0) | (column->width ? SCOLS_FL_STRICTWIDTH : 0);
        struct libscols_column *cl;
        int r;

        cl = scols_table_new_column(table, column->heading ? column->heading : "",
                                    (double)column->width, flags);
        if (!cl)
                return -ENOMEM;
        if (!column->lines)
                return 0;

        r = scols_column_set_safechars(cl, "\n");
        if (r < 0)
                return r;
        return scols_column_set_wrapfunc(cl, scols_wrapnl_chunksize, scols_wrapnl_nextchunk, NULL);
}

int table_new(struct libscols_table **ret_table, const struct table_column *columns, size_t n)
{
        CLEANUP_TABLE struct libscols_table *table = scols_new_table();
        int r;

        if (!table)
                return -ENOMEM;
        r = scols_table_enable_noheadings(table, columns[0].heading == NULL);
        if (r == 0)
                r = scols_table_set_column_separator(table, "  "); /* TABLE_GAP */
        if (r == 0)
                r = scols_table_enable_minout(table, 1);
        /* Cells are as wide as they should be; squeezing them for a narrow terminal would break
         * them in the middle of words. */
        if (r == 0)
                r = scols_table_set_termforce(table, SCOLS_TERMFORCE_NEVER);
        for (size_t i = 0; r == 0 && i < n; i++)
                r = add_text_column(table, &columns[i]);
        if (r < 0)
                return r;
        *ret_table = TAKE_PTR(table);
        return 0;
}

int table_add(struct libscols_table *table, const char *const *cells, size_t n)
{
        struct libscols_line *line = scols_table_new_line(table, NULL);
        int r = line ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < n; i++)
                if (cells[i])
                        r = scols_line_set_data(line, i, cells[i]);
        return r;
}

int table_fit(struct libscols_table *table, size_t width)
{
        int r = scols_table_set_termforce(table, SCOLS_TERMFORCE_ALWAYS);

        return r < 0 ? r : scols_table_set_termwidth(table, width);
}

void wrap_words(char *text, size_t width)
{
        while (strlen(text) > width) {
                char *end = text + width;

                while (end > text && *end != ' ')
                        end--;
                if (end == text) /* a longer word stays whole */
                        end = strchr(text + width, ' ');
                if (!end)
                        return;
                *end = '\n';
                text = end + 1;
        }
}

void make_printable(char *text)
{
        for (; *text; text++)
                if (*text < ' ' || *text > '~')
                        *text = '?';
}

int table_add_text(struct libscols_table *table, size_t width, const char *name, const char *format,
                   va_list args)
{
        char text[TEXT_SIZE];

        (void)vsnprintf(text, sizeof(text), format, args);
        make_printable(text);
        wrap_words(text, width);
        return table_add(table, (const char *[]){name, text}, 2);
}
