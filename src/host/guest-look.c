/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "guest-details.h"
#include "guest-exits.h"
#include "guest-match.h"
#include "guest-memory.h"
#include "guests-private.h"

#define STAT_SIZE         1024
#define SETTLED_AFTER_SEC 10

/*
 * The clock that clock_getcpuclockid(3) finds, without the system call that it spends to see
 * whether there is such a process: reading the clock tells that, too. The encoding is the kernel's.
 */
static clockid_t process_cpu_clock(uint32_t pid)
{
        const unsigned int per_process = 2; /* CPUCLOCK_SCHED, and not a single thread's */

        return (clockid_t)(~pid << 3 | per_process);
}

int guests_read_cpu_clock(uint32_t pid, uint32_t *ret_nsec)
{
        struct timespec ts;

        if (clock_gettime(process_cpu_clock(pid), &ts) < 0)
                return -ESRCH;
        *ret_nsec = (uint32_t)((uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec);
        return 0;
}

static void tell(struct guests *guests, const struct guest *guest, enum guest_change change)
{
        if (guests->listener && guests->primed)
                guests->listener(guests->userdata, guest, change);
}

/* Return: 1; 0 if the process has vanished meanwhile; a negative errno. */
static int add_guest(struct guests *guests, pid_t pid, const char *comm)
{
        struct guest guest = {.pid = pid, .statm_fd = -1, .pid_fd = -1};
        char path[PROC_PATH_SIZE], text[STAT_SIZE];
        struct process_stat stat;
        int r;

        (void)snprintf(path, sizeof(path), "%d/stat", pid);
        if (sysroot_read(&guests->proc, path, text, sizeof(text)) <= 0 ||
            process_stat_parse(text, &stat) < 0)
                return 0;
        guest.start_time = stat.start_time;
        memcpy(guest.comm, comm, sizeof(guest.comm));
        guest.statm_fd = guest_open_statm(&guests->proc, pid);

        r = guest_memory_read(&guests->proc, guests->metric, &guest);
        if (r != 1) {
                guest_close(&guest);
                /* A zombie stays in the table as what it is: no guest. */
                return r == 0;
        }
        guest_details_read(&guests->proc, &guest);
        /* Only where there are descriptors to spare. */
        if (guests->exits_fd >= 0 && guest.statm_fd >= 0)
                guest.pid_fd = guest_exits_add(guests->exits_fd, pid);
        tell(guests, &guest, GUEST_CAME);
        r = guest_list_insert(&guests->list, &guest);
        return r < 0 ? r : 1;
}

static void remove_guest(struct guests *guests, struct guest *guest)
{
        tell(guests, guest, GUEST_GONE);
        guest_list_remove(&guests->list, guest);
}

/* A VMM opens its memory to KSM when it sets the guest up. */
static bool has_settled(const struct guest *guest)
{
        struct timespec ts;
        int64_t age_sec;

        if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
                return false;
        age_sec =
                (int64_t)ts.tv_sec - (int64_t)(guest->start_time / (uint64_t)sysconf(_SC_CLK_TCK));
        return age_sec >= SETTLED_AFTER_SEC;
}

int guests_look_into(struct guests *guests, uint32_t pid)
{
        struct guest *guest = guest_list_find(&guests->list, (pid_t)pid);
        char comm[PROCESS_COMM_SIZE];
        int r = guest_classify(&guests->proc, guests->globs, pid, comm);

        if (r == -EACCES)
                guests->names_denied = true;
        if (r == 1 && !guest)
                return add_guest(guests, (pid_t)pid, comm);
        if (r == 1) {
                bool same = strcmp(guest->comm, comm) == 0;

                memcpy(guest->comm, comm, sizeof(comm));
                /* What has opened its memory to KSM is set up, and stays what it is. */
                if (!same || guest->mergeable != GUEST_MERGEABLE_YES)
                        guest_details_read(&guests->proc, guest);
                if (guest->mergeable == GUEST_MERGEABLE_NO && !guest->told && has_settled(guest)) {
                        guest->told = true;
                        tell(guests, guest, GUEST_UNMERGEABLE);
                }
        } else if (guest) {
                remove_guest(guests, guest);
        }
        return r != -ESRCH;
}

void guests_refresh(struct guests *guests)
{
        for (size_t i = 0; i < guests->list.n;) {
                struct guest *guest = &guests->list.guests[i];

                if (guest_memory_read(&guests->proc, guests->metric, guest) == 1) {
                        i++;
                        continue;
                }
                pid_table_remove(&guests->known, (uint32_t)guest->pid);
                remove_guest(guests, guest);
        }
}
