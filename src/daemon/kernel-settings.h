/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * KSM_MERGE_ACROSS_NODES, KSM_MAX_PAGE_SHARING, KSM_USE_ZERO_PAGES and KSM_SMART_SCAN: what the
 * kernel takes at once is written when the configuration has been read; what it refuses while pages
 * are merged is owed, and written at the first decision that finds nothing merged. Nothing is
 * unmerged for it: "ksmctl settings --apply" does that, where somebody asks for it. A setting that
 * somebody else changes afterwards is told, and theirs until the configuration is read again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/kernel-settings.h"
#include "ksmtuned/sample.h"

struct manager;

enum kernel_wish {
        KERNEL_WISH_NEW,  /* not looked at since the configuration was read */
        KERNEL_WISH_NONE, /* nothing to do: not configured, or not on this kernel */
        KERNEL_WISH_DONE,
        KERNEL_WISH_OWED,  /* pages are merged */
        KERNEL_WISH_GIVEN, /* up: others changed it, or it cannot be written */
};

/* All zeros: the configuration was read just now. */
struct kernel_wishes {
        struct {
                enum kernel_wish stage;
                int64_t left; /* of KERNEL_WISH_OWED: what it read */
        } of[KERNEL_SETTING_COUNT];
};

/*
 * Before a decision: writes what can be written, and tells what is owed and what it would cost.
 * @sample: of now; gets the smart_scan that was written. Nothing here fails a decision.
 */
void kernel_settings_step(struct manager *manager, struct sample *sample);

/* "max_page_sharing=1000 …": configured and not in force, whatever the reason; "" if all is. */
void kernel_settings_owed(const struct manager *manager, char *buf, size_t size);
