/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model-ksm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Measured on Linux 6.18, in a virtual machine. */
#define COST_KNOWN        0.2e-6 /* merged, or skipped */
#define COST_KNOWN_COLD   0.5e-6 /* where ksmd sleeps between batches, and others have the caches */
#define COST_COLD         1.25   /* what others cost more then */
#define COST_HASH         1.1e-6
#define COST_MERGE        6.5e-6
#define COST_SEARCH       3.8e-6 /* among 32 768 unshared pages, and so much more for each doubling */
#define COST_SEARCH_DEPTH 1.0e-6
#define HEAD              MODEL_PROCESSES_MAX

static void *must(void *memory)
{
        if (!memory)
                abort();
        return memory;
}

void model_ksm_init(struct model_ksm *ksm, double unit_pages)
{
        *ksm = (struct model_ksm){
                .unit_pages = unit_pages,
                .head = HEAD,
                .cursor = HEAD,
                .contents_max = 1024,
                .pages_to_scan = 100,
                .sleep_millisecs = 20,
                .smart_scan = 1,
                .speed = 1,
        };
        ksm->merged = must(calloc(ksm->contents_max, sizeof(*ksm->merged)));
        ksm->unstable = must(calloc(ksm->contents_max, sizeof(struct model_unit *)));
        ksm->n_contents = MODEL_ZERO + 1;
}

void model_ksm_release(struct model_ksm *ksm)
{
        for (uint32_t i = 0; i < MODEL_PROCESSES_MAX; i++)
                free(ksm->processes[i].units);
        free(ksm->merged);
        free(ksm->unstable);
}

uint32_t model_ksm_new_content(struct model_ksm *ksm)
{
        if (ksm->n_contents == ksm->contents_max) {
                uint32_t n = ksm->contents_max;

                ksm->merged = must(reallocarray(ksm->merged, 2 * n, sizeof(*ksm->merged)));
                ksm->unstable =
                        must(reallocarray(ksm->unstable, 2 * n, sizeof(struct model_unit *)));
                memset(ksm->merged + n, 0, n * sizeof(*ksm->merged));
                memset(ksm->unstable + n, 0, n * sizeof(struct model_unit *));
                ksm->contents_max = 2 * n;
        }
        return ksm->n_contents++;
}

static uint32_t *link_of(struct model_ksm *ksm, uint32_t process)
{
        return process == HEAD ? &ksm->head : &ksm->processes[process].next;
}

static uint32_t before(struct model_ksm *ksm, uint32_t process)
{
        uint32_t at = HEAD;

        while (*link_of(ksm, at) != process)
                at = *link_of(ksm, at);
        return at;
}

uint32_t model_ksm_add(struct model_ksm *ksm, uint32_t n_units)
{
        for (uint32_t i = 0; i < MODEL_PROCESSES_MAX; i++) {
                struct model_process *process = &ksm->processes[i];
                uint32_t at;

                if (process->alive)
                        continue;
                *process = (struct model_process){
                        .units = must(calloc(n_units, sizeof(*process->units))),
                        .n_units = n_units,
                        .alive = true,
                };
                /* Behind the cursor, so it is reached last. */
                at = before(ksm, ksm->cursor);
                process->next = ksm->cursor;
                *link_of(ksm, at) = i;
                return i;
        }
        return MODEL_PROCESSES_MAX;
}

static void take_out(struct model_ksm *ksm, struct model_unit *unit)
{
        ksm->stale -= unit->stale;
        unit->stale = false;
        if (unit->place == MODEL_STABLE) {
                /* The first of a group counts as shared; of zero pages each is a copy. */
                if (unit->content == MODEL_ZERO || ksm->merged[unit->content] > 1)
                        ksm->sharing--;
                else
                        ksm->shared--;
                ksm->merged[unit->content]--;
        } else if (unit->place == MODEL_UNSTABLE) {
                ksm->unshared--;
                if (ksm->unstable[unit->content] == unit)
                        ksm->unstable[unit->content] = NULL;
        } else if (unit->place == MODEL_ZERO_PAGE) {
                ksm->zero_pages--;
        }
        unit->place = MODEL_NOWHERE;
}

