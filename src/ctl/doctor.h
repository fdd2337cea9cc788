/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * ksmctl doctor: what is looked at, gathered once, and the checks, which are pure functions over
 * it. A figure that is not known is SAMPLE_ABSENT. Negative errors are errnos.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "guests.h"
#include "ksmtuned/rivals.h"
#include "ksmtuned/sample.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/sysroot.h"
#include "status.h"

#define DOCTOR_N_RIVALS 8
/* What JSON takes as one text. */
#define DOCTOR_TEXT_SIZE 256

/* /sys/kernel/mm/transparent_hugepage/enabled */
enum doctor_thp { THP_ABSENT, THP_NEVER, THP_MADVISE, THP_ALWAYS };

struct doctor_memory {
        int error; /* of /proc/meminfo; else sizes are known */
        struct memory_sample sample;
        int64_t shmem_kb;            /* Shmem */
        int64_t anon_huge_kb;        /* AnonHugePages */
        int64_t min_free_kb;         /* vm.min_free_kbytes */
        int64_t hugepages_kb;        /* reserved, of all sizes; 0 where there are none */
        int64_t hugepages_unused_kb; /* of those */
        int64_t arc_kb, arc_min_kb;  /* of ZFS; 0 without ZFS */
        int thp_error;
        enum doctor_thp thp;
        int64_t nodes; /* NUMA nodes that have memory; 1 without NUMA */
        int psi_error; /* of /proc/pressure/memory; -EOPNOTSUPP: none, or switched off */
};

struct doctor_config {
        const char *file; /* --config; NULL: the host's own */
        int error;        /* -EBADMSG: there are errors in it */
        size_t n_errors, n_warnings;
        char first[DOCTOR_TEXT_SIZE]; /* the first error, else the first warning: "file:line: …" */
        char policy[16];              /* where error is 0, and so the rest */
        struct classic_params classic;
        int64_t interval_usec;
        struct kernel_settings kernel;
};

struct doctor_facts {
        bool is_root;     /* who asks */
        int run_writable; /* 1; a negative errno; 0 where it was not tried */
        struct status status;
        int schedstat; /* of ksmd: 1; 0: it tells nothing; a negative errno: ksmd is not seen */
        struct doctor_memory memory;
        struct doctor_config config;
        int n_rivals; /* or a negative errno */
        struct rival rivals[DOCTOR_N_RIVALS];
        char tuned_profile[64]; /* "" if none */

        int processes_error;          /* of looking for them */
        struct guest_table processes; /* guests, and others whose memory is mergeable; owned */
};

enum doctor_verdict {
        DOCTOR_OK,
        DOCTOR_ADVICE,
        DOCTOR_TROUBLE,
        DOCTOR_UNKNOWN, /* could not be checked; the figure says why */
};

struct finding {
        enum doctor_verdict verdict;
        bool has_value;
        int64_t value;    /* the number behind the verdict, where has_value */
        const char *unit; /* of it: "bytes", "pages", …; NULL: none */
        char figure[DOCTOR_TEXT_SIZE];
        char remedy[DOCTOR_TEXT_SIZE]; /* "" where there is nothing to do */
};

struct doctor_check {
        const char *id;    /* part of ksmctl(8) */
        const char *title; /* half a line */
        bool needs_ksm;    /* on a kernel without KSM there is nothing to check */
        void (*check)(const struct doctor_facts *facts, struct finding *finding);
        /* The processes that a finding other than ok is about; NULL: none. */
        bool (*is_about)(const struct guest_row *process);
};

/* Room for all checks. */
#define DOCTOR_MAX_CHECKS 32

extern const struct doctor_check doctor_checks[];
extern const size_t doctor_n_checks;

/* Return: 0; -ENOMEM. What else fails is among the facts. @config_file may be NULL. */
int doctor_gather(const struct sysroot *root, const char *config_file,
                  struct doctor_facts *ret_facts);
void doctor_facts_clear(struct doctor_facts *facts);

/* Gathers a part. */
void doctor_gather_memory(const struct sysroot *root, struct doctor_memory *ret_memory);

