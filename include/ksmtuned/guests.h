/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The VM processes of the host and the memory that they have committed.
 *
 * A process is a guest when its name (comm) or the name of its executable matches one of the
 * globs of KSM_VM_MATCH, unless it is one of the helpers that come with VMs (qemu-img, qemu-nbd,
 * qemu-storage-daemon, …): those never count. The name of the executable is that of
 * /proc/PID/exe, or where this is not permitted that of the command line's first word.
 *
 * Cost. Looking at every process at each decision is what made the original expensive, so what is
 * known is remembered, and a decision looks at four things only:
 *   - the guests, through descriptors of their statm that stay open (5 kB of kernel memory each).
 *     Such a descriptor belongs to that one process: after its end it fails, and a later process
 *     of the same PID cannot be mistaken for it;
 *   - the PIDs given out since the last decision but one, listed by seeking in /proc;
 *   - of the processes known, those whose PID leaves the remainder (decisions mod GUESTS_CYCLE):
 *     one whose CPU clock (0.3 µs to read) stands where it stood has not run, so it has neither
 *     called exec nor handed its PID to another. The others' names (7 µs) are read again;
 *   - a tenth of the range of PIDs, listed to find what was missed otherwise, such as a PID given
 *     out behind the kernel's cursor.
 * So a process that becomes a VM is found within GUESTS_CYCLE decisions however it came to be, and
 * at once if it is new. Where /proc is no procfs, or belongs to another PID namespace, every
 * process is looked into at every decision.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/process.h"
#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

/* Decisions until every process has been looked at again. */
#define GUESTS_CYCLE 10

/* Whether any of a process's memory is open to KSM, as far as the kernel tells. */
enum guest_mergeable {
        GUEST_MERGEABLE_UNKNOWN, /* may not be read, or the kernel (before 6.14) does not tell */
        GUEST_MERGEABLE_NO,
        GUEST_MERGEABLE_YES,
};

#define GUEST_NAME_SIZE 64

/* There may be hundreds: what a guest takes here, the daemon takes. */
struct guest {
        pid_t pid;
        int statm_fd; /* owned by the guests object; -1 where descriptors ran out */
        int pid_fd;   /* likewise; -1 too where nobody waits for exits */
        enum guest_mergeable mergeable; /* as of the last time that it was looked into */
        uint64_t start_time; /* clock ticks after boot; with the PID it identifies the guest */
        int64_t committed_kb;
        int64_t rss_kb;
        char *own_name; /* owned; NULL: see guest_name() */
        char comm[PROCESS_COMM_SIZE];
        bool by_rss; /* the figure of KSM_PS_METRIC could not be read: this is its RSS */
        bool told;   /* that it is not mergeable */
};

/* What it is called: libvirt's or the command line's name, printable; else its comm. */
const char *guest_name(const struct guest *guest);

/* What a scan met beside guests. */
struct guests_scan_info {
        size_t n_processes;  /* processes known, kernel threads included */
        size_t n_unreadable; /* guests without the figure of KSM_PS_METRIC: counted with their RSS
                              */
        bool others_hidden;  /* PID 1 is not to be seen: /proc is mounted with hidepid */
        bool changed;        /* a guest came or went since the last scan */
        bool names_denied;   /* names of other users' processes cannot be read (hidepid=1) */
};

struct guests;

/* @root must outlive the object. Return: 0; -ENOMEM; what opening /proc said. */
int guests_new(struct guests **ret_guests, const struct sysroot *root);
struct guests *guests_free(struct guests *guests);

/*
 * What to look for from now on; everything known is forgotten. @globs ends with NULL, is not
 * copied, and stays the caller's: it must be valid until another takes its place.
 */
void guests_set_match(struct guests *guests, const char *const *globs, enum guest_metric metric);

/*
 * Looks at the host once. Processes that vanish meanwhile are no errors. @ret_info may be NULL.
 * Return: 0; -ENOMEM; what listing /proc said. After an error the next scan starts afresh.
 */
int guests_scan(struct guests *guests, struct guests_sample *ret_sample,
                struct guests_scan_info *ret_info);

/*
 * From now on, @ret_fd becomes readable when a guest ends; the descriptor stays the object's. Costs
 * a descriptor a guest. guests_take_exits() makes it quiet again; the scan that is due then forgets
 * the guest. Return: 0; -EOPNOTSUPP on a made-up root and before Linux 5.3; -errno.
 */
int guests_watch_exits(struct guests *guests, int *ret_fd);
void guests_take_exits(struct guests *guests);

/* What a scan found to have changed. */
enum guest_change {
        GUEST_CAME,
        GUEST_GONE,        /* the figures are those of the scan before */
        GUEST_UNMERGEABLE, /* it has run for a while, and none of its memory is open to KSM */
};

/*
 * @listener is called from within scans. The guests of a scan that begins afresh (the first one,
 * and those after guests_set_match() or an error) have not come, so it is not told of them.
 */
typedef void guest_listener(void *userdata, const struct guest *guest, enum guest_change change);
void guests_listen(struct guests *guests, guest_listener *listener, void *userdata);

/*
 * Something may have called exec: the next scan looks at every process that has run since, but for
 * those that are guests already.
 */
void guests_suspect(struct guests *guests);

/* What the kernel tells of a process, in short; pure. */
struct ksm_process;
enum guest_mergeable guest_mergeable_of(const struct ksm_process *process);

/* "unknown", "no", "yes" */
const char *guest_mergeable_name(enum guest_mergeable mergeable);

/* The guests of the last scan, in order of their PIDs; valid until the next scan. */
const struct guest *guests_list(const struct guests *guests, size_t *ret_n);

/* Called with the PID and the comm of a guest; negative: ends the search. */
typedef int guests_found_fn(void *userdata, pid_t pid, const char *comm);

/*
 * Finds the guests of this moment, in order of their PIDs, for a program that asks but once: at
 * less than half of the cost of a first scan. @ret_info: changed and n_unreadable mean nothing.
 * Return: 0; what @fn returned if negative; what listing /proc said.
 */
int guests_find(const struct sysroot *root, const char *const *globs, guests_found_fn *fn,
                void *userdata, struct guests_scan_info *ret_info);

/* Return: whether the names belong to a guest; pure. @exe may be NULL where it is not known. */
bool guest_match(const char *const *globs, const char *comm, const char *exe);
