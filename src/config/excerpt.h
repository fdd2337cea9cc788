/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* Room for an excerpt: 40 characters, "...", and a NUL. */
#define EXCERPT_SIZE 44

/*
 * The start of a text from a file, fit for an error message: bytes that are no printable ASCII
 * become '?', and a text that is too long ends with "...". Return: @buf.
 */
const char *excerpt(char buf[EXCERPT_SIZE], const char *text, size_t len);
