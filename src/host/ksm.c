/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksm-private.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/process.h"

/* An attribute's text: "[none] scan-time\n", or a 64-bit number and its newline. */
#define ATTRIBUTE_SIZE 64
#define PATH_SIZE      96
#define STAT_SIZE      1024

#define COUNTER 0, INT64_MAX
#define UINT    0, UINT32_MAX
#define BOOL    0, 1

static const struct ksm_attribute_info attributes[KSM_ATTRIBUTE_COUNT] = {
        [KSM_RUN] = {"run", "2.6.32", true, KSM_RUN_STOP, KSM_RUN_UNMERGE},
        [KSM_PAGES_TO_SCAN] = {"pages_to_scan", "2.6.32", true, UINT},
        [KSM_SLEEP_MILLISECS] = {"sleep_millisecs", "2.6.32", true, UINT},
        [KSM_PAGES_SHARED] = {"pages_shared", "2.6.32", false, COUNTER},
        [KSM_PAGES_SHARING] = {"pages_sharing", "2.6.32", false, COUNTER},
        [KSM_PAGES_UNSHARED] = {"pages_unshared", "2.6.32", false, COUNTER},
        [KSM_PAGES_VOLATILE] = {"pages_volatile", "2.6.32", false, COUNTER},
        [KSM_FULL_SCANS] = {"full_scans", "2.6.32", false, COUNTER},
        /* Gone since 2.6.33, when KSM's own pages became swappable. */
        [KSM_MAX_KERNEL_PAGES] = {"max_kernel_pages", "2.6.32", true, COUNTER},
        [KSM_MERGE_ACROSS_NODES] = {"merge_across_nodes", "3.9", true, BOOL},
        [KSM_USE_ZERO_PAGES] = {"use_zero_pages", "4.11", true, BOOL},
        [KSM_MAX_PAGE_SHARING] = {"max_page_sharing", "4.13", true, 2, INT32_MAX},
        [KSM_STABLE_NODE_CHAINS] = {"stable_node_chains", "4.13", false, COUNTER},
        [KSM_STABLE_NODE_DUPS] = {"stable_node_dups", "4.13", false, COUNTER},
        [KSM_STABLE_NODE_CHAINS_PRUNE_MILLISECS] = {"stable_node_chains_prune_millisecs", "4.13",
                                                    true, UINT},
        [KSM_GENERAL_PROFIT] = {"general_profit", "6.4", false, INT64_MIN, INT64_MAX},
        [KSM_PAGES_SCANNED] = {"pages_scanned", "6.6", false, COUNTER},
        [KSM_ZERO_PAGES] = {"ksm_zero_pages", "6.6", false, INT64_MIN, INT64_MAX},
        [KSM_SMART_SCAN] = {"smart_scan", "6.7", true, BOOL},
        [KSM_PAGES_SKIPPED] = {"pages_skipped", "6.7", false, COUNTER},
        [KSM_ADVISOR_MODE] = {"advisor_mode", "6.8", true, KSM_ADVISOR_NONE, KSM_ADVISOR_SCAN_TIME},
        [KSM_ADVISOR_TARGET_SCAN_TIME] = {"advisor_target_scan_time", "6.8", true, COUNTER},
        [KSM_ADVISOR_MAX_CPU] = {"advisor_max_cpu", "6.8", true, UINT},
        [KSM_ADVISOR_MIN_PAGES_TO_SCAN] = {"advisor_min_pages_to_scan", "6.8", true, COUNTER},
        [KSM_ADVISOR_MAX_PAGES_TO_SCAN] = {"advisor_max_pages_to_scan", "6.8", true, COUNTER},
};

static const char *const advisor_modes[] = {
        [KSM_ADVISOR_NONE] = "none",
        [KSM_ADVISOR_SCAN_TIME] = "scan-time",
};
#define N_ADVISOR_MODES (sizeof(advisor_modes) / sizeof(advisor_modes[0]))

const struct ksm_attribute_info *ksm_attribute_info(enum ksm_attribute attribute)
{
        return &attributes[attribute];
}

int ksm_supported(const struct sysroot *root)
{
        return sysroot_exists(root, KSM_FOLDER "/run");
}

