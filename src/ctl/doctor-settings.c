/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The check of the kernel's settings against those that are configured. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "doctor.h"
#include "ksmtuned/ksm-settings.h"
#include "ksmtuned/reason.h"

static void judge_all(const struct doctor_facts *facts,
                      struct kernel_setting_look looks[KERNEL_SETTING_COUNT])
{
        int64_t shared = SAMPLE_ABSENT;

        (void)fact_attribute(facts, KSM_PAGES_SHARED, &shared);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                enum ksm_attribute attribute =
                        kernel_setting_info((enum kernel_setting)i)->attribute;
                int64_t want = facts->config.kernel.value[i];

                /* A policy that drives passes writes it for each of them. */
                if (i == KERNEL_SMART_SCAN && fact_daemon_runs(facts) && !fact_is_classic(facts))
                        want = KERNEL_SETTING_UNSET;
                looks[i] = kernel_setting_judge((enum kernel_setting)i, want,
                                                facts->status.error[attribute],
                                                facts->status.value[attribute], shared);
        }
}

/* It takes an unmerge: what that needs, and whether there is room. */
static void tell_cost(const struct doctor_facts *facts, const char *list, struct finding *finding)
{
        int64_t available_kb =
                facts->memory.error < 0 ? SAMPLE_ABSENT : facts->memory.sample.available_kb;
        int64_t saved_bytes = facts->status.saved_bytes;
        char needed[32], available[32];

        if (saved_bytes == SAMPLE_ABSENT)
                saved_bytes = 0;
        finding_value(finding, saved_bytes, "bytes");
        finding_set(finding, DOCTOR_ADVICE, "%s: needs %s unmerged, and %s available", list,
                    status_size(needed, sizeof(needed), saved_bytes, false),
                    available_kb < 0 ? "it is not known what is"
                                     : format_kb(available, sizeof(available), available_kb));
        if (ksm_unmerge_fits(available_kb, saved_bytes))
                finding_remedy(finding, "Do it in stages, each of which can be interrupted: ksmctl "
                                        "settings --apply. Or wait: ksmtuned does it when nothing "
                                        "is merged, as at boot.");
        else
                finding_remedy(finding, "There is not room enough now: move guests away, then "
                                        "ksmctl settings --apply. Or wait: ksmtuned does it when "
                                        "nothing is merged, as at boot.");
}

void check_settings(const struct doctor_facts *facts, struct finding *finding)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        char list[160];

        if (facts->config.error < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "the configuration is broken");
                return;
        }
        judge_all(facts, looks);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                if (looks[i].state == KERNEL_SETTING_UNREAD) {
                        finding_set(finding, DOCTOR_UNKNOWN, "%s cannot be read: %s",
                                    kernel_setting_name((enum kernel_setting)i),
                                    status_error_text(looks[i].error));
                        return;
                }
        if (kernel_settings_any(looks, KERNEL_SETTING_BLOCKED)) {
                tell_cost(facts,
                          kernel_settings_list(list, sizeof(list), looks, KERNEL_SETTING_BLOCKED),
                          finding);
        } else if (kernel_settings_any(looks, KERNEL_SETTING_DUE)) {
                finding_set(finding, DOCTOR_ADVICE, "%s",
                            kernel_settings_list(list, sizeof(list), looks, KERNEL_SETTING_DUE));
                finding_remedy(finding,
                               fact_daemon_runs(facts)
                                       ? "Nothing has to be unmerged for it: systemctl reload "
                                         "ksmtuned. Who changed it is told in its journal."
                                       : "Nothing has to be unmerged for it: ksmctl settings "
                                         "--apply");
        } else {
                finding_set(finding, DOCTOR_OK, "%s",
                            kernel_settings_any(looks, KERNEL_SETTING_RIGHT)
                                    ? "all read as configured"
                                    : "none is configured");
        }
}
