/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmctl exec: a command whose memory ksmd may merge, all of it and that of its children too. No
 * program has to know of KSM for that.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "ctl.h"

/* Since Linux 6.4; the headers may be older. */
#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#endif

static int become_mergeable(void)
{
        if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0) == 0)
                return CTL_SUCCESS;
        if (errno == EINVAL)
                warnx("exec: this kernel cannot make a process mergeable from outside (it takes "
                      "Linux 6.4 with CONFIG_KSM=y)");
        else if (errno == EPERM)
                warnx("exec: not permitted to make a process mergeable: a container may forbid it, "
                      "and "
                      "a kernel want CAP_SYS_RESOURCE for it");
        else
                warn("exec: cannot make the process mergeable");
        return CTL_EXEC_FAILURE;
}

int ctl_exec(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
        int c = getopt_long(argc, argv, "+h", options, NULL), r;

        if (c == 'h')
                return ctl_verb_help(verb);
        if (c != -1)
                return ctl_verb_misuse(verb, argv[optind - 1]);
        if (root->made_up) {
                warnx("exec: a command runs on this host, not in another root: leave --root out");
                return CTL_USAGE;
        }
        if (optind == argc) {
                warnx("exec: which command?");
                return CTL_USAGE;
        }

        r = become_mergeable();
        if (r != CTL_SUCCESS)
                return r;
        (void)execvp(argv[optind], argv + optind);
        r = errno == ENOENT ? CTL_EXEC_NOT_FOUND : CTL_EXEC_DENIED;
        warn("exec: cannot run '%s'", argv[optind]);
        return r;
}
