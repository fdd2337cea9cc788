/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model-fleet.h"

#include <stdlib.h>

#define WAVE           2 /* guests that boot at the event */
#define ENDS           1 /* the guest that ends then */
#define ENDS_AFTER_SEC 2
#define CHURN_SEC      20.0 /* in which each volatile page is rewritten once */
#define TICK_SEC       0.25
#define TOTAL_KB       (INT64_C(24105) << 10)
#define FREE_SHARE     0.12 /* of memory, once all of the load is there */
#define ORIGINAL_FIRST_SEC                                                    \
        30 /* the original is asked at this time, and goes on by its interval \
            */

enum region { COMMON, PAIRS, QUADS, ZERO, UNIQUE, VOLATILE, UPGRADE, DIVERGE, OLD, LATE, REGIONS };

static const unsigned shares[REGIONS] = {30, 8, 6, 10, 26, 6, 4, 2, 4, 4}; /* per cent */

/* What a guest of QEMU holds: MiB, and the class of it. */
enum {
        QEMU_IMAGE,
        QEMU_COPY,
        QEMU_COPY_2,
        QEMU_KERNEL,
        QEMU_ZERO,
        QEMU_OWN,
        QEMU_BUSY,
        QEMU_PARTS
};
static const unsigned qemu_mib[QEMU_PARTS] = {24, 24, 24, 15, 10, 10, 3};
#define QEMU_MIB      110
#define QEMU_COUNTED  220 /* MiB, as the benchmark reckons */
#define QEMU_BOOT_SEC 8

const struct model_form model_standard_form = {
        .name = "bench, standard: 8 x 256 MiB booting, 4 of QEMU, event at 72 s, 116 s",
        .guests = 8,
        .qemu = 4,
        .units = 1024,
        .unit_pages = 64,
        .stagger_sec = 1,
        .boot_sec = 3,
        .qemu_stagger_sec = 2,
        .event_sec = 72,
        .end_sec = 116,
        .rest_sec = 0,
        .thres_coef = 20,
};
const struct model_form model_long_form = {
        .name = "bench, long: 8 x 1 GiB booting, 4 of QEMU, event at 300 s, 600 s, half an hour of "
                "rest",
        .guests = 8,
        .qemu = 4,
        .units = 1024,
        .unit_pages = 256,
        .stagger_sec = 2,
        .boot_sec = 6,
        .qemu_stagger_sec = 4,
        .event_sec = 300,
        .end_sec = 600,
        .rest_sec = 1800,
        .thres_coef = 20,
};

struct fleet_guest {
        bool started, ended;
        uint32_t process;
        double start_sec;
        uint32_t next[REGIONS]; /* unit to write next, per region, while it boots */
        uint32_t churned;       /* volatile units rewritten so far */
};

struct model_fleet {
        const struct model_form *form;
        struct fleet_guest guests[FLEET_GUESTS_MAX];
        unsigned n_guests;
        struct fleet_guest qemu[FLEET_GUESTS_MAX];
        uint32_t first[REGIONS + 1];
        uint32_t contents[REGIONS][2]; /* first content: before the event, and behind it */
        uint32_t qemu_contents;
        bool had_event;
        uint32_t rewritten;
};

static uint32_t size_of(const struct model_fleet *fleet, enum region region)
{
        return fleet->first[region + 1] - fleet->first[region];
}

static uint32_t reserve(struct model_ksm *ksm, uint32_t n)
{
        uint32_t first = model_ksm_new_content(ksm);

        for (uint32_t i = 1; i < n; i++)
                (void)model_ksm_new_content(ksm);
        return first;
}

static uint32_t content_of(struct model_fleet *fleet, struct model_ksm *ksm, enum region region,
                           unsigned guest, uint32_t index, bool later)
{
        uint32_t size = size_of(fleet, region);

        switch (region) {
        case ZERO:
                return MODEL_ZERO;
        case COMMON:
        case UPGRADE:
                return fleet->contents[region][later] + index;
        case DIVERGE:
                return later ? model_ksm_new_content(ksm) : fleet->contents[region][0] + index;
        case PAIRS:
                return fleet->contents[region][0] + guest / 2 * size + index;
        case QUADS:
                return fleet->contents[region][0] + guest / 4 * size + index;
        case OLD:
                return fleet->contents[OLD][0] + guest * size + index;
        case LATE:
                return fleet->contents[OLD][0] +
                       (guest + fleet->form->guests - 1) % fleet->form->guests *
                               size_of(fleet, OLD) +
                       index;
        default:
                return model_ksm_new_content(ksm);
        }
}

