/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * JSON through libsmartcols, which prints one table as one document. Ours has several, and only
 * known texts as keys.
 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "table.h"

static struct json_field *add_field(struct json_object *object, const char *key, bool is_text)
{
        struct json_field *field = &object->fields[object->n];

        /* The fields are fixed when this is written; a test prints them all. */
        if (object->n == JSON_MAX_FIELDS)
                return &object->fields[JSON_MAX_FIELDS - 1];
        object->n++;
        field->key = key;
        field->is_text = is_text;
        field->is_null = false;
        return field;
}

void json_null(struct json_object *object, const char *key)
{
        add_field(object, key, false)->is_null = true;
}

void json_integer(struct json_object *object, const char *key, int64_t value)
{
        struct json_field *field = add_field(object, key, false);

        (void)snprintf(field->value, sizeof(field->value), "%lld", (long long)value);
}

void json_boolean(struct json_object *object, const char *key, bool value)
{
        struct json_field *field = add_field(object, key, false);

        (void)snprintf(field->value, sizeof(field->value), "%s", value ? "true" : "false");
}

void json_text(struct json_object *object, const char *key, const char *text)
{
        struct json_field *field = add_field(object, key, true);

        (void)snprintf(field->value, sizeof(field->value), "%s", text);
        make_printable(field->value);
}

void json_text_or_null(struct json_object *object, const char *key, const char *text)
{
        json_text(object, key, text);
        object->fields[object->n - 1].is_null = *text == '\0';
}

void json_hundredths(struct json_object *object, const char *key, int64_t hundredths)
{
        struct json_field *field = add_field(object, key, false);

        (void)snprintf(field->value, sizeof(field->value), "%lld.%02lld",
                       (long long)(hundredths / 100), (long long)(hundredths % 100));
}

static int add_columns(struct libscols_table *table, const struct json_object *object)
{
        for (size_t i = 0; i < object->n; i++) {
                const struct json_field *field = &object->fields[i];
                struct libscols_column *cl = scols_table_new_column(table, field->key, 0, 0);
                int r;

                if (!cl)
                        return -ENOMEM;
                /* A "number" is printed as it stands, so true and false come through too, and
                 * no data is null. */
                r = scols_column_set_json_type(cl, field->is_text ? SCOLS_JSON_STRING
                                                                  : SCOLS_JSON_NUMBER);
                if (r < 0)
                        return r;
        }
        return 0;
}

int json_array_add(struct libscols_table *table, const struct json_object *object)
{
        struct libscols_line *line = scols_table_new_line(table, NULL);
        int r = line ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < object->n; i++)
                if (!object->fields[i].is_null)
                        r = scols_line_set_data(line, i, object->fields[i].value);
        return r;
}

int json_array_begin(struct libscols_table **ret_table, const char *name,
                     const struct json_object *like)
{
        CLEANUP_TABLE struct libscols_table *table = scols_new_table();
        int r;

        if (!table)
                return -ENOMEM;
        r = scols_table_enable_json(table, 1);
        if (r == 0)
                r = scols_table_set_name(table, name);
        /* Without a column libsmartcols would print nothing. */
        if (r == 0)
                r = like ? add_columns(table, like)
                         : (scols_table_new_column(table, "none", 0, 0) ? 0 : -ENOMEM);
        if (r < 0)
                return r;
        *ret_table = TAKE_PTR(table);
        return 0;
}

int json_array_new(struct libscols_table **ret_table, const char *name,
                   const struct json_object *objects, size_t n)
{
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = json_array_begin(&table, name, n > 0 ? &objects[0] : NULL);

        for (size_t i = 0; r == 0 && i < n; i++)
                r = json_array_add(table, &objects[i]);
        if (r < 0)
                return r;
        *ret_table = TAKE_PTR(table);
        return 0;
}

/* The text between the outermost braces of @document, in place. */
static char *inside_braces(char *document)
{
        char *begin = strchr(document, '{');
        char *end = strrchr(document, '}');

        if (!begin || !end)
                return document;
        while (end > begin + 1 && end[-1] == '\n')
                end--;
        *end = '\0';
        return begin + 1;
}

int json_print(struct libscols_table *const *arrays, size_t n)
{
        (void)putchar('{');
        for (size_t i = 0; i < n; i++) {
                CLEANUP_FREE char *document = NULL;
                int r = scols_print_table_to_string(arrays[i], &document);

                if (r < 0)
                        return r;
                (void)printf("%s%s", i > 0 ? "," : "", inside_braces(document));
        }
        (void)puts("\n}");
        return 0;
}
