/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Options that several verbs have. */

#include <ctype.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "ksmtuned/settings.h"
#include "sampler.h"

static bool parse_interval(const struct ctl_verb *verb, const char *text, uint64_t *ret_usec)
{
        if (settings_interval(text, ret_usec) == 0)
                return true;
        warnx("%s: the interval is '%s'; a time from 0.1 s to 1 day is accepted: 10, 0.5, 2m, 1h",
              verb->name, text);
        return false;
}

static bool parse_count(const struct ctl_verb *verb, const char *text, uint64_t *ret_count)
{
        unsigned long long value;
        char *end;

        errno = 0;
        value = isdigit((unsigned char)*text) ? strtoull(text, &end, 10) : 0;
        if (value > 0 && errno == 0 && *end == '\0') {
                *ret_count = value;
                return true;
        }
        warnx("%s: the count is '%s'; a whole number from 1 on is accepted", verb->name, text);
        return false;
}

int sampling_option(struct sampling *sampling, const struct ctl_verb *verb, int c, char **argv)
{
        switch (c) {
        case 'i':
                return parse_interval(verb, optarg, &sampling->interval_usec) ? -1 : CTL_USAGE;
        case 'n':
                return parse_count(verb, optarg, &sampling->count) ? -1 : CTL_USAGE;
        case 'c':
                sampling->config = optarg;
                return -1;
        case 'h':
                return ctl_verb_help(verb);
        default:
                return ctl_verb_misuse(verb, argv[optind - 1]);
        }
}
