/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The work of ksmctl settings --apply, stage by stage, and the way back from each. */

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "ksmtuned/reason.h"
#include "retune.h"
#include "settings.h"
#include "unmerge.h"

#define SIZE_TEXT 32

/* From here on nothing may end us between two stages; the unmerge itself listens to them. */
static int hold_signals(void)
{
        sigset_t block;

        (void)sigemptyset(&block);
        (void)sigaddset(&block, SIGINT);
        (void)sigaddset(&block, SIGTERM);
        (void)sigaddset(&block, SIGHUP);
        return sigprocmask(SIG_BLOCK, &block, NULL) < 0 ? -errno : 0;
}

/* Return: whether run is as it was. */
static bool restore_run(const struct sysroot *root, int64_t before)
{
        int64_t now;
        int r = ksm_get(root, KSM_RUN, &now);

        if (r == 0 && now != before)
                r = ksm_set(root, KSM_RUN, before);
        if (r < 0)
                warnx("settings: run is not as before, %" PRId64 ": cannot write it: %s", before,
                      strerror(-r));
        return r == 0;
}

static void tell_written(const struct settings_plan *plan)
{
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                const struct kernel_setting_look *look = &plan->looks[i];

                if (look->state == KERNEL_SETTING_DUE || look->state == KERNEL_SETTING_BLOCKED)
                        (void)printf("%s is set to %" PRId64 "; it was %" PRId64 "\n",
                                     kernel_setting_name((enum kernel_setting)i), look->want,
                                     look->now);
        }
}

/* Return: whether all is written; says what is not. */
static bool write_settings(const struct sysroot *root, const struct settings_plan *plan)
{
        enum kernel_setting failed;
        bool restored;
        int r = kernel_settings_write(root, plan->looks, &failed, &restored);

        if (r == 0) {
                tell_written(plan);
                return true;
        }
        warnx("settings: cannot write %s: %s; %s", kernel_setting_name(failed),
              r == -EBUSY ? "pages were merged again meanwhile" : strerror(-r),
              restored ? "the settings are as they were" : "the settings are written in part");
        return false;
}

/* ksmd stands still now, so that the figures do. Return: whether there is room; says if not. */
static bool still_fits(const struct sysroot *root, struct settings_plan *plan)
{
        int r = unmerge_look(root, &plan->start);

        if (r == 0 && (plan->start.saved_bytes == 0 ||
                       ksm_unmerge_fits(plan->start.available_kb, plan->start.saved_bytes)))
                return true;
        plan->refusal = SETTINGS_DO_NOT_FIT;
        if (r < 0)
                warnx("settings: cannot read " KSM_FOLDER ": %s; nothing was changed",
                      strerror(-r));
        else
                settings_plan_refuse(plan);
        return false;
}

/* With ksmd stopped. Return: the exit status. */
static int unmerge_and_write(const struct sysroot *root, struct settings_plan *plan)
{
        struct unmerge_outcome outcome;
        char span[48], given[SIZE_TEXT];

        if (!still_fits(root, plan))
                return CTL_FAILURE;
        unmerge_run(root, &plan->start, false, &outcome);
        if (!unmerge_is_done(&outcome)) {
                unmerge_complain("settings", &outcome, "");
                warnx("settings: the settings are as they were; what was unmerged stays so until "
                      "ksmd comes by");
                return CTL_UNFINISHED;
        }
        (void)printf("unmerged in %s: %s that merging saved are given up\n",
                     format_usec(span, sizeof(span), outcome.usec),
                     format_kb(given, sizeof(given), plan->start.saved_bytes / 1024));
        return write_settings(root, plan) ? CTL_SUCCESS : CTL_UNFINISHED;
}

/* Whatever happens in between, run is as before at the end. */
static int work_in_stages(const struct sysroot *root, const struct settings_plan *plan)
{
        const int64_t run = plan->start.run;
        struct settings_plan copy = *plan;
        int r = hold_signals(), status;

        if (r == 0 && run != KSM_RUN_STOP)
                r = ksm_set(root, KSM_RUN, KSM_RUN_STOP);
        if (r < 0) {
                warnx("settings: cannot stop ksmd: writing 0 to " KSM_FOLDER "/run: %s",
                      strerror(-r));
                return CTL_FAILURE;
        }
        status = unmerge_and_write(root, &copy);
        if (!restore_run(root, run))
                status = status == CTL_SUCCESS ? CTL_FAILURE : status;
        else if (status == CTL_SUCCESS)
                (void)printf("run is %" PRId64 " as before: %s\n", run,
                             run == KSM_RUN_MERGE ? "ksmd merges all anew"
                                                  : "ksmd sleeps, and nothing is merged");
        return status;
}

int settings_work(const struct sysroot *root, const struct settings_plan *plan)
{
        int status;

        if (plan->needs_unmerge)
                status = work_in_stages(root, plan);
        else
                status = write_settings(root, plan) ? CTL_SUCCESS : CTL_FAILURE;
        /* A daemon had other figures in mind, and shall see what is owed no more. */
        if (plan->needs_unmerge && !root->made_up)
                (void)retune_ask(root);
        if (ctl_flush() != CTL_SUCCESS && status == CTL_SUCCESS)
                status = CTL_FAILURE;
        return status;
}
