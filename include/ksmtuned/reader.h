/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Reads a file of shell assignments without a shell.
 *
 * Accepted: KEY=VALUE, export KEY=VALUE, spaces before them, values in single or double quotes (or
 * bare, or mixed), comments that start a line or follow a value after a space, blank lines,
 * CRLF, and a last line without its newline. Refused with the line's number: '$' and '`' (unless
 * in single quotes), a section, a NUL byte, a line over 4 KiB, an unterminated quote, a space
 * around '=', anything else that is no assignment.
 *
 * inih does the parsing; it is fed line by line with what cannot trip it (see reader.c for why).
 */

#include <stddef.h>

#include "ksmtuned/sysroot.h"

#define READER_LINE_MAX 4096

/*
 * Called for each assignment in turn; @value is valid during the call only.
 * A negative return ends the reading and is passed on.
 */
typedef int (*reader_fn)(void *userdata, unsigned line, const char *key, const char *value);

struct reader_error {
        unsigned line;   /* from 1; 0 where the file as a whole is meant */
        char text[192];  /* what is wrong and what is accepted */
};

/*
 * Return: 0; -EBADMSG with @ret_error filled; -ENOMEM; what @fn returned.
 * Assignments before the bad line have been passed on by then.
 */
int reader_parse(const char *text, size_t len, reader_fn fn, void *userdata,
                 struct reader_error *ret_error);
