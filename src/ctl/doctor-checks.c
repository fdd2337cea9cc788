/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The table of the checks, and what they have in common. The ids are part of ksmctl(8). */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"

/* clang-format off */
const struct doctor_check doctor_checks[] = {
        {"kernel", "KSM in this kernel, and what it lacks", false, check_kernel, NULL},
        {"files", "whether its files can be read and written", true, check_files, NULL},
        {"ksm-off", "KSM off although memory is short", true, check_ksm_off, NULL},
        {"nothing-mergeable", "KSM on with nothing to merge", true, check_nothing_mergeable, NULL},
        {"guests", "guests whose memory cannot be merged", true, check_guests, is_unmergeable_guest},
        {"profit", "KSM costs more memory than it gains", true, check_profit, NULL},
        {"exposure", "memory needed if all sharing broke at once", true, check_exposure, NULL},
        {"tenants", "who shares memory with whom", true, check_tenants, shares_memory},
        {"max-page-sharing", "copies kept because of max_page_sharing", true, check_max_page_sharing, NULL},
        {"smart-scan", "equal pages that smart_scan misses", true, check_smart_scan, NULL},
        {"settings", "settings of the kernel other than configured", true, check_settings, NULL},
        {"thp", "transparent huge pages against sharing", true, check_thp, NULL},
        {"hugepages", "reserved huge pages", false, check_hugepages, NULL},
        {"numa", "merge_across_nodes on several NUMA nodes", true, check_numa, NULL},
        {"zfs-arc", "the cache of ZFS, which counts as used", false, check_zfs_arc, NULL},
        {"shmem", "shared memory, which counts as free", false, check_shmem, NULL},
        {"daemon", "whether ksmtuned runs and decides", false, check_daemon, NULL},
        {"knobs", "knobs that read other than ksmtuned left them", true, check_knobs, NULL},
        {"rivals", "other programs that tune KSM", false, check_rivals, NULL},
        {"advisor", "the kernel's own advisor", true, check_advisor, NULL},
        {"config", "errors and warnings in the configuration", false, check_config, NULL},
        {"threshold", "a threshold that never or always fires here", false, check_threshold, NULL},
        {"thres-const", "a KSM_THRES_CONST that looks like MB", false, check_thres_const, NULL},
        {"interval", "a long KSM_MONITOR_INTERVAL", false, check_interval, NULL},
        {"psi", "memory pressure figures of the kernel", false, check_psi, NULL},
        {"schedstat", "ksmd's CPU time in ns", true, check_schedstat, NULL},
        {"passes", "figures that passes are driven by", true, check_passes, NULL},
};
/* clang-format on */
const size_t doctor_n_checks = sizeof(doctor_checks) / sizeof(doctor_checks[0]);
_Static_assert(sizeof(doctor_checks) / sizeof(doctor_checks[0]) <= DOCTOR_MAX_CHECKS,
               "too many checks");

void finding_set(struct finding *finding, enum doctor_verdict verdict, const char *format, ...)
{
        va_list args;

        finding->verdict = verdict;
        va_start(args, format);
        (void)vsnprintf(finding->figure, sizeof(finding->figure), format, args);
        va_end(args);
}

void finding_remedy(struct finding *finding, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        (void)vsnprintf(finding->remedy, sizeof(finding->remedy), format, args);
        va_end(args);
}

void finding_value(struct finding *finding, int64_t value, const char *unit)
{
        finding->value = value;
        finding->has_value = true;
        finding->unit = unit;
}

bool fact_attribute(const struct doctor_facts *facts, enum ksm_attribute attribute,
                    int64_t *ret_value)
{
        if (facts->status.error[attribute] < 0)
                return false;
        *ret_value = facts->status.value[attribute];
        return true;
}

bool fact_need(const struct doctor_facts *facts, enum ksm_attribute attribute, int64_t *ret_value,
               struct finding *finding)
{
        const struct ksm_attribute_info *info = ksm_attribute_info(attribute);
        int error = facts->status.error[attribute];

        if (fact_attribute(facts, attribute, ret_value))
                return true;
        if (error == -EOPNOTSUPP)
                finding_set(finding, DOCTOR_UNKNOWN, "%s is missing", info->name);
        else
                finding_set(finding, DOCTOR_UNKNOWN, "%s cannot be read: %s", info->name,
                            status_error_text(error));
        return false;
}

bool fact_daemon_runs(const struct doctor_facts *facts)
{
        return facts->status.state_error == 0 && facts->status.running > 0;
}

int64_t fact_threshold_kb(const struct doctor_facts *facts)
{
        if (fact_daemon_runs(facts) && facts->status.state.threshold_kb >= 0)
                return facts->status.state.threshold_kb;
        if (facts->config.error < 0 || facts->memory.error < 0)
                return SAMPLE_ABSENT;
        return classic_threshold_kb(&facts->config.classic, facts->memory.sample.total_kb);
}

int64_t fact_free_kb(const struct doctor_facts *facts)
{
        return facts->memory.error < 0 ? SAMPLE_ABSENT
                                       : memory_reclaimable_kb(&facts->memory.sample);
}

int64_t fact_scale(int64_t a, int64_t b, int64_t c)
{
        int64_t quotient = 0;
        uint64_t rest = 0;

        if (c == 0)
                return 0;
        /* Long division by c of a × b, bit by bit: 32-bit machines have no numbers of 128 bits. */
        for (int bit = 62; bit >= 0; bit--) {
                const int64_t times[] = {quotient, a >> bit & 1 ? b / c : 0};
                const uint64_t rests[] = {rest, a >> bit & 1 ? (uint64_t)(b % c) : 0};

                for (int i = 0; i < 2; i++) {
                        quotient = saturating_add(quotient, times[i]);
                        rest += rests[i];
                        if (rest < (uint64_t)c)
                                continue;
                        rest -= (uint64_t)c;
                        quotient = saturating_add(quotient, 1);
                }
        }
        return quotient;
}

bool fact_is_classic(const struct doctor_facts *facts)
{
        if (fact_daemon_runs(facts) && *facts->status.state.policy)
                return strcmp(facts->status.state.policy, policy_name(POLICY_CLASSIC)) == 0;
        return facts->config.error < 0 ||
               strcmp(facts->config.policy, policy_name(POLICY_CLASSIC)) == 0;
}

void doctor_run(const struct doctor_check *check, const struct doctor_facts *facts,
                struct finding *ret_finding)
{
        struct finding finding = {.verdict = DOCTOR_OK};

        if (check->needs_ksm && facts->status.supported == 0)
                finding_set(&finding, DOCTOR_UNKNOWN, "this kernel has no KSM");
        else if (check->needs_ksm && facts->status.supported < 0)
                finding_set(&finding, DOCTOR_UNKNOWN, "cannot look at " KSM_FOLDER ": %s",
                            status_error_text(facts->status.supported));
        else
                check->check(facts, &finding);
        *ret_finding = finding;
}
