/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * ksm_set() that fails on demand (--wrap=ksm_set), as the kernel does while pages are merged. One
 * file of a program includes it.
 */

#include "ksm-help.h"

static struct {
        enum ksm_attribute attribute;
        int error;         /* 0: none fails */
        unsigned n_before; /* so many writes of it that go well before */
        unsigned n_writes; /* of any attribute, those that failed too */
} ksm_set_fails;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_ksm_set(const struct sysroot *root, enum ksm_attribute attribute, int64_t value);
int __wrap_ksm_set(const struct sysroot *root, enum ksm_attribute attribute, int64_t value);

int __wrap_ksm_set(const struct sysroot *root, enum ksm_attribute attribute, int64_t value)
{
        ksm_set_fails.n_writes++;
        if (ksm_set_fails.error != 0 && ksm_set_fails.attribute == attribute &&
            ksm_set_fails.n_before-- == 0) {
                ksm_set_fails.n_before = 0;
                return ksm_set_fails.error;
        }
        return __real_ksm_set(root, attribute, value);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
