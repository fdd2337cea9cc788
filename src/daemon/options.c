/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "options.h"

#include <getopt.h>
#include <stdio.h>

#include "ksmtuned-config.h"

static const char usage[] =
        "Usage: ksmtuned [OPTION]...\n"
        "Decide when the kernel merges equal memory pages of virtual machines, and how hard.\n"
        "\n"
        "  -f, --foreground     stay in the foreground (a service manager wants this)\n"
        "  -c, --config FILE    read FILE instead of /etc/ksmtuned.conf and ksmtuned.conf.d\n"
        "      --root DIR       take DIR/proc, DIR/sys, DIR/etc, DIR/run, DIR/var for the host\n"
        "      --once           decide once, apply it, exit\n"
        "  -n, --dry-run        decide and tell, but leave KSM alone\n"
        "  -d, --debug          the DEBUG lines on standard error, whatever the file says\n"
        "      --check-config   check the configuration and exit\n"
        "      --give-back      set the knobs back that a crashed ksmtuned had taken, and exit\n"
        "  -V, --version        print the version and exit\n"
        "  -h, --help           print this and exit\n"
        "\n"
        "Without options it goes to the background. SIGUSR1: decide now. SIGHUP: read the\n"
        "configuration again. See ksmtuned(8) and ksmtuned.conf(5).\n";

enum { OPTION_ROOT = 256, OPTION_ONCE, OPTION_CHECK_CONFIG, OPTION_GIVE_BACK };

static const struct option long_options[] = {
        {"foreground", no_argument, NULL, 'f'},
        {"config", required_argument, NULL, 'c'},
        {"root", required_argument, NULL, OPTION_ROOT},
        {"once", no_argument, NULL, OPTION_ONCE},
        {"dry-run", no_argument, NULL, 'n'},
        {"debug", no_argument, NULL, 'd'},
        {"check-config", no_argument, NULL, OPTION_CHECK_CONFIG},
        {"give-back", no_argument, NULL, OPTION_GIVE_BACK},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
};

int options_parse(int argc, char **argv, struct options *ret_options)
{
        struct options options = {.root = "/"};
        int c;

        while ((c = getopt_long(argc, argv, "fc:ndVh", long_options, NULL)) >= 0) {
                switch (c) {
                case 'f':
                        options.foreground = true;
                        break;
                case 'c':
                        options.config = optarg;
                        break;
                case OPTION_ROOT:
                        options.root = optarg;
                        break;
                case OPTION_ONCE:
                        options.once = true;
                        break;
                case 'n':
                        options.dry_run = true;
                        break;
                case 'd':
                        options.debug = true;
                        break;
                case OPTION_CHECK_CONFIG:
                        options.check_config = true;
                        break;
                case OPTION_GIVE_BACK:
                        options.give_back = true;
                        break;
                case 'V':
                        (void)printf("ksmtuned %s\n", KSMTUNED_VERSION);
                        return STATUS_OK;
                case 'h':
                        (void)fputs(usage, stdout);
                        return STATUS_OK;
                default:
                        (void)fputs("Try 'ksmtuned --help'.\n", stderr);
                        return STATUS_USAGE;
                }
        }
        if (optind < argc) {
                (void)fprintf(stderr,
                              "ksmtuned: '%s': no arguments are taken, only options\n"
                              "Try 'ksmtuned --help'.\n",
                              argv[optind]);
                return STATUS_USAGE;
        }
        *ret_options = options;
        return -1;
}
