/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/ksm-process.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-details.h"
#include "ksmtuned/cleanup.h"
#include "vm-cmdline.h"

#define PATH_SIZE    64
#define STAT_SIZE    1024
#define STATUS_SIZE  8192
#define CMDLINE_SIZE 32768 /* libvirt's are some 8 KiB; Proxmox writes -machine last */

void ksm_process_init(struct ksm_process *process)
{
        *process = (struct ksm_process){
                .rmap_items = SAMPLE_ABSENT,
                .merging_pages = SAMPLE_ABSENT,
                .zero_pages = SAMPLE_ABSENT,
                .profit_bytes = SAMPLE_ABSENT,
                .rss_kb = SAMPLE_ABSENT,
                .rss_anon_kb = SAMPLE_ABSENT,
                .rss_file_kb = SAMPLE_ABSENT,
                .rss_shmem_kb = SAMPLE_ABSENT,
                .hugetlb_kb = SAMPLE_ABSENT,
                .verdict = KSM_PROCESS_TOO_OLD,
        };
}

/* A number and @behind it. Only profits are negative. */
static int parse_number(const char *p, const char *behind, int64_t min, int64_t *ret)
{
        char *rest;
        long long value;

        while (*p == ' ' || *p == '\t')
                p++;
        errno = 0;
        value = strtoll(p, &rest, 10);
        if (errno != 0 || rest == p || value < min || strncmp(rest, behind, strlen(behind)) != 0)
                return -EBADMSG;
        *ret = value;
        return 0;
}

/* What stands behind @name at the start of a line, or NULL. */
static const char *behind_name(const char *line, const char *name)
{
        size_t n = strlen(name);

        return strncmp(line, name, n) == 0 ? line + n : NULL;
}

static enum ksm_answer parse_answer(const char *p)
{
        if (strncmp(p, "yes", 3) == 0)
                return KSM_ANSWER_YES;
        return strncmp(p, "no", 2) == 0 ? KSM_ANSWER_NO : KSM_ANSWER_UNKNOWN;
}

/* Return: 1; 0 for a line that is not known; -EBADMSG. */
static int parse_stat_line(const char *line, struct ksm_process *process)
{
        const struct {
                const char *name;
                int64_t *value, min;
        } numbers[] = {
                {"ksm_rmap_items ", &process->rmap_items, 0},
                {"ksm_merging_pages ", &process->merging_pages, 0},
                {"ksm_zero_pages ", &process->zero_pages, 0},
                {"ksm_process_profit ", &process->profit_bytes, INT64_MIN},
        };
        const char *p;

        for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
                p = behind_name(line, numbers[i].name);
                if (p)
                        return parse_number(p, "\n", numbers[i].min, numbers[i].value) < 0
                                       ? -EBADMSG
                                       : 1;
        }
        p = behind_name(line, "ksm_merge_any: ");
        if (p)
                process->merge_any = parse_answer(p);
        p = behind_name(line, "ksm_mergeable: ");
        if (p)
                process->mergeable = parse_answer(p);
        return 0;
}

int ksm_stat_parse(const char *text, struct ksm_process *process)
{
        struct ksm_process parsed = *process;
        int n = 0;

        for (const char *line = text; line && *line;) {
                int r = parse_stat_line(line, &parsed);

                if (r < 0)
                        return r;
                n += r;
                line = strchr(line, '\n');
                line = line ? line + 1 : NULL;
        }
        if (n == 0)
                return -EBADMSG;
        *process = parsed;
        return 0;
}

void ksm_process_status_parse(const char *text, struct ksm_process *process)
{
        const struct {
                const char *name;
                int64_t *value_kb;
        } lines[] = {
                {"\nVmRSS:", &process->rss_kb},
                {"\nRssAnon:", &process->rss_anon_kb},
                {"\nRssFile:", &process->rss_file_kb},
                {"\nRssShmem:", &process->rss_shmem_kb},
                {"\nHugetlbPages:", &process->hugetlb_kb},
        };
        const char *p = text;

        /* They stand in this order, in the midst of the file. */
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                const char *line = strstr(p, lines[i].name);

                if (line &&
                    parse_number(line + strlen(lines[i].name), " kB\n", 0, lines[i].value_kb) == 0)
                        p = line + 1;
        }
}

