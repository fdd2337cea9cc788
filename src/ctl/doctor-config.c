/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Checks of ksmtuned's configuration, and of what its policy can know on this kernel. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "ksmtuned/reason.h"

#define LONG_INTERVAL_USEC (INT64_C(600) * 1000000)

static bool need_config(const struct doctor_facts *facts, struct finding *finding)
{
        if (facts->config.error == 0)
                return true;
        finding_set(finding, DOCTOR_UNKNOWN, "the configuration is broken");
        return false;
}

void check_config(const struct doctor_facts *facts, struct finding *finding)
{
        const struct doctor_config *config = &facts->config;
        const char *file = config->file ? config->file : SETTINGS_PATH;

        finding_value(finding, (int64_t)(config->n_errors + config->n_warnings), "problems");
        if (config->error == -EBADMSG)
                finding_set(finding, DOCTOR_TROUBLE, "%.200s%s", config->first,
                            config->n_errors > 1 ? " (and more)" : "");
        else if (config->error < 0)
                finding_set(finding, DOCTOR_UNKNOWN, "%s cannot be read: %s", file,
                            status_error_text(config->error));
        else if (config->n_warnings > 0)
                finding_set(finding, DOCTOR_ADVICE, "%.200s%s", config->first,
                            config->n_warnings > 1 ? " (and more)" : "");
        else
                finding_set(finding, DOCTOR_OK, "no errors and no warnings");
        if (finding->verdict != DOCTOR_OK)
                finding_remedy(finding,
                               "All of them: ksmtuned --check-config%s%.120s. Then: "
                               "systemctl reload ksmtuned",
                               config->file ? " --config " : "", config->file ? config->file : "");
}

void check_threshold(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t threshold_kb, most_kb, least_kb = facts->memory.min_free_kb;
        char threshold[32], total[32], other[32];

        if (facts->memory.error < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "/proc/meminfo cannot be read: %s",
                            status_error_text(facts->memory.error));
                return;
        }
        threshold_kb = fact_threshold_kb(facts);
        if (threshold_kb == SAMPLE_ABSENT) {
                (void)need_config(facts, finding);
                return;
        }
        finding_value(finding, threshold_kb, "kB");
        most_kb = facts->memory.sample.total_kb;
        if (facts->memory.hugepages_kb > 0)
                most_kb = saturating_add(most_kb, -facts->memory.hugepages_kb);
        format_kb(threshold, sizeof(threshold), threshold_kb);
        format_kb(total, sizeof(total), facts->memory.sample.total_kb);
        if (threshold_kb >= most_kb) {
                finding_set(finding, DOCTOR_ADVICE,
                            "the threshold of %s is more than can ever be free here (%s): KSM "
                            "never stops",
                            threshold, format_kb(other, sizeof(other), most_kb));
                finding_remedy(finding, "Lower KSM_THRES_COEF or KSM_THRES_CONST in " SETTINGS_PATH
                                        "; the default is KSM_THRES_COEF=20. Then: systemctl "
                                        "reload ksmtuned");
        } else if (least_kb > 0 && threshold_kb <= least_kb) {
                finding_set(finding, DOCTOR_TROUBLE,
                            "the threshold of %s is not more than what the kernel always keeps "
                            "free (vm.min_free_kbytes, %s): KSM never starts",
                            threshold, format_kb(other, sizeof(other), least_kb));
                finding_remedy(finding, "Raise KSM_THRES_COEF in " SETTINGS_PATH
                                        "; the default is 20. Then: systemctl reload ksmtuned");
        } else {
                finding_set(finding, DOCTOR_OK, "%s of %s", threshold, total);
        }
}

void check_thres_const(const struct doctor_facts *facts, struct finding *finding)
{
        const struct classic_params defaults = CLASSIC_PARAMS_DEFAULT;
        int64_t kb = facts->config.classic.thres_const_kb;

        if (!need_config(facts, finding))
                return;
        finding_value(finding, kb, "kB");
        if (kb <= 0 || kb == defaults.thres_const_kb || kb >= THRES_CONST_KB_LOW) {
                finding_set(finding, DOCTOR_OK, "KSM_THRES_CONST is %" PRId64 " kB", kb);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "KSM_THRES_CONST=%" PRId64 " counts in kB and is too little to matter; were "
                    "MB meant?",
                    kb);
        finding_remedy(finding,
                       "If so, in " SETTINGS_PATH ": KSM_THRES_CONST=%" PRId64
                       ". Then: systemctl reload ksmtuned",
                       saturating_mul(kb, 1024));
}

