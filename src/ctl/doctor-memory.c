/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Checks of the host's memory: what breaks, hides, or falsifies sharing. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "doctor.h"
#include "ksmtuned/reason.h"

#define SIZE_TEXT 32
/* Huge pages are worth a word from this share of memory on. */
#define HUGE_PER_CENT   10
#define UNUSED_PER_CENT 5

static const char *kb_text(char buf[SIZE_TEXT], int64_t kb)
{
        return format_kb(buf, SIZE_TEXT, kb);
}

/* Return: whether /proc/meminfo could be read; else @finding says so. */
static bool need_memory(const struct doctor_facts *facts, struct finding *finding)
{
        if (facts->memory.error == 0)
                return true;
        finding_set(finding, DOCTOR_UNKNOWN, "/proc/meminfo cannot be read: %s",
                    status_error_text(facts->memory.error));
        return false;
}

static bool need_threshold(const struct doctor_facts *facts, int64_t *ret_kb,
                           struct finding *finding)
{
        if (!need_memory(facts, finding))
                return false;
        *ret_kb = fact_threshold_kb(facts);
        if (*ret_kb != SAMPLE_ABSENT)
                return true;
        finding_set(finding, DOCTOR_UNKNOWN,
                    "there is no threshold while the configuration is "
                    "broken");
        return false;
}

/* KSM_THRES_COEF that gives a threshold of @kb, rounded up. */
static int64_t coefficient(const struct doctor_facts *facts, int64_t kb)
{
        int64_t total_kb = facts->memory.sample.total_kb;

        int64_t per_cent = fact_scale(kb > 0 ? kb : 0, 100, total_kb);

        return saturating_add(per_cent, fact_scale(total_kb, per_cent, 100) < kb);
}

void check_exposure(const struct doctor_facts *facts, struct finding *finding)
{
        const struct memory_sample *memory = &facts->memory.sample;
        int64_t bytes = facts->status.saved_bytes, with_swap_kb;
        char saved[SIZE_TEXT], available[SIZE_TEXT], swap[SIZE_TEXT];

        if (bytes == SAMPLE_ABSENT) {
                finding_set(finding, DOCTOR_UNKNOWN, "pages_sharing cannot be read: %s",
                            status_error_text(facts->status.error[KSM_PAGES_SHARING]));
                return;
        }
        finding_value(finding, bytes, "bytes");
        if (bytes == 0) {
                finding_set(finding, DOCTOR_OK, "nothing is merged");
                return;
        }
        if (!need_memory(facts, finding))
                return;
        if (memory->available_kb == SAMPLE_ABSENT) {
                finding_set(finding, DOCTOR_UNKNOWN,
                            "this kernel does not tell MemAvailable, which came with Linux 3.14");
                return;
        }
        kb_text(saved, bytes / 1024);
        kb_text(available, memory->available_kb);
        kb_text(swap, memory->swap_free_kb > 0 ? memory->swap_free_kb : 0);
        with_swap_kb = saturating_add(memory->available_kb,
                                      memory->swap_free_kb > 0 ? memory->swap_free_kb : 0);
        if (ksm_unmerge_fits(memory->available_kb, bytes)) {
                finding_set(finding, DOCTOR_OK, "%s would be needed, and %s are available", saved,
                            available);
                return;
        }
        finding_set(finding, ksm_unmerge_fits(with_swap_kb, bytes) ? DOCTOR_ADVICE : DOCTOR_TROUBLE,
                    "if guests wrote to all that is merged, %s more would be needed: %s are "
                    "available, and %s of swap are free",
                    saved, available, swap);
        finding_remedy(finding, "%s Add swap or memory, or move a guest away; do not unmerge now.",
                       finding->verdict == DOCTOR_ADVICE ? "The host would swap."
                                                         : "The kernel would kill processes.");
}

