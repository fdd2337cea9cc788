/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Between the two forms of a recording and what they mean. All functions return 0, or -EBADMSG
 * with the problem filled.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/recording.h"
#include "recording-columns.h"

/* As much of a foreign text as a message quotes. */
#define QUOTE_MAX 24

/* A line that is being read. */
struct reading {
        struct recording_reader *reader;
        struct recording_row *row;
        struct recording_remark *problem;
        bool seen[RECORDING_N_COLUMNS];
};

/* Fills the problem. Return: -EBADMSG. */
int reading_refuse(const struct reading *reading, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* What can be shown of a foreign text. Return: @buf. */
const char *reading_quote(char buf[QUOTE_MAX + 1], const char *text, size_t len);

/* A header begins: where it is not the first, another recording follows. */
void reading_begin_header(struct recording_reader *reader, enum recording_form form);
int reading_take_format(const struct reading *reading, const char *text, size_t len);
int reading_take_version(const struct reading *reading, const char *text, size_t len);
int reading_take_fact(const struct reading *reading, const char *name, size_t name_len,
                      const char *text, size_t len);
/* Return: RECORDING_BEGIN; -EBADMSG. */
int reading_finish_header(const struct reading *reading);

/* The value of a column; with @unknown there is none. */
int reading_take_value(struct reading *reading, int column, const char *text, size_t len,
                       bool unknown);
/* Whether all that a policy needs has been seen; @what they are called. */
int reading_check_required(const struct reading *reading, const char *what);
