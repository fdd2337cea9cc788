/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define STATM_SIZE  256
#define STAT_SIZE   1024
#define ROLLUP_SIZE 2048
/* Left for everything else, reading by name included, where guests take all the others. */
#define SPARE_DESCRIPTORS 16

static int64_t pages_to_kb(int64_t pages)
{
        return saturating_mul(pages, sysconf(_SC_PAGESIZE) / 1024);
}

static int parse_count(const char **p, int64_t *ret_value)
{
        char *rest;
        long long value;

        if (!isdigit((unsigned char)**p))
                return -EBADMSG;
        errno = 0;
        value = strtoll(*p, &rest, 10);
        if (errno != 0 || *rest != ' ')
                return -EBADMSG;
        *p = rest + 1;
        *ret_value = value;
        return 0;
}

int guest_statm_parse(const char *text, int64_t *ret_size_pages, int64_t *ret_resident_pages)
{
        int64_t size, resident;

        if (parse_count(&text, &size) < 0 || parse_count(&text, &resident) < 0)
                return -EBADMSG;
        *ret_size_pages = size;
        *ret_resident_pages = resident;
        return 0;
}

int guest_pss_parse(const char *text, int64_t *ret_kb)
{
        const char *line = strstr(text, "\nPss:");
        const char *p;
        char *rest;
        long long kb;

        if (!line)
                return -EBADMSG;
        p = line + strlen("\nPss:");
        while (*p == ' ')
                p++;
        if (!isdigit((unsigned char)*p))
                return -EBADMSG;
        errno = 0;
        kb = strtoll(p, &rest, 10);
        if (errno != 0 || strncmp(rest, " kB\n", 4) != 0)
                return -EBADMSG;
        *ret_kb = kb;
        return 0;
}

int guest_open_statm(const struct sysroot *proc, pid_t pid)
{
        char path[PROC_PATH_SIZE];
        struct rlimit limit;
        int fd;

        (void)snprintf(path, sizeof(path), "%d/statm", pid);
        fd = sysroot_openat(proc, path, O_RDONLY, 0);
        if (fd < 0)
                return -1;
        /* They are given out from the lowest: a high one tells that few are left. */
        if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
            limit.rlim_cur < (rlim_t)fd + SPARE_DESCRIPTORS) {
                (void)close(fd);
                return -1;
        }
        return fd;
}

static bool is_gone(int r)
{
        return r == -ENOENT || r == -ESRCH;
}

/* Through the descriptor that belongs to this one process. */
static int read_statm(const struct guest *guest, int64_t *ret_size_kb, int64_t *ret_resident_kb)
{
        char text[STATM_SIZE];
        int64_t size, resident;
        ssize_t n;

        /* One read has it all. This is what a decision does most, so no second one for the end. */
        n = pread(guest->statm_fd, text, sizeof(text) - 1, 0);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        if (guest_statm_parse(text, &size, &resident) < 0)
                return -EBADMSG;
        *ret_size_kb = pages_to_kb(size);
        *ret_resident_kb = pages_to_kb(resident);
        return 0;
}

/* By name; the start time tells whether it is still the same process. */
static int read_stat(const struct sysroot *proc, const struct guest *guest, int64_t *ret_size_kb,
                     int64_t *ret_resident_kb)
{
        char path[PROC_PATH_SIZE], text[STAT_SIZE];
        struct process_stat stat;
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%d/stat", guest->pid);
        n = sysroot_read(proc, path, text, sizeof(text));
        if (n < 0)
                return (int)n;
        if (process_stat_parse(text, &stat) < 0)
                return -EBADMSG;
        if (stat.start_time != guest->start_time)
                return -ESRCH;
        *ret_size_kb = (int64_t)(stat.vsize_bytes / 1024);
        *ret_resident_kb = pages_to_kb(stat.rss_pages);
        return 0;
}

static int read_pss(const struct sysroot *proc, const struct guest *guest, int64_t *ret_kb)
{
        char path[PROC_PATH_SIZE], text[ROLLUP_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%d/smaps_rollup", guest->pid);
        n = sysroot_read(proc, path, text, sizeof(text));
        if (n < 0)
                return (int)n;
        return guest_pss_parse(text, ret_kb);
}

int guest_memory_read(const struct sysroot *proc, enum guest_metric metric, struct guest *guest)
{
        int64_t size_kb = 0, resident_kb = 0, pss_kb = 0;
        int r;

        if (guest->statm_fd >= 0)
                r = read_statm(guest, &size_kb, &resident_kb);
        else
                r = read_stat(proc, guest, &size_kb, &resident_kb);
        if (is_gone(r) || (r == 0 && size_kb == 0))
                return 0;
        if (r < 0)
                return r;

        guest->by_rss = false;
        guest->rss_kb = resident_kb;
        guest->committed_kb = metric == GUEST_METRIC_VSZ ? size_kb : resident_kb;
        if (metric == GUEST_METRIC_PSS) {
                if (read_pss(proc, guest, &pss_kb) == 0)
                        guest->committed_kb = pss_kb;
                else
                        guest->by_rss = true;
        }
        return 1;
}
