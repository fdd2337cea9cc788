/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The control group of a process, and systemd's unit that it stands for. */

#include <stddef.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

#define CGROUP_SIZE 512

struct cgroup {
        char path[CGROUP_SIZE]; /* "/system.slice/cups.service"; what is too long is cut off */
        char unit[CGROUP_SIZE]; /* "cups.service", or "" where it belongs to none */
};

/*
 * Parses the text of /proc/PID/cgroup; pure. Of several hierarchies, that of systemd counts.
 * Return: 0; -ENOENT where there is none.
 */
int cgroup_parse(const char *text, struct cgroup *ret_cgroup);

/* Return: 0; -ESRCH if the process has ended; -ENOENT; other errors of reading. */
int cgroup_read(const struct sysroot *root, pid_t pid, struct cgroup *ret_cgroup);
