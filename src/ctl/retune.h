/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "ksmtuned/sysroot.h"

/* Makes the daemon decide, and does not wait for it. Return: 1; 0 if none runs; a negative errno.
 */
int retune_ask(const struct sysroot *root);
