/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the daemon tells the administrator: structured entries in the journal, or lines on standard
 * error. Entries that mark a change of state carry a MESSAGE_ID.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <syslog.h>

enum journal_target {
        JOURNAL_STDERR,   /* lines for people, without those of LOG_DEBUG */
        JOURNAL_JOURNALD, /* structured, to systemd-journald; to syslog where it is not there */
        JOURNAL_NONE,     /* nowhere: tests */
};

/* MESSAGE_IDs; see ksmtuned(8). */
enum journal_message {
        JOURNAL_PLAIN,   /* no MESSAGE_ID */
        JOURNAL_STARTED, /* the daemon decides from now on */
        JOURNAL_CHANGED, /* a decision changed what KSM does */
        JOURNAL_FOREIGN, /* somebody else wrote a knob */
        JOURNAL_STOPPED, /* the daemon ends; says what it leaves behind */
        JOURNAL_GUEST,   /* a guest came or went, or cannot be merged */
        JOURNAL_MESSAGE_COUNT,
};

/* A field of an entry, "KSM_RUN" = 1. */
struct journal_field {
        const char *name;
        int64_t value;
        const char *text; /* NULL, or what the field is instead of @value */
};

/* Where entries go from now on. */
void journal_open(enum journal_target target);

/* The target that fits how this process was started: JOURNAL_JOURNALD if standard error is
 * connected to the journal, else JOURNAL_STDERR. */
enum journal_target journal_target_auto(void);

/* An entry without fields. @priority: LOG_ERR … LOG_DEBUG of syslog(3). Never fails. */
void journal_print(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An entry with fields. */
void journal_event(int priority, enum journal_message message, const struct journal_field *fields,
                   size_t n_fields, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The 128-bit id of a message, as 32 hex digits; NULL for JOURNAL_PLAIN. */
const char *journal_message_id(enum journal_message message);
