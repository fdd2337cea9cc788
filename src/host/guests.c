/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/guests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "guest-exits.h"
#include "guest-memory.h"
#include "guests-private.h"
#include "ksmtuned/cleanup.h"

static const char *const no_globs[] = {NULL};

static void forget_all(struct guests *guests)
{
        guest_list_clear(&guests->list);
        guests->known.n = 0;
        guests->primed = false;
        guests->swept_to = 0;
        guests->sweep_step = 0;
        guests->names_denied = false;
        guests->others_hidden = false;
}

/* Seeking, CPU clocks and descriptors that end with their process: all ours, or none of it. */
static bool is_own_procfs(const struct sysroot *proc)
{
        char self[PROC_PATH_SIZE], own[PROC_PATH_SIZE];
        struct statfs fs;

        if (fstatfs(proc->fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC)
                return false;
        if (sysroot_readlink(proc, "self", self, sizeof(self)) < 0)
                return false;
        (void)snprintf(own, sizeof(own), "%d", getpid());
        return strcmp(self, own) == 0;
}

int guests_new(struct guests **ret_guests, const struct sysroot *root)
{
        struct guests *guests;

        guests = calloc(1, sizeof(*guests));
        if (!guests)
                return -ENOMEM;
        guests->globs = no_globs;
        guests->exits_fd = guests->loadavg_fd = -1;
        guests->proc.made_up = root->made_up;
        guests->proc.fd = sysroot_openat(root, "/proc", O_RDONLY | O_DIRECTORY, 0);
        if (guests->proc.fd < 0) {
                int r = guests->proc.fd;

                free(guests);
                return r;
        }
        guests->can_remember = is_own_procfs(&guests->proc);
        *ret_guests = guests;
        return 0;
}

struct guests *guests_free(struct guests *guests)
{
        if (!guests)
                return NULL;
        forget_all(guests);
        pid_table_clear(&guests->known);
        cleanup_fd(&guests->exits_fd);
        cleanup_fd(&guests->loadavg_fd);
        guest_list_free(&guests->list);
        sysroot_close(&guests->proc);
        free(guests);
        return NULL;
}

void guests_set_match(struct guests *guests, const char *const *globs, enum guest_metric metric)
{
        guests->globs = globs;
        guests->metric = metric;
        forget_all(guests);
}

/* One entry of a listing: what is known of the PID is taken over or renewed. */
struct merge {
        struct guests *guests;
        struct pid_table merged;
        size_t next, end; /* the part of the table that the listing replaces */
        bool check;       /* look whether those that are known have changed */
};

static int merge_pid(void *userdata, uint32_t pid)
{
        struct merge *merge = userdata;
        struct guests *guests = merge->guests;
        const struct pid_entry *old = NULL;
        struct pid_entry entry = {.pid = pid};
        int r;

        while (merge->next < merge->end && guests->known.entries[merge->next].pid < pid)
                merge->next++;
        if (merge->next < merge->end && guests->known.entries[merge->next].pid == pid)
                old = &guests->known.entries[merge->next];
        if (old && !merge->check)
                return pid_table_append(&merge->merged, *old);

        /* The clock first: what happens after it will have moved it by the next time. */
        if (guests->can_remember && guests_read_cpu_clock(pid, &entry.cpu_nsec) < 0)
                return 0;
        if (!old || old->cpu_nsec != entry.cpu_nsec) {
                r = guests_look_into(guests, pid);
                if (r <= 0)
                        return r;
        }
        return pid_table_append(&merge->merged, entry);
}

/* Lists the PIDs from @from to @to and renews that part of the table. */
static int scan_range(struct guests *guests, uint32_t from, uint32_t to, bool check)
{
        struct merge merge = {.guests = guests, .check = check};
        size_t begin = pid_table_lower_bound(&guests->known, from), expected;
        int r;

        merge.next = begin;
        merge.end = to == PROC_LIST_END ? guests->known.n
                                        : pid_table_lower_bound(&guests->known, to + 1);
        expected = guests->primed ? merge.end - begin : SIZE_MAX;
        r = proc_list(&guests->lister, guests->proc.fd, from, to, expected, merge_pid, &merge);
        if (r == 0)
                r = pid_table_splice(&guests->known, begin, merge.end, &merge.merged);
        pid_table_clear(&merge.merged);
        return r;
}

/* Those whose turn it is: who has run since may be something else by now. */
static int check_due(struct guests *guests)
{
        struct pid_table *known = &guests->known;
        uint32_t turn = (uint32_t)(guests->n_scans % GUESTS_CYCLE);
        size_t kept = 0;
        int r = 0;

        for (size_t i = 0; i < known->n; i++) {
                struct pid_entry entry = known->entries[i];
                bool due = entry.pid % GUESTS_CYCLE == turn, vanished = false;

                /* Guests run all the time, and hardly ever become something else. */
                if (!due && guests->suspect)
                        due = !guest_list_find(&guests->list, (pid_t)entry.pid);
                if (r >= 0 && due) {
                        vanished = guests_read_cpu_clock(entry.pid, &entry.cpu_nsec) < 0;
                        if (!vanished && entry.cpu_nsec != known->entries[i].cpu_nsec) {
                                r = guests_look_into(guests, entry.pid);
                                vanished = r == 0;
                        }
                }
                if (!vanished)
                        known->entries[kept++] = entry;
        }
        known->n = kept;
        return r < 0 ? r : 0;
}

/* The net under everything else: every PID is listed once in GUESTS_CYCLE scans. */
static int sweep(struct guests *guests)
{
        size_t begin = pid_table_lower_bound(&guests->known, guests->swept_to);
        size_t left = guests->known.n - begin, steps = GUESTS_CYCLE - guests->sweep_step;
        size_t n = (left + steps - 1) / steps;
        uint32_t to = PROC_LIST_END;
        int r;

        if (steps > 1 && n < left)
                to = guests->known.entries[begin + n].pid - 1;
        r = scan_range(guests, guests->swept_to, to, false);
        guests->sweep_step = (guests->sweep_step + 1) % GUESTS_CYCLE;
        guests->swept_to = to == PROC_LIST_END ? 0 : to + 1;
        if (to == PROC_LIST_END)
                guests->sweep_step = 0;
        return r;
}

/* What was forked since the last scan but one: a fork seen then may have called exec since. */
static int scan_new(struct guests *guests, uint32_t last_pid)
{
        uint32_t from = guests->last_pids[1] + 1;
        int r;

        if (last_pid + 1 == from)
                return 0;
        if (last_pid >= from)
                return scan_range(guests, from, last_pid, true);
        /* The kernel's PIDs have begun anew. */
        r = scan_range(guests, from, PROC_LIST_END, true);
        return r < 0 ? r : scan_range(guests, 0, last_pid, true);
}

static int scan_all(struct guests *guests)
{
        int r = scan_range(guests, 0, PROC_LIST_END, true);

        guests->others_hidden =
                guests->can_remember && (guests->known.n == 0 || guests->known.entries[0].pid != 1);
        return r;
}

static int scan(struct guests *guests)
{
        uint32_t last_pid = 0;
        int r;

        if (!guests->can_remember)
                forget_all(guests);
        else if (proc_last_pid(&guests->proc, &guests->loadavg_fd, &last_pid) < 0)
                guests->primed = false;

        if (guests->primed) {
                guests_refresh(guests);
                r = scan_new(guests, last_pid);
                if (r == 0)
                        r = check_due(guests);
                if (r == 0)
                        r = sweep(guests);
        } else {
                guests_refresh(guests);
                r = scan_all(guests);
                guests->last_pids[0] = last_pid;
        }
        guests->last_pids[1] = guests->last_pids[0];
        guests->last_pids[0] = last_pid;
        guests->primed = r == 0;
        guests->suspect = false;
        guests->n_scans++;
        return r;
}

int guests_scan(struct guests *guests, struct guests_sample *ret_sample,
                struct guests_scan_info *ret_info)
{
        struct guests_sample sample = {.count = 0};
        struct guests_scan_info info = {.n_processes = 0};
        int r;

        r = scan(guests);
        if (r < 0) {
                forget_all(guests);
                return r;
        }
        for (size_t i = 0; i < guests->list.n; i++) {
                const struct guest *guest = &guests->list.guests[i];

                sample.count++;
                sample.committed_kb = saturating_add(sample.committed_kb, guest->committed_kb);
                info.n_unreadable += guest->by_rss;
        }
        info.n_processes = guests->known.n;
        info.changed = guests->list.changed;
        guests->list.changed = false;
        info.others_hidden = guests->others_hidden;
        info.names_denied = guests->names_denied;
        *ret_sample = sample;
        if (ret_info)
                *ret_info = info;
        return 0;
}

const struct guest *guests_list(const struct guests *guests, size_t *ret_n)
{
        *ret_n = guests->list.n;
        return guests->list.guests;
}

int guests_watch_exits(struct guests *guests, int *ret_fd)
{
        int fd;

        if (!guests->can_remember)
                return -EOPNOTSUPP;
        if (guests->exits_fd < 0) {
                fd = guest_exits_open();
                if (fd < 0)
                        return fd;
                guests->exits_fd = fd;
                /* Those that are known already have no pidfd. */
                forget_all(guests);
        }
        *ret_fd = guests->exits_fd;
        return 0;
}

void guests_take_exits(struct guests *guests)
{
        guest_exits_take(guests->exits_fd);
}

void guests_listen(struct guests *guests, guest_listener *listener, void *userdata)
{
        guests->listener = listener;
        guests->userdata = userdata;
}

void guests_suspect(struct guests *guests)
{
        guests->suspect = true;
}
