/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * How it ends: KSM_STOP_ACTION, the advisor given back, a word on what is left behind.
 *
 * Unmerging takes as long as memory takes to copy, and the kernel prefers who asked for it as the
 * victim when memory runs out; so a child does it, while the loop goes on and asks the service
 * manager for patience. A second SIGTERM or SIGINT interrupts it.
 */

#include "manager.h"

/* Begins to end; called again, hurries. The loop is left when all is done. Return: 0; -errno. */
int ending_begin(struct manager *manager);

void ending_free(struct ending *ending);
