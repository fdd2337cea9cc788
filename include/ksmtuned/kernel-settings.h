/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The settings of the kernel's KSM that an administrator may want to have set from boot on. Types
 * alone: config reads the wishes, host knows the kernel.
 */

#include <stdint.h>

enum kernel_setting {
        KERNEL_MERGE_ACROSS_NODES, /* only with NUMA */
        KERNEL_MAX_PAGE_SHARING,
        KERNEL_USE_ZERO_PAGES,
        KERNEL_SMART_SCAN,
        KERNEL_SETTING_COUNT,
};

/* The kernel's value is left alone. */
#define KERNEL_SETTING_UNSET INT64_C(-1)

struct kernel_settings {
        int64_t value[KERNEL_SETTING_COUNT];
};
