/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * For a child that is about to become another program: takes away, for good, what the daemon may
 * and that program need not. Behind it there are no capabilities, no exec gives any back, and no
 * file can be written, made, renamed or removed, nor another process looked into. What is open
 * stays usable, and sockets in the file system can be connected to.
 *
 * The ban on files takes Landlock (Linux 5.13); where the kernel has none, it is left out.
 *
 * Allocates nothing, and so may follow fork(). Return: 0, or a negative errno; then the child must
 * not go on.
 */
int confine_self(void);
