/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Checks of KSM itself: its files, whether it works, and whether that pays. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "ksmtuned/reason.h"

#define MIB (INT64_C(1024) * 1024)
/* sizeof(struct ksm_rmap_item) on 64 bits: what the kernel keeps for each page that it looks at. */
#define RECORD_BYTES 64
/* Less than this share of what is saved is not worth an unmerge. */
#define CHAINS_WORTH_PER_CENT 1
#define CHAINS_WORTH_BYTES    (16 * MIB)
/* What smart_scan has left out is worth a look when it is as much as was looked at. */
#define SKIPPED_PER_CENT 50

/* The versions of Linux that brought what is missing, "6.4, 6.6". Return: how much is missing. */
static int list_missing(const struct doctor_facts *facts, char *buf, size_t size)
{
        const char *last = "";
        size_t len = 0;
        int n = 0;

        buf[0] = '\0';
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                const struct ksm_attribute_info *info = ksm_attribute_info((enum ksm_attribute)i);

                /* One is of the first kernels alone, the other of hosts with NUMA alone. */
                if (facts->status.error[i] != -EOPNOTSUPP || i == KSM_MAX_KERNEL_PAGES ||
                    i == KSM_MERGE_ACROSS_NODES)
                        continue;
                n++;
                if (strcmp(info->since, last) == 0 || len >= size)
                        continue;
                last = info->since;
                len += (size_t)snprintf(buf + len, size - len, "%s%s", len > 0 ? ", " : "", last);
        }
        return n;
}

void check_kernel(const struct doctor_facts *facts, struct finding *finding)
{
        char versions[64];
        int n;

        if (facts->status.supported == 0) {
                finding_set(finding, DOCTOR_TROUBLE,
                            "there is no " KSM_FOLDER ": this kernel has no KSM");
                finding_remedy(finding,
                               "Boot a kernel that was built with CONFIG_KSM=y; to see whether one "
                               "was: grep CONFIG_KSM /boot/config-*");
                return;
        }
        if (facts->status.supported < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "cannot look at " KSM_FOLDER ": %s",
                            status_error_text(facts->status.supported));
                return;
        }
        n = list_missing(facts, versions, sizeof(versions));
        finding_value(finding, n, "files");
        if (n == 0)
                finding_set(finding, DOCTOR_OK, "KSM is there, with all files that ksmctl knows");
        else
                finding_set(finding, DOCTOR_OK,
                            "KSM is there; %d newer files are missing, those of Linux %s", n,
                            versions);
}

void check_files(const struct doctor_facts *facts, struct finding *finding)
{
        int first = -1, n = 0;

        for (int i = KSM_ATTRIBUTE_COUNT - 1; i >= 0; i--)
                if (facts->status.error[i] < 0 && facts->status.error[i] != -EOPNOTSUPP) {
                        first = i;
                        n++;
                }
        finding_value(finding, n, "files");
        if (n > 0) {
                int error = facts->status.error[first];
                bool denied = error == -EACCES || error == -EPERM;

                finding_set(finding, denied ? DOCTOR_UNKNOWN : DOCTOR_ADVICE,
                            "%d of the files in " KSM_FOLDER " cannot be read; the first is %s: %s",
                            n, ksm_attribute_info((enum ksm_attribute)first)->name,
                            status_error_text(error));
                if (denied)
                        finding_remedy(finding, "Run ksmctl as root.");
                else
                        finding_remedy(finding, "Look at the file: cat " KSM_FOLDER "/%s",
                                       ksm_attribute_info((enum ksm_attribute)first)->name);
        } else if (facts->run_writable < 0) {
                finding_set(finding, DOCTOR_ADVICE, "root cannot write " KSM_FOLDER "/run: %s",
                            status_error_text(facts->run_writable));
                finding_remedy(finding,
                               "In a container /sys is usually read-only: run ksmtuned and ksmctl "
                               "on the host itself.");
        } else {
                finding_set(finding, DOCTOR_OK, "all that are there can be read%s",
                            facts->run_writable == 1 ? ", and run can be written" : "");
        }
}

