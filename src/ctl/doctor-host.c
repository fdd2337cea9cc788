/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Gathers the host's memory: /proc/meminfo, huge pages, NUMA, ZFS, PSI. */

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/memory.h"

#define HUGEPAGES_FOLDER "/sys/kernel/mm/hugepages"
#define THP_FILE         "/sys/kernel/mm/transparent_hugepage/enabled"
#define NODES_FILE       "/sys/devices/system/node/has_memory"
#define NODES_FILE_OLD   "/sys/devices/system/node/online"
#define MIN_FREE_FILE    "/proc/sys/vm/min_free_kbytes"
#define ARC_FILE         "/proc/spl/kstat/zfs/arcstats"
#define PATH_SIZE        320

static void close_dir(DIR **dir)
{
        if (*dir)
                (void)closedir(*dir);
}

/* A number without a sign, and the place behind it. Return: 0; -EBADMSG. */
static int parse_count(const char *text, const char **ret_rest, int64_t *ret_value)
{
        char *rest;
        long long value;

        while (*text == ' ' || *text == '\t')
                text++;
        if (!isdigit((unsigned char)*text))
                return -EBADMSG;
        errno = 0;
        value = strtoll(text, &rest, 10);
        if (errno != 0)
                return -EBADMSG;
        *ret_rest = rest;
        *ret_value = value;
        return 0;
}

/* A file with one number. Return: 0 or a negative errno. */
static int read_count(const struct sysroot *root, const char *path, int64_t *ret_value)
{
        const char *rest;
        char text[64];
        int64_t value;
        ssize_t n = sysroot_read(root, path, text, sizeof(text));

        if (n < 0)
                return (int)n;
        if (parse_count(text, &rest, &value) < 0 || (*rest && *rest != '\n'))
                return -EBADMSG;
        *ret_value = value;
        return 0;
}

static void read_meminfo(const struct sysroot *root, struct doctor_memory *memory)
{
        char text[8192];
        ssize_t n = sysroot_read(root, "/proc/meminfo", text, sizeof(text));

        memory->error = n < 0 ? (int)n : memory_parse(text, &memory->sample);
        if (memory->error < 0)
                return;
        (void)memory_field(text, "Shmem", &memory->shmem_kb);
        (void)memory_field(text, "AnonHugePages", &memory->anon_huge_kb);
}

/* Adds up one size of huge pages: a folder called "hugepages-2048kB". */
static int add_hugepages(const struct sysroot *root, const char *name, struct doctor_memory *memory)
{
        static const char prefix[] = "hugepages-";
        int64_t size_kb, reserved = 0, unused = 0, promised = 0;
        char path[PATH_SIZE];
        const char *rest;
        int r;

        if (strncmp(name, prefix, strlen(prefix)) != 0 ||
            parse_count(name + strlen(prefix), &rest, &size_kb) < 0)
                return 0;
        (void)snprintf(path, sizeof(path), HUGEPAGES_FOLDER "/%s/nr_hugepages", name);
        r = read_count(root, path, &reserved);
        if (r < 0)
                return r;
        /* What is promised to a guest is as good as used. */
        (void)snprintf(path, sizeof(path), HUGEPAGES_FOLDER "/%s/free_hugepages", name);
        (void)read_count(root, path, &unused);
        (void)snprintf(path, sizeof(path), HUGEPAGES_FOLDER "/%s/resv_hugepages", name);
        (void)read_count(root, path, &promised);
        unused = unused > promised ? unused - promised : 0;
        memory->hugepages_kb =
                saturating_add(memory->hugepages_kb, saturating_mul(reserved, size_kb));
        memory->hugepages_unused_kb =
                saturating_add(memory->hugepages_unused_kb, saturating_mul(unused, size_kb));
        return 0;
}

