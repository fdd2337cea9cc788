/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl guests: who shares memory, how much, and who cannot. */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "guests.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/settings.h"

struct choice {
        bool all, bytes, json, reverse, scan;
        enum guest_column sort;
};

static void settings_freep(struct settings **settings)
{
        (void)settings_free(*settings);
}

static int find_column(const struct ctl_verb *verb, const char *name, enum guest_column *ret)
{
        for (int i = 0; i < GUEST_COLUMN_COUNT; i++)
                if (strcmp(name, guest_column_name((enum guest_column)i)) == 0) {
                        *ret = (enum guest_column)i;
                        return 0;
                }
        warnx("%s: --sort: there is no column '%s'; there are name, pid, rss, mergeable, merged, "
              "zero, profit, share, unit",
              verb->name, name);
        return -ENOENT;
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(const struct ctl_verb *verb, int argc, char **argv, struct choice *ret)
{
        static const struct option options[] = {
                {"all", no_argument, NULL, 'a'},  {"bytes", no_argument, NULL, 'b'},
                {"json", no_argument, NULL, 'j'}, {"reverse", no_argument, NULL, 'r'},
                {"scan", no_argument, NULL, 'S'}, {"sort", required_argument, NULL, 's'},
                {"help", no_argument, NULL, 'h'}, {0},
        };
        int c;

        while ((c = getopt_long(argc, argv, "abjrs:h", options, NULL)) != -1) {
                switch (c) {
                case 'a':
                        ret->all = true;
                        break;
                case 'b':
                        ret->bytes = true;
                        break;
                case 'j':
                        ret->json = true;
                        break;
                case 'r':
                        ret->reverse = true;
                        break;
                case 'S':
                        ret->scan = true;
                        break;
                case 's':
                        if (find_column(verb, optarg, &ret->sort) < 0)
                                return CTL_USAGE;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        if (optind < argc)
                return ctl_verb_misuse(verb, argv[optind]);
        return -1;
}

/*
 * The host's settings, for KSM_VM_MATCH; those of a daemon that runs with --config are its own.
 * Where the files are broken: the default, and a word on standard error.
 */
static int load_settings(const struct sysroot *root, struct settings **ret_settings)
{
        struct settings_problems problems = {0};
        int r = settings_load(ret_settings, root, NULL, &problems);

        for (size_t i = 0; i < problems.n; i++) {
                const struct settings_problem *problem = &problems.list[i];

                if (problem->is_error && problem->line > 0)
                        warnx("%s:%u: %s", problem->file, problem->line, problem->text);
                else if (problem->is_error)
                        warnx("%s: %s", problem->file, problem->text);
        }
        settings_problems_clear(&problems);
        if (r == -EBADMSG) {
                warnx("going on with the default of KSM_VM_MATCH");
                r = settings_new(ret_settings);
        }
        return r;
}

/* The daemon's word where it will do; then what is a guest is told by the daemon's settings, too.
 */
static int find(const struct sysroot *root, const struct choice *choice, struct guest_table *ret)
{
        CLEANUP(settings_freep) struct settings *settings = NULL;
        int r = choice->all || choice->scan ? 0 : guest_table_read_known(root, ret);

        if (r != 0)
                return r < 0 ? r : 0;
        r = load_settings(root, &settings);
        return r < 0 ? r
                     : guest_table_read(root, (const char *const *)settings->vm_match, choice->all,
                                        ret);
}

static int print(const struct sysroot *root, const struct choice *choice)
{
        CLEANUP(guest_table_clear) struct guest_table table = {0};
        int r = find(root, choice, &table);

        if (r < 0) {
                warnx("cannot look for guests: %s", strerror(-r));
                return CTL_FAILURE;
        }
        guest_table_sort(&table, choice->sort, choice->reverse);
        r = choice->json ? guest_table_print_json(&table)
                         : guest_table_print(&table, choice->bytes);
        if (r < 0) {
                warnx("cannot print the guests: %s", strerror(-r));
                return CTL_FAILURE;
        }
        return ctl_flush();
}

int ctl_guests(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        struct choice choice = {.sort = GUEST_COLUMN_MERGED};
        int r = parse_options(verb, argc, argv, &choice);

        if (r >= 0)
                return r;
        r = ksm_supported(root);
        if (r == 0)
                warnx("this kernel has no KSM (there is no " KSM_FOLDER ")");
        else if (r < 0)
                warnx("cannot look at " KSM_FOLDER ": %s", strerror(-r));
        return r == 1 ? print(root, &choice) : CTL_FAILURE;
}
