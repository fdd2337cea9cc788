/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/memory.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"

/* Some 55 lines of at most 30 characters today. */
#define MEMINFO_SIZE  8192
#define PRESSURE_SIZE 512

struct meminfo_field {
        const char *name;
        size_t offset;
        bool required;
        int64_t absent; /* the value where there is no such line */
};

static const struct meminfo_field meminfo_fields[] = {
        {"MemTotal", offsetof(struct memory_sample, total_kb), true, 0},
        {"MemFree", offsetof(struct memory_sample, free_kb), true, 0},
        {"Buffers", offsetof(struct memory_sample, buffers_kb), false, 0},
        {"Cached", offsetof(struct memory_sample, cached_kb), false, 0},
        {"MemAvailable", offsetof(struct memory_sample, available_kb), false, SAMPLE_ABSENT},
        {"SwapFree", offsetof(struct memory_sample, swap_free_kb), false, SAMPLE_ABSENT},
        {"AnonPages", offsetof(struct memory_sample, anon_kb), false, SAMPLE_ABSENT},
};
#define N_FIELDS (sizeof(meminfo_fields) / sizeof(meminfo_fields[0]))

/* "   1234 kB" up to @end. Digits only: strtoll() would also take signs and other bases. */
static int parse_kb(const char *p, const char *end, int64_t *ret_kb)
{
        int64_t kb = 0;

        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        if (p == end || !isdigit((unsigned char)*p))
                return -EBADMSG;
        for (; p < end && isdigit((unsigned char)*p); p++)
                if (__builtin_mul_overflow(kb, INT64_C(10), &kb) ||
                    __builtin_add_overflow(kb, (int64_t)(*p - '0'), &kb))
                        return -EBADMSG;
        if (end - p != 3 || memcmp(p, " kB", 3) != 0)
                return -EBADMSG;
        *ret_kb = kb;
        return 0;
}

static const struct meminfo_field *find_field(const char *name, size_t len)
{
        for (size_t i = 0; i < N_FIELDS; i++)
                if (strlen(meminfo_fields[i].name) == len &&
                    memcmp(meminfo_fields[i].name, name, len) == 0)
                        return &meminfo_fields[i];
        return NULL;
}

static int64_t *field_of(struct memory_sample *memory, const struct meminfo_field *field)
{
        return (int64_t *)(void *)((char *)memory + field->offset);
}

int memory_parse(const char *text, struct memory_sample *ret_memory)
{
        struct memory_sample memory;
        bool seen[N_FIELDS] = {false};
        const char *line, *end;

        for (size_t i = 0; i < N_FIELDS; i++)
                *field_of(&memory, &meminfo_fields[i]) = meminfo_fields[i].absent;

        /* A last line without its newline was cut off: its number may be half of one. */
        for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
                const char *colon = memchr(line, ':', (size_t)(end - line));
                const struct meminfo_field *field;
                size_t i;

                field = colon ? find_field(line, (size_t)(colon - line)) : NULL;
                if (!field)
                        continue;
                i = (size_t)(field - meminfo_fields);
                if (seen[i])
                        continue;
                if (parse_kb(colon + 1, end, field_of(&memory, field)) < 0)
                        return -EBADMSG;
                seen[i] = true;
        }

        for (size_t i = 0; i < N_FIELDS; i++)
                if (meminfo_fields[i].required && !seen[i])
                        return -EBADMSG;
        *ret_memory = memory;
        return 0;
}

int memory_field(const char *text, const char *name, int64_t *ret_kb)
{
        size_t len = strlen(name);
        const char *line, *end;

        for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1)
                if (strncmp(line, name, len) == 0 && line[len] == ':')
                        return parse_kb(line + len + 1, end, ret_kb);
        return -ENOENT;
}

int memory_read(const struct sysroot *root, struct memory_sample *ret_memory)
{
        char text[MEMINFO_SIZE];
        ssize_t n;

        n = sysroot_read(root, "/proc/meminfo", text, sizeof(text));
        if (n < 0)
                return (int)n;
        return memory_parse(text, ret_memory);
}

