/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Small pictures out of characters: of Unicode's blocks, or of ASCII. */

#include <stdbool.h>
#include <stddef.h>

/* Heights that one character can show, beside none. */
#define PLOT_LEVELS 8

/* A character as high as @level of PLOT_LEVELS; one more or less is taken for the nearest. */
const char *plot_block(bool utf8, int level);

/* @value of @most as a level: 0 for 0 and below, else at least 1. */
int plot_level(double value, double most);

/* A piece of a horizontal line. */
const char *plot_line(bool utf8);
