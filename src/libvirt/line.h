/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the helper tells the daemon, a line each, at most LINE_MAX bytes with its newline:
 *
 *      hello 1              first of all; 1 is the version of this list
 *      connecting           a call that may hang begins; not told of further attempts
 *      connected            events will come from now on
 *      failed REASON        no connection, or none any more; it tries again by itself, and tells
 *                           only another reason
 *      event KIND NAME      KIND: started, stopped, suspended, resumed, crashed, balloon, memory, …
 */

#define HELPER_LINE_MAX 512

/* Prints a line. Bytes that would break it are replaced, and what is too long is cut. */
void line_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
