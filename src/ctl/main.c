/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl, for people and units: picks the verb. */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ksmtuned-config.h"
#include "ksmtuned/cleanup.h"

static const struct ctl_verb verbs[] = {
        {"start", "", "let ksmd merge equal pages", ctl_start},
        {"stop", "", "stop ksmd; what is merged stays merged", ctl_stop},
        {"status", "[-b|--bytes] [-j|--json]", "show what KSM does and what it saves", ctl_status},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

static void print_usage(FILE *stream)
{
        fprintf(stream, "usage: ksmctl [--root DIR] VERB [OPTION...]\n"
                        "       ksmctl --help | --version\n\n");
        for (size_t i = 0; i < N_VERBS; i++)
                fprintf(stream, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
        fprintf(stream, "\nksmctl VERB --help tells the options of a verb; ksmctl(8) tells all.\n");
}

int ctl_verb_help(const struct ctl_verb *verb)
{
        printf("usage: ksmctl [--root DIR] %s%s%s [-h|--help]\n\n  %s\n", verb->name,
               *verb->options ? " " : "", verb->options, verb->summary);
        return ctl_flush();
}

int ctl_verb_misuse(const struct ctl_verb *verb, const char *argument)
{
        warnx("%s: what is '%s'?", verb->name, argument);
        fprintf(stderr, "usage: ksmctl [--root DIR] %s%s%s [-h|--help]\n", verb->name,
                *verb->options ? " " : "", verb->options);
        return CTL_USAGE;
}

int ctl_no_options(const struct ctl_verb *verb, int argc, char **argv)
{
        static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
        int c = getopt_long(argc, argv, "h", options, NULL);

        if (c == 'h')
                return ctl_verb_help(verb);
        if (c != -1)
                return ctl_verb_misuse(verb, argv[optind - 1]);
        if (optind < argc)
                return ctl_verb_misuse(verb, argv[optind]);
        return -1;
}

int ctl_flush(void)
{
        if (fflush(stdout) == 0 && !ferror(stdout))
                return CTL_SUCCESS;
        warnx("cannot write to standard output: %s", strerror(errno));
        return CTL_FAILURE;
}

static const struct ctl_verb *find_verb(const char *name)
{
        for (size_t i = 0; name && i < N_VERBS; i++)
                if (strcmp(name, verbs[i].name) == 0)
                        return &verbs[i];
        return NULL;
}

static int run_verb(const char *root_path, int argc, char **argv)
{
        CLEANUP(sysroot_close) struct sysroot root = SYSROOT_INIT;
        const struct ctl_verb *verb = find_verb(argv[0]);
        int r;

        if (!verb) {
                if (argv[0])
                        warnx("there is no verb '%s'", argv[0]);
                print_usage(stderr);
                return CTL_FAILURE;
        }

        r = sysroot_open(&root, root_path);
        if (r < 0) {
                warnx("cannot open the root %s: %s", root_path, strerror(-r));
                return CTL_FAILURE;
        }

        optind = 0; /* a new argv for getopt_long() */
        return verb->run(verb, &root, argc, argv);
}

int main(int argc, char **argv)
{
        enum { OPT_ROOT = 256 };
        static const struct option options[] = {{"root", required_argument, NULL, OPT_ROOT},
                                                {"help", no_argument, NULL, 'h'},
                                                {"version", no_argument, NULL, 'V'},
                                                {0}};
        const char *root_path = "/";
        int c;

        /* Only characters: numbers in tables and JSON keep their decimal point everywhere. */
        (void)setlocale(LC_CTYPE, "");
        opterr = 0;

        while ((c = getopt_long(argc, argv, "+hV", options, NULL)) != -1) {
                switch (c) {
                case OPT_ROOT:
                        root_path = optarg;
                        break;
                case 'h':
                        print_usage(stdout);
                        return ctl_flush();
                case 'V':
                        printf("ksmctl %s\n", KSMTUNED_VERSION);
                        return ctl_flush();
                default:
                        /* To the original such a word was an unknown verb: 1, not 2. */
                        warnx("what is '%s'?", argv[optind - 1]);
                        print_usage(stderr);
                        return CTL_FAILURE;
                }
        }
        return run_verb(root_path, argc - optind, argv + optind);
}