static struct model_unit *unit_of(struct model_host *host, const struct fleet_guest *guest,
                                  uint32_t index)
{
        return &host->ksm.processes[guest->process].units[index];
}

static void write_unit(struct model_host *host, struct model_unit *unit, uint32_t content)
{
        if (unit->present)
                model_ksm_write(&host->ksm, unit, content);
        else
                model_ksm_touch(&host->ksm, unit, content);
}

static void start(struct model_host *host, struct fleet_guest *guest, uint32_t n_units)
{
        guest->started = true;
        guest->start_sec = host->now_sec;
        guest->process = model_ksm_add(&host->ksm, n_units);
        host->guests[guest->process].alive = true;
        host->guests[guest->process].touched = n_units;
        host->events |= EVENT_GUEST_STARTED;
}

static void boot(struct model_fleet *fleet, struct model_host *host, unsigned number)
{
        struct fleet_guest *guest = &fleet->guests[number];
        double age = host->now_sec - guest->start_sec;

        for (unsigned r = 0, so_far = 0; r < REGIONS; so_far += shares[r++]) {
                double at = fleet->form->boot_sec * so_far / 100;
                double over = fleet->form->boot_sec * shares[r] / 100;
                uint32_t size = size_of(fleet, r), wanted;

                if (r == LATE || age < at)
                        continue;
                wanted = age >= at + over ? size : (uint32_t)((age - at) / over * size);
                for (; guest->next[r] < wanted; guest->next[r]++)
                        write_unit(host, unit_of(host, guest, fleet->first[r] + guest->next[r]),
                                   content_of(fleet, &host->ksm, r, number, guest->next[r], false));
        }
}

static void churn(struct model_fleet *fleet, struct model_host *host, struct fleet_guest *guest)
{
        uint32_t size = size_of(fleet, VOLATILE);
        double due = (host->now_sec - guest->start_sec - fleet->form->boot_sec) / CHURN_SEC * size;

        for (; (double)guest->churned < due; guest->churned++)
                model_ksm_write(
                        &host->ksm,
                        unit_of(host, guest, fleet->first[VOLATILE] + guest->churned % size),
                        model_ksm_new_content(&host->ksm));
}

static void boot_qemu(struct model_fleet *fleet, struct model_host *host, struct fleet_guest *guest)
{
        double age = host->now_sec - guest->start_sec;
        double per_mib = 256 / fleet->form->unit_pages;
        uint32_t image = (uint32_t)(24 * per_mib), at = 0;
        uint32_t wanted = age >= QEMU_BOOT_SEC
                                  ? UINT32_MAX
                                  : (uint32_t)(age / QEMU_BOOT_SEC * QEMU_MIB * per_mib);

        for (unsigned part = 0; part < QEMU_PARTS; part++)
                for (uint32_t i = 0; i < (uint32_t)(qemu_mib[part] * per_mib); i++, at++) {
                        struct model_unit *unit = unit_of(host, guest, at);
                        uint32_t content;

                        if (at >= wanted)
                                return;
                        if (unit->present)
                                continue;
                        content = part <= QEMU_COPY_2   ? fleet->qemu_contents + i
                                  : part == QEMU_KERNEL ? fleet->qemu_contents + image + i
                                  : part == QEMU_ZERO   ? MODEL_ZERO
                                                        : model_ksm_new_content(&host->ksm);
                        unit->busy = part == QEMU_BUSY;
                        write_unit(host, unit, content);
                }
}

static void event(struct model_fleet *fleet, struct model_host *host)
{
        const enum region rewritten[] = {UPGRADE, DIVERGE, LATE};

        for (unsigned g = 0; g < fleet->form->guests; g++)
                for (unsigned r = 0; r < sizeof(rewritten) / sizeof(rewritten[0]); r++)
                        for (uint32_t i = 0; i < size_of(fleet, rewritten[r]); i++)
                                write_unit(host,
                                           unit_of(host, &fleet->guests[g],
                                                   fleet->first[rewritten[r]] + i),
                                           content_of(fleet, &host->ksm, rewritten[r], g, i, true));
        fleet->n_guests = fleet->form->guests + WAVE;
        fleet->had_event = true;
}