int memory_reread(const struct sysroot *root, int *fd, struct memory_sample *ret_memory)
{
        char text[MEMINFO_SIZE];
        ssize_t n;

        n = sysroot_reread(root, fd, "/proc/meminfo", text, sizeof(text));
        return n < 0 ? (int)n : memory_parse(text, ret_memory);
}

/* "12.34" in hundredths. The kernel always prints two decimals. */
static int parse_centi(const char **p, int64_t *ret_centi)
{
        int64_t centi = 0;
        int decimals = -1;
        const char *s = *p;

        for (; isdigit((unsigned char)*s) || (*s == '.' && decimals < 0 && s != *p); s++) {
                if (*s == '.') {
                        decimals = 0;
                        continue;
                }
                if (decimals >= 0)
                        decimals++;
                if (decimals > 2 || __builtin_mul_overflow(centi, INT64_C(10), &centi) ||
                    __builtin_add_overflow(centi, (int64_t)(*s - '0'), &centi))
                        return -EBADMSG;
        }
        if (decimals != 2)
                return -EBADMSG;
        *ret_centi = centi;
        *p = s;
        return 0;
}

static int parse_word(const char **p, const char *word)
{
        size_t len = strlen(word);

        if (strncmp(*p, word, len) != 0)
                return -EBADMSG;
        *p += len;
        return 0;
}

/* " avg10=0.00 avg60=0.00 avg300=0.00 total=0" */
static int parse_pressure_line(const char *p, struct pressure_line *ret_line)
{
        struct pressure_line line;
        char *rest;
        long long total;

        if (parse_word(&p, " avg10=") < 0 || parse_centi(&p, &line.avg10_centi) < 0 ||
            parse_word(&p, " avg60=") < 0 || parse_centi(&p, &line.avg60_centi) < 0 ||
            parse_word(&p, " avg300=") < 0 || parse_centi(&p, &line.avg300_centi) < 0 ||
            parse_word(&p, " total=") < 0 || !isdigit((unsigned char)*p))
                return -EBADMSG;
        errno = 0;
        total = strtoll(p, &rest, 10);
        if (errno != 0 || *rest != '\n')
                return -EBADMSG;
        line.total_usec = total;
        *ret_line = line;
        return 0;
}

int pressure_parse(const char *text, struct pressure_sample *ret_pressure)
{
        struct pressure_sample pressure = PRESSURE_ABSENT;
        const char *line, *end;
        bool some = false;
        int r = 0;

        for (line = text; r == 0 && (end = strchr(line, '\n')) != NULL; line = end + 1) {
                if (strncmp(line, "some", 4) == 0) {
                        r = parse_pressure_line(line + 4, &pressure.some);
                        some = true;
                } else if (strncmp(line, "full", 4) == 0) {
                        r = parse_pressure_line(line + 4, &pressure.full);
                }
        }
        if (r < 0 || !some)
                return -EBADMSG;
        *ret_pressure = pressure;
        return 0;
}

int pressure_reread(const struct sysroot *root, int *fd, struct pressure_sample *ret_pressure)
{
        char text[PRESSURE_SIZE];
        ssize_t n;

        n = sysroot_reread(root, fd, "/proc/pressure/memory", text, sizeof(text));
        if (n == -ENOENT)
                return -EOPNOTSUPP;
        if (n < 0)
                return (int)n; /* -EOPNOTSUPP itself where PSI is switched off */
        return pressure_parse(text, ret_pressure);
}

int pressure_read(const struct sysroot *root, struct pressure_sample *ret_pressure)
{
        CLEANUP_FD int fd = -1;

        return pressure_reread(root, &fd, ret_pressure);
}

int pressure_watch(const struct sysroot *root, uint64_t stall_usec, uint64_t window_usec)
{
        CLEANUP_FD int fd = -1;
        char text[64];
        int n;

        if (root->made_up)
                return -EOPNOTSUPP;
        fd = sysroot_openat(root, "/proc/pressure/memory", O_RDWR, 0);
        if (fd < 0)
                return fd == -ENOENT ? -EOPNOTSUPP : fd;
        n = snprintf(text, sizeof(text), "some %" PRIu64 " %" PRIu64, stall_usec, window_usec);
        /* With the NUL byte at its end, as the kernel's documentation has it. */
        if (write(fd, text, (size_t)n + 1) < 0)
                return -errno;
        return TAKE_FD(fd);
}
