/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The command line. */

#include <stdbool.h>

struct options {
        const char *config; /* NULL: the host's own */
        const char *root;   /* "/" */
        bool foreground;
        bool once;
        bool dry_run;
        bool debug;
        bool check_config;
        bool give_back;
};

/* Exit statuses, as ksmtuned(8) lists them. */
enum { STATUS_OK = 0, STATUS_FAILURE = 1, STATUS_USAGE = 2, STATUS_CONFIG = 78 };

/*
 * Parses the command line; what is to be said about it is said here, since nothing else runs yet.
 * Return: -1 to go on; else the status to exit with.
 */
int options_parse(int argc, char **argv, struct options *ret_options);
