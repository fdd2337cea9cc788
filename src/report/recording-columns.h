/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The columns and facts of a recording: one table for writing and reading. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/recording.h"

struct recording_column {
        const char *name;
        size_t offset;    /* into struct recording_row */
        int64_t min, max; /* that are accepted */
        int64_t absent;   /* what stands for "not known" */
        bool required;    /* no policy can be asked without it: there, and never unknown */
        bool counter;     /* only grows, until KSM is unmerged or the host boots */
};

#define RECORDING_N_COLUMNS 46
extern const struct recording_column recording_columns[RECORDING_N_COLUMNS];

/* The column of that name, or -1. */
int recording_column_find(const char *name, size_t len);

static inline int64_t *recording_column_value(struct recording_row *row,
                                              const struct recording_column *column)
{
        return (int64_t *)(void *)((char *)row + column->offset);
}

struct recording_fact {
        const char *name;
        bool is_text;
        bool required;
        size_t offset, size; /* into struct recording_header */
        int64_t min, max;    /* of numbers */
};

#define RECORDING_N_FACTS 7
extern const struct recording_fact recording_facts[RECORDING_N_FACTS];

/* What stands for "not known" in TSV. */
#define RECORDING_NA "NA"
