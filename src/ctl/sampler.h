/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Samples of the host for record and watch: what a decision needs, and what KSM does. */

#include <stdint.h>

#include "ctl.h"
#include "ksmtuned/guests.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/recording.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/sysroot.h"

struct sampler {
        const struct sysroot *root;
        struct settings *settings; /* owned; whose guests are counted, and by what */
        struct guests *guests;     /* owned */
        struct ksmd ksmd;
        struct guests_scan_info scan; /* of the last sample */
        const char *failed;           /* what could not be read for the last sample */
};

#define SAMPLER_INIT \
        {            \
                0    \
        }

/*
 * @config: a file of ksmtuned.conf(5), or NULL for the host's. Complains about it, and about
 * whatever else fails, on standard error. Return: 0; -errno.
 */
int sampler_open(struct sampler *sampler, const struct sysroot *root, const char *config);
void sampler_close(struct sampler *sampler);

/*
 * Takes a sample. What this kernel does not have, or what may not be read, is not known in it, but
 * for what a policy needs. Return: 0; -errno, with sampler->failed the name of what failed.
 */
int sampler_take(struct sampler *sampler, struct recording_row *ret_row);

/* Facts about the host. */
void sampler_header(const struct sampler *sampler, uint64_t interval_usec,
                    struct recording_header *ret_header);

/* "cannot read WHAT: WHY" for people. Return: @buf. */
const char *sampler_failure(const struct sampler *sampler, int error, char *buf, size_t size);

/*
 * Reads a configuration and tells its problems on standard error, as sampler_open() does.
 * Return: 0; -errno.
 */
int ctl_load_settings(const struct sysroot *root, const char *config,
                      struct settings **ret_settings);

/* What verbs that take samples have in common: --interval, --count, --config. */
struct sampling {
        uint64_t interval_usec;
        uint64_t count;     /* 0: until it is ended */
        const char *config; /* NULL: the host's */
};

/*
 * Takes such an option, or --help, or one that is none: @c of getopt_long(), which has just read
 * @argv. Return: -1 to go on, else the exit status.
 */
int sampling_option(struct sampling *sampling, const struct ctl_verb *verb, int c, char **argv);
