/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Settings in the making: what a text adds to them, where it came from, and what is wrong. */

#include <stdbool.h>
#include <stddef.h>

#include "keys.h"
#include "ksmtuned/settings.h"

/* Of each kind and file; then one more says that there are more. */
#define DRAFT_PROBLEMS_MAX 20

/* Where the assignment in force stands. */
struct draft_origin {
        const char *file; /* NULL: nowhere, the default is in force */
        unsigned line;
};

struct draft {
        struct settings *settings;
        struct settings_problems *problems;
        size_t n_problems_before; /* what @problems held before */
        bool failed;              /* an error is among them */
        struct draft_origin origins[KEY_COUNT];
        /* of the text in hand */
        const char *file;
        unsigned lines_before; /* lines of it that are done with */
        size_t n_errors, n_warnings;
};

void draft_init(struct draft *draft, struct settings *settings, struct settings_problems *problems);

/*
 * Reads a text. @file, its name in problems, is borrowed until draft_finish().
 * Return: 0, also with errors in the text (draft->failed); -ENOMEM.
 */
int draft_read(struct draft *draft, const char *file, const char *text, size_t len);

/* A problem of a file as a whole. Return: 0; -ENOMEM. */
int draft_file_problem(struct draft *draft, bool is_error, const char *file, const char *format,
                       ...) __attribute__((format(printf, 4, 5)));

/*
 * Looks at the settings as a whole, warns of what is odd about them, and brings the problems into
 * the order of files and lines. Return: 0; -ENOMEM.
 */
int draft_finish(struct draft *draft);
