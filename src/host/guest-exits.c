/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-exits.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"

/* glibc has a wrapper since 2.36 only. A pidfd is closed on exec by nature. */
static int open_pidfd(pid_t pid)
{
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);

        return fd < 0 ? -errno : fd;
}

int guest_exits_open(void)
{
        CLEANUP_FD int probe = open_pidfd(getpid());
        int fd;

        if (probe < 0)
                return probe == -ENOSYS ? -EOPNOTSUPP : probe;
        fd = epoll_create1(EPOLL_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

int guest_exits_add(int epoll_fd, pid_t pid)
{
        /* Told once: the guest may stay known until the burst that it is part of is answered. */
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT};
        CLEANUP_FD int fd = open_pidfd(pid);

        if (fd < 0)
                return fd;
        if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
                return -errno;
        return TAKE_FD(fd);
}

void guest_exits_take(int epoll_fd)
{
        struct epoll_event events[16];

        while (epoll_wait(epoll_fd, events, sizeof(events) / sizeof(events[0]), 0) > 0)
                ;
}
