/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pressure.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/memory.h"

/* Tasks that wait for a twentieth of the time feel it. 2 s is the shortest window without rights.
 */
#define STALL_USEC  UINT64_C(100000)
#define WINDOW_USEC UINT64_C(2000000)

static int on_pressure(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct manager *manager = userdata;

        /* The kernel has done away with the file. */
        if (revents & EPOLLERR)
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return events_request(manager->events, TRIGGER_PRESSURE);
}

/*
 * Whom the kernel keeps from it should know: decisions come late then, when memory is short. No PSI
 * is nothing to tell, ksmctl doctor does.
 */
static void tell(struct manager *manager, int error)
{
        bool denied = error == -EPERM || error == -EACCES;

        if (error == -EOPNOTSUPP)
                return;
        complain(&manager->complaints, COMPLAINT_PRESSURE, error, LOG_NOTICE,
                 "cannot listen to memory pressure: %s; decisions come at the interval, also when "
                 "processes wait for memory%s",
                 strerror(-error),
                 denied ? " (Linux before 6.4 asks for a capability: see ksmtuned(8))" : "");
}

int pressure_listen(struct manager *manager)
{
        CLEANUP_FD int fd = -1;
        int r;

        manager->pressure = sd_event_source_disable_unref(manager->pressure);
        if (manager->settings->policy.kind != POLICY_ADAPTIVE)
                return 0;
        fd = pressure_watch(manager->root, STALL_USEC, WINDOW_USEC);
        tell(manager, fd < 0 ? fd : 0);
        if (fd < 0)
                return 0; /* the interval is the guarantee */
        r = sd_event_add_io(events_loop(manager->events), &manager->pressure, fd, EPOLLPRI,
                            on_pressure, manager);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(manager->pressure, true);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(manager->pressure, true);
        if (r < 0)
                return r;
        (void)TAKE_FD(fd);
        return 0;
}
