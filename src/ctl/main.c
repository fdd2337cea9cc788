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
#include "ksmtuned/nearest.h"

static const struct ctl_verb verbs[] = {
        {"start", "", "let ksmd merge equal pages", ctl_start},
        {"stop", "", "stop ksmd; what is merged stays merged", ctl_stop},
        {"status", "[-b|--bytes] [-j|--json] [-v|--verbose]",
         "show what KSM does and what it saves", ctl_status},
        {"guests", "[-a|--all] [-b|--bytes] [-j|--json] [-r|--reverse] [--scan] [-s|--sort COLUMN]",
         "show who shares memory, how much, and who cannot", ctl_guests},
        {"watch", "[-i|--interval TIME] [-n|--count N] [-l|--log] [-c|--config FILE]",
         "show live what KSM does; --log prints a line for each change", ctl_watch},
        {"doctor",
         "[-v|--verbose] [-j|--json] [-c|--config FILE] [--check ID]... [--skip ID]... [--list]",
         "look for what keeps KSM from working well", ctl_doctor},
        {"retune", "[--no-wait]", "make ksmtuned decide now, and show what it decides", ctl_retune},
        {"unmerge", "[-n|--dry-run] [-f|--force] [-j|--json]",
         "undo all sharing, if memory has room for it", ctl_unmerge},
        {"settings", "[-a|--apply] [-n|--dry-run] [-y|--yes] [-j|--json] [-c|--config FILE]",
         "show the kernel's settings beside the configured ones, or set them", ctl_settings},
        {"exec", "[--] COMMAND [ARGUMENT...]", "run a command whose memory may be merged",
         ctl_exec},
        {"record",
         "[-i|--interval TIME] [-n|--count N] [-f|--format tsv|jsonl] [-j|--json] [-o|--output "
         "FILE] [-c|--config FILE]",
         "write a sample of the host each 10 s, for replay or a plot", ctl_record},
        {"replay",
         "[-c|--config FILE]... [-a|--at interval|sample|daemon] [-d|--decisions] [-j|--json] FILE",
         "what configurations would have done over a recording", ctl_replay},
};

#define N_VERBS (sizeof(verbs) / sizeof(verbs[0]))

#define USAGE_WIDTH 80

static void print_usage(FILE *stream)
{
        fprintf(stream, "usage: ksmctl [--root DIR] VERB [OPTION...]\n"
                        "       ksmctl --help | --version\n\n");
        for (size_t i = 0; i < N_VERBS; i++)
                fprintf(stream, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
        fprintf(stream, "\n"
                        "ksmctl VERB --help tells the options of a verb; ksmctl(8) tells all.\n"
                        "Exit status: 0 done, 1 failed, 2 wrong options; more in ksmctl(8).\n");
}

/* The end of the option, operand or "[-o|--option ARGUMENT]" that @text begins with. */
static const char *end_of_option(const char *text)
{
        unsigned depth = 0;

        for (; *text && (*text != ' ' || depth > 0); text++)
                if (*text == '[')
                        depth++;
                else if (*text == ']' && depth > 0)
                        depth--;
        return text;
}

/* These concern the processes of this host. */
static bool refuses_root(const struct ctl_verb *verb)
{
        return verb->run == ctl_retune || verb->run == ctl_exec;
}

/* In lines of 80 columns. The completion for bash reads this. */
static void print_verb_usage(FILE *stream, const struct ctl_verb *verb)
{
        const char *root = refuses_root(verb) ? "" : "[--root DIR] ";
        int indent = fprintf(stream, "usage: ksmctl %s%s", root, verb->name), column;

        column = indent + fprintf(stream, " [-h|--help]");
        for (const char *option = verb->options, *end; *option; option = end + (*end == ' ')) {
                end = end_of_option(option);
                if (column + (end - option) + 1 > USAGE_WIDTH)
                        column = fprintf(stream, "\n%*s", indent, "") - 1;
                column += fprintf(stream, " %.*s", (int)(end - option), option);
        }
        (void)fputc('\n', stream);
}

int ctl_verb_help(const struct ctl_verb *verb)
{
        print_verb_usage(stdout, verb);
        printf("\n  %s\n", verb->summary);
        return ctl_flush();
}

int ctl_verb_misuse(const struct ctl_verb *verb, const char *argument)
{
        warnx("%s: what is '%s'?", verb->name, argument);
        print_verb_usage(stderr, verb);
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

static const char *verb_name(size_t index)
{
        return verbs[index].name;
}

static int no_such_verb(const char *name)
{
        if (name) {
                size_t nearest = nearest_word(name, verb_name, N_VERBS);

                if (nearest < N_VERBS)
                        warnx("there is no verb '%s'; did you mean '%s'?", name,
                              verbs[nearest].name);
                else
                        warnx("there is no verb '%s'", name);
        }
        print_usage(stderr);
        return CTL_FAILURE;
}

static int run_verb(const char *root_path, int argc, char **argv)
{
        CLEANUP(sysroot_close) struct sysroot root = SYSROOT_INIT;
        const struct ctl_verb *verb = find_verb(argv[0]);
        int r;

        if (!verb)
                return no_such_verb(argv[0]);

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
