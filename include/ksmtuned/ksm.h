/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Kernel Samepage Merging: the attributes in /sys/kernel/mm/ksm and ksmd's CPU time.
 * What each attribute means: Documentation/admin-guide/mm/ksm.rst of the kernel.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "ksmtuned/sample.h"
#include "ksmtuned/sysroot.h"

#define KSM_FOLDER "/sys/kernel/mm/ksm"

enum ksm_attribute {
        KSM_RUN,
        KSM_PAGES_TO_SCAN,
        KSM_SLEEP_MILLISECS,
        KSM_PAGES_SHARED,
        KSM_PAGES_SHARING,
        KSM_PAGES_UNSHARED,
        KSM_PAGES_VOLATILE,
        KSM_FULL_SCANS,
        KSM_MAX_KERNEL_PAGES,
        KSM_MERGE_ACROSS_NODES,
        KSM_USE_ZERO_PAGES,
        KSM_MAX_PAGE_SHARING,
        KSM_STABLE_NODE_CHAINS,
        KSM_STABLE_NODE_DUPS,
        KSM_STABLE_NODE_CHAINS_PRUNE_MILLISECS,
        KSM_GENERAL_PROFIT,
        KSM_PAGES_SCANNED,
        KSM_ZERO_PAGES,
        KSM_SMART_SCAN,
        KSM_PAGES_SKIPPED,
        KSM_ADVISOR_MODE,
        KSM_ADVISOR_TARGET_SCAN_TIME,
        KSM_ADVISOR_MAX_CPU,
        KSM_ADVISOR_MIN_PAGES_TO_SCAN,
        KSM_ADVISOR_MAX_PAGES_TO_SCAN,
        KSM_ATTRIBUTE_COUNT,
};

/* Values of KSM_RUN. */
enum { KSM_RUN_STOP = 0, KSM_RUN_MERGE = 1, KSM_RUN_UNMERGE = 2 };

/* Values of KSM_ADVISOR_MODE, whose file lists the names and marks one: "[none] scan-time". */
enum { KSM_ADVISOR_NONE = 0, KSM_ADVISOR_SCAN_TIME = 1 };

struct ksm_attribute_info {
        const char *name;  /* of the file */
        const char *since; /* Linux version that brought it */
        bool writable;
        int64_t min, max; /* what the kernel accepts or can tell */
};

const struct ksm_attribute_info *ksm_attribute_info(enum ksm_attribute attribute);

/*
 * Return: 1 if the kernel has KSM, 0 if it has not, or a negative errno.
 */
int ksm_supported(const struct sysroot *root);

/*
 * Reads an attribute.
 * Return: 0; -EOPNOTSUPP where this kernel does not have it; -EBADMSG if the file holds no
 * number in its range; other errors of reading (-EACCES, …).
 */
int ksm_get(const struct sysroot *root, enum ksm_attribute attribute, int64_t *ret_value);

/*
 * Writes an attribute with one write(). A write of KSM_RUN waits for ksmd's batch in progress,
 * and KSM_RUN_UNMERGE works until all is unmerged.
 * Return: 0; -EOPNOTSUPP where this kernel does not have it; -EPERM for one that is read-only;
 * -ERANGE outside of its range; or what the kernel said (-EINVAL, -EBUSY, -EACCES, -ENOSPC, …).
 */
int ksm_set(const struct sysroot *root, enum ksm_attribute attribute, int64_t value);

/* Parses an attribute's text; pure. Return: 0; -EBADMSG. */
int ksm_parse(enum ksm_attribute attribute, const char *text, int64_t *ret_value);

/*
 * Reads all that a decision needs. Attributes that this kernel lacks are SAMPLE_ABSENT;
 * ksmd_cpu_nsec is left alone. Return: 0; -EOPNOTSUPP without KSM; else the first error.
 */
int ksm_sample(const struct sysroot *root, struct ksm_sample *ret_sample);

/*
 * For who samples many times a second: keeps the files open (some 15 descriptors), which makes a
 * sample several times cheaper; see sysroot_reread(). @root must outlive it. The attributes that
 * this kernel lacks are remembered. Return: 0; -ENOMEM.
 */
struct ksm_reader;
int ksm_reader_new(struct ksm_reader **ret_reader, const struct sysroot *root);
struct ksm_reader *ksm_reader_free(struct ksm_reader *reader);

/* As ksm_get(). */
int ksm_reader_get(struct ksm_reader *reader, enum ksm_attribute attribute, int64_t *ret_value);

/* As ksm_sample(), with ksmd_cpu_nsec (SAMPLE_ABSENT where it cannot be seen). */
struct ksmd;
int ksm_reader_sample(struct ksm_reader *reader, struct ksmd *ksmd, struct ksm_sample *ret_sample);

/* The knobs that a decision sets. */
struct ksm_knobs {
        int64_t run;
        int64_t pages_to_scan;
        int64_t sleep_millisecs;
        int64_t smart_scan; /* 0, 1; SAMPLE_ABSENT where this kernel has none */
};

/* What ksm_apply() did. */
struct ksm_applied {
        unsigned n_writes;         /* successful ones that changed a value */
        enum ksm_attribute failed; /* the attribute that failed; KSM_ATTRIBUTE_COUNT if none */
        bool rolled_back;          /* after a failure the knobs read as before */
};

/*
 * Brings the knobs from @now (what the kernel reads) to @want, in the original's order:
 * smart_scan, pages_to_scan, sleep_millisecs, run. Writes only what differs. If a write fails, what
 * was written before is put back, last first. @ret_applied is always filled. Return: 0 or the error
 * of the write that failed.
 */
int ksm_apply(const struct sysroot *root, const struct ksm_knobs *now, const struct ksm_knobs *want,
              struct ksm_applied *ret_applied);

/* ksmd's accounting. All zeros is a fresh one; the thread is looked for once and remembered. */
struct ksmd {
        pid_t pid;     /* 0: not looked for yet, -1: not to be seen from here */
        bool in_ticks; /* ksmd_cpu_nsec() had no schedstat to go by */
};

/*
 * CPU time of ksmd in ns, from its schedstat, else (no such file, or one of zeros) its stat in
 * clock ticks. Return: 0; -EOPNOTSUPP where ksmd cannot be seen (a container's own PID namespace).
 */
int ksmd_cpu_nsec(struct ksmd *ksmd, const struct sysroot *root, int64_t *ret_nsec);
