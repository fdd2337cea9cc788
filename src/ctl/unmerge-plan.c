/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <err.h>
#include <errno.h>
#include <string.h>

#include "ctl.h"
#include "facts.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/reason.h"
#include "ksmtuned/sample.h"
#include "unmerge.h"

#define SIZE_TEXT 32

static const char *bytes_text(char *buf, int64_t bytes)
{
        return bytes < 0 ? "an unknown amount" : format_kb(buf, SIZE_TEXT, bytes / 1024);
}

/*
 * What the classic policy will find when the saved memory is gone from the free; of another policy
 * nothing is foretold.
 */
static bool daemon_would_start(const struct state *state, int64_t saved_bytes)
{
        if (strcmp(state->policy, "classic") != 0 || state->free_kb < 0 ||
            state->committed_kb < 0 || state->threshold_kb < 0)
                return false;
        return state->free_kb - saved_bytes / 1024 <= state->threshold_kb ||
               saturating_add(state->committed_kb, state->threshold_kb) >= state->total_kb;
}

static enum unmerge_refusal judge(const struct unmerge_plan *plan)
{
        const struct unmerge_figures *start = &plan->start;

        /* While the kernel unmerges for somebody, run reads 2 already. */
        if (start->run == KSM_RUN_UNMERGE && start->merged_bytes > 0)
                return UNMERGE_AT_WORK;
        if (start->saved_bytes > 0 && !ksm_unmerge_fits(start->available_kb, start->saved_bytes))
                return UNMERGE_DOES_NOT_FIT;
        if (plan->daemon_running == 1 && plan->state.run == KSM_RUN_MERGE)
                return UNMERGE_DAEMON_WANTS_KSM;
        return UNMERGE_GOES;
}

int unmerge_plan(const struct sysroot *root, struct unmerge_plan *ret_plan)
{
        struct unmerge_plan plan;
        int r;

        r = unmerge_look(root, &plan.start);
        if (r < 0)
                return r;
        r = state_read(root, &plan.state);
        plan.daemon_running = r == 0 ? state_daemon_alive(root, &plan.state) : r == -ENOENT ? 0 : r;
        plan.daemon_would_start =
                plan.daemon_running == 1 && daemon_would_start(&plan.state, plan.start.saved_bytes);
        plan.refusal = judge(&plan);
        *ret_plan = plan;
        return 0;
}

int unmerge_add_memory(struct libscols_table *table, const struct unmerge_figures *start)
{
        char merged[SIZE_TEXT], saved[SIZE_TEXT], available[SIZE_TEXT], swap[SIZE_TEXT];
        int64_t available_bytes =
                start->available_kb < 0 ? SAMPLE_ABSENT : saturating_mul(start->available_kb, 1024);
        int r;

        if (start->merged_bytes == 0)
                return facts_add(table, "merged", "nothing");
        r = facts_add(table, "merged", "%s, all of which is copied",
                      bytes_text(merged, start->merged_bytes));
        if (r == 0)
                r = facts_add(table, "needs", "%s of memory, which merging saves now",
                              bytes_text(saved, start->saved_bytes));
        if (r == 0)
                r = facts_add(
                        table, "available", "%s; free swap, which does not count: %s",
                        bytes_text(available, available_bytes),
                        bytes_text(swap, start->swap_free_kb < 0
                                                 ? SAMPLE_ABSENT
                                                 : saturating_mul(start->swap_free_kb, 1024)));
        if (r < 0)
                return r;
        if (start->available_kb < 0)
                return facts_add(table, "fits", "unknown: this kernel does not tell MemAvailable");
        if (ksm_unmerge_fits(start->available_kb, start->saved_bytes))
                return facts_add(table, "fits", "yes: %s stay available",
                                 bytes_text(saved, available_bytes - start->saved_bytes));
        return facts_add(
                table, "fits", "no: with a tenth to spare it needs %s",
                bytes_text(saved, saturating_add(start->saved_bytes, start->saved_bytes / 10)));
}