void check_ksm_off(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t run, free_kb = fact_free_kb(facts), threshold_kb = fact_threshold_kb(facts);
        char free_text[32], threshold_text[32];

        if (!fact_need(facts, KSM_RUN, &run, finding))
                return;
        finding_value(finding, run, NULL);
        if (run == KSM_RUN_MERGE) {
                finding_set(finding, DOCTOR_OK, "run is 1: ksmd merges");
        } else if (run == KSM_RUN_UNMERGE) {
                finding_set(finding, DOCTOR_ADVICE,
                            "run is 2: everything was unmerged, and nothing is merged any more");
                finding_remedy(finding, "If nobody wants that any longer: ksmctl start");
        } else if (fact_daemon_runs(facts)) {
                finding_set(finding, DOCTOR_OK, "run is 0; ksmtuned decides about it");
        } else if (free_kb == SAMPLE_ABSENT || threshold_kb == SAMPLE_ABSENT) {
                finding_set(finding, DOCTOR_UNKNOWN,
                            "run is 0, and whether memory is short cannot be told without %s",
                            free_kb == SAMPLE_ABSENT ? "/proc/meminfo" : "a configuration");
        } else if (free_kb < threshold_kb) {
                finding_set(finding, DOCTOR_ADVICE,
                            "run is 0, although only %s are free, less than the threshold of %s",
                            format_kb(free_text, sizeof(free_text), free_kb),
                            format_kb(threshold_text, sizeof(threshold_text), threshold_kb));
                finding_remedy(finding,
                               "Let ksmtuned switch KSM on when memory is short: systemctl "
                               "enable --now ksmtuned. Or by hand: ksmctl start");
        } else {
                finding_set(finding, DOCTOR_OK, "run is 0, and memory is plentiful");
        }
}

/* Pages that ksmd keeps a record of, or SAMPLE_ABSENT. */
static int64_t records(const struct doctor_facts *facts)
{
        static const enum ksm_attribute parts[] = {KSM_PAGES_SHARED, KSM_PAGES_SHARING,
                                                   KSM_PAGES_UNSHARED, KSM_PAGES_VOLATILE};
        int64_t sum = 0, value;

        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
                if (!fact_attribute(facts, parts[i], &value))
                        return SAMPLE_ABSENT;
                sum = saturating_add(sum, value);
        }
        return sum;
}

void check_nothing_mergeable(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t run, n = records(facts);
        size_t n_mergeable = 0;

        if (!fact_need(facts, KSM_RUN, &run, finding))
                return;
        if (n == SAMPLE_ABSENT) {
                finding_set(finding, DOCTOR_UNKNOWN, "the pages_ files cannot be read");
                return;
        }
        for (size_t i = 0; i < facts->processes.n; i++)
                n_mergeable += facts->processes.rows[i].ksm.verdict == KSM_PROCESS_MERGEABLE;
        finding_value(finding, n, "pages");
        if (run != KSM_RUN_MERGE) {
                finding_set(finding, DOCTOR_OK, "KSM is off");
        } else if (n > 0) {
                finding_set(finding, DOCTOR_OK, "ksmd keeps track of %" PRId64 " pages", n);
        } else if (n_mergeable > 0) {
                finding_set(finding, DOCTOR_OK,
                            "%zu processes can be merged, and ksmd has not come "
                            "to them yet",
                            n_mergeable);
        } else {
                finding_set(finding, DOCTOR_ADVICE,
                            "KSM is on, and ksmd has found 0 pages that may be merged");
                finding_remedy(finding,
                               "QEMU guests can be merged unless they were started with "
                               "mem-merge=off; other programs by MemoryKSM=yes in their unit or by "
                               "ksmctl exec. If there is nothing to merge: ksmctl stop");
        }
}

/* What the kernel calls general_profit since 6.4, from the older files. */
static bool profit_bytes(const struct doctor_facts *facts, int64_t *ret_bytes)
{
        int64_t n = records(facts);

        if (fact_attribute(facts, KSM_GENERAL_PROFIT, ret_bytes))
                return true;
        if (n == SAMPLE_ABSENT || facts->status.error[KSM_GENERAL_PROFIT] != -EOPNOTSUPP)
                return false;
        *ret_bytes = saturating_add(facts->status.saved_bytes, saturating_mul(n, -RECORD_BYTES));
        return true;
}

void check_profit(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t bytes, passes;
        char size[32];

        if (!profit_bytes(facts, &bytes)) {
                (void)fact_need(facts, KSM_GENERAL_PROFIT, &bytes, finding);
                return;
        }
        finding_value(finding, bytes, "bytes");
        status_size(size, sizeof(size), bytes, false);
        if (bytes >= 0) {
                finding_set(finding, DOCTOR_OK, "KSM gains %s, its own records taken off", size);
                return;
        }
        /* A page merges in the second pass at the earliest. */
        if (fact_attribute(facts, KSM_FULL_SCANS, &passes) && passes < 2) {
                finding_set(finding, DOCTOR_OK, "%s so far: ksmd is in its first passes", size);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "general_profit is %" PRId64 " bytes (%s): KSM's own records take more memory "
                    "than merging gives back",
                    bytes, size);
        finding_remedy(finding,
                       "Guests that have little in common are better left out (mem-merge=off, "
                       "<nosharepages/>); ksmctl guests tells the profit of each. To be rid of it "
                       "all: ksmctl unmerge");
}

