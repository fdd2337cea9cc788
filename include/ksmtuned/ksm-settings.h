/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the kernel has of kernel-settings.h, and how it comes to what is wanted.
 *
 * use_zero_pages and smart_scan can be written at any time. merge_across_nodes and
 * max_page_sharing are refused (-EBUSY) while pages are shared: all has to be unmerged before,
 * which takes the memory that merging saves.
 */

#include <stdbool.h>
#include <stddef.h>

#include "ksmtuned/kernel-settings.h"
#include "ksmtuned/ksm.h"

struct kernel_setting_info {
        const char *key; /* of ksmtuned.conf */
        enum ksm_attribute attribute;
        bool needs_unshared; /* refused while pages are shared */
};

const struct kernel_setting_info *kernel_setting_info(enum kernel_setting setting);
/* The name of its file. */
const char *kernel_setting_name(enum kernel_setting setting);

enum kernel_setting_state {
        KERNEL_SETTING_UNWANTED, /* nothing is configured */
        KERNEL_SETTING_RIGHT,    /* reads as wanted */
        KERNEL_SETTING_ABSENT,   /* this kernel has no such file */
        KERNEL_SETTING_UNREAD,   /* cannot be read: error */
        KERNEL_SETTING_DUE,      /* differs, and can be written now */
        KERNEL_SETTING_BLOCKED,  /* differs, and pages are shared */
};

struct kernel_setting_look {
        int64_t want;
        int64_t now; /* SAMPLE_ABSENT: nobody wants it, or it is not there */
        enum kernel_setting_state state;
        int error; /* of KERNEL_SETTING_UNREAD */
};

/*
 * How a setting that reads @now (a value, or an error of ksm_get()) is; pure. @pages_shared: as the
 * kernel counts them; SAMPLE_ABSENT does not block.
 */
struct kernel_setting_look kernel_setting_judge(enum kernel_setting setting, int64_t want,
                                                int read_error, int64_t now, int64_t pages_shared);

/* Reads those that are wanted, and judges each. */
void kernel_settings_look(const struct sysroot *root, const struct kernel_settings *want,
                          struct kernel_setting_look looks[KERNEL_SETTING_COUNT]);

/* Whether one of them is in that state. */
bool kernel_settings_any(const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                         enum kernel_setting_state state);

/* "max_page_sharing is 256 (1000 is configured)", those in that state, with "and" between them. */
const char *kernel_settings_list(char *buf, size_t size,
                                 const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                                 enum kernel_setting_state state);

/*
 * Writes all that is KERNEL_SETTING_DUE or BLOCKED; if one fails, those written before are put
 * back, last first. @ret_failed names it, KERNEL_SETTING_COUNT if none; @ret_restored (may be
 * NULL): whether all read as before. Return: 0; what the kernel said.
 */
int kernel_settings_write(const struct sysroot *root,
                          const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                          enum kernel_setting *ret_failed, bool *ret_restored);
