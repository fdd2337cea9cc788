/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guests of this moment, for a program that asks but once: nothing is remembered. */

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>

#include "guest-match.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/guests.h"
#include "proc-list.h"

struct search {
        const struct sysroot *proc;
        const char *const *globs;
        guests_found_fn *fn;
        void *userdata;
        struct guests_scan_info info;
        bool first_seen; /* PID 1 */
};

static int look_at(void *userdata, uint32_t pid)
{
        struct search *search = userdata;
        char comm[PROCESS_COMM_SIZE];
        int r = guest_classify(search->proc, search->globs, pid, comm);

        search->first_seen |= pid == 1;
        search->info.n_processes++;
        if (r == -EACCES)
                search->info.names_denied = true;
        return r == 1 ? search->fn(search->userdata, (pid_t)pid, comm) : 0;
}

int guests_find(const struct sysroot *root, const char *const *globs, guests_found_fn *fn,
                void *userdata, struct guests_scan_info *ret_info)
{
        CLEANUP(sysroot_close) struct sysroot proc = SYSROOT_INIT;
        struct search search = {.proc = &proc, .globs = globs, .fn = fn, .userdata = userdata};
        struct proc_lister lister = {.can_seek = false};
        int r;

        proc.made_up = root->made_up;
        proc.fd = sysroot_openat(root, "/proc", O_RDONLY | O_DIRECTORY, 0);
        if (proc.fd < 0)
                return proc.fd;
        r = proc_list(&lister, proc.fd, 0, PROC_LIST_END, SIZE_MAX, look_at, &search);
        if (r < 0)
                return r;
        search.info.others_hidden = !root->made_up && !search.first_seen;
        *ret_info = search.info;
        return 0;
}
