/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What one guest's memory is. @proc is a sysroot that begins at the folder /proc itself. */

#include <stdbool.h>

#include "ksmtuned/guests.h"

/* Room for "4194304/smaps_rollup". */
#define PROC_PATH_SIZE 40

/*
 * Opens the statm of a process to be kept open.
 * Return: a descriptor; -1 where there is none, or none to spare: then memory is read by name.
 */
int guest_open_statm(const struct sysroot *proc, pid_t pid);

/*
 * Reads @guest's memory by @metric into committed_kb, and into by_rss whether it is the RSS because
 * that figure could not be read.
 * Return: 1; 0 if the process has ended (a zombie has no memory any more); a negative errno.
 */
int guest_memory_read(const struct sysroot *proc, enum guest_metric metric, struct guest *guest);

/* Parses the text of smaps_rollup for its "Pss:"; pure. Return: 0; -EBADMSG. */
int guest_pss_parse(const char *text, int64_t *ret_kb);

/* Parses the text of statm: address space and resident set in pages; pure. Return: 0; -EBADMSG. */
int guest_statm_parse(const char *text, int64_t *ret_size_pages, int64_t *ret_resident_pages);
