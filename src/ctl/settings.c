/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl settings: its options, and the question before all is unmerged. */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/settings.h"
#include "sampler.h"
#include "settings.h"
#include "unmerge.h"

struct options {
        bool apply, dry_run, yes, json;
        const char *config;
};

static void cleanup_settings(struct settings **settings)
{
        *settings = settings_free(*settings);
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(const struct ctl_verb *verb, int argc, char **argv,
                         struct options *ret_options)
{
        static const struct option options[] = {{"apply", no_argument, NULL, 'a'},
                                                {"dry-run", no_argument, NULL, 'n'},
                                                {"yes", no_argument, NULL, 'y'},
                                                {"json", no_argument, NULL, 'j'},
                                                {"config", required_argument, NULL, 'c'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        int c;

        while ((c = getopt_long(argc, argv, "anyjc:h", options, NULL)) != -1) {
                switch (c) {
                case 'a':
                        ret_options->apply = true;
                        break;
                case 'n':
                        ret_options->dry_run = true;
                        break;
                case 'y':
                        ret_options->yes = true;
                        break;
                case 'j':
                        ret_options->json = true;
                        break;
                case 'c':
                        ret_options->config = optarg;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        return optind < argc ? ctl_verb_misuse(verb, argv[optind]) : -1;
}

/* Return: whether somebody at a terminal agrees. */
static bool ask(void)
{
        char answer[16];

        if (!isatty(STDIN_FILENO)) {
                warnx("settings: refused: all would be unmerged, and there is no terminal to ask "
                      "at; --yes does it unasked");
                return false;
        }
        (void)printf("Unmerge all, and set them? [y/N] ");
        (void)fflush(stdout);
        if (fgets(answer, sizeof(answer), stdin) &&
            (strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 ||
             strcmp(answer, "yes\n") == 0))
                return true;
        warnx("settings: nothing was changed");
        return false;
}

static int apply(const struct sysroot *root, const struct settings_plan *plan,
                 const struct options *options)
{
        if (plan->needs_unmerge && plan->refusal != SETTINGS_GO) {
                settings_plan_refuse(plan);
                return CTL_FAILURE;
        }
        if (options->dry_run || options->json || !plan->any_change)
                return CTL_SUCCESS;
        if (plan->needs_unmerge && !options->yes && !ask())
                return CTL_FAILURE;
        return settings_work(root, plan);
}

int ctl_settings(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        CLEANUP(cleanup_settings) struct settings *settings = NULL;
        struct options options = {.config = NULL};
        struct settings_plan plan;
        int r = parse_options(verb, argc, argv, &options);

        if (r >= 0)
                return r;
        if (ctl_load_settings(root, options.config, &settings) < 0)
                return CTL_FAILURE;
        r = settings_plan(root, &settings->kernel, &plan);
        if (r < 0)
                return unmerge_look_failed("settings", r);
        r = options.json ? settings_plan_print_json(&plan) : settings_plan_print(&plan);
        if (r < 0) {
                warnx("settings: cannot print the settings: %s", strerror(-r));
                return CTL_FAILURE;
        }
        /* A plan that nobody could read is no consent. */
        r = ctl_flush();
        if (r != CTL_SUCCESS || !options.apply)
                return r;
        return apply(root, &plan, &options);
}
