/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is told of a guest beside its memory. @proc is a sysroot that begins at /proc itself. */

#include "ksmtuned/guests.h"

/* Reads the guest's name and whether it is mergeable; what cannot be read is its comm, "unknown".
 */
void guest_details_read(const struct sysroot *proc, struct guest *guest);

/*
 * The name in a command line, whose words end with a NUL byte each: QEMU's "-name guest=NAME,…" and
 * "-name NAME,…", cloud-hypervisor's and others' "--id NAME"; pure. Unprintable bytes become '?'.
 * Return: 0; -ENOENT where it tells none.
 */
int guest_name_parse(const char *cmdline, size_t len, char ret_name[GUEST_NAME_SIZE]);

/* Parses the text of /proc/PID/ksm_stat; pure. */
enum guest_mergeable guest_mergeable_parse(const char *text);
