/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What guests.c, which decides where to look, and guest-look.c, which looks, share. */

#include "guest-list.h"
#include "ksmtuned/guests.h"
#include "pid-table.h"
#include "proc-list.h"

struct guests {
        struct sysroot proc;      /* begins at /proc itself */
        const char *const *globs; /* the caller's */
        enum guest_metric metric;

        bool can_remember; /* a procfs of our own PID namespace */
        bool primed;       /* a first scan has filled the table */
        struct proc_lister lister;
        struct pid_table known;
        uint64_t n_scans;
        uint32_t last_pids[2]; /* the kernel's PID cursor one and two scans ago */
        uint32_t swept_to;     /* the net has listed the PIDs below this one in its cycle */
        unsigned sweep_step;
        bool names_denied, others_hidden;
        bool suspect;   /* somebody may have called exec: look at everyone */
        int exits_fd;   /* -1: nobody waits for exits */
        int loadavg_fd; /* -1: not opened yet */
        guest_listener *listener;
        void *userdata; /* the listener's */

        struct guest_list list;
};

/* The low half of a process's CPU clock. Anybody may read anybody's. Return: 0; -ESRCH. */
int guests_read_cpu_clock(uint32_t pid, uint32_t *ret_nsec);

/* Looks into a process and files it. Return: 1; 0 if it has vanished; a negative errno. */
int guests_look_into(struct guests *guests, uint32_t pid);

/* Brings the guests that are known up to date, and forgets those that have ended. */
void guests_refresh(struct guests *guests);
