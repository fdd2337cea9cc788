/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmctl doctor: looks for what keeps KSM from working well on this host.
 */

#include "doctor.h"

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"

static const struct doctor_check *find_check(const char *id)
{
        for (size_t i = 0; i < doctor_n_checks; i++)
                if (strcmp(doctor_checks[i].id, id) == 0)
                        return &doctor_checks[i];
        warnx("doctor: there is no check '%s'; ksmctl doctor --list names them", id);
        return NULL;
}

/* The first --check leaves the others out. Return: whether there is such a check. */
static bool choose(bool *chosen, const char *id, bool wanted, bool *any_check)
{
        const struct doctor_check *check = find_check(id);

        if (!check)
                return false;
        if (wanted && !*any_check)
                for (size_t i = 0; i < doctor_n_checks; i++)
                        chosen[i] = false;
        *any_check |= wanted;
        chosen[check - doctor_checks] = wanted;
        return true;
}

static int list_checks(void)
{
        for (size_t i = 0; i < doctor_n_checks; i++)
                (void)printf("%-18s %s\n", doctor_checks[i].id, doctor_checks[i].title);
        return ctl_flush();
}

/* What the worst finding is worth. What could not be checked is no finding. */
static int exit_status(const struct finding *findings, const bool *chosen)
{
        int status = CTL_SUCCESS;

        for (size_t i = 0; i < doctor_n_checks; i++) {
                if (!chosen[i])
                        continue;
                if (findings[i].verdict == DOCTOR_TROUBLE)
                        return CTL_TROUBLE;
                if (findings[i].verdict == DOCTOR_ADVICE)
                        status = CTL_ADVICE;
        }
        return status;
}

static int examine(const struct sysroot *root, const char *config_file, const bool *chosen,
                   bool json, bool verbose)
{
        struct finding findings[DOCTOR_MAX_CHECKS] = {0};
        CLEANUP(doctor_facts_clear) struct doctor_facts facts = {0};
        int r = doctor_gather(root, config_file, &facts);

        if (r == 0) {
                for (size_t i = 0; i < doctor_n_checks; i++)
                        if (chosen[i])
                                doctor_run(&doctor_checks[i], &facts, &findings[i]);
                if (json)
                        r = doctor_print_json(&facts, findings, chosen);
                else
                        doctor_print_text(&facts, findings, chosen, verbose);
        }
        if (r < 0) {
                warnx("cannot examine this host: %s", strerror(-r));
                return CTL_TROUBLE;
        }
        return ctl_flush() == CTL_SUCCESS ? exit_status(findings, chosen) : CTL_TROUBLE;
}

int ctl_doctor(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        enum { OPT_CHECK = 256, OPT_SKIP, OPT_LIST };
        static const struct option options[] = {{"check", required_argument, NULL, OPT_CHECK},
                                                {"skip", required_argument, NULL, OPT_SKIP},
                                                {"list", no_argument, NULL, OPT_LIST},
                                                {"config", required_argument, NULL, 'c'},
                                                {"json", no_argument, NULL, 'j'},
                                                {"verbose", no_argument, NULL, 'v'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        bool chosen[DOCTOR_MAX_CHECKS] = {false}, json = false, verbose = false, any_check = false;
        const char *config_file = NULL;
        int c;

        for (size_t i = 0; i < doctor_n_checks; i++)
                chosen[i] = true;
        while ((c = getopt_long(argc, argv, "c:jvh", options, NULL)) != -1) {
                switch (c) {
                case OPT_CHECK:
                case OPT_SKIP:
                        if (!choose(chosen, optarg, c == OPT_CHECK, &any_check))
                                return CTL_USAGE;
                        break;
                case OPT_LIST:
                        return list_checks();
                case 'c':
                        config_file = optarg;
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
        return examine(root, config_file, chosen, json, verbose);
}
