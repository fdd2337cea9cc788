/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Notices when the executable of a VM is started, without polling and without capabilities: an
 * inotify watch on each executable whose name matches KSM_VM_MATCH, in the folders where such
 * programs are installed, and on those of the guests that are known. The kernel opens an
 * executable at execve(), and that is an event.
 *
 * It is a hint and no more: it comes before the process has its new name, it comes too when
 * somebody merely reads the file, and it does not come for an executable in a container's own file
 * system.
 */

#include <stdbool.h>

#include "ksmtuned/sysroot.h"

struct exec_watch;

/*
 * @globs: as guests_set_match() has them; used during the call and at exec_watch_read().
 * Return: 0; -ENOMEM; what inotify_init() said (-EMFILE where the user's instances are used up).
 */
int exec_watch_new(struct exec_watch **ret_watch, const struct sysroot *root,
                   const char *const *globs);
struct exec_watch *exec_watch_free(struct exec_watch *watch);

/* Readable when something has happened: call exec_watch_read() then. */
int exec_watch_fd(const struct exec_watch *watch);

/* Watches one more executable, by its path in the root. Return: 0; what inotify said. */
int exec_watch_add(struct exec_watch *watch, const char *path);

/*
 * Takes the events that have come. Return: whether an executable was opened; programs that were
 * installed meanwhile are watched from now on.
 */
bool exec_watch_read(struct exec_watch *watch);

/* How many executables are watched. */
unsigned exec_watch_count(const struct exec_watch *watch);
