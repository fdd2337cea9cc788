/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/process.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Numbers of the fields behind the name, as proc(5) counts them. */
enum {
        FIELD_STATE = 3,
        FIELD_FLAGS = 9,
        FIELD_UTIME = 14,
        FIELD_STIME = 15,
        FIELD_START_TIME = 22,
        FIELD_VSIZE = 23,
        FIELD_RSS = 24,
};

#define FLAG_KTHREAD 0x00200000

#define STAT_SIZE 1024

static int parse_comm(const char *text, const char **ret_end, char comm[PROCESS_COMM_SIZE])
{
        const char *open = strchr(text, '('), *close = strrchr(text, ')');
        size_t len;

        if (!open || !close || close < open)
                return -EBADMSG;
        len = (size_t)(close - open - 1);
        /* The kernel cuts names at 15 bytes, but lets workqueues' threads describe themselves. */
        if (len >= PROCESS_COMM_SIZE)
                len = PROCESS_COMM_SIZE - 1;
        memcpy(comm, open + 1, len);
        comm[len] = '\0';
        *ret_end = close + 1;
        return 0;
}

static int parse_pid(const char *text, pid_t *ret_pid)
{
        char *rest;
        long value;

        if (!isdigit((unsigned char)*text))
                return -EBADMSG;
        errno = 0;
        value = strtol(text, &rest, 10);
        if (errno != 0 || value > INT32_MAX || rest[0] != ' ' || rest[1] != '(')
                return -EBADMSG;
        *ret_pid = (pid_t)value;
        return 0;
}

/* One number of the list; negative ones are the two's complement of it. */
static int parse_number(const char **p, uint64_t *ret_value)
{
        char *rest;

        while (**p == ' ')
                (*p)++;
        if (!isdigit((unsigned char)**p) && **p != '-')
                return -EBADMSG;
        errno = 0;
        if (**p == '-')
                *ret_value = (uint64_t)strtoll(*p, &rest, 10);
        else
                *ret_value = strtoull(*p, &rest, 10);
        if (errno != 0 || rest == *p || (*rest != ' ' && *rest != '\n' && *rest != '\0'))
                return -EBADMSG;
        *p = rest;
        return 0;
}

int process_stat_parse(const char *text, struct process_stat *ret_stat)
{
        struct process_stat stat = {.pid = 0};
        const char *p;

        if (parse_pid(text, &stat.pid) < 0 || parse_comm(text, &p, stat.comm) < 0)
                return -EBADMSG;
        if (p[0] != ' ' || !isalpha((unsigned char)p[1]) || p[2] != ' ')
                return -EBADMSG;
        stat.state = p[1];
        p += 2;

        for (int field = FIELD_STATE + 1; field <= FIELD_RSS; field++) {
                uint64_t value;

                if (parse_number(&p, &value) < 0)
                        return -EBADMSG;
                if (field == FIELD_FLAGS)
                        stat.kernel_thread = value & FLAG_KTHREAD;
                else if (field == FIELD_UTIME || field == FIELD_STIME)
                        stat.cpu_ticks += value;
                else if (field == FIELD_START_TIME)
                        stat.start_time = value;
                else if (field == FIELD_VSIZE)
                        stat.vsize_bytes = value;
                else if (field == FIELD_RSS)
                        stat.rss_pages = (int64_t)value;
        }
        /* Cut off behind the digits of the last field that is used: it may be half a number. */
        if (*p == '\0')
                return -EBADMSG;
        /* The kernel's counters can dip below zero for a moment. */
        if (stat.rss_pages < 0)
                stat.rss_pages = 0;
        *ret_stat = stat;
        return 0;
}

int process_stat_read(const struct sysroot *root, pid_t pid, struct process_stat *ret_stat)
{
        char path[64], text[STAT_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        n = sysroot_read(root, path, text, sizeof(text));
        if (n == -ENOENT)
                return -ESRCH;
        return n < 0 ? (int)n : process_stat_parse(text, ret_stat);
}
