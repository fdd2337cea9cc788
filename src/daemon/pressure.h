/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Wakes the daemon when tasks wait for memory (PSI), for the policies that want to know. */

#include "manager.h"

/*
 * Begins or ceases to listen, as @manager's policy wants it. Where the kernel has no PSI there is
 * nothing to listen to, and where it does not let us, that is told; neither is an error. Return: 0;
 * -errno of the loop.
 */
int pressure_listen(struct manager *manager);