static int64_t or_zero(int64_t value)
{
        return value == SAMPLE_ABSENT ? 0 : value;
}

/* ksmd keeps track of most of what is resident, so it can be merged, whatever else speaks. */
static bool is_tracked(const struct ksm_process *process)
{
        int64_t tracked_kb,
                held_kb = saturating_add(or_zero(process->rss_kb), or_zero(process->hugetlb_kb));

        tracked_kb = saturating_mul(or_zero(process->rmap_items), sysconf(_SC_PAGESIZE) / 1024);
        return tracked_kb > 0 && process->rss_kb != SAMPLE_ABSENT && tracked_kb > held_kb / 2;
}

static bool is_hugetlb(const struct ksm_process *process)
{
        int64_t other_kb =
                process->rss_anon_kb == SAMPLE_ABSENT
                        ? or_zero(process->rss_kb)
                        : saturating_add(process->rss_anon_kb, or_zero(process->rss_shmem_kb));

        return or_zero(process->hugetlb_kb) > other_kb;
}

/* A program's own code and libraries are files as well, up to some 64 MiB. */
static bool is_shared(const struct ksm_process *process)
{
        const int64_t program_kb = 64 * 1024;
        int64_t file_kb = or_zero(process->rss_file_kb);

        file_kb = file_kb > program_kb ? file_kb - program_kb : 0;
        return process->rss_anon_kb != SAMPLE_ABSENT &&
               saturating_add(or_zero(process->rss_shmem_kb), file_kb) > process->rss_anon_kb;
}

/* The kernel has not told whether it is mergeable. */
static enum ksm_process_verdict judge_by_cmdline(const struct ksm_process *process,
                                                 const struct vm_cmdline *cmdline)
{
        if (or_zero(process->rmap_items) > 0 || or_zero(process->merging_pages) > 0)
                return KSM_PROCESS_MERGEABLE;
        if (cmdline && cmdline->machine_off)
                return KSM_PROCESS_MEM_MERGE_OFF;
        if (cmdline && cmdline->asks_merge)
                return KSM_PROCESS_MERGEABLE;
        if (process->error == -EACCES)
                return KSM_PROCESS_NO_PERMISSION;
        if (cmdline && (cmdline->vmm == VMM_FIRECRACKER || cmdline->vmm == VMM_CLOUD_HYPERVISOR))
                return KSM_PROCESS_NOT_ASKED;
        return KSM_PROCESS_TOO_OLD;
}

enum ksm_process_verdict ksm_process_judge(const struct ksm_process *process,
                                           const struct vm_cmdline *cmdline, bool on_hugetlbfs)
{
        if (is_tracked(process))
                return KSM_PROCESS_MERGEABLE;
        if (is_hugetlb(process) || on_hugetlbfs || (cmdline && cmdline->hugetlb))
                return KSM_PROCESS_HUGETLBFS;
        if (is_shared(process) || (cmdline && cmdline->shared))
                return KSM_PROCESS_SHARED;
        if (process->merge_any == KSM_ANSWER_YES)
                return KSM_PROCESS_MERGEABLE;
        if (cmdline && cmdline->backend_off)
                return KSM_PROCESS_MERGE_OFF;
        /* Also with mem-merge=off: QMP's qom-set can have changed it since. */
        if (process->mergeable == KSM_ANSWER_YES)
                return KSM_PROCESS_MERGEABLE;
        if (process->mergeable == KSM_ANSWER_NO)
                return cmdline && cmdline->machine_off ? KSM_PROCESS_MEM_MERGE_OFF
                                                       : KSM_PROCESS_NOT_ASKED;
        return judge_by_cmdline(process, cmdline);
}

