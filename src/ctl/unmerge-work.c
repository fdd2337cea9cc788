/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What became of an unmerge, in words, and the end of ksmctl unmerge. */

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/reason.h"
#include "unmerge.h"

#define SIZE_TEXT 32

static const char *bytes_text(char *buf, int64_t bytes)
{
        return format_kb(buf, SIZE_TEXT, bytes / 1024);
}

void unmerge_complain(const char *verb, const struct unmerge_outcome *outcome,
                      const char *of_shortage)
{
        if (outcome->loop_error < 0)
                warnx("%s: %s", verb, strerror(-outcome->loop_error));
        else if (outcome->error != 0)
                warnx("%s: writing 2 to " KSM_FOLDER "/run: %s", verb, strerror(outcome->error));
        else if (outcome->by_shortage)
                warnx("%s: stopped, as memory runs short%s", verb, of_shortage);
        else if (outcome->by_signal != 0)
                warnx("%s: interrupted (%s)", verb, strsignal(outcome->by_signal));
        else if (outcome->killed)
                warnx("%s: the process that unmerges was killed; if memory ran out, the kernel "
                      "did it",
                      verb);
}

/* All went well: an ordinary stop is what remains, and what is asked for next is done anew. */
static int finish(const struct sysroot *root, const struct unmerge_figures *start, uint64_t usec)
{
        struct unmerge_figures now = *start;
        char freed[SIZE_TEXT], left[SIZE_TEXT], span[48];
        int r;

        (void)format_usec(span, sizeof(span), usec);
        (void)unmerge_look(root, &now);
        r = ksm_set(root, KSM_RUN, KSM_RUN_STOP);
        (void)printf("unmerged in %s: %s that merging saved are given up\n", span,
                     bytes_text(freed, saturating_add(start->saved_bytes, -now.saved_bytes)));
        if (now.merged_bytes > 0)
                (void)printf("%s are still counted as merged\n",
                             bytes_text(left, now.merged_bytes));
        if (r == 0)
                return ctl_flush();
        (void)ctl_flush();
        warnx("unmerge: run stays 2: cannot write 0 to it: %s", strerror(-r));
        return CTL_FAILURE;
}

/* What stays, and what to do about it. Return: the exit status. */
static int tell_rest(const struct sysroot *root, const struct unmerge_figures *start)
{
        struct unmerge_figures now;
        char left[SIZE_TEXT], done[SIZE_TEXT];
        int64_t left_bytes;

        if (unmerge_look(root, &now) < 0)
                return CTL_UNFINISHED;
        left_bytes = unmerge_left_bytes(start, &now);
        (void)printf("%s are unmerged, about %s are still merged; run is %lld: %s\n"
                     "'ksmctl unmerge' goes on with it, 'ksmctl start' merges again\n",
                     bytes_text(done, start->merged_bytes - left_bytes),
                     bytes_text(left, left_bytes), (long long)now.run,
                     now.run == KSM_RUN_MERGE ? "ksmd looks for equal pages" : "ksmd sleeps");
        (void)ctl_flush();
        return CTL_UNFINISHED;
}

/* Nothing was begun then. */
static bool may_not_write(int error)
{
        return error == EACCES || error == EPERM || error == EROFS || error == EOPNOTSUPP;
}

int unmerge_work(const struct sysroot *root, const struct unmerge_figures *start, bool force)
{
        struct unmerge_outcome outcome;

        unmerge_run(root, start, force, &outcome);
        if (unmerge_is_done(&outcome))
                return finish(root, start, outcome.usec);
        unmerge_complain("unmerge", &outcome, "; --force would go on");
        if (outcome.loop_error == 0 && may_not_write(outcome.error))
                return CTL_FAILURE;
        return tell_rest(root, start);
}
