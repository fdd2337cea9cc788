/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmctl start and stop, the two ends of ksm.service. The first kernels with KSM also wanted to be
 * told how many pages it may use, in max_kernel_pages; later ones have no such file.
 */

#include <err.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/memory.h"

/*
 * KSM_MAX_KERNEL_PAGES of the environment, as the original took it: decimal, 0x… or 0…, the whole
 * word, not negative and below the largest number. Return: whether it is such a number.
 */
static bool pages_from_environment(int64_t *ret_pages)
{
        const char *text = getenv("KSM_MAX_KERNEL_PAGES");
        char *end;
        long long value;

        if (!text || !*text)
                return false;
        value = strtoll(text, &end, 0);
        if (*end || value < 0 || value == LLONG_MAX)
                return false;
        *ret_pages = value;
        return true;
}

static bool half_of_memory(const struct sysroot *root, int64_t *ret_pages)
{
        struct memory_sample memory;
        long page_kb = sysconf(_SC_PAGESIZE) / 1024;

        if (page_kb <= 0 || memory_read(root, &memory) < 0)
                return false;
        *ret_pages = memory.total_kb / page_kb / 2;
        return true;
}

static int write_run(const struct ctl_verb *verb, const struct sysroot *root, int64_t run)
{
        int r = ksm_set(root, KSM_RUN, run);

        if (r >= 0)
                return CTL_SUCCESS;
        if (r == -EOPNOTSUPP)
                warnx("cannot %s KSM: this kernel has no KSM (there is no " KSM_FOLDER "/run)",
                      verb->name);
        else
                warnx("cannot %s KSM: writing %lld to " KSM_FOLDER "/run: %s", verb->name,
                      (long long)run, strerror(-r));
        return CTL_FAILURE;
}

int ctl_start(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        int64_t pages;
        int r = ctl_no_options(verb, argc, argv);

        if (r >= 0)
                return r;

        /* Contract: whatever goes wrong with this one, run is what counts. */
        if (pages_from_environment(&pages) || half_of_memory(root, &pages))
                (void)ksm_set(root, KSM_MAX_KERNEL_PAGES, pages);

        return write_run(verb, root, KSM_RUN_MERGE);
}

int ctl_stop(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        int r = ctl_no_options(verb, argc, argv);

        return r >= 0 ? r : write_run(verb, root, KSM_RUN_STOP);
}
