/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The kinds of values that settings have. Pure. */

#include <stdint.h>

/*
 * A whole decimal number, with an optional sign and blanks around it.
 * Return: 0; -EBADMSG if it is none, or not from @min to @max.
 */
int value_integer(const char *text, int64_t min, int64_t max, int64_t *ret_value);

/*
 * A decimal number with an optional fraction and blanks around it, as a whole number of parts of
 * which one is @scale; what is smaller than a part is cut off. No sign, no exponent.
 * Return: 0; -EBADMSG if it is none, or not from @min to @max parts.
 */
int value_decimal(const char *text, int64_t scale, int64_t min, int64_t max, int64_t *ret_parts);

/*
 * What sleep(1) takes: decimal numbers with an optional fraction, each with an optional suffix
 * s, m, h or d, several of them separated by blanks; their sum.
 * Return: 0; -EBADMSG if it is none; -ERANGE if it is not from @min_usec to @max_usec.
 */
int value_interval(const char *text, uint64_t min_usec, uint64_t max_usec, uint64_t *ret_usec);

/*
 * Words separated by blanks and commas, in a new list that ends with NULL. One free() releases
 * the list and its words. Return: how many; -ENOMEM.
 */
int value_words(const char *text, char ***ret_words);

/*
 * The absolute path of a file, or nothing; in a new string.
 * Return: 0; -EBADMSG if it is none, or by its last '/' a folder's; -ENOMEM.
 */
int value_path(const char *text, char **ret_path);

/* What may be a URI, SCHEME://…, or nothing; in a new string. Return: 0; -EBADMSG; -ENOMEM. */
int value_uri(const char *text, char **ret_uri);

/*
 * One of @choices (ends with NULL), with blanks around it. Return: its index; -EBADMSG.
 */
int value_choice(const char *text, const char *const *choices);