void check_max_page_sharing(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t chains, dups, limit, won, raised;
        char size[32];

        if (facts->status.error[KSM_MAX_PAGE_SHARING] == -EOPNOTSUPP) {
                finding_set(finding, DOCTOR_OK, "this kernel has no such limit");
                return;
        }
        if (!fact_need(facts, KSM_STABLE_NODE_CHAINS, &chains, finding) ||
            !fact_need(facts, KSM_STABLE_NODE_DUPS, &dups, finding) ||
            !fact_need(facts, KSM_MAX_PAGE_SHARING, &limit, finding))
                return;
        /* Each chain is one content, and each of its dups a page that holds it. */
        won = dups > chains ? saturating_mul(dups - chains, facts->status.page_bytes) : 0;
        finding_value(finding, won, "bytes");
        status_size(size, sizeof(size), won, false);
        if (won < CHAINS_WORTH_BYTES ||
            won < facts->status.saved_bytes / 100 * CHAINS_WORTH_PER_CENT) {
                finding_set(finding, DOCTOR_OK, "a higher limit than %" PRId64 " would win %s",
                            limit, size);
                return;
        }
        raised = saturating_mul(limit, 16);
        if (raised < 256)
                raised = 256;
        if (raised > INT32_MAX)
                raised = INT32_MAX;
        finding_set(finding, DOCTOR_ADVICE,
                    "%" PRId64 " contents are kept in %" PRId64 " pages, as max_page_sharing is "
                    "%" PRId64 ": one page each would win %s",
                    chains, dups, limit, size);
        finding_remedy(finding,
                       "In " SETTINGS_PATH ": KSM_MAX_PAGE_SHARING=%" PRId64
                       ". Then: systemctl reload ksmtuned; ksmctl settings --apply. Migrating and "
                       "swapping such a page then takes longer.",
                       raised);
}

void check_smart_scan(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t smart = 0, run = 0, scanned = 0, skipped = 0, n = records(facts), shared = 0;
        int64_t per_cent, merged, unmerged, sharing = 0;
        char cost[48] = "an unknown time";

        if (facts->status.error[KSM_SMART_SCAN] == -EOPNOTSUPP) {
                finding_set(finding, DOCTOR_OK, "this kernel looks at every page in every pass");
                return;
        }
        if (!fact_need(facts, KSM_SMART_SCAN, &smart, finding) ||
            !fact_need(facts, KSM_RUN, &run, finding) ||
            !fact_need(facts, KSM_PAGES_SCANNED, &scanned, finding) ||
            !fact_need(facts, KSM_PAGES_SKIPPED, &skipped, finding) ||
            !fact_need(facts, KSM_PAGES_SHARED, &shared, finding) ||
            !fact_need(facts, KSM_PAGES_SHARING, &sharing, finding))
                return;
        per_cent = fact_scale(skipped, 100, saturating_add(skipped, scanned));
        merged = saturating_add(shared, sharing);
        unmerged = n == SAMPLE_ABSENT ? 0 : n - merged;
        finding_value(finding, per_cent, "per cent");
        if (!smart || run != KSM_RUN_MERGE || per_cent < SKIPPED_PER_CENT || unmerged <= merged) {
                finding_set(finding, DOCTOR_OK,
                            "smart_scan is %s; pages_skipped is %" PRId64
                            ", pages_scanned %" PRId64,
                            smart ? "on" : "off", skipped, scanned);
                return;
        }
        if (facts->status.ksmd_cpu_nsec > 0 && scanned > 0)
                (void)format_usec(cost, sizeof(cost),
                                  (uint64_t)fact_scale(facts->status.ksmd_cpu_nsec, n, scanned) /
                                          1000);
        finding_set(finding, DOCTOR_ADVICE,
                    "smart_scan left out %" PRId64 " %% of all looks (pages_skipped %" PRId64
                    ", pages_scanned %" PRId64 "); of its %" PRId64
                    " unmerged pages some may be equal and miss each other",
                    per_cent, skipped, scanned, unmerged);
        finding_remedy(finding,
                       "Look at all once: echo 0 > " KSM_FOLDER "/smart_scan; when full_scans has "
                       "risen by 2, echo 1 again and see whether pages_sharing rose. About %s of "
                       "CPU a pass.",
                       cost);
}
