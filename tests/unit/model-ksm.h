/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A model of the kernel's KSM, for the tests of policies: the two-pass rule, the two trees,
 * smart_scan's skipping, what ksmd spends on each class of page, the cursor that is kept when run
 * is set to 0, and processes that are reached last when they are new.
 *
 * A model page ("unit") stands for unit_pages pages that lie side by side and have the same fate.
 * Its content is a number; units of the same number are equal page by page.
 */

#include <stdbool.h>
#include <stdint.h>

#include "ksmtuned/sample.h"

#define MODEL_PROCESSES_MAX 256
#define MODEL_ZERO          0 /* the content of pages of zeros */

enum model_place { MODEL_NOWHERE, MODEL_UNSTABLE, MODEL_STABLE, MODEL_ZERO_PAGE };

struct model_unit {
        uint32_t content;
        uint32_t hashed; /* content when it was hashed last */
        uint32_t seqnr;  /* of the unstable tree that it is in */
        uint8_t place;   /* enum model_place */
        uint8_t age, skips;
        bool present; /* the guest has touched it */
        bool known;   /* KSM has met it */
        bool busy;    /* its content changes all the time */
        bool stale;   /* was merged, has been written to since, and ksmd has not met it yet */
};

struct model_process {
        struct model_unit *units;
        uint32_t n_units;
        uint32_t next; /* in the ring in which ksmd goes around */
        bool alive;
};

struct model_ksm {
        double unit_pages;
        struct model_process processes[MODEL_PROCESSES_MAX];
        uint32_t head, cursor; /* the ring that ksmd goes around */
        uint32_t cursor_unit;
        uint32_t seqnr;
        /* By content: how many units are merged, and who is in the unstable tree. */
        uint32_t *merged;
        struct model_unit **unstable;
        uint32_t n_contents, contents_max;

        /* Knobs. */
        int64_t run, pages_to_scan, sleep_millisecs, smart_scan, use_zero_pages;
        /* Counters, in units; pages_* in pages. */
        int64_t full_scans, shared, sharing, unshared, known, present;
        int64_t zero_pages; /* units that are the kernel's own zero page, and soon unknown to KSM */
        int64_t stale;      /* units that the kernel still counts as merged: ksmd finds that out */
        double pages_scanned, pages_skipped;
        double cpu_sec;
        double known_sec;  /* to pass over a page, as ksmd works now */
        double search_sec; /* to search for a page in the trees as they are */
        double speed;      /* costs of pages are multiplied by it */
        double debt_sec;   /* the unit in work reaches so far into the time to come */
};

void model_ksm_init(struct model_ksm *ksm, double unit_pages);
void model_ksm_release(struct model_ksm *ksm);
uint32_t model_ksm_new_content(struct model_ksm *ksm);
/* Return: its number, MODEL_PROCESSES_MAX where there is no room. */
uint32_t model_ksm_add(struct model_ksm *ksm, uint32_t n_units);
void model_ksm_remove(struct model_ksm *ksm, uint32_t process);
/* A guest touches a page for the first time. */
void model_ksm_touch(struct model_ksm *ksm, struct model_unit *unit, uint32_t content);
/* A guest writes: what was merged breaks up. */
void model_ksm_write(struct model_ksm *ksm, struct model_unit *unit, uint32_t content);
/* ksmd for a time. */
void model_ksm_go(struct model_ksm *ksm, double seconds);
void model_ksm_sample(const struct model_ksm *ksm, struct ksm_sample *ret_sample);
/* Pages that could be saved if all that is equal was merged, but for busy pages. */
double model_ksm_reachable(struct model_ksm *ksm);
double model_ksm_saved(const struct model_ksm *ksm);
