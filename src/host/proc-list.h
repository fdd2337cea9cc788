/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Lists the processes in /proc, or a range of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/sysroot.h"

/* As @to: up to the last process. */
#define PROC_LIST_END UINT32_MAX

/*
 * What was learnt of the folder. A procfs' directory offsets are its PIDs plus a constant; this is
 * not taken for granted but seen at a listing of everything. As long as it holds, a listing of a
 * range begins by seeking to it.
 */
struct proc_lister {
        bool can_seek;
        int64_t offset; /* directory offset of a PID minus that PID */
};

/* Called for each PID in the folder's order, which is ascending. Negative: ends the listing. */
typedef int (*proc_list_fn)(void *userdata, uint32_t pid);

/*
 * @fd: the folder /proc. @expected: about how many processes stand in the range; the kernel is
 * asked for no more at a time. Return: 0; what @fn returned if negative; what getdents64() said.
 */
int proc_list(struct proc_lister *lister, int fd, uint32_t from, uint32_t to, size_t expected,
              proc_list_fn fn, void *userdata);

/*
 * The PID that the kernel gave out last (the last field of loadavg). @proc begins at /proc itself;
 * @fd as in sysroot_reread(). Return: 0; -EBADMSG; errors of reading.
 */
int proc_last_pid(const struct sysroot *proc, int *fd, uint32_t *ret_pid);
