/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Did you mean …? Pure. */

#include <stddef.h>

/* Longer words are near to none. */
#define NEAREST_MAX 64

/*
 * Which of the @n words @word was probably meant to be: at most 3 characters added, removed,
 * replaced or swapped, and at most half of it. Small and capital letters are the same. @words
 * returns each word's text, at most NEAREST_MAX long. Return: its index; @n if none is near.
 */
size_t nearest_word(const char *word, const char *(*words)(size_t index), size_t n);
