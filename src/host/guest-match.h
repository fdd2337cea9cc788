/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Who is a guest, by its names. @proc is a sysroot that begins at the folder /proc itself. */

#include "ksmtuned/guests.h"

/*
 * Reads the names of a process and matches them; @ret_comm is filled for guests. Return: 1 for a
 * guest; 0 for another process, or one that has vanished at once; -ESRCH if it has vanished
 * meanwhile; -EACCES if its names may not be read.
 */
int guest_classify(const struct sysroot *proc, const char *const *globs, uint32_t pid,
                   char ret_comm[PROCESS_COMM_SIZE]);
