/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What ksmctl settings finds, and how it shows it. */

#include <err.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "facts.h"
#include "ksmtuned/reason.h"
#include "settings.h"
#include "status.h"
#include "unmerge.h"

#define SIZE_TEXT 32

/* Whether a daemon runs whose policy writes smart_scan for each of its passes. */
static bool daemon_takes_smart_scan(const struct sysroot *root)
{
        struct state state;

        return state_read(root, &state) == 0 && strcmp(state.policy, "classic") != 0 &&
               state_daemon_alive(root, &state) == 1;
}

static enum settings_refusal judge(const struct unmerge_figures *start)
{
        /* While the kernel unmerges for somebody, run reads 2 already. */
        if (start->run == KSM_RUN_UNMERGE)
                return SETTINGS_AT_WORK;
        if (start->saved_bytes > 0 && !ksm_unmerge_fits(start->available_kb, start->saved_bytes))
                return SETTINGS_DO_NOT_FIT;
        return SETTINGS_GO;
}

int settings_plan(const struct sysroot *root, const struct kernel_settings *want,
                  struct settings_plan *ret_plan)
{
        struct settings_plan plan = {.smart_scan_wanted = want->value[KERNEL_SMART_SCAN]};
        struct kernel_settings ours = *want;
        int r;

        r = unmerge_look(root, &plan.start);
        if (r < 0)
                return r;
        plan.smart_scan_taken =
                plan.smart_scan_wanted != KERNEL_SETTING_UNSET && daemon_takes_smart_scan(root);
        if (plan.smart_scan_taken)
                ours.value[KERNEL_SMART_SCAN] = KERNEL_SETTING_UNSET;
        kernel_settings_look(root, &ours, plan.looks);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                plan.now[i] = SAMPLE_ABSENT;
                plan.read_error[i] = ksm_get(
                        root, kernel_setting_info((enum kernel_setting)i)->attribute, &plan.now[i]);
        }
        plan.needs_unmerge = kernel_settings_any(plan.looks, KERNEL_SETTING_BLOCKED);
        plan.any_change = plan.needs_unmerge || kernel_settings_any(plan.looks, KERNEL_SETTING_DUE);
        plan.refusal = judge(&plan.start);
        *ret_plan = plan;
        return 0;
}

static bool is_taken(const struct settings_plan *plan, int setting)
{
        return setting == KERNEL_SMART_SCAN && plan->smart_scan_taken;
}

static void describe(char *buf, size_t size, const struct settings_plan *plan,
                     enum kernel_setting setting)
{
        const struct kernel_setting_look *look = &plan->looks[setting];
        const struct ksm_attribute_info *info =
                ksm_attribute_info(kernel_setting_info(setting)->attribute);
        const char *text = "";

        if (is_taken(plan, setting)) {
                (void)snprintf(buf, size, "ksmtuned's; at its end %" PRId64,
                               plan->smart_scan_wanted);
                return;
        }
        if (plan->read_error[setting] == -EOPNOTSUPP) {
                (void)snprintf(buf, size, "not on this kernel (Linux %s)", info->since);
                return;
        }
        if (plan->read_error[setting] < 0)
                text = status_error_text(plan->read_error[setting]);
        else if (look->state == KERNEL_SETTING_UNWANTED)
                text = "left alone";
        else if (look->state == KERNEL_SETTING_RIGHT)
                text = "as configured";
        else if (look->state == KERNEL_SETTING_DUE)
                text = "can be set at once";
        else if (look->state == KERNEL_SETTING_BLOCKED)
                text = "takes an unmerge";
        (void)snprintf(buf, size, "%s", text);
}

static const char *number(char *buf, int64_t value, const char *none)
{
        if (value < 0)
                (void)snprintf(buf, SIZE_TEXT, "%s", none);
        else
                (void)snprintf(buf, SIZE_TEXT, "%" PRId64, value);
        return buf;
}

static int64_t wanted(const struct settings_plan *plan, int setting)
{
        if (is_taken(plan, setting))
                return plan->smart_scan_wanted;
        return plan->looks[setting].state == KERNEL_SETTING_UNWANTED ? KERNEL_SETTING_UNSET
                                                                     : plan->looks[setting].want;
}

static int print_settings(const struct settings_plan *plan)
{
        static const struct table_column columns[] = {{.heading = "SETTING"},
                                                      {.heading = "NOW", .right = true},
                                                      {.heading = "CONFIGURED", .right = true},
                                                      {.heading = "STATE"}};
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = table_new(&table, columns, sizeof(columns) / sizeof(columns[0]));

        for (int i = 0; r == 0 && i < KERNEL_SETTING_COUNT; i++) {
                char now[SIZE_TEXT], want[SIZE_TEXT], text[64];

                describe(text, sizeof(text), plan, (enum kernel_setting)i);
                r = table_add(table,
                              (const char *[]){kernel_setting_name((enum kernel_setting)i),
                                               number(now, plan->now[i], "-"),
                                               number(want, wanted(plan, i), "-"), text},
                              4);
        }
        return r == 0 ? scols_print_table(table) : r;
}

