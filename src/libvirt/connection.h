/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

/*
 * Connects to @uri, read-only, and prints its events until the connection is lost.
 * @ret_connected: whether there was one at all.
 * Return: 0 when it is worth another attempt; -EPIPE when the daemon has gone.
 */
int connection_run(const char *uri, bool *ret_connected);
