/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Reads a file of shell assignments without a shell.
 *
 * Accepted: KEY=VALUE and export KEY=VALUE, several on a line, blanks before and behind them,
 * comments that start a line or follow a blank, blank lines, CRLF, a UTF-8 byte order mark, and a
 * last line without its newline. KEY is of letters, digits and '_', at most READER_KEY_MAX of
 * them, no digit first. VALUE is made of bare text and of quoted parts, as in a shell:
 *   - 'in single quotes' every byte stands for itself;
 *   - "in double quotes" too, but \" \\ \$ \` stand for the second character;
 *   - bare, a backslash takes the meaning from the character behind it.
 *
 * Refused, with the number of the line: '$' and '`' unless in single quotes or behind a
 * backslash; bare ; & | < > ( ) and a '~' that a shell would expand; a quote that is not closed on
 * its line and a backslash at the end of one; blanks around '='; a section; control characters
 * but tab; a NUL byte; a line over READER_LINE_MAX bytes (without its line end); and anything else
 * that is no assignment. Nothing of a refused line is passed on.
 *
 * inih does the parsing; it is fed line by line with what cannot trip it (see reader.c for why).
 */

#include <stddef.h>

#include "ksmtuned/sysroot.h"

#define READER_LINE_MAX 4096
#define READER_KEY_MAX  64

/*
 * Called for each assignment in turn; @value is valid during the call only.
 * A negative return ends the reading and is passed on.
 */
typedef int (*reader_fn)(void *userdata, unsigned line, const char *key, const char *value);

struct reader_error {
        unsigned line;  /* from 1; 0 where the file as a whole is meant */
        char text[192]; /* what is wrong and what is accepted */
};

/*
 * Return: 0; -EBADMSG with @ret_error filled; -ENOMEM; what @fn returned (-EBADMSG is the
 * reader's own word and must not be among it). Reading ends at the first bad line; assignments
 * before it have been passed on by then.
 */
int reader_parse(const char *text, size_t len, reader_fn fn, void *userdata,
                 struct reader_error *ret_error);
