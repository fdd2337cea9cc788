/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/debug-log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ksmtuned/sample.h"

#define TEXT_SIZE 1024

int debug_log_open(struct debug_log *log, const struct sysroot *root, const char *path)
{
        int fd;

        debug_log_close(log);
        if (*path == '\0') {
                log->fd = STDERR_FILENO;
                log->is_stderr = true;
                return 0;
        }
        fd = sysroot_openat(root, path, O_WRONLY | O_APPEND | O_CREAT, 0640);
        if (fd < 0)
                return fd;
        log->fd = fd;
        return 0;
}

void debug_log_close(struct debug_log *log)
{
        if (log->fd >= 0 && !log->is_stderr)
                (void)close(log->fd);
        log->fd = -1;
        log->is_stderr = false;
}

/* As date(1) prints it where no locale is set: "Sat Nov 21 02:29:41 UTC 2026". */
static void format_date(char *buf, size_t size)
{
        time_t now = time(NULL);
        struct tm tm;

        if (!localtime_r(&now, &tm) || strftime(buf, size, "%a %b %e %H:%M:%S %Z %Y", &tm) == 0)
                *buf = '\0';
}

struct lines {
        char date[64];
        char text[TEXT_SIZE];
        size_t len;
};

static void add_line(struct lines *lines, const char *format, ...)
        __attribute__((format(printf, 2, 3)));

/* A line that does not fit is left out as a whole: no caller comes near the size. */
static void add_line(struct lines *lines, const char *format, ...)
{
        size_t left = sizeof(lines->text) - lines->len;
        char body[256];
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(body, sizeof(body), format, args);
        va_end(args);
        if (n < 0)
                return;
        n = snprintf(lines->text + lines->len, left, "%s: %s\n", lines->date, body);
        if (n > 0 && (size_t)n < left)
                lines->len += (size_t)n;
}

/* In one write(), so that lines of a full disk are lost together and not cut. */
static int write_lines(const struct debug_log *log, const struct lines *lines)
{
        ssize_t n = write(log->fd, lines->text, lines->len);

        if (n < 0)
                return -errno;
        return (size_t)n == lines->len ? 0 : -ENOSPC;
}

int debug_log_parameters(struct debug_log *log, const struct decision *decision)
{
        struct lines lines = {.len = 0};

        if (log->fd < 0)
                return 0;
        format_date(lines.date, sizeof(lines.date));
        add_line(&lines, "total %" PRId64, decision->total_kb);
        add_line(&lines, "sleep %" PRId64, decision->sleep_millisecs);
        add_line(&lines, "thres %" PRId64, decision->threshold_kb);
        return write_lines(log, &lines);
}

int debug_log_decision(struct debug_log *log, const struct decision *decision)
{
        struct lines lines = {.len = 0};
        int64_t needed_kb;

        if (log->fd < 0 || decision->verdict == VERDICT_NONE)
                return 0;
        needed_kb = saturating_add(decision->committed_kb, decision->threshold_kb);
        format_date(lines.date, sizeof(lines.date));
        add_line(&lines, "committed %" PRId64 " free %" PRId64, decision->committed_kb,
                 decision->free_kb);
        if (decision->why != WHY_NONE) {
                /* The original's sentences would not be true of a policy that drives passes. */
                add_line(&lines, "%s, with nothing merged %" PRId64,
                         decision_phase_name(decision->phase), decision->unmerged_kb);
                if (decision->verdict == VERDICT_STOP)
                        add_line(&lines, "KSMCTL stop");
                else
                        add_line(&lines, "KSMCTL start %" PRId64 " %" PRId64,
                                 decision->pages_to_scan, decision->sleep_millisecs);
        } else if (decision->verdict == VERDICT_STOP) {
                add_line(&lines, "%" PRId64 " < %" PRId64 " and free > %" PRId64 ", stop ksm",
                         needed_kb, decision->total_kb, decision->threshold_kb);
        } else {
                bool boost = decision->phase == PHASE_BOOST;

                add_line(&lines, "%" PRId64 " > %" PRId64 ", start ksm", needed_kb,
                         decision->total_kb);
                add_line(&lines, "%" PRId64 " %c %" PRId64 ", %s", decision->free_kb,
                         boost ? '<' : '>', decision->threshold_kb, boost ? "boost" : "decay");
                add_line(&lines, "KSMCTL start %" PRId64 " %" PRId64, decision->pages_to_scan,
                         decision->sleep_millisecs);
        }
        return write_lines(log, &lines);
}