void model_ksm_remove(struct model_ksm *ksm, uint32_t number)
{
        struct model_process *process = &ksm->processes[number];

        for (uint32_t i = 0; i < process->n_units; i++) {
                take_out(ksm, &process->units[i]);
                ksm->known -= process->units[i].known;
                ksm->present -= process->units[i].present;
        }
        if (ksm->cursor == number) {
                ksm->cursor = process->next;
                ksm->cursor_unit = 0;
        }
        *link_of(ksm, before(ksm, number)) = process->next;
        free(process->units);
        *process = (struct model_process){.alive = false};
}

void model_ksm_touch(struct model_ksm *ksm, struct model_unit *unit, uint32_t content)
{
        ksm->present++;
        unit->present = true;
        unit->content = content;
}

void model_ksm_write(struct model_ksm *ksm, struct model_unit *unit, uint32_t content)
{
        if (unit->place == MODEL_STABLE) {
                take_out(ksm, unit);
                unit->stale = true;
                ksm->stale++;
        } else if (unit->place == MODEL_ZERO_PAGE) {
                take_out(ksm, unit);
        }
        /* A page of the unstable tree stays in it, as what it was: ksmd finds that out. */
        if (unit->place == MODEL_UNSTABLE && ksm->unstable[unit->content] == unit)
                ksm->unstable[unit->content] = NULL;
        unit->content = content;
}

static unsigned skips_at(unsigned age)
{
        return age <= 3 ? 1 : age <= 5 ? 2 : age <= 8 ? 4 : 8;
}

static bool skip(struct model_ksm *ksm, struct model_unit *unit)
{
        unsigned age = unit->age;

        if (!ksm->smart_scan || unit->place == MODEL_STABLE)
                return false;
        if (unit->age < 255)
                unit->age++;
        if (age < 3)
                return false;
        if (unit->skips == 0) {
                unit->skips = (uint8_t)skips_at(age);
                return false;
        }
        unit->skips--;
        take_out(ksm, unit);
        return true;
}

static void merge(struct model_ksm *ksm, struct model_unit *unit)
{
        take_out(ksm, unit);
        if (unit->content != MODEL_ZERO && ksm->merged[unit->content] == 0)
                ksm->shared++;
        else
                ksm->sharing++;
        ksm->merged[unit->content]++;
        unit->place = MODEL_STABLE;
}

/* ksmd looks at a unit. Return: CPU seconds of a page of it. */
static double look_at(struct model_ksm *ksm, struct model_unit *unit)
{
        struct model_unit *twin;

        if (unit->place == MODEL_STABLE)
                return ksm->known_sec;
        take_out(ksm, unit);
        if (unit->hashed != unit->content + 1 || unit->busy) {
                unit->hashed = unit->content + 1;
                return COST_HASH;
        }
        if (unit->content == MODEL_ZERO && ksm->use_zero_pages) {
                unit->place = MODEL_ZERO_PAGE;
                ksm->zero_pages++;
                return COST_MERGE;
        }
        twin = ksm->unstable[unit->content];
        if (unit->content == MODEL_ZERO || ksm->merged[unit->content] > 0) {
                merge(ksm, unit);
                return COST_MERGE;
        }
        if (twin && twin != unit && twin->place == MODEL_UNSTABLE && twin->seqnr == ksm->seqnr) {
                merge(ksm, twin);
                merge(ksm, unit);
                ksm->unstable[unit->content] = NULL;
                return COST_MERGE;
        }
        unit->place = MODEL_UNSTABLE;
        unit->seqnr = ksm->seqnr;
        ksm->unstable[unit->content] = unit;
        ksm->unshared++;
        return ksm->search_sec;
}

/* As measured at 250 Hz. */
static double real_sleep(int64_t msec)
{
        int64_t ticks = (msec + 3) / 4 + 1;

        return msec <= 0 ? 0 : (double)ticks * 0.004;
}

/* The next unit of the ring, NULL at the end of the pass. */
static struct model_unit *next_unit(struct model_ksm *ksm)
{
        while (ksm->cursor != HEAD && ksm->cursor_unit >= ksm->processes[ksm->cursor].n_units) {
                ksm->cursor = ksm->processes[ksm->cursor].next;
                ksm->cursor_unit = 0;
        }
        if (ksm->cursor == HEAD)
                return NULL;
        return &ksm->processes[ksm->cursor].units[ksm->cursor_unit++];
}