void check_thp(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t run, huge_kb = facts->memory.anon_huge_kb;
        char huge[SIZE_TEXT];

        if (facts->memory.thp_error < 0) {
                finding_set(finding, DOCTOR_UNKNOWN,
                            "/sys/kernel/mm/transparent_hugepage/enabled cannot be read: %s",
                            status_error_text(facts->memory.thp_error));
                return;
        }
        if (facts->memory.thp != THP_ALWAYS) {
                finding_set(finding, DOCTOR_OK, "transparent huge pages: %s",
                            facts->memory.thp == THP_MADVISE ? "madvise"
                            : facts->memory.thp == THP_NEVER ? "never"
                                                             : "not in this kernel");
                return;
        }
        if (!need_memory(facts, finding) || !fact_need(facts, KSM_RUN, &run, finding))
                return;
        if (huge_kb == SAMPLE_ABSENT)
                huge_kb = 0;
        finding_value(finding, huge_kb, "kB");
        kb_text(huge, huge_kb);
        if (run != KSM_RUN_MERGE ||
            saturating_mul(huge_kb, 100) <
                    saturating_mul(facts->memory.sample.total_kb, HUGE_PER_CENT)) {
                finding_set(finding, DOCTOR_OK, "transparent huge pages: always; %s are in them",
                            huge);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "transparent huge pages are set to always, and hold %s: ksmd must split each "
                    "before it can merge a part of it, so sharing comes late",
                    huge);
        finding_remedy(finding, "If memory counts more than speed: echo madvise > "
                                "/sys/kernel/mm/transparent_hugepage/enabled. It holds until the "
                                "next boot; transparent_hugepage=madvise on the kernel's command "
                                "line holds for good.");
}

void check_hugepages(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t kb = facts->memory.hugepages_kb, unused_kb = facts->memory.hugepages_unused_kb;
        int64_t threshold_kb = 0, free_kb = fact_free_kb(facts);
        char reserved[SIZE_TEXT], unused[SIZE_TEXT];

        if (kb == SAMPLE_ABSENT) {
                finding_set(finding, DOCTOR_UNKNOWN, "/sys/kernel/mm/hugepages cannot be read");
                return;
        }
        finding_value(finding, kb, "kB");
        if (kb == 0) {
                finding_set(finding, DOCTOR_OK, "no huge pages are reserved");
                return;
        }
        if (!need_threshold(facts, &threshold_kb, finding))
                return;
        kb_text(reserved, kb);
        kb_text(unused, unused_kb);
        if (saturating_mul(unused_kb, 100) >
            saturating_mul(facts->memory.sample.total_kb, UNUSED_PER_CENT)) {
                finding_set(finding, DOCTOR_ADVICE,
                            "%s are reserved as huge pages, and %s of them are unused: nothing "
                            "else can have them, and they make the host look full",
                            reserved, unused);
                finding_remedy(finding, "Reserve what guests use: sysctl vm.nr_hugepages=PAGES, "
                                        "and in /etc/sysctl.d for the next boot.");
        } else if (free_kb < threshold_kb && saturating_add(free_kb, kb) > threshold_kb) {
                finding_set(finding, DOCTOR_ADVICE,
                            "%s are reserved as huge pages. They count as used and are never "
                            "merged; without them free memory would not be below the threshold",
                            reserved);
                finding_remedy(
                        finding,
                        "Let the threshold be a share of what is left: KSM_THRES_COEF=%" PRId64,
                        coefficient(facts,
                                    threshold_kb - fact_scale(threshold_kb, kb,
                                                              facts->memory.sample.total_kb)));
        } else {
                finding_set(finding, DOCTOR_OK, "%s are reserved, %s of them unused", reserved,
                            unused);
        }
}

