/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/unmerge.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ksmtuned/ksm.h"
#include "ksmtuned/memory.h"

#define VMSTAT_SIZE 32768

static void write_and_exit(const struct sysroot *root, pid_t parent)
{
        sigset_t none;
        int r;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) /* it ended before that */
                _exit(ECANCELED);
        (void)signal(SIGINT, SIG_IGN);
        (void)signal(SIGHUP, SIG_IGN);
        (void)signal(SIGTERM, SIG_DFL);
        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        r = ksm_set(root, KSM_RUN, KSM_RUN_UNMERGE);
        _exit(r < 0 ? -r : 0);
}

int unmerge_start(const struct sysroot *root, pid_t *ret_pid)
{
        pid_t parent = getpid(), pid = fork();

        if (pid < 0)
                return -errno;
        if (pid == 0)
                write_and_exit(root, parent);
        *ret_pid = pid;
        return 0;
}

/* Pages copied since boot because they were written to or unmerged. */
static int64_t read_cow_ksm(const struct sysroot *root)
{
        static const char name[] = "\ncow_ksm ";
        char text[VMSTAT_SIZE], *rest;
        const char *line;
        long long pages;

        if (sysroot_read(root, "/proc/vmstat", text, sizeof(text)) < 0)
                return SAMPLE_ABSENT;
        line = strstr(text, name);
        if (!line || !isdigit((unsigned char)line[sizeof(name) - 1]))
                return SAMPLE_ABSENT;
        errno = 0;
        pages = strtoll(line + sizeof(name) - 1, &rest, 10);
        return errno != 0 || *rest != '\n' ? SAMPLE_ABSENT : pages;
}

static int64_t known(int64_t pages)
{
        return pages > 0 ? pages : 0;
}

int unmerge_look(const struct sysroot *root, struct unmerge_figures *ret_figures)
{
        struct memory_sample memory = {.available_kb = SAMPLE_ABSENT};
        struct ksm_sample ksm = {.ksmd_cpu_nsec = SAMPLE_ABSENT};
        int64_t copied_pages, zero_pages;
        int r;

        r = ksm_sample(root, &ksm);
        if (r < 0)
                return r;
        if (memory_read(root, &memory) < 0)
                memory = (struct memory_sample){.total_kb = SAMPLE_ABSENT,
                                                .available_kb = SAMPLE_ABSENT,
                                                .swap_free_kb = SAMPLE_ABSENT};
        copied_pages = read_cow_ksm(root);
        zero_pages = known(ksm.ksm_zero_pages);
        *ret_figures = (struct unmerge_figures){
                .run = ksm.run,
                .merged_bytes =
                        saturating_add(saturating_mul(known(ksm.pages_shared), ksm.page_bytes),
                                       ksm_saved_bytes(&ksm)),
                .saved_bytes = ksm_saved_bytes(&ksm),
                .zero_bytes = saturating_mul(zero_pages, ksm.page_bytes),
                .copied_bytes = copied_pages < 0 ? SAMPLE_ABSENT
                                                 : saturating_mul(copied_pages, ksm.page_bytes),
                .total_kb = memory.total_kb,
                .available_kb = memory.available_kb,
                .swap_free_kb = memory.swap_free_kb,
        };
        return 0;
}

static int64_t lesser(int64_t a, int64_t b)
{
        return a < b ? a : b;
}

/* What was copied since @start; counters that go backwards count nothing. */
static int64_t copied_since(const struct unmerge_figures *start, const struct unmerge_figures *now)
{
        int64_t copied = 0;

        if (start->copied_bytes >= 0 && now->copied_bytes >= 0)
                copied = known(saturating_add(now->copied_bytes, -start->copied_bytes));
        return saturating_add(copied, known(start->zero_bytes - now->zero_bytes));
}

int64_t unmerge_left_bytes(const struct unmerge_figures *start, const struct unmerge_figures *now)
{
        int64_t left = saturating_add(start->merged_bytes, -copied_since(start, now));

        return known(lesser(left, now->merged_bytes));
}

bool unmerge_is_short(const struct unmerge_figures *start, const struct unmerge_figures *now)
{
        int64_t needed = saturating_add(start->saved_bytes, -copied_since(start, now));
        int64_t reserve = start->saved_bytes / 20;

        if (start->saved_bytes == 0)
                return false;
        needed = known(lesser(needed, now->saved_bytes));
        return now->available_kb < saturating_add(needed, reserve) / 1024;
}
