/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What ksmctl prints, through libsmartcols: tables for people, and one JSON document for programs.
 * Functions return 0 or a negative errno, which in practice is -ENOMEM.
 */

#include <libsmartcols.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/cleanup.h"

/* What is printed fits a terminal of this many columns. */
#define TABLE_WIDTH 80
/* Spaces between two columns. */
#define TABLE_GAP 2

static inline void table_unrefp(struct libscols_table **table)
{
        scols_unref_table(*table);
}

#define CLEANUP_TABLE CLEANUP(table_unrefp)

struct table_column {
        size_t width;        /* at least that wide; 0: as its cells */
        bool right;          /* aligned to the right */
        bool lines;          /* a cell may have several lines */
        bool cut;            /* may be cut off where the table is too wide; see table_fit() */
        const char *heading; /* NULL: none. A table has headings where its first column has one */
};

/* A table for people: no colours, the same on a terminal and in a file. */
int table_new(struct libscols_table **ret_table, const struct table_column *columns, size_t n);

/* One more row. Cells that are NULL stay empty. */
int table_add(struct libscols_table *table, const char *const *cells, size_t n);

/* Cuts columns that may be cut, so that lines are at most @width wide. */
int table_fit(struct libscols_table *table, size_t width);

/* Breaks @text into lines of at most @width characters, at spaces where there are some. */
void wrap_words(char *text, size_t width);

/* A row of a name and free text, of at most 511 bytes, in lines of @width. Return: 0; -ENOMEM. */
__attribute__((format(printf, 4, 0))) int table_add_text(struct libscols_table *table, size_t width,
                                                         const char *name, const char *format,
                                                         va_list args);

/* Replaces what is not printable ASCII by '?': texts that others wrote. */
void make_printable(char *text);

/* An object of the JSON document; fields keep the order in which they were added. */
#define JSON_MAX_FIELDS 40
#define JSON_TEXT_SIZE  256

struct json_object {
        size_t n;
        struct json_field {
                const char *key; /* small letters: libsmartcols prints nothing else */
                bool is_text;
                bool is_null;
                char value[JSON_TEXT_SIZE];
        } fields[JSON_MAX_FIELDS];
};

void json_null(struct json_object *object, const char *key);
void json_integer(struct json_object *object, const char *key, int64_t value);
void json_boolean(struct json_object *object, const char *key, bool value);
void json_text(struct json_object *object, const char *key, const char *text);
/* The same, or null for "". Objects of one array need it, whose columns have one type. */
void json_text_or_null(struct json_object *object, const char *key, const char *text);
/* hundredths / 100, as a number with two decimals */
void json_hundredths(struct json_object *object, const char *key, int64_t hundredths);

/* An array of the document: @n objects, which all have the fields of the first one. */
int json_array_new(struct libscols_table **ret_table, const char *name,
                   const struct json_object *objects, size_t n);

/* The same, one object after the other: an empty array with the fields of @like
 * (NULL: it stays empty), and one more object. */
int json_array_begin(struct libscols_table **ret_table, const char *name,
                     const struct json_object *like);
int json_array_add(struct libscols_table *table, const struct json_object *object);

/* Prints arrays as the members of one object, to standard output. */
int json_print(struct libscols_table *const *arrays, size_t n);