static int print_cost(const struct settings_plan *plan)
{
        CLEANUP_TABLE struct libscols_table *table = NULL;
        int r = facts_new(&table);

        if (r == 0)
                r = unmerge_add_memory(table, &plan->start);
        if (r == 0)
                r = facts_add(table, "then",
                              plan->start.run == KSM_RUN_MERGE
                                      ? "ksmd, which stands still meanwhile, merges all anew"
                                      : "nothing is merged until ksmd runs again (run is %lld)",
                              (long long)plan->start.run);
        if (r == 0)
                r = facts_add(table, "to do it",
                              "ksmctl settings --apply; or wait: ksmtuned does "
                              "it when nothing is merged, as at boot");
        if (r < 0)
                return r;
        (void)putchar('\n');
        return facts_print(table);
}

int settings_plan_print(const struct settings_plan *plan)
{
        int r = print_settings(plan);

        if (r == 0 && plan->needs_unmerge)
                r = print_cost(plan);
        else if (r == 0 && plan->any_change)
                (void)puts("\nTo set them: systemctl reload ksmtuned, or ksmctl settings --apply");
        return r;
}

static const char *state_name(const struct settings_plan *plan, int setting)
{
        static const char *const names[] = {
                [KERNEL_SETTING_UNWANTED] = "unset", [KERNEL_SETTING_RIGHT] = "right",
                [KERNEL_SETTING_ABSENT] = "absent",  [KERNEL_SETTING_UNREAD] = "unreadable",
                [KERNEL_SETTING_DUE] = "due",        [KERNEL_SETTING_BLOCKED] = "blocked",
        };

        return is_taken(plan, setting) ? "policy" : names[plan->looks[setting].state];
}

static void integer_or_null(struct json_object *object, const char *key, int64_t value)
{
        if (value < 0)
                json_null(object, key);
        else
                json_integer(object, key, value);
}

static void plan_object(const struct settings_plan *plan, struct json_object *object)
{
        const struct unmerge_figures *start = &plan->start;
        static const char *const refusals[] = {
                [SETTINGS_DO_NOT_FIT] = "memory", [SETTINGS_AT_WORK] = "unmerging"};

        *object = (struct json_object){.n = 0};
        json_boolean(object, "change", plan->any_change);
        json_boolean(object, "unmerge", plan->needs_unmerge);
        json_integer(object, "run", start->run);
        json_integer(object, "merged_bytes", start->merged_bytes);
        json_integer(object, "needed_bytes", start->saved_bytes);
        integer_or_null(object, "available_bytes",
                        start->available_kb < 0 ? SAMPLE_ABSENT
                                                : saturating_mul(start->available_kb, 1024));
        if (!plan->needs_unmerge || plan->refusal == SETTINGS_GO)
                json_null(object, "refused");
        else
                json_text(object, "refused", refusals[plan->refusal]);
}

int settings_plan_print_json(const struct settings_plan *plan)
{
        CLEANUP_TABLE struct libscols_table *settings = NULL, *summary = NULL;
        struct json_object objects[KERNEL_SETTING_COUNT] = {0};
        int r;

        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                json_text(&objects[i], "name", kernel_setting_name((enum kernel_setting)i));
                integer_or_null(&objects[i], "now", plan->now[i]);
                integer_or_null(&objects[i], "configured", wanted(plan, i));
                json_text(&objects[i], "state", state_name(plan, i));
        }
        r = json_array_new(&settings, "settings", objects, KERNEL_SETTING_COUNT);
        if (r < 0)
                return r;
        plan_object(plan, &objects[0]);
        r = json_array_new(&summary, "plan", &objects[0], 1);
        return r == 0 ? json_print((struct libscols_table *[]){settings, summary}, 2) : r;
}

void settings_plan_refuse(const struct settings_plan *plan)
{
        const struct unmerge_figures *start = &plan->start;
        char needed[SIZE_TEXT], available[SIZE_TEXT];

        if (plan->refusal == SETTINGS_AT_WORK)
                warnx("settings: refused: run is 2, so another process seems to be unmerging");
        else
                warnx("settings: refused: to unmerge takes %s, and with a tenth to spare that does "
                      "not fit into the %s available; nothing was changed",
                      format_kb(needed, sizeof(needed), start->saved_bytes / 1024),
                      start->available_kb < 0
                              ? "unknown memory"
                              : format_kb(available, sizeof(available), start->available_kb));
}
