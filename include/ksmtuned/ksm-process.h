/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What KSM does for one process, and whether its memory can be merged, or why not.
 *
 * The kernel's answer alone (ksm_mergeable of ksm_stat) is not enough for a guest: QEMU asks for
 * merging of its small areas (firmware, video memory), too, so it is "yes" even where all of the
 * guest's RAM lies in shared files. So the command line and the kind of the resident memory are
 * looked at as well; see ksm_process_judge().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/guests.h"
#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

/* Whether the memory that matters can be merged, or why not. */
enum ksm_process_verdict {
        KSM_PROCESS_MERGEABLE,
        KSM_PROCESS_MEM_MERGE_OFF, /* QEMU's -machine mem-merge=off, libvirt's <nosharepages/> */
        KSM_PROCESS_MERGE_OFF,     /* QEMU's -object memory-backend-…,merge=off */
        KSM_PROCESS_HUGETLBFS,     /* hugetlbfs; no matter of transparent huge pages */
        KSM_PROCESS_SHARED,        /* shared with other processes or a file: vhost-user, virtiofs */
        KSM_PROCESS_NOT_ASKED,     /* neither it (madvise) nor who started it (prctl) has asked */
        KSM_PROCESS_NO_PERMISSION, /* only root and the owner may know */
        KSM_PROCESS_TOO_OLD,       /* the kernel (before 6.14) does not tell */
        KSM_PROCESS_VERDICT_COUNT,
};

enum ksm_answer { KSM_ANSWER_UNKNOWN, KSM_ANSWER_NO, KSM_ANSWER_YES };

/* Figures that this kernel does not tell, or that may not be read, are SAMPLE_ABSENT. */
struct ksm_process {
        /* 0; -EACCES: only root and the owner may read them; -EOPNOTSUPP: not on this kernel;
         * -EBADMSG: nothing that makes sense. */
        int error;
        int64_t rmap_items;    /* pages that ksmd keeps track of; since 6.1 */
        int64_t merging_pages; /* pages that are merged; since 5.19 */
        int64_t zero_pages;    /* pages that were merged with the kernel's zero page; since 6.6 */
        int64_t profit_bytes;  /* gained, less ksmd's records; may be negative; since 6.4 */
        enum ksm_answer merge_any; /* asked for as a whole, prctl(PR_SET_MEMORY_MERGE); 6.14 */
        enum ksm_answer mergeable; /* some area was asked for; since 6.14 */

        /* Of /proc/PID/status. */
        int64_t rss_kb;       /* VmRSS; what lies on hugetlbfs does not count in it */
        int64_t rss_anon_kb;  /* RssAnon; since 4.5, and likewise the next two */
        int64_t rss_file_kb;  /* RssFile */
        int64_t rss_shmem_kb; /* RssShmem */
        int64_t hugetlb_kb;   /* HugetlbPages; since 4.4 */

        char name[GUEST_NAME_SIZE]; /* of the guest by its command line, printable; "": none */
        enum ksm_process_verdict verdict;
};

struct vm_cmdline;

/*
 * Reads all of a process. What is not there or not permitted is no error but tells so in @ret.
 * Return: 0; -ESRCH if the process has ended, or has no memory (kernel threads, zombies).
 */
int ksm_process_read(const struct sysroot *root, pid_t pid, struct ksm_process *ret);

/*
 * The cheap part: the figures of ksm_stat or ksm_merging_pages alone; of the rest nothing is known
 * and the verdict is KSM_PROCESS_TOO_OLD. For a look at every process. Return: as above.
 */
int ksm_process_read_stat(const struct sysroot *root, pid_t pid, struct ksm_process *ret);

/* Called with the PID of a process; negative: ends the scan. */
typedef int (*ksm_process_fn)(void *userdata, pid_t pid);

/*
 * Finds every process that KSM has to do with: some of its memory was offered, or ksmd has looked
 * at some. @ret_denied: of how many others that may not be known. Costs a read per process.
 * Return: 0; what @fn returned if negative; what listing /proc said.
 */
int ksm_process_scan(const struct sysroot *root, ksm_process_fn fn, void *userdata,
                     size_t *ret_denied);

/* Fills every figure with "not known". */
void ksm_process_init(struct ksm_process *process);

/* Parses the text of /proc/PID/ksm_stat; pure. Lines that are not known are passed over.
 * Return: 0; -EBADMSG where there is no line that is known, or one that holds no number. */
int ksm_stat_parse(const char *text, struct ksm_process *process);

/* Parses the text of /proc/PID/status; pure. Lines that are missing leave "not known". */
void ksm_process_status_parse(const char *text, struct ksm_process *process);

/*
 * The verdict, from the figures and the command line (NULL: not known); pure. @on_hugetlbfs: the
 * path of the command line's RAM is on a hugetlbfs.
 */
enum ksm_process_verdict ksm_process_judge(const struct ksm_process *process,
                                           const struct vm_cmdline *cmdline, bool on_hugetlbfs);

/* One or two words: "yes", "mem-merge=off", "hugetlbfs", "shared", "not asked", … */
const char *ksm_verdict_word(enum ksm_process_verdict verdict);

/* Why, and what would help: a sentence or two, without the last full stop. */
const char *ksm_verdict_sentence(enum ksm_process_verdict verdict);

/* Whether the verdict is a firm no: neither yes nor not known. */
bool ksm_verdict_is_no(enum ksm_process_verdict verdict);
