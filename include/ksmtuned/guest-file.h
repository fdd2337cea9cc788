/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * /run/ksmtuned/guests: the guests that the daemon knows, so that who asks for them need not look
 * at every process. Replaced atomically when one came or went, readable by everyone:
 *
 *   # ksmtuned-guests 1 812 2     format, PID of the daemon, how many lines follow
 *   4711 123456                   PID, start time in clock ticks after boot (proc(5))
 *   4823 198765                   in order of the PIDs
 *
 * A process of such a PID and another start time is another process.
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

#define GUEST_FILE_PATH "/run/ksmtuned/guests"

/* More are not written: as many as the daemon may have descriptors of. */
#define GUEST_FILE_MAX 65536

/* Room for the text of @n guests. */
#define GUEST_FILE_SIZE(n) (64 + (size_t)(n)*32)

struct guest_file_entry {
        pid_t pid;
        uint64_t start_time; /* clock ticks after boot */
};

/*
 * The text of the file; pure. @list is in order of PIDs.
 * Return: its length; -EFBIG where it does not fit into @size bytes.
 */
ssize_t guest_file_format(char *buf, size_t size, pid_t daemon, const struct guest_file_entry *list,
                          size_t n);

/*
 * Parses the text of the file into @list, which has room for @max; pure.
 * Return: 0; -EBADMSG, and then @list may hold anything: not this format, not whole, a number out
 * of its range, PIDs out of order, more than @max.
 */
int guest_file_parse(const char *text, struct guest_file_entry *list, size_t max, pid_t *ret_daemon,
                     size_t *ret_n);

/* Return: 0; -EFBIG for more than GUEST_FILE_MAX; -ENOMEM; what sysroot_replace() said. */
int guest_file_write(const struct sysroot *root, pid_t daemon, const struct guest_file_entry *list,
                     size_t n);

/* @ret_list is the caller's to free(). Return: 0; -ENOENT where there is none; -EBADMSG; -ENOMEM;
 * errors of reading. */
int guest_file_read(const struct sysroot *root, pid_t *ret_daemon,
                    struct guest_file_entry **ret_list, size_t *ret_n);

/* Removes the file; one that is not there is fine. */
int guest_file_remove(const struct sysroot *root);
