/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Notices when somebody else writes the KSM knobs: they read other than they were left, or
 * full_scans has fallen, as it does when somebody unmerges. Told once an hour at most, for it is
 * not fought: the next decision writes what it decides, as the original does.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ksmtuned/ksm.h"
#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

struct foreign {
        bool known; /* the figures below have been left by us */
        struct ksm_knobs knobs;
        int64_t full_scans;
        uint64_t told_usec; /* CLOCK_MONOTONIC; 0: never */
};

/*
 * Compares what the kernel reads now with what was left there; logs a difference. Return: whether
 * there is one.
 */
bool foreign_check(struct foreign *foreign, const struct sysroot *root,
                   const struct ksm_sample *sample, uint64_t now_usec);

/* Tells that somebody else writes, and who it may be; @what was found. */
void foreign_tell(const struct sysroot *root, const struct ksm_sample *sample, const char *what);

/* Remembers what is left there. */
void foreign_remember(struct foreign *foreign, const struct ksm_knobs *knobs, int64_t full_scans);