static int read_hugepages(const struct sysroot *root, struct doctor_memory *memory)
{
        CLEANUP(close_dir) DIR *dir = NULL;
        CLEANUP_FD int fd = sysroot_openat(root, HUGEPAGES_FOLDER, O_RDONLY | O_DIRECTORY, 0);
        struct dirent *entry;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void)TAKE_FD(fd);
        while (errno = 0, (entry = readdir(dir)) != NULL) {
                int r = add_hugepages(root, entry->d_name, memory);

                if (r < 0)
                        return r;
        }
        return -errno;
}

static void read_thp(const struct sysroot *root, struct doctor_memory *memory)
{
        char text[128];
        ssize_t n = sysroot_read(root, THP_FILE, text, sizeof(text));

        if (n == -ENOENT)
                memory->thp = THP_ABSENT;
        else if (n < 0)
                memory->thp_error = (int)n;
        else if (strstr(text, "[always]"))
                memory->thp = THP_ALWAYS;
        else if (strstr(text, "[madvise]"))
                memory->thp = THP_MADVISE;
        else if (strstr(text, "[never]"))
                memory->thp = THP_NEVER;
        else
                memory->thp_error = -EBADMSG;
}

/* "0", "0-1", "0,2-3": how many. Return: or -EBADMSG. */
static int64_t count_list(const char *text)
{
        int64_t n = 0, first, last;

        for (;;) {
                if (parse_count(text, &text, &first) < 0)
                        return -EBADMSG;
                last = first;
                if (*text == '-' && parse_count(text + 1, &text, &last) < 0)
                        return -EBADMSG;
                if (last < first || last > INT32_MAX)
                        return -EBADMSG;
                n += last - first + 1;
                if (*text != ',')
                        return *text == '\n' || !*text ? n : -EBADMSG;
                text++;
        }
}

static int64_t read_nodes(const struct sysroot *root)
{
        char text[256];
        ssize_t n = sysroot_read(root, NODES_FILE, text, sizeof(text));

        if (n == -ENOENT)
                n = sysroot_read(root, NODES_FILE_OLD, text, sizeof(text));
        if (n == -ENOENT)
                return 1;
        return n < 0 ? n : count_list(text);
}

/* Lines of "name type value", the value of one in kB. */
static int arc_field(const char *text, const char *name, int64_t *ret_kb)
{
        size_t len = strlen(name);

        for (const char *line = text; line; line = strchr(line, '\n')) {
                int64_t type, bytes;
                const char *rest;

                line += *line == '\n';
                if (strncmp(line, name, len) != 0 || line[len] != ' ')
                        continue;
                if (parse_count(line + len, &rest, &type) < 0 ||
                    parse_count(rest, &rest, &bytes) < 0 || *rest != '\n')
                        return -EBADMSG;
                *ret_kb = bytes / 1024;
                return 0;
        }
        return -EBADMSG;
}

static void read_arc(const struct sysroot *root, struct doctor_memory *memory)
{
        char text[16384];
        ssize_t n = sysroot_read(root, ARC_FILE, text, sizeof(text));
        int r;

        if (n == -ENOENT)
                return;
        r = n < 0 ? (int)n : arc_field(text, "size", &memory->arc_kb);
        if (r < 0)
                memory->arc_kb = r;
        else
                (void)arc_field(text, "c_min", &memory->arc_min_kb);
}

void doctor_gather_memory(const struct sysroot *root, struct doctor_memory *ret_memory)
{
        struct doctor_memory memory = {.shmem_kb = SAMPLE_ABSENT,
                                       .anon_huge_kb = SAMPLE_ABSENT,
                                       .min_free_kb = SAMPLE_ABSENT};
        struct pressure_sample pressure;

        read_meminfo(root, &memory);
        (void)read_count(root, MIN_FREE_FILE, &memory.min_free_kb);
        if (read_hugepages(root, &memory) < 0)
                memory.hugepages_kb = SAMPLE_ABSENT;
        read_thp(root, &memory);
        memory.nodes = read_nodes(root);
        read_arc(root, &memory);
        memory.psi_error = pressure_read(root, &pressure);
        *ret_memory = memory;
}