/* By how many the tree held at the end of the last pass, or holds already. */
static double search_cost(const struct model_ksm *ksm)
{
        double pages = (double)ksm->unshared * ksm->unit_pages;

        return COST_SEARCH + COST_SEARCH_DEPTH * (pages > 4096 ? log2(pages / 32768) : -3);
}

void model_ksm_go(struct model_ksm *ksm, double seconds)
{
        double left = seconds - ksm->debt_sec;
        double pause = real_sleep(ksm->sleep_millisecs);
        double per_page = ksm->pages_to_scan > 0 ? pause / (double)ksm->pages_to_scan : 1;

        if (ksm->run != 1 || ksm->head == HEAD) {
                ksm->debt_sec = 0;
                return;
        }
        ksm->known_sec = pause > 0 ? COST_KNOWN_COLD : COST_KNOWN;
        while (left > 0) {
                struct model_unit *unit;
                double cpu, span;

                if (ksm->cursor == HEAD) {
                        ksm->cursor = ksm->head;
                        ksm->cursor_unit = 0;
                }
                unit = next_unit(ksm);
                if (!unit) {
                        ksm->full_scans++;
                        ksm->seqnr++;
                        left -= pause > 0.0005 ? pause : 0.0005;
                        continue;
                }
                if (!unit->present)
                        continue;
                /* ksmd walks by, and forgets that there was a page. */
                if (unit->place == MODEL_ZERO_PAGE) {
                        ksm->known -= unit->known;
                        unit->known = false;
                        unit->hashed = 0;
                        unit->age = unit->skips = 0;
                        continue;
                }
                ksm->known += !unit->known;
                unit->known = true;
                if (skip(ksm, unit)) {
                        ksm->pages_skipped += ksm->unit_pages;
                        cpu = ksm->known_sec * ksm->unit_pages * ksm->speed;
                        span = cpu;
                } else {
                        ksm->pages_scanned += ksm->unit_pages;
                        ksm->search_sec = search_cost(ksm);
                        cpu = look_at(ksm, unit);
                        if (pause > 0 && cpu > COST_KNOWN_COLD)
                                cpu *= COST_COLD;
                        cpu *= ksm->unit_pages * ksm->speed;
                        span = cpu + per_page * ksm->unit_pages;
                }
                ksm->cpu_sec += cpu;
                left -= span;
        }
        ksm->debt_sec = -left;
}

void model_ksm_sample(const struct model_ksm *ksm, struct ksm_sample *ret_sample)
{
        double unit = ksm->unit_pages;

        *ret_sample = (struct ksm_sample){
                .run = ksm->run,
                .pages_to_scan = ksm->pages_to_scan,
                .sleep_millisecs = ksm->sleep_millisecs,
                .smart_scan = ksm->smart_scan,
                .full_scans = ksm->full_scans,
                .pages_shared = (int64_t)((double)ksm->shared * unit),
                .pages_sharing = (int64_t)((double)(ksm->sharing + ksm->stale) * unit),
                .pages_unshared = (int64_t)((double)ksm->unshared * unit),
                .pages_volatile = (int64_t)((double)(ksm->known - ksm->shared - ksm->sharing -
                                                     ksm->stale - ksm->unshared) *
                                            unit),
                .ksm_zero_pages = (int64_t)((double)ksm->zero_pages * unit),
                .page_bytes = 4096,
                .ksmd_cpu_nsec = (int64_t)(ksm->cpu_sec * 1e9),
                .pages_scanned = (int64_t)ksm->pages_scanned,
                .pages_skipped = (int64_t)ksm->pages_skipped,
        };
}

double model_ksm_saved(const struct model_ksm *ksm)
{
        return (double)(ksm->sharing + ksm->zero_pages) * ksm->unit_pages;
}

double model_ksm_reachable(struct model_ksm *ksm)
{
        uint32_t *seen = must(calloc(ksm->n_contents, sizeof(*seen)));
        double units = 0;

        for (uint32_t p = 0; p < MODEL_PROCESSES_MAX; p++)
                for (uint32_t i = 0; i < ksm->processes[p].n_units; i++) {
                        const struct model_unit *unit = &ksm->processes[p].units[i];

                        if (unit->busy || !unit->present)
                                continue;
                        if (unit->content == MODEL_ZERO || seen[unit->content])
                                units++;
                        seen[unit->content] = 1;
                }
        free(seen);
        return units * ksm->unit_pages;
}