static double start_of(const struct model_fleet *fleet, unsigned guest)
{
        return guest < fleet->form->guests
                       ? guest * fleet->form->stagger_sec
                       : fleet->form->event_sec +
                                 (guest - fleet->form->guests) * fleet->form->stagger_sec;
}

/* Common pages of any guest are written to: half of them are equal again a moment later. */
static void rewrite(struct model_fleet *fleet, struct model_host *host)
{
        double due =
                fleet->form->rewrites_mib_per_sec * 256 / fleet->form->unit_pages * host->now_sec;

        for (; (double)fleet->rewritten < due; fleet->rewritten++) {
                unsigned g = (unsigned)(model_random(host) * fleet->form->guests);
                uint32_t i = (uint32_t)(model_random(host) * size_of(fleet, COMMON));
                struct model_unit *unit;

                if (!fleet->guests[g].started || fleet->guests[g].ended)
                        continue;
                unit = unit_of(host, &fleet->guests[g], fleet->first[COMMON] + i);
                if (unit->present)
                        model_ksm_write(&host->ksm, unit,
                                        model_random(host) < 0.5
                                                ? fleet->contents[COMMON][0] + i
                                                : model_ksm_new_content(&host->ksm));
        }
}

static void live(struct model_host *host, void *context)
{
        struct model_fleet *fleet = context;
        double per_mib = 256 / fleet->form->unit_pages;

        if (!fleet->had_event && host->now_sec >= fleet->form->event_sec)
                event(fleet, host);
        for (unsigned g = 0; g < fleet->n_guests; g++) {
                struct fleet_guest *guest = &fleet->guests[g];

                if (guest->ended || host->now_sec < start_of(fleet, g))
                        continue;
                if (!guest->started)
                        start(host, guest, fleet->form->units);
                if (host->now_sec < guest->start_sec + fleet->form->boot_sec + 1)
                        boot(fleet, host, g);
                churn(fleet, host, guest);
                if (g == ENDS && host->now_sec >= fleet->form->event_sec + ENDS_AFTER_SEC) {
                        guest->ended = true;
                        model_host_end_guest(host, guest->process);
                }
        }
        for (unsigned q = 0; q < fleet->form->qemu; q++) {
                struct fleet_guest *guest = &fleet->qemu[q];

                if (host->now_sec < q * fleet->form->qemu_stagger_sec)
                        continue;
                if (!guest->started)
                        start(host, guest, (uint32_t)(QEMU_MIB * per_mib));
                if (host->now_sec < guest->start_sec + QEMU_BOOT_SEC + 1)
                        boot_qemu(fleet, host, guest);
        }
        rewrite(fleet, host);
}

static void set_up(struct model_fleet *fleet, struct model_host *host,
                   const struct model_form *form, const struct model_contestant *contestant)
{
        double load_kb = form->units * form->unit_pages * 4 * form->guests +
                         (double)form->qemu * QEMU_COUNTED * 1024;
        unsigned share = 0;

        *fleet = (struct model_fleet){.form = form, .n_guests = form->guests};
        model_host_init(host, 1, form->unit_pages, TOTAL_KB, form->units);
        host->other_kb = (int64_t)((double)TOTAL_KB * (1 - FREE_SHARE) - load_kb);
        host->live = live;
        host->live_context = fleet;
        host->driver = contestant->driver;
        host->fixed_pages = contestant->pages;
        host->fixed_msec = contestant->msec;
        if (contestant->no_smart)
                model_host_is_old(host);
        host->settings.adaptive.cpu_max = contestant->cpu_max;
        host->settings.classic.thres_coef = form->thres_coef;
        if (contestant->driver == DRIVER_FORCED)
                host->next_call_sec = form->event_sec / 8 < ORIGINAL_FIRST_SEC ? form->event_sec / 8
                                                                               : ORIGINAL_FIRST_SEC;
        for (unsigned r = 0; r <= REGIONS; r++) {
                fleet->first[r] = form->units * share / 100;
                share += r < REGIONS ? shares[r] : 0;
        }
        for (unsigned r = 0; r < REGIONS; r++)
                for (unsigned later = 0; later < 2; later++)
                        fleet->contents[r][later] = reserve(
                                &host->ksm,
                                size_of(fleet, r) * (r == COMMON || r == UPGRADE || r == DIVERGE
                                                             ? 1
                                                             : form->guests + WAVE));
        fleet->qemu_contents = reserve(&host->ksm, (uint32_t)(QEMU_MIB * 256 / form->unit_pages));
}

