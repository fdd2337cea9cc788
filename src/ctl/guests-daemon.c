/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The guests by the word of a daemon that runs: no other process need be looked at. */

#include <errno.h>
#include <string.h>

#include "guests.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/guest-file.h"
#include "ksmtuned/process.h"
#include "ksmtuned/state.h"
#include "ticker.h"

/* The list of a daemon that lives and goes on deciding. Return: 0; why it is not to be had. */
static int read_list(const struct sysroot *root, struct guest_file_entry **ret_list, size_t *ret_n)
{
        CLEANUP_FREE struct guest_file_entry *list = NULL;
        struct state state;
        pid_t writer;
        int r = state_read(root, &state);

        if (r < 0)
                return r;
        if (state_daemon_alive(root, &state) != 1 || state_is_stale(&state, clock_realtime_usec()))
                return -ESTALE;
        /* Where /proc hides other users' processes, only a look of one's own can tell so. */
        if (sysroot_exists(root, "/proc/1/comm") != 1)
                return -EACCES;
        r = guest_file_read(root, &writer, &list, ret_n);
        if (r < 0)
                return r;
        /* One that a crash has left behind. */
        if (writer != state.pid)
                return -ESTALE;
        *ret_list = TAKE_PTR(list);
        return 0;
}

int guests_of_daemon(const struct sysroot *root, guests_found_fn *fn, void *userdata)
{
        CLEANUP_FREE struct guest_file_entry *list = NULL;
        size_t n;
        int r = read_list(root, &list, &n);

        if (r < 0)
                return r == -ENOMEM ? r : 0;
        for (size_t i = 0; i < n; i++) {
                struct process_stat stat;

                r = process_stat_read(root, list[i].pid, &stat);
                if (r == -ESRCH)
                        continue;
                /* Given to another process: the list is older than it should be. */
                if (r < 0 || stat.start_time != list[i].start_time)
                        return 0;
                r = fn(userdata, list[i].pid, stat.comm);
                if (r < 0)
                        return r;
        }
        return 1;
}
