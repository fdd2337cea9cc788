/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Undoing all sharing: 2 written to run.
 *
 * The write comes back when all is copied, which takes seconds to minutes; a deadly signal ends it
 * early, and the kernel then sets run to 0. Meanwhile the kernel prefers the writer as the victim
 * if memory runs out. So a process of its own writes, which nobody misses.
 *
 * The counters of KSM fall only when a whole process is done. Copies are seen as they are made in
 * cow_ksm of /proc/vmstat, since Linux 5.19.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

/*
 * Starts the process that writes. Its exit status is 0 or the errno of the write; SIGTERM and
 * SIGKILL interrupt it, SIGINT and SIGHUP (which a terminal sends to all) do not, and it dies with
 * the caller. Who wants to wait for it through sd-event must have SIGCHLD blocked.
 * Return: 0; -EAGAIN or -ENOMEM.
 */
int unmerge_start(const struct sysroot *root, pid_t *ret_pid);

/* How far it is. SAMPLE_ABSENT: not known. */
struct unmerge_figures {
        int64_t run;
        int64_t merged_bytes; /* to be copied: pages_shared + pages_sharing + ksm_zero_pages */
        int64_t saved_bytes;  /* what that takes in more memory: ksm_saved_bytes() */
        int64_t zero_bytes;   /* of these ksm_zero_pages, which cow_ksm does not count */
        int64_t copied_bytes; /* cow_ksm, since boot */
        int64_t total_kb;     /* MemTotal */
        int64_t available_kb; /* MemAvailable */
        int64_t swap_free_kb; /* SwapFree */
};

/* Return: 0; -EOPNOTSUPP without KSM; what reading the attributes said. */
int unmerge_look(const struct sysroot *root, struct unmerge_figures *ret_figures);

/*
 * Bytes of merged pages that are still to be copied, if it began at @start; pure. Guests that write
 * to merged pages of their own accord help.
 */
int64_t unmerge_left_bytes(const struct unmerge_figures *start, const struct unmerge_figures *now);

/*
 * Whether memory is running short; pure. Of the tenth that ksm_unmerge_fits() asks for, half may be
 * used up by others: below that, or if MemAvailable is not known, it is short. Each copy takes
 * memory, until there are as many as pages were saved; later ones only move it.
 */
bool unmerge_is_short(const struct unmerge_figures *start, const struct unmerge_figures *now);