/* The mode in brackets. */
static int parse_advisor_mode(const char *text, int64_t *ret_value)
{
        const char *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;

        if (!close)
                return -EBADMSG;
        for (size_t i = 0; i < N_ADVISOR_MODES; i++)
                if (strlen(advisor_modes[i]) == (size_t)(close - open - 1) &&
                    strncmp(advisor_modes[i], open + 1, strlen(advisor_modes[i])) == 0) {
                        *ret_value = (int64_t)i;
                        return 0;
                }
        return -EBADMSG;
}

int ksm_parse(enum ksm_attribute attribute, const char *text, int64_t *ret_value)
{
        const struct ksm_attribute_info *info = &attributes[attribute];
        char *rest;
        long long value;

        if (attribute == KSM_ADVISOR_MODE)
                return parse_advisor_mode(text, ret_value);
        if (!isdigit((unsigned char)text[0]) &&
            !(text[0] == '-' && isdigit((unsigned char)text[1])))
                return -EBADMSG;
        errno = 0;
        value = strtoll(text, &rest, 10);
        if (errno != 0 || value < info->min || value > info->max)
                return -EBADMSG;
        if (*rest == '\n')
                rest++;
        if (*rest != '\0')
                return -EBADMSG;
        *ret_value = value;
        return 0;
}

static void attribute_path(enum ksm_attribute attribute, char path[PATH_SIZE])
{
        (void)snprintf(path, PATH_SIZE, KSM_FOLDER "/%s", attributes[attribute].name);
}

int ksm_get(const struct sysroot *root, enum ksm_attribute attribute, int64_t *ret_value)
{
        char path[PATH_SIZE], text[ATTRIBUTE_SIZE];
        ssize_t n;

        attribute_path(attribute, path);
        n = sysroot_read(root, path, text, sizeof(text));
        if (n == -ENOENT)
                return -EOPNOTSUPP;
        if (n == -EFBIG)
                return -EBADMSG;
        if (n < 0)
                return (int)n;
        return ksm_parse(attribute, text, ret_value);
}

int ksm_set(const struct sysroot *root, enum ksm_attribute attribute, int64_t value)
{
        const struct ksm_attribute_info *info = &attributes[attribute];
        char path[PATH_SIZE], text[ATTRIBUTE_SIZE];
        int r;

        if (!info->writable)
                return -EPERM;
        if (value < info->min || value > info->max)
                return -ERANGE;
        if (attribute == KSM_ADVISOR_MODE)
                (void)snprintf(text, sizeof(text), "%s\n", advisor_modes[value]);
        else
                (void)snprintf(text, sizeof(text), "%" PRId64 "\n", value);
        attribute_path(attribute, path);
        r = sysroot_write(root, path, text);
        return r == -ENOENT ? -EOPNOTSUPP : r;
}

int ksm_sample_by(ksm_getter *get, void *userdata, struct ksm_sample *ret_sample)
{
        struct ksm_sample sample;
        const struct {
                enum ksm_attribute attribute;
                int64_t *value;
        } wanted[] = {
                {KSM_RUN, &sample.run},
                {KSM_PAGES_TO_SCAN, &sample.pages_to_scan},
                {KSM_SLEEP_MILLISECS, &sample.sleep_millisecs},
                {KSM_FULL_SCANS, &sample.full_scans},
                {KSM_PAGES_SHARED, &sample.pages_shared},
                {KSM_PAGES_SHARING, &sample.pages_sharing},
                {KSM_PAGES_UNSHARED, &sample.pages_unshared},
                {KSM_PAGES_VOLATILE, &sample.pages_volatile},
                {KSM_ZERO_PAGES, &sample.ksm_zero_pages},
                {KSM_PAGES_SCANNED, &sample.pages_scanned},
                {KSM_PAGES_SKIPPED, &sample.pages_skipped},
                {KSM_SMART_SCAN, &sample.smart_scan},
        };

        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                int r = get(userdata, wanted[i].attribute, wanted[i].value);

                /* Without the knobs there is no KSM; a counter may be missing on an old kernel. */
                if (r == -EOPNOTSUPP && wanted[i].attribute > KSM_SLEEP_MILLISECS)
                        *wanted[i].value = SAMPLE_ABSENT;
                else if (r < 0)
                        return r;
        }
        sample.page_bytes = sysconf(_SC_PAGESIZE);
        sample.ksmd_cpu_nsec = ret_sample->ksmd_cpu_nsec;
        *ret_sample = sample;
        return 0;
}

