/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One process, as /proc/PID/stat tells it (proc(5)). */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

/* TASK_COMM_LEN of the kernel: 15 characters and a NUL. */
#define PROCESS_COMM_SIZE 16

struct process_stat {
        pid_t pid;
        char comm[PROCESS_COMM_SIZE]; /* may hold any byte but NUL, also ')' and newlines */
        char state;                   /* R, S, D, Z, … */
        bool kernel_thread;           /* PF_KTHREAD */
        uint64_t cpu_ticks;           /* utime + stime, in clock ticks */
        uint64_t start_time;          /* ticks after boot; with the PID it identifies a process */
        uint64_t vsize_bytes;
        int64_t rss_pages;
};

/*
 * Parses the text of /proc/PID/stat. The name ends at the last ')' of the text.
 * Return: 0; -EBADMSG if a field is missing, no number, or out of its range.
 */
int process_stat_parse(const char *text, struct process_stat *ret_stat);

/* Reads a process's. Return: 0; -ESRCH where there is none of that PID; -EBADMSG; what reading
 * said. */
int process_stat_read(const struct sysroot *root, pid_t pid, struct process_stat *ret_stat);
