/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What ksmd does at this moment: its figures, read twice. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ksmtuned/memory.h"
#include "ksmtuned/sample.h"
#include "status.h"

#define SAMPLE_MSEC 300
#define THP_PATH    "/sys/kernel/mm/transparent_hugepage/enabled"
#define NODES_PATH  "/sys/devices/system/node/online"

struct moment {
        int64_t time_nsec, cpu_nsec, pages_scanned;
};

static void look(const struct sysroot *root, struct ksmd *ksmd, struct moment *ret)
{
        struct timespec now = {0};

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        ret->time_nsec = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
        if (ksmd_cpu_nsec(ksmd, root, &ret->cpu_nsec) < 0)
                ret->cpu_nsec = SAMPLE_ABSENT;
        if (ksm_get(root, KSM_PAGES_SCANNED, &ret->pages_scanned) < 0)
                ret->pages_scanned = SAMPLE_ABSENT;
}

/* @before to @after in so many units a second; counters that have gone backwards tell nothing. */
static int64_t per_second(int64_t before, int64_t after, int64_t nsec, int64_t unit)
{
        if (before == SAMPLE_ABSENT || after < before || nsec <= 0)
                return SAMPLE_ABSENT;
        return saturating_mul(after - before, unit) / nsec;
}

/* Pages that ksmd keeps track of: those that a pass goes over. */
static int64_t pages_of_a_pass(const struct status *status)
{
        static const enum ksm_attribute kinds[] = {KSM_PAGES_SHARED, KSM_PAGES_SHARING,
                                                   KSM_PAGES_UNSHARED, KSM_PAGES_VOLATILE};
        int64_t sum = 0;

        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
                if (status->error[kinds[i]] < 0)
                        return SAMPLE_ABSENT;
                sum = saturating_add(sum, status->value[kinds[i]]);
        }
        return sum;
}

/* By the speed that was seen, or where there is none by the knobs, as if scanning took no time. */
static int64_t pass_seconds(const struct status *status)
{
        int64_t pages = pages_of_a_pass(status), speed = status->scanned_per_second;

        if (pages == SAMPLE_ABSENT)
                return SAMPLE_ABSENT;
        if (speed > 0)
                return pages / speed;
        if (status->error[KSM_PAGES_TO_SCAN] < 0 || status->error[KSM_SLEEP_MILLISECS] < 0 ||
            status->value[KSM_PAGES_TO_SCAN] == 0)
                return SAMPLE_ABSENT;
        return saturating_mul(pages / status->value[KSM_PAGES_TO_SCAN],
                              status->value[KSM_SLEEP_MILLISECS]) /
               1000;
}

void status_read_scan(const struct sysroot *root, struct status *status)
{
        const struct timespec pause = {.tv_nsec = SAMPLE_MSEC * 1000000};
        struct ksmd ksmd = {0};
        struct moment before, after;
        int64_t nsec;

        status->ksmd_cpu_hundredths = status->scanned_per_second = SAMPLE_ABSENT;
        status->pass_seconds = SAMPLE_ABSENT;
        if (status->error[KSM_RUN] < 0)
                return;
        if (status->value[KSM_RUN] != KSM_RUN_MERGE) {
                status->ksmd_cpu_hundredths =
                        status->ksmd_cpu_nsec == SAMPLE_ABSENT ? SAMPLE_ABSENT : 0;
                status->scanned_per_second = 0;
                return;
        }
        look(root, &ksmd, &before);
        /* Cut short by a signal it is as good: the time is measured. */
        (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        look(root, &ksmd, &after);
        nsec = after.time_nsec - before.time_nsec;
        status->ksmd_cpu_hundredths = per_second(before.cpu_nsec, after.cpu_nsec, nsec, 10000);
        status->scanned_per_second =
                per_second(before.pages_scanned, after.pages_scanned, nsec, 1000000000);
        status->pass_seconds = pass_seconds(status);
}

/* "always [madvise] never" */
static void read_thp(const struct sysroot *root, struct status *status)
{
        char text[128], *begin, *end;

        status->thp[0] = '\0';
        if (sysroot_read(root, THP_PATH, text, sizeof(text)) < 0)
                return;
        begin = strchr(text, '[');
        end = begin ? strchr(begin, ']') : NULL;
        if (!end || (size_t)(end - begin) > sizeof(status->thp))
                return;
        memcpy(status->thp, begin + 1, (size_t)(end - begin) - 1);
        status->thp[end - begin - 1] = '\0';
}

/* A number at *@p, which moves on behind it. Return: whether there is one of use. */
static bool take_number(const char **p, int64_t *ret)
{
        char *rest;

        if (**p < '0' || **p > '9')
                return false;
        errno = 0;
        *ret = strtoll(*p, &rest, 10);
        *p = rest;
        return errno == 0 && *ret < INT32_MAX;
}

/* "0-3,8": how many; SAMPLE_ABSENT for what is no such list. */
static int64_t count_nodes(const char *p)
{
        int64_t n = 0;

        for (;; p++) {
                int64_t from, to;

                if (!take_number(&p, &from))
                        return SAMPLE_ABSENT;
                to = from;
                if (*p == '-' && (p++, !take_number(&p, &to)))
                        return SAMPLE_ABSENT;
                if (to < from)
                        return SAMPLE_ABSENT;
                n += to - from + 1;
                if (*p != ',')
                        return *p == '\n' || *p == '\0' ? n : SAMPLE_ABSENT;
        }
}

void status_read_host(const struct sysroot *root, struct status *status)
{
        struct memory_sample memory;
        char text[256];

        read_thp(root, status);
        status->numa_nodes = SAMPLE_ABSENT;
        if (sysroot_read(root, NODES_PATH, text, sizeof(text)) > 0)
                status->numa_nodes = count_nodes(text);

        status->memory_bytes = status->saved_hundredths = SAMPLE_ABSENT;
        if (memory_read(root, &memory) < 0 || memory.total_kb <= 0)
                return;
        status->memory_bytes = saturating_mul(memory.total_kb, 1024);
        if (status->saved_bytes != SAMPLE_ABSENT)
                status->saved_hundredths =
                        saturating_mul(status->saved_bytes / 1024, 10000) / memory.total_kb;
}
