/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A few facts for people: names, and beside them sentences in as many lines as they need. */

#include "table.h"

int facts_new(struct libscols_table **ret_table);

/* One more fact. What is not printable becomes '?'. Return: 0; -ENOMEM. */
int facts_add(struct libscols_table *table, const char *name, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

/* To standard output. Return: 0; -ENOMEM. */
int facts_print(struct libscols_table *table);
