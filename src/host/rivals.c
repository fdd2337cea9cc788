/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/rivals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/ksm.h"
#include "proc-list.h"

#define COMM_SIZE 32

/* By the names that their processes go by; a script goes by its own name, not the interpreter's. */
static const struct {
        const char *comm, *name;
        bool on_request;
} known_rivals[] = {
        {"ksmtuned", "another ksmtuned", false},
        {"tuned", "tuned", true}, /* some of its profiles switch KSM off */
        {"momd", "oVirt MOM", false},
        {"vdsmd", "oVirt vdsm", false},
        {"virt-handler", "KubeVirt virt-handler", false},
        {"ksm-throttler", "Kata ksm-throttler", false},
        {"uksmd", "uksmd", false},
        {"libvirtd", "libvirt (virsh node-memory-tune)", true},
        {"virtqemud", "libvirt (virsh node-memory-tune)", true},
};

struct search {
        const struct sysroot *root;
        pid_t own_pid;
        struct rival *rivals;
        size_t n, n_max;
};

static int look_at(void *userdata, uint32_t pid)
{
        struct search *search = userdata;
        char path[48], comm[COMM_SIZE];

        if ((pid_t)pid == search->own_pid || search->n == search->n_max)
                return 0;
        (void)snprintf(path, sizeof(path), "/proc/%u/comm", pid);
        if (sysroot_read(search->root, path, comm, sizeof(comm)) <= 0)
                return 0;
        comm[strcspn(comm, "\n")] = '\0';
        for (size_t i = 0; i < sizeof(known_rivals) / sizeof(known_rivals[0]); i++)
                if (strcmp(comm, known_rivals[i].comm) == 0) {
                        search->rivals[search->n++] = (struct rival){
                                known_rivals[i].name, (pid_t)pid, known_rivals[i].on_request};
                        break;
                }
        return 0;
}

int rivals_find(const struct sysroot *root, pid_t own_pid, struct rival *ret_rivals, size_t n)
{
        struct search search = {.root = root, .own_pid = own_pid, .rivals = ret_rivals, .n_max = n};
        struct proc_lister lister = {.can_seek = false};
        CLEANUP_FD int fd = -1;
        int64_t mode;
        int r;

        if (n > 0 && ksm_get(root, KSM_ADVISOR_MODE, &mode) == 0 && mode != KSM_ADVISOR_NONE)
                ret_rivals[search.n++] = (struct rival){"the kernel's advisor", 0, false};
        fd = sysroot_openat(root, "/proc", O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return fd;
        r = proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, look_at, &search);
        return r < 0 ? r : (int)search.n;
}