void check_interval(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t usec = facts->config.interval_usec;
        char text[32];

        if (fact_daemon_runs(facts) && facts->status.state.interval_usec > 0)
                usec = facts->status.state.interval_usec;
        else if (!need_config(facts, finding))
                return;
        finding_value(finding, usec, "usec");
        format_usec(text, sizeof(text), (uint64_t)usec);
        if (usec <= LONG_INTERVAL_USEC) {
                finding_set(finding, DOCTOR_OK, "a decision is due every %s", text);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "a decision is due only every %s, so memory that gets short in between is "
                    "noticed late",
                    text);
        finding_remedy(finding, "In " SETTINGS_PATH ": KSM_MONITOR_INTERVAL=60. A decision takes "
                                "about a millisecond. Then: systemctl reload ksmtuned");
}

void check_psi(const struct doctor_facts *facts, struct finding *finding)
{
        int error = facts->memory.psi_error;

        if (error == 0) {
                finding_set(finding, DOCTOR_OK, "/proc/pressure/memory is there");
        } else if (error != -EOPNOTSUPP) {
                finding_set(finding, DOCTOR_UNKNOWN, "/proc/pressure/memory cannot be read: %s",
                            status_error_text(error));
        } else if (fact_is_classic(facts)) {
                finding_set(finding, DOCTOR_OK,
                            "there are none, and the classic policy needs none");
        } else {
                finding_set(
                        finding, DOCTOR_ADVICE,
                        "the kernel tells no memory pressure (there is no "
                        "/proc/pressure/memory), so the policy notices it by the interval alone");
                finding_remedy(finding, "Boot with psi=1 on the kernel's command line; kernels "
                                        "before 4.20, and those without CONFIG_PSI, have none.");
        }
}

void check_schedstat(const struct doctor_facts *facts, struct finding *finding)
{
        if (facts->schedstat > 0) {
                finding_set(finding, DOCTOR_OK, "ksmd's CPU time is told in ns");
        } else if (facts->schedstat < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "ksmd cannot be seen from here");
        } else if (fact_is_classic(facts)) {
                finding_set(finding, DOCTOR_OK,
                            "ksmd's CPU time is told in clock ticks, which the classic policy does "
                            "not mind");
        } else {
                finding_set(finding, DOCTOR_ADVICE,
                            "ksmd's CPU time is told in clock ticks only, so the cost of a short "
                            "pass is known roughly");
                finding_remedy(finding, "A kernel built with CONFIG_SCHED_INFO=y has "
                                        "/proc/PID/schedstat; where that reads 0 0 0, boot with "
                                        "delayacct on the kernel's command line.");
        }
}

void check_passes(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t value;
        bool scanned = fact_attribute(facts, KSM_PAGES_SCANNED, &value);
        bool smart = fact_attribute(facts, KSM_SMART_SCAN, &value);

        if (scanned && smart) {
                finding_set(finding, DOCTOR_OK, "pages_scanned and smart_scan are there");
        } else if (fact_is_classic(facts)) {
                finding_set(finding, DOCTOR_OK,
                            "%s not there, which the classic policy does not mind",
                            scanned ? "smart_scan is" : "pages_scanned (and smart_scan) are");
        } else if (scanned) {
                finding_set(finding, DOCTOR_ADVICE,
                            "this kernel has no smart_scan, so every pass looks at every page");
                finding_remedy(finding, "Linux 6.7 makes passes over old memory cheaper.");
        } else {
                finding_set(finding, DOCTOR_ADVICE,
                            "this kernel has no pages_scanned, so the end of a pass is met less "
                            "exactly, and CPU time is lost behind it");
                finding_remedy(finding, "Linux 6.6 tells how far a pass is.");
        }
}
