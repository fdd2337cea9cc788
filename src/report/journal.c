/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* We name the places ourselves, or rather do not: a message should say where it comes from. */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#define TEXT_SIZE      1024
#define FIELD_SIZE     128
#define N_FIELDS_MAX   16
#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static const char *const message_ids[JOURNAL_MESSAGE_COUNT] = {
        [JOURNAL_STARTED] = "88cce2ec09684a5fb167a7d885257210",
        [JOURNAL_CHANGED] = "07fec61ed79f46fe8ccdfcb7d044e4a4",
        [JOURNAL_FOREIGN] = "8b19f0b949d04da09a785c0f76668132",
        [JOURNAL_GUEST] = "4b0d8f4bd0f24e2c8a9b3ea1c2a6f0d7",
        [JOURNAL_STOPPED] = "19fe1cffb9f249718ac9cfcb02a3b6da",
};

static enum journal_target current_target = JOURNAL_STDERR;

const char *journal_message_id(enum journal_message message)
{
        return message_ids[message];
}

void journal_open(enum journal_target target)
{
        current_target = target;
        if (target == JOURNAL_JOURNALD)
                openlog("ksmtuned", LOG_PID, LOG_DAEMON);
}

/* sd-daemon(3), sd_journal_stream_fd(3): JOURNAL_STREAM names the device and inode. */
enum journal_target journal_target_auto(void)
{
        const char *stream = getenv("JOURNAL_STREAM");
        char own[64];
        struct stat st;

        if (!stream || fstat(STDERR_FILENO, &st) < 0)
                return JOURNAL_STDERR;
        (void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
        return strcmp(stream, own) == 0 ? JOURNAL_JOURNALD : JOURNAL_STDERR;
}

static void set_field(struct iovec *iov, char buf[FIELD_SIZE], const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void set_field(struct iovec *iov, char buf[FIELD_SIZE], const char *format, ...)
{
        va_list args;

        va_start(args, format);
        (void)vsnprintf(buf, FIELD_SIZE, format, args);
        va_end(args);
        *iov = (struct iovec){buf, strlen(buf)};
}

static void send_entry(int priority, enum journal_message message,
                       const struct journal_field *fields, size_t n_fields, const char *text)
{
        char bufs[N_FIELDS_MAX + 2][FIELD_SIZE], whole[TEXT_SIZE + 8];
        struct iovec iov[N_FIELDS_MAX + 3];
        int n = 0;

        (void)snprintf(whole, sizeof(whole), "MESSAGE=%s", text);
        iov[n++] = (struct iovec){whole, strlen(whole)};
        set_field(&iov[n], bufs[0], "PRIORITY=%d", priority);
        n++;
        if (message_ids[message]) {
                set_field(&iov[n], bufs[1], "MESSAGE_ID=%s", message_ids[message]);
                n++;
        }
        for (size_t i = 0; i < n_fields && i < N_FIELDS_MAX; i++, n++)
                if (fields[i].text)
                        set_field(&iov[n], bufs[i + 2], "%s=%s", fields[i].name, fields[i].text);
                else
                        set_field(&iov[n], bufs[i + 2], "%s=%" PRId64, fields[i].name,
                                  fields[i].value);
        /* libsystemd keeps silent where there is no journald, so this is asked first. */
        if (access(JOURNAL_SOCKET, F_OK) < 0 || sd_journal_sendv(iov, n) < 0)
                syslog(priority, "%s", text);
}

static void write_entry(int priority, enum journal_message message,
                        const struct journal_field *fields, size_t n_fields, const char *format,
                        va_list args) __attribute__((format(printf, 5, 0)));

static void write_entry(int priority, enum journal_message message,
                        const struct journal_field *fields, size_t n_fields, const char *format,
                        va_list args)
{
        char text[TEXT_SIZE];

        if (vsnprintf(text, sizeof(text), format, args) < 0)
                return;
        switch (current_target) {
        case JOURNAL_STDERR:
                if (priority >= LOG_DEBUG)
                        break;
                (void)fprintf(stderr, "ksmtuned: %s\n", text);
                break;
        case JOURNAL_JOURNALD:
                send_entry(priority, message, fields, n_fields, text);
                break;
        case JOURNAL_NONE:
                break;
        }
}

void journal_print(int priority, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        write_entry(priority, JOURNAL_PLAIN, NULL, 0, format, args);
        va_end(args);
}

void journal_event(int priority, enum journal_message message, const struct journal_field *fields,
                   size_t n_fields, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        write_entry(priority, message, fields, n_fields, format, args);
        va_end(args);
}
