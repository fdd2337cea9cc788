/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The host's memory: /proc/meminfo and /proc/pressure/memory. */

#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

/*
 * Parses the text of /proc/meminfo. A line counts only when it is whole ("Name:  123 kB" and the
 * end of the line), and the first line of a name wins.
 * Return: 0; -EBADMSG if MemTotal or MemFree is missing or no number, or any of the fields in
 * use is negative or over INT64_MAX. A MemTotal of 0 is passed on: what to do then is policy.
 */
int memory_parse(const char *text, struct memory_sample *ret_memory);

/* Return: 0; -EBADMSG as above; what reading the file said. */
int memory_read(const struct sysroot *root, struct memory_sample *ret_memory);

/* For who reads it many times a second: the file stays open in @fd, see sysroot_reread(). */
int memory_reread(const struct sysroot *root, int *fd, struct memory_sample *ret_memory);

/*
 * One line of /proc/meminfo's text, by its name.
 * Return: 0; -ENOENT where there is no such line; -EBADMSG.
 */
int memory_field(const char *text, const char *name, int64_t *ret_kb);

/* Parses the text of a /proc/pressure file. Return: 0; -EBADMSG. "full" may be missing. */
int pressure_parse(const char *text, struct pressure_sample *ret_pressure);

/*
 * Return: 0; -EOPNOTSUPP where the kernel has no PSI or it is switched off; -EBADMSG; other
 * errors of reading. Every figure of a pressure that could not be read is SAMPLE_ABSENT; use
 * PRESSURE_ABSENT to say so.
 */
int pressure_read(const struct sysroot *root, struct pressure_sample *ret_pressure);

/* As memory_reread(). */
int pressure_reread(const struct sysroot *root, int *fd, struct pressure_sample *ret_pressure);

/*
 * Asks the kernel to tell when tasks stall for memory for more than @stall_usec of a window of
 * @window_usec (some tasks, not all). Without CAP_SYS_RESOURCE the window must be a multiple of 2
 * s. The descriptor, the caller's, has EPOLLPRI once in a window while that holds. poll(2) it.
 * Return: the descriptor; -EOPNOTSUPP without PSI, and on a made-up root; -EINVAL for a window that
 * the kernel does not take; other errors of opening.
 */
int pressure_watch(const struct sysroot *root, uint64_t stall_usec, uint64_t window_usec);

#define PRESSURE_LINE_ABSENT                                               \
        {                                                                  \
                SAMPLE_ABSENT, SAMPLE_ABSENT, SAMPLE_ABSENT, SAMPLE_ABSENT \
        }
#define PRESSURE_ABSENT                                    \
        {                                                  \
                PRESSURE_LINE_ABSENT, PRESSURE_LINE_ABSENT \
        }
