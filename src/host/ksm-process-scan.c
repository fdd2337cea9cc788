/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/ksm-process.h"
#include "proc-list.h"

struct search {
        const struct sysroot *root;
        ksm_process_fn fn;
        void *userdata;
        size_t n_denied;
};

/* Whether KSM has anything to do with it. */
static bool is_of_interest(const struct ksm_process *process)
{
        return process->mergeable == KSM_ANSWER_YES || process->merge_any == KSM_ANSWER_YES ||
               process->rmap_items > 0 || process->merging_pages > 0;
}

/* Kernel threads, which nobody may look into either, have none. */
static bool has_memory(const struct sysroot *root, uint32_t pid)
{
        char path[64], text[256];

        (void)snprintf(path, sizeof(path), "/proc/%u/statm", pid);
        return sysroot_read(root, path, text, sizeof(text)) > 0 && strncmp(text, "0 ", 2) != 0;
}

static int look_at(void *userdata, uint32_t pid)
{
        struct search *search = userdata;
        struct ksm_process process;

        if (ksm_process_read_stat(search->root, (pid_t)pid, &process) < 0)
                return 0;
        if (process.error == -EACCES && has_memory(search->root, pid))
                search->n_denied++;
        if (!is_of_interest(&process))
                return 0;
        return search->fn(search->userdata, (pid_t)pid);
}

int ksm_process_scan(const struct sysroot *root, ksm_process_fn fn, void *userdata,
                     size_t *ret_denied)
{
        struct search search = {.root = root, .fn = fn, .userdata = userdata};
        struct proc_lister lister = {.can_seek = false};
        CLEANUP_FD int fd = sysroot_openat(root, "/proc", O_RDONLY | O_DIRECTORY, 0);
        int r;

        if (fd < 0)
                return fd;
        r = proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, look_at, &search);
        if (r < 0)
                return r;
        *ret_denied = search.n_denied;
        return 0;
}