static bool is_beneath(const char *path, const char *folder)
{
        size_t n = strlen(folder);

        return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

/* By the mounts that the process sees. */
static bool is_on_hugetlbfs(const struct sysroot *root, pid_t pid, const char *path)
{
        CLEANUP_FILE FILE *mounts = NULL;
        CLEANUP_FD int fd = -1;
        char file[PATH_SIZE], line[2048];
        struct mntent entry;

        if (*path != '/')
                return false;
        (void)snprintf(file, sizeof(file), "/proc/%d/mounts", pid);
        fd = sysroot_openat(root, file, O_RDONLY, 0);
        if (fd < 0)
                return false;
        mounts = fdopen(fd, "re");
        if (!mounts)
                return false;
        (void)TAKE_FD(fd);
        while (getmntent_r(mounts, &entry, line, sizeof(line)))
                if (strcmp(entry.mnt_type, "hugetlbfs") == 0 && is_beneath(path, entry.mnt_dir))
                        return true;
        return false;
}

/* The guest's name, and what is told of its RAM. Return: whether it could be read. */
static bool read_cmdline(const struct sysroot *root, pid_t pid, struct ksm_process *process,
                         struct vm_cmdline *ret)
{
        char path[PATH_SIZE], text[CMDLINE_SIZE];
        CLEANUP_FD int fd = -1;
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
        fd = sysroot_openat(root, path, O_RDONLY, 0);
        n = fd < 0 ? -1 : read(fd, text, sizeof(text));
        if (n <= 0)
                return false;
        (void)guest_name_parse(text, (size_t)n, process->name);
        vm_cmdline_parse(text, (size_t)n, ret);
        return true;
}

static int read_file(const struct sysroot *root, pid_t pid, const char *name, char *text,
                     size_t size)
{
        char path[PATH_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        n = sysroot_read(root, path, text, size);
        return n < 0 ? (int)n : 0;
}

/* ksm_stat is not there, or has nothing of use: the older file. */
static int read_merging_pages(const struct sysroot *root, pid_t pid, struct ksm_process *process)
{
        char text[STAT_SIZE];
        int r = read_file(root, pid, "ksm_merging_pages", text, sizeof(text));

        if (r < 0)
                return r;
        return parse_number(text, "\n", 0, &process->merging_pages);
}

int ksm_process_read_stat(const struct sysroot *root, pid_t pid, struct ksm_process *ret)
{
        struct ksm_process process;
        char text[STAT_SIZE], folder[PATH_SIZE];
        int r;

        ksm_process_init(&process);
        r = read_file(root, pid, "ksm_stat", text, sizeof(text));
        if (r == 0 && *text == '\0')
                return -ESRCH;
        if (r == 0)
                r = ksm_stat_parse(text, &process);
        if ((r == 0 && process.merging_pages == SAMPLE_ABSENT) || r == -ENOENT)
                r = read_merging_pages(root, pid, &process);
        if (r == -ENOENT) {
                (void)snprintf(folder, sizeof(folder), "/proc/%d", pid);
                r = sysroot_exists(root, folder) == 0     ? -ESRCH
                    : process.rmap_items == SAMPLE_ABSENT ? -EOPNOTSUPP
                                                          : 0;
        }
        if (r == -ESRCH)
                return r;
        process.error = r == -EPERM ? -EACCES : r;
        *ret = process;
        return 0;
}

int ksm_process_read(const struct sysroot *root, pid_t pid, struct ksm_process *ret)
{
        struct vm_cmdline cmdline;
        struct ksm_process process;
        char text[STATUS_SIZE];
        bool known;
        int r = ksm_process_read_stat(root, pid, &process);

        if (r < 0)
                return r;
        r = read_file(root, pid, "status", text, sizeof(text));
        if (r == -ENOENT || r == -ESRCH)
                return -ESRCH;
        if (r == 0)
                ksm_process_status_parse(text, &process);
        if (r == 0 && process.rss_kb == SAMPLE_ABSENT)
                return -ESRCH;
        /* Without it, what the kernel tells decides. */
        known = read_cmdline(root, pid, &process, &cmdline);
        process.verdict = ksm_process_judge(&process, known ? &cmdline : NULL,
                                            known && !cmdline.hugetlb &&
                                                    is_on_hugetlbfs(root, pid, cmdline.path));
        *ret = process;
        return 0;
}
