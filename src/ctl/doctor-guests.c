/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Checks of the guests: whose memory cannot be merged, and who shares. */

#include <ctype.h>
#include <errno.h>
#include <stdio.h>

#include "doctor.h"

bool is_unmergeable_guest(const struct guest_row *process)
{
        return process->is_guest && ksm_verdict_is_no(process->ksm.verdict);
}

/* Zero pages are not counted: they tell nobody anything about another guest. */
bool shares_memory(const struct guest_row *process)
{
        return process->ksm.merging_pages > 0;
}

/* Return: whether the processes could be listed; else @finding says why not. */
static bool need_processes(const struct doctor_facts *facts, struct finding *finding)
{
        if (facts->processes_error == 0)
                return true;
        finding_set(finding, DOCTOR_UNKNOWN, "the processes cannot be listed: %s",
                    status_error_text(facts->processes_error));
        return false;
}

void check_guests(const struct doctor_facts *facts, struct finding *finding)
{
        const struct guest_row *first = NULL;
        size_t n_guests = 0, n_no = 0, n_unknown = 0;
        enum ksm_process_verdict why = KSM_PROCESS_NO_PERMISSION;

        if (!need_processes(facts, finding))
                return;
        for (size_t i = 0; i < facts->processes.n; i++) {
                const struct guest_row *process = &facts->processes.rows[i];

                if (!process->is_guest)
                        continue;
                n_guests++;
                if (is_unmergeable_guest(process)) {
                        first = first ? first : process;
                        n_no++;
                } else if (process->ksm.verdict != KSM_PROCESS_MERGEABLE) {
                        why = process->ksm.verdict;
                        n_unknown++;
                }
        }
        finding_value(finding, (int64_t)n_no, "guests");
        if (first) {
                finding_set(finding, DOCTOR_ADVICE, "%zu of %zu guests cannot be merged", n_no,
                            n_guests);
                finding_remedy(finding, "%s%s. If it is meant so: --skip guests",
                               n_no > 1 ? "The first: " : "",
                               ksm_verdict_sentence(first->ksm.verdict));
                finding->remedy[0] = (char)toupper((unsigned char)finding->remedy[0]);
        } else if (n_unknown > 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "of %zu guests %zu cannot be judged: %s",
                            n_guests, n_unknown, ksm_verdict_sentence(why));
        } else if (facts->processes.hidden) {
                finding_set(finding, DOCTOR_UNKNOWN, "processes of other users are hidden");
        } else {
                finding_set(finding, DOCTOR_OK, "%zu guests, and all can be merged", n_guests);
        }
}

void check_tenants(const struct doctor_facts *facts, struct finding *finding)
{
        size_t n = 0, n_unknown = 0;
        int64_t shared;

        if (!fact_need(facts, KSM_PAGES_SHARED, &shared, finding) ||
            !need_processes(facts, finding))
                return;
        for (size_t i = 0; i < facts->processes.n; i++) {
                n += shares_memory(&facts->processes.rows[i]);
                n_unknown += facts->processes.rows[i].ksm.merging_pages == SAMPLE_ABSENT;
        }
        finding_value(finding, (int64_t)n, "processes");
        if (shared == 0) {
                finding_set(finding, DOCTOR_OK, "nobody shares memory");
        } else if (n >= 2) {
                finding_set(
                        finding, DOCTOR_ADVICE,
                        "%zu processes have merged memory. By the time that a write takes, each "
                        "can find out what the others hold (CVE-2015-2877, CVE-2024-0564)",
                        n);
                finding_remedy(finding,
                               "Fine where they all belong to one owner. Leave guests of tenants "
                               "who do not trust each other out: <nosharepages/> in libvirt, "
                               "mem-merge=off in QEMU. Once settled: ksmctl doctor --skip tenants");
        } else if (n_unknown > 0 || facts->processes.hidden || facts->processes.n_denied > 0) {
                finding_set(
                        finding, DOCTOR_UNKNOWN,
                        "who shares may not be read, or not on this kernel: run ksmctl as root");
        } else {
                finding_set(finding, DOCTOR_OK, "no two processes share memory");
        }
}
