/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Guests that come and go, as the kernel tells without being asked: exits by pidfds, starts by the
 * opening of the executables (exec-watch.h). A start is looked into a moment later, when the new
 * process has its name. Where neither works, the interval does.
 */

#include "manager.h"

struct guest_watch;

/* Return: 0; -ENOMEM; -errno of libsystemd. What the kernel does not offer is no error. */
int guest_watch_new(struct guest_watch **ret_watch, struct manager *manager);
struct guest_watch *guest_watch_free(struct guest_watch *watch);

/* The settings have changed: watches what KSM_VM_MATCH names now. Return: as above. */
int guest_watch_reload(struct guest_watch *watch);

/* A guest came: watches its executable, too. */
void guest_watch_follow(struct guest_watch *watch, const struct guest *guest);

/* Those of the last scan. */
void guest_watch_follow_all(struct guest_watch *watch);