/* Makes one check, or says why it cannot be made. Pure. */
void doctor_run(const struct doctor_check *check, const struct doctor_facts *facts,
                struct finding *ret_finding);

/* --- for the checks -------------------------------------------------------------------------- */

/* Sets verdict and figure. */
__attribute__((format(printf, 3, 4))) void
finding_set(struct finding *finding, enum doctor_verdict verdict, const char *format, ...);
__attribute__((format(printf, 2, 3))) void finding_remedy(struct finding *finding,
                                                          const char *format, ...);
void finding_value(struct finding *finding, int64_t value, const char *unit);

/* The value of an attribute. Return: whether it is known. */
bool fact_attribute(const struct doctor_facts *facts, enum ksm_attribute attribute,
                    int64_t *ret_value);
/* As above; where it is there and cannot be read, @finding says so. */
bool fact_need(const struct doctor_facts *facts, enum ksm_attribute attribute, int64_t *ret_value,
               struct finding *finding);
bool fact_daemon_runs(const struct doctor_facts *facts);
/* Free memory below which KSM is wanted: the running daemon's, else the configuration's. */
int64_t fact_threshold_kb(const struct doctor_facts *facts);
/* MemFree + Buffers + Cached; or SAMPLE_ABSENT */
int64_t fact_free_kb(const struct doctor_facts *facts);
/* a × b / c, which stops at INT64_MAX; 0 where c is 0. None may be negative. */
int64_t fact_scale(int64_t a, int64_t b, int64_t c);
/* Whether the policy is the classic one, as far as is known. */
bool fact_is_classic(const struct doctor_facts *facts);

/* --- the checks, in the files doctor-*.c ------------------------------------------------------ */

void check_kernel(const struct doctor_facts *facts, struct finding *finding);
void check_files(const struct doctor_facts *facts, struct finding *finding);
void check_ksm_off(const struct doctor_facts *facts, struct finding *finding);
void check_nothing_mergeable(const struct doctor_facts *facts, struct finding *finding);
void check_profit(const struct doctor_facts *facts, struct finding *finding);
void check_max_page_sharing(const struct doctor_facts *facts, struct finding *finding);
void check_settings(const struct doctor_facts *facts, struct finding *finding);
void check_smart_scan(const struct doctor_facts *facts, struct finding *finding);

void check_guests(const struct doctor_facts *facts, struct finding *finding);
bool is_unmergeable_guest(const struct guest_row *process);
void check_tenants(const struct doctor_facts *facts, struct finding *finding);
bool shares_memory(const struct guest_row *process);

void check_exposure(const struct doctor_facts *facts, struct finding *finding);
void check_thp(const struct doctor_facts *facts, struct finding *finding);
void check_hugepages(const struct doctor_facts *facts, struct finding *finding);
void check_numa(const struct doctor_facts *facts, struct finding *finding);
void check_zfs_arc(const struct doctor_facts *facts, struct finding *finding);
void check_shmem(const struct doctor_facts *facts, struct finding *finding);

void check_daemon(const struct doctor_facts *facts, struct finding *finding);
void check_knobs(const struct doctor_facts *facts, struct finding *finding);
void check_rivals(const struct doctor_facts *facts, struct finding *finding);
void check_advisor(const struct doctor_facts *facts, struct finding *finding);

void check_config(const struct doctor_facts *facts, struct finding *finding);
void check_threshold(const struct doctor_facts *facts, struct finding *finding);
void check_thres_const(const struct doctor_facts *facts, struct finding *finding);
void check_interval(const struct doctor_facts *facts, struct finding *finding);
void check_psi(const struct doctor_facts *facts, struct finding *finding);
void check_schedstat(const struct doctor_facts *facts, struct finding *finding);
void check_passes(const struct doctor_facts *facts, struct finding *finding);

/* --- printing --------------------------------------------------------------------------------- */

/* For people, on standard output. @findings: one a check of doctor_checks that is in @chosen. */
void doctor_print_text(const struct doctor_facts *facts, const struct finding *findings,
                       const bool *chosen, bool verbose);
/* For programs. Return: 0; -ENOMEM. */
int doctor_print_json(const struct doctor_facts *facts, const struct finding *findings,
                      const bool *chosen);
