/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Recordings of a host: what `ksmctl record` writes and `ksmctl replay` reads. Pure.
 *
 * A recording is a header and a line for each sample, in one of two forms:
 *
 *      TSV         #format=ksmtuned-recording, #version=1 and other lines of #fact=value, then a
 *                  line with the names of the columns, then the samples, separated by tabs; NA is
 *                  what was not known
 *      JSON lines  one flat object a line; the first has "format", "version" and the other facts,
 *                  the others have the columns as keys; null is what was not known
 *
 * The columns are those of the table in recording.c. Columns and facts that are not known are
 * passed over, so that later versions may add some. Where another header follows, another
 * recording begins: recordings can be put one behind the other.
 *
 * Every number is a whole one in decimal. What the kernel or a policy would not take is refused.
 */

#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/sample.h"

#define RECORDING_FORMAT  "ksmtuned-recording"
#define RECORDING_VERSION 1

/* Longest line that is written, and longest that is read (both without NUL). */
#define RECORDING_LINE_SIZE 4096
#define RECORDING_LINE_MAX  65536
/* Most columns that are read, unknown ones among them. */
#define RECORDING_COLUMNS_MAX 256

/* general_profit where the kernel does not tell it; -1 is a figure there. */
#define RECORDING_PROFIT_ABSENT INT64_MIN

enum recording_form {
        RECORDING_TSV,
        RECORDING_JSONL,
};

/* Facts about the host and the recording; "" and SAMPLE_ABSENT where not known. */
struct recording_header {
        char ksmtuned[32];     /* version of the program that wrote it */
        char kernel[80];       /* release */
        char ps_metric[8];     /* KSM_PS_METRIC that committed_kb was summed up by */
        int64_t page_bytes;    /* always there */
        int64_t total_kb;      /* MemTotal at the beginning */
        int64_t cpus;          /* online */
        int64_t interval_usec; /* between samples */
};

/* One sample. Figures may be SAMPLE_ABSENT, but for the times and what a policy needs. */
struct recording_row {
        int64_t time_usec;      /* CLOCK_REALTIME */
        int64_t monotonic_usec; /* CLOCK_MONOTONIC, from 0 on */
        struct sample sample;   /* complete: a policy can be asked */
        /* Of the kernel, beside what a policy looks at. */
        int64_t general_profit; /* bytes; RECORDING_PROFIT_ABSENT where not known */
        int64_t stable_node_chains;
        int64_t stable_node_dups;
        int64_t cow_ksm; /* /proc/vmstat: merged pages copied again because they were written to */
        int64_t use_zero_pages;
        int64_t merge_across_nodes;
        int64_t max_page_sharing;
        int64_t advisor_mode; /* KSM_ADVISOR_* */
        int64_t advisor_target_scan_time;
        int64_t advisor_max_cpu;
        int64_t advisor_min_pages_to_scan;
        int64_t advisor_max_pages_to_scan;
        /* Of the daemon's state; SAMPLE_ABSENT where there is none. */
        int64_t daemon_decisions;
        int64_t daemon_time_usec; /* of its last decision, CLOCK_REALTIME */
};

/* Everything not known. */
void recording_row_init(struct recording_row *row);

/*
 * The text of a header, of one sample: whole lines.
 * Return: its length; -ENOBUFS where @size (RECORDING_LINE_SIZE is enough) does not hold it.
 */
int recording_format_header(enum recording_form form, const struct recording_header *header,
                            char *buf, size_t size);
int recording_format_row(enum recording_form form, const struct recording_row *row, char *buf,
                         size_t size);

enum recording_event {
        RECORDING_NOTHING, /* part of a header, or an empty line */
        RECORDING_BEGIN,   /* a header is complete: a recording begins */
        RECORDING_ROW,     /* a sample */
};

/* What happened on the host between two samples, or what is wrong with a line. */
struct recording_remark {
        unsigned line; /* from 1 */
        char text[256];
};

/* Reads a recording line by line. RECORDING_READER_INIT is one that begins. */
struct recording_reader {
        unsigned line; /* that was read last */
        enum recording_form form;
        enum { READ_START, READ_FACTS, READ_ROWS } where;
        int64_t version;
        struct recording_header header;     /* since RECORDING_BEGIN */
        int columns[RECORDING_COLUMNS_MAX]; /* of TSV: index into the table; -1 unknown */
        size_t n_columns;                   /* of TSV */
        size_t n_rows;                      /* of the recording that is being read */
        struct recording_row last;          /* where n_rows > 0 */
        struct recording_remark note;       /* of the row just read; text "" if none */
        unsigned n_unknown;                 /* columns that were passed over */
        char unknown[32];                   /* the first of them */
};

#define RECORDING_READER_INIT       \
        {                           \
                .where = READ_START \
        }

/*
 * Takes the next line, @len bytes with its line end. One without is one that was cut.
 * Return: an enum recording_event, @ret_row filled with RECORDING_ROW only; -EBADMSG with
 * @ret_problem filled: what is wrong, and what is accepted; -ENOMEM. After an error the reader is
 * of no use.
 */
int recording_read_line(struct recording_reader *reader, const char *line, size_t len,
                        struct recording_row *ret_row, struct recording_remark *ret_problem);

/* After the last line: whether it was a recording. Return: 0; -EBADMSG as above. */
int recording_read_end(const struct recording_reader *reader, struct recording_remark *ret_problem);
