/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What ksm.c and ksm-reader.c share: which attributes a sample has, however they are read. */

#include "ksmtuned/ksm.h"

#define KSM_TEXT_SIZE 64 /* of an attribute */

typedef int ksm_getter(void *userdata, enum ksm_attribute attribute, int64_t *ret_value);

/* ksm_sample(), with @get in the place of ksm_get(). */
int ksm_sample_by(ksm_getter *get, void *userdata, struct ksm_sample *ret_sample);

/* Parses the text of a schedstat file: ns on the CPU.
 * Return: 0; -EBADMSG, also for "0 0 0", with which a kernel says that it keeps no figures. */
int ksm_schedstat_parse(const char *text, int64_t *ret_nsec);