static int get_by_name(void *userdata, enum ksm_attribute attribute, int64_t *ret_value)
{
        return ksm_get(userdata, attribute, ret_value);
}

int ksm_sample(const struct sysroot *root, struct ksm_sample *ret_sample)
{
        return ksm_sample_by(get_by_name, (void *)(uintptr_t)root, ret_sample);
}

int ksm_schedstat_parse(const char *text, int64_t *ret_nsec)
{
        long long nsec = -1;
        char *rest = NULL;

        errno = 0;
        if (isdigit((unsigned char)text[0]))
                nsec = strtoll(text, &rest, 10);
        if (nsec < 0 || errno != 0 || *rest != ' ')
                return -EBADMSG;
        /* Who is there has run once: so a kernel answers that has the file and keeps no figures. */
        if (strcmp(text, "0 0 0\n") == 0)
                return -EBADMSG;
        *ret_nsec = nsec;
        return 0;
}

/* Kernel threads start at boot, so ksmd is among the first PIDs that /proc lists. */
static int find_ksmd(const struct sysroot *root, pid_t *ret_pid)
{
        CLEANUP_FD int fd = -1;
        struct dirent *entry;
        DIR *dir;
        pid_t pid = -1;

        fd = sysroot_openat(root, "/proc", O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void)TAKE_FD(fd);
        while (pid < 0 && (entry = readdir(dir)) != NULL) {
                char path[PATH_SIZE], text[STAT_SIZE];
                struct process_stat stat;
                int n;

                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                n = snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
                if (n < 0 || sysroot_read(root, path, text, sizeof(text)) < 0 ||
                    strcmp(text, "ksmd\n") != 0)
                        continue;
                /* Anybody may call a process ksmd, but not make it a kernel thread. */
                (void)snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
                if (sysroot_read(root, path, text, sizeof(text)) > 0 &&
                    process_stat_parse(text, &stat) == 0 && stat.kernel_thread)
                        pid = stat.pid;
        }
        (void)closedir(dir);
        *ret_pid = pid;
        return 0;
}

/* The first number of /proc/PID/schedstat: ns on the CPU. */
static int read_schedstat(const struct sysroot *root, pid_t pid, int64_t *ret_nsec)
{
        char path[PATH_SIZE], text[STAT_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
        n = sysroot_read(root, path, text, sizeof(text));
        return n < 0 ? (int)n : ksm_schedstat_parse(text, ret_nsec);
}

static int read_ticks(const struct sysroot *root, pid_t pid, int64_t *ret_nsec)
{
        char path[PATH_SIZE], text[STAT_SIZE];
        struct process_stat stat;
        int64_t ticks_per_second = sysconf(_SC_CLK_TCK);
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
        n = sysroot_read(root, path, text, sizeof(text));
        if (n < 0)
                return (int)n;
        if (process_stat_parse(text, &stat) < 0)
                return -EBADMSG;
        if (stat.cpu_ticks > INT64_MAX)
                return -EBADMSG;
        if (!stat.kernel_thread || ticks_per_second <= 0)
                return -ESRCH;
        *ret_nsec = saturating_mul((int64_t)stat.cpu_ticks, INT64_C(1000000000) / ticks_per_second);
        return 0;
}

int ksmd_cpu_nsec(struct ksmd *ksmd, const struct sysroot *root, int64_t *ret_nsec)
{
        int r;

        if (ksmd->pid == 0) {
                r = find_ksmd(root, &ksmd->pid);
                if (r < 0)
                        return r;
        }
        if (ksmd->pid < 0)
                return -EOPNOTSUPP;
        r = read_schedstat(root, ksmd->pid, ret_nsec);
        ksmd->in_ticks = r < 0;
        if (r < 0)
                r = read_ticks(root, ksmd->pid, ret_nsec);
        return r;
}