static int add_daemon(struct libscols_table *table, const struct unmerge_plan *plan)
{
        const char *then;

        if (plan->daemon_running == 0)
                return 0;
        if (plan->daemon_running < 0)
                return facts_add(table, "ksmtuned",
                                 "it cannot be seen whether it runs (%s); if so, it may switch KSM "
                                 "on again",
                                 strerror(-plan->daemon_running));
        if (plan->state.run == KSM_RUN_MERGE)
                then = "wants KSM on, so it would merge all again";
        else if (plan->daemon_would_start)
                then = "would switch KSM on again, as its next decision would find too little "
                       "memory free";
        else
                then = "switches KSM on again when memory gets short";
        return facts_add(table, "ksmtuned",
                         "runs (process %d), and %s; to prevent that: systemctl "
                         "stop ksmtuned",
                         plan->state.pid, then);
}

int unmerge_plan_print(const struct unmerge_plan *plan)
{
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = facts_new(&table);

        if (r == 0)
                r = unmerge_add_memory(table, &plan->start);
        if (r == 0 && plan->start.run == KSM_RUN_MERGE)
                r = facts_add(table, "ksmd", "looks for equal pages (run is 1), and is stopped");
        if (r == 0)
                r = add_daemon(table, plan);
        return r == 0 ? facts_print(table) : r;
}

static const char *refusal_name(enum unmerge_refusal refusal)
{
        static const char *const names[] = {
                [UNMERGE_GOES] = NULL,
                [UNMERGE_DOES_NOT_FIT] = "memory",
                [UNMERGE_DAEMON_WANTS_KSM] = "ksmtuned",
                [UNMERGE_AT_WORK] = "unmerging",
        };

        return names[refusal];
}

static void integer_or_null(struct json_object *object, const char *key, int64_t value,
                            int64_t unit)
{
        if (value < 0)
                json_null(object, key);
        else
                json_integer(object, key, saturating_mul(value, unit));
}

int unmerge_plan_print_json(const struct unmerge_plan *plan)
{
        const struct unmerge_figures *start = &plan->start;
        CLEANUP_TABLE struct libscols_table *table = NULL;
        struct json_object object = {.n = 0};
        int r;

        json_integer(&object, "run", start->run);
        json_integer(&object, "merged_bytes", start->merged_bytes);
        json_integer(&object, "needed_bytes", start->saved_bytes);
        integer_or_null(&object, "available_bytes", start->available_kb, 1024);
        integer_or_null(&object, "swap_free_bytes", start->swap_free_kb, 1024);
        json_boolean(&object, "fits",
                     start->saved_bytes == 0 ||
                             ksm_unmerge_fits(start->available_kb, start->saved_bytes));
        if (plan->daemon_running < 0)
                json_null(&object, "daemon_running");
        else
                json_boolean(&object, "daemon_running", plan->daemon_running);
        json_boolean(&object, "daemon_wants_ksm",
                     plan->daemon_running == 1 && plan->state.run == KSM_RUN_MERGE);
        json_boolean(&object, "daemon_would_start", plan->daemon_would_start);
        if (plan->refusal == UNMERGE_GOES)
                json_null(&object, "refused");
        else
                json_text(&object, "refused", refusal_name(plan->refusal));

        r = json_array_new(&table, "plan", &object, 1);
        return r == 0 ? json_print(&table, 1) : r;
}

void unmerge_plan_refuse(const struct unmerge_plan *plan)
{
        switch (plan->refusal) {
        case UNMERGE_GOES:
                break;
        case UNMERGE_DOES_NOT_FIT:
                warnx("unmerge: refused: %s; --force does it all the same",
                      plan->start.available_kb < 0 ? "it is not known how much memory is available"
                                                   : "it does not fit into memory");
                break;
        case UNMERGE_DAEMON_WANTS_KSM:
                warnx("unmerge: refused: ksmtuned would merge all again; stop it first, or "
                      "--force it");
                break;
        case UNMERGE_AT_WORK:
                warnx("unmerge: refused: run is 2, so another process seems to be unmerging; if "
                      "none is, 'ksmctl stop' first");
                break;
        }
}

int unmerge_look_failed(const char *verb, int error)
{
        if (error == -EOPNOTSUPP)
                warnx("%s: this kernel has no KSM (there is no " KSM_FOLDER "/run)", verb);
        else if (error == -EBADMSG)
                warnx("%s: a file in " KSM_FOLDER " holds nothing that makes sense", verb);
        else
                warnx("%s: cannot read " KSM_FOLDER ": %s", verb, strerror(-error));
        return CTL_FAILURE;
}
