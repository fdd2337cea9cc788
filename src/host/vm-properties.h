/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The properties of an option's value, as QEMU and cloud-hypervisor write them: "TYPE,KEY=VALUE,…"
 * where a comma within a value is written twice, or a JSON object. The last of several wins. Pure.
 * All return whether there is such a property, and leave ret_ arguments untouched if not, or if
 * its value is none of the kind.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool property_text(const char *value, const char *key, char *ret, size_t size);

/* on, yes, true, y and their opposites; a key alone is on. */
bool property_boolean(const char *value, const char *key, bool *ret);
bool property_is_true(const char *value, const char *key);

/* In bytes: "512M", "4G", "1073741824"; too large a number becomes UINT64_MAX. */
bool property_size(const char *value, const char *key, uint64_t *ret);

/* An object's type: the first word, or qom-type. */
bool property_type(const char *value, char *ret, size_t size);
