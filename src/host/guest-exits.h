/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The ends of guests: a pidfd each, gathered behind one epoll descriptor. */

#include <sys/types.h>

/* Return: an epoll descriptor, for the caller to close; -EOPNOTSUPP without pidfds; -errno. */
int guest_exits_open(void);

/* Waits for the end of @pid, too. Return: a pidfd, whose close() ends it; -errno. */
int guest_exits_add(int epoll_fd, pid_t pid);

/* Takes what has happened, so that @epoll_fd is quiet until more does. */
void guest_exits_take(int epoll_fd);
