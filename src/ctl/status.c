/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmctl status: the kernel's figures, live, and beside them the daemon's last decision.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "status.h"

/* What keeps the figures from being told, one line on standard error. Return: the exit status. */
static int complain(const struct status *status)
{
        if (status->supported == 0)
                warnx("this kernel has no KSM (there is no " KSM_FOLDER ")");
        else if (status->supported < 0)
                warnx("cannot look at " KSM_FOLDER ": %s", status_error_text(status->supported));
        else if (!status_any_figure(status))
                warnx("nothing in " KSM_FOLDER " can be read: %s",
                      status_error_text(status->error[KSM_RUN]));
        else
                return CTL_SUCCESS;
        return CTL_FAILURE;
}

static int print_text(const struct status *status, bool bytes, bool verbose)
{
        int r = status_print_daemon(status, bytes);

        if (r < 0)
                return r;
        (void)putchar('\n');
        return status_print_kernel(status, bytes, verbose);
}

int ctl_status(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        static const struct option options[] = {{"bytes", no_argument, NULL, 'b'},
                                                {"json", no_argument, NULL, 'j'},
                                                {"verbose", no_argument, NULL, 'v'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        bool bytes = false, json = false, verbose = false;
        struct status status;
        int c, r, outcome;

        while ((c = getopt_long(argc, argv, "bjvh", options, NULL)) != -1) {
                switch (c) {
                case 'b':
                        bytes = true;
                        break;
                case 'j':
                        json = true;
                        break;
                case 'v':
                        verbose = true;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        if (optind < argc)
                return ctl_verb_misuse(verb, argv[optind]);

        status_read(root, status_now_usec(), &status);
        outcome = complain(&status);
        if (outcome != CTL_SUCCESS && !json)
                return outcome;

        r = json ? status_print_json(&status) : print_text(&status, bytes, verbose);
        if (r < 0) {
                warnx("cannot print the status: %s", strerror(-r));
                return CTL_FAILURE;
        }
        r = ctl_flush();
        return r != CTL_SUCCESS ? r : outcome;
}
