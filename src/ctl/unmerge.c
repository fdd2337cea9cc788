/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl unmerge: undoes all sharing, if memory has room for it. */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "unmerge.h"

struct unmerge_options {
        bool dry_run, force, json;
};

/* Return: -1 to go on, else the exit status. */
static int parse_options(const struct ctl_verb *verb, int argc, char **argv,
                         struct unmerge_options *ret_options)
{
        static const struct option options[] = {{"dry-run", no_argument, NULL, 'n'},
                                                {"force", no_argument, NULL, 'f'},
                                                {"json", no_argument, NULL, 'j'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        int c;

        while ((c = getopt_long(argc, argv, "nfjh", options, NULL)) != -1) {
                switch (c) {
                case 'n':
                        ret_options->dry_run = true;
                        break;
                case 'f':
                        ret_options->force = true;
                        break;
                case 'j':
                        ret_options->json = true;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        return optind < argc ? ctl_verb_misuse(verb, argv[optind]) : -1;
}

int ctl_unmerge(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        struct unmerge_options options = {.force = false};
        struct unmerge_plan plan;
        bool refused;
        int r = parse_options(verb, argc, argv, &options);

        if (r >= 0)
                return r;
        r = unmerge_plan(root, &plan);
        if (r < 0)
                return unmerge_look_failed("unmerge", r);
        refused =
                plan.refusal == UNMERGE_AT_WORK || (plan.refusal != UNMERGE_GOES && !options.force);

        r = options.json ? unmerge_plan_print_json(&plan) : unmerge_plan_print(&plan);
        if (r < 0) {
                warnx("unmerge: cannot print the plan: %s", strerror(-r));
                return CTL_FAILURE;
        }
        /* Who asks for JSON asks for the plan; and one that nobody could read is no consent. */
        r = ctl_flush();
        if (r != CTL_SUCCESS)
                return r;
        if (refused) {
                unmerge_plan_refuse(&plan);
                return CTL_FAILURE;
        }
        if (options.dry_run || options.json)
                return CTL_SUCCESS;
        return unmerge_work(root, &plan.start, options.force);
}