void check_numa(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t nodes = facts->memory.nodes, across, shared = 0, run = 0, most_kb;
        char most[SIZE_TEXT];

        if (nodes < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "the NUMA nodes cannot be read: %s",
                            status_error_text((int)nodes));
                return;
        }
        finding_value(finding, nodes, "nodes");
        if (nodes < 2 || facts->status.error[KSM_MERGE_ACROSS_NODES] == -EOPNOTSUPP) {
                finding_set(finding, DOCTOR_OK, "%s",
                            nodes < 2 ? "all memory is in one NUMA node"
                                      : "this kernel has no merge_across_nodes");
                return;
        }
        if (!fact_need(facts, KSM_MERGE_ACROSS_NODES, &across, finding) ||
            !fact_need(facts, KSM_PAGES_SHARED, &shared, finding) ||
            !fact_need(facts, KSM_RUN, &run, finding))
                return;
        /* At most all nodes but one hold a copy of each page that is kept. */
        most_kb = saturating_mul(shared, facts->status.page_bytes) / 1024 / nodes * (nodes - 1);
        if (shared == 0 || (!across && run != KSM_RUN_MERGE)) {
                finding_set(finding, DOCTOR_OK,
                            "%" PRId64 " NUMA nodes, merge_across_nodes %" PRId64, nodes, across);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    across ? "%" PRId64 " NUMA nodes share pages (merge_across_nodes is 1), so "
                             "guests may have memory far from their CPUs: %s of kept pages%s"
                           : "each of %" PRId64 " NUMA nodes keeps pages of its own "
                             "(merge_across_nodes is 0): sharing across nodes would win up to %s%s",
                    nodes,
                    kb_text(most, across ? saturating_mul(shared, facts->status.page_bytes) / 1024
                                         : most_kb),
                    across ? "" : " more");
        finding_remedy(finding,
                       "%s To change it, in " SETTINGS_PATH ": KSM_MERGE_ACROSS_NODES=%d. Then: "
                       "systemctl reload ksmtuned; ksmctl settings --apply",
                       across ? "0 is faster where guests are pinned to nodes, 1 saves more."
                              : "1 saves more; leave it at 0 where guests are pinned to nodes.",
                       across ? 0 : 1);
}

void check_zfs_arc(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t kb = facts->memory.arc_kb, reclaimable_kb, threshold_kb = 0;
        int64_t free_kb = fact_free_kb(facts);
        char arc[SIZE_TEXT], free_text[SIZE_TEXT], threshold[SIZE_TEXT];

        if (kb < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "/proc/spl/kstat/zfs/arcstats cannot be read");
                return;
        }
        finding_value(finding, kb, "kB");
        if (kb == 0) {
                finding_set(finding, DOCTOR_OK, "no ZFS");
                return;
        }
        if (!need_threshold(facts, &threshold_kb, finding))
                return;
        kb_text(arc, kb);
        reclaimable_kb = kb > facts->memory.arc_min_kb ? kb - facts->memory.arc_min_kb : 0;
        if (free_kb > threshold_kb || saturating_add(free_kb, reclaimable_kb) <= threshold_kb) {
                finding_set(finding, DOCTOR_OK, "%s, which makes no difference to ksmtuned now",
                            arc);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "the cache of ZFS holds %s and counts as used, although it can be given back; "
                    "only so free memory (%s) is below the threshold (%s)",
                    arc, kb_text(free_text, free_kb), kb_text(threshold, threshold_kb));
        finding_remedy(finding,
                       "Limit the cache: echo BYTES > /sys/module/zfs/parameters/zfs_arc_max. Or "
                       "lower KSM_THRES_COEF to %" PRId64,
                       coefficient(facts, threshold_kb > reclaimable_kb
                                                  ? threshold_kb - reclaimable_kb
                                                  : 1));
}

void check_shmem(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t kb = facts->memory.shmem_kb, threshold_kb = 0, free_kb = fact_free_kb(facts);
        char shmem[SIZE_TEXT], free_text[SIZE_TEXT], threshold[SIZE_TEXT];

        if (!need_threshold(facts, &threshold_kb, finding))
                return;
        if (kb == SAMPLE_ABSENT)
                kb = 0;
        finding_value(finding, kb, "kB");
        kb_text(shmem, kb);
        if (!fact_is_classic(facts) || free_kb <= threshold_kb ||
            saturating_add(free_kb, -kb) >= threshold_kb) {
                finding_set(finding, DOCTOR_OK, "%s, which makes no difference to ksmtuned now",
                            shmem);
                return;
        }
        finding_set(finding, DOCTOR_ADVICE,
                    "%s are in tmpfs and shared memory. The classic policy takes them for free (%s "
                    "in all, the threshold is %s), but they cannot be given back: KSM starts late",
                    shmem, kb_text(free_text, free_kb), kb_text(threshold, threshold_kb));
        finding_remedy(finding,
                       "Raise KSM_THRES_COEF to %" PRId64 " in " SETTINGS_PATH
                       ", then: systemctl reload ksmtuned",
                       coefficient(facts, saturating_add(threshold_kb, kb)));
}