static double late_share(const struct model_fleet *fleet, struct model_host *host)
{
        double merged = 0, all = 0;

        for (unsigned g = 0; g < fleet->form->guests; g++) {
                /* Guest 1 ends, and with it the twins of what guest 2 has of it. */
                if (g == ENDS || g == ENDS + 1)
                        continue;
                all += fleet->first[REGIONS] - fleet->first[LATE];
                for (uint32_t i = fleet->first[LATE]; i < fleet->first[REGIONS]; i++)
                        merged += unit_of(host, &fleet->guests[g], i)->place == MODEL_STABLE;
        }
        return all > 0 ? merged / all : 0;
}

/* What can be saved at the event and at the end: nobody drives ksmd. */
static void find_reachable(const struct model_form *form, double *ret_event, double *ret_end)
{
        const struct model_contestant nobody = {.driver = DRIVER_FORCED};
        struct model_fleet fleet;
        struct model_host *host = calloc(1, sizeof(*host));

        if (!host)
                abort();
        set_up(&fleet, host, form, &nobody);
        host->next_call_sec = 1e12;
        model_host_run(host, form->event_sec - TICK_SEC, TICK_SEC);
        *ret_event = model_ksm_reachable(&host->ksm);
        model_host_run(host, form->end_sec, TICK_SEC);
        *ret_end = model_ksm_reachable(&host->ksm);
        model_host_release(host);
        free(host);
}

void model_fleet_run(const struct model_form *form, const struct model_contestant *contestant,
                     bool verbose, struct model_outcome *ret_outcome)
{
        struct model_outcome outcome = {.to_50_sec = -1, .to_90_sec = -1, .again_90_sec = -1};
        struct model_fleet *fleet = malloc(sizeof(*fleet));
        struct model_host *host = calloc(1, sizeof(*host));
        double at_event, at_end;

        if (!host || !fleet)
                abort();
        find_reachable(form, &at_event, &at_end);
        set_up(fleet, host, form, contestant);
        host->verbose = verbose;
        for (unsigned tick = 0; tick * TICK_SEC < form->end_sec; tick++) {
                double now = tick * TICK_SEC, saved;

                model_host_run(host, now + TICK_SEC, TICK_SEC);
                saved = model_ksm_saved(&host->ksm);
                if (outcome.to_50_sec < 0 && saved >= 0.5 * at_event)
                        outcome.to_50_sec = now + TICK_SEC;
                if (outcome.to_90_sec < 0 && saved >= 0.9 * at_event) {
                        outcome.to_90_sec = now + TICK_SEC;
                        outcome.cpu_90_sec = host->ksm.cpu_sec;
                }
                if (outcome.again_90_sec < 0 && now >= form->event_sec && saved >= 0.9 * at_end)
                        outcome.again_90_sec = now + TICK_SEC - form->event_sec;
        }
        outcome.cpu_sec = host->ksm.cpu_sec;
        outcome.gib_sec = host->saved_gib_sec;
        outcome.calls = host->calls;
        outcome.saved_share = model_ksm_saved(&host->ksm) / at_end;
        outcome.late_share = late_share(fleet, host);
        model_host_run(host, form->end_sec + form->rest_sec, TICK_SEC);
        outcome.rest_cpu_sec = host->ksm.cpu_sec - outcome.cpu_sec;
        outcome.rest_calls = host->calls - outcome.calls;
        outcome.rest_saved_share = model_ksm_saved(&host->ksm) / at_end;
        outcome.most_share = host->window_most;
        model_host_release(host);
        free(host);
        free(fleet);
        *ret_outcome = outcome;
}
