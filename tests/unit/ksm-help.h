/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A made-up host's KSM. Include cmocka.h before. */

#include <stdio.h>

#include "ksmtuned/ksm.h"
#include "made-up-root.h"

static inline const char *ksm_path(enum ksm_attribute attribute, char buf[96])
{
        (void)snprintf(buf, 96, KSM_FOLDER "/%s", ksm_attribute_info(attribute)->name);
        return buf;
}

static inline void put_ksm(const struct made_up_root *host, enum ksm_attribute attribute,
                           const char *text)
{
        char path[96];

        put(host, ksm_path(attribute, path), text);
}

static inline void assert_ksm(const struct made_up_root *host, enum ksm_attribute attribute,
                              const char *text)
{
        char path[96];

        assert_file(host, ksm_path(attribute, path), text);
}
