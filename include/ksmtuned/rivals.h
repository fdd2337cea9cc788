/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Other programs that write the KSM knobs, to name them when a knob changes under our hands. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

struct rival {
        const char *name; /* in words: "tuned", "oVirt MOM", … */
        pid_t pid;        /* 0 for the kernel's own advisor */
        bool on_request;  /* writes them only where an administrator told it to */
};

/*
 * Looks through the processes for programs known to write the KSM knobs, and at the kernel's
 * advisor. Costs a read per process: for when something is odd, not for every decision.
 * Return: how many of at most @n were put into @ret_rivals, or a negative errno.
 */
int rivals_find(const struct sysroot *root, pid_t own_pid, struct rival *ret_rivals, size_t n);
