/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "model-host.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define IMAGE_MAX (sizeof(((struct model_host *)0)->image) / sizeof(uint32_t))
#define GIB       1073741824.0

double model_random(struct model_host *host)
{
        uint64_t x;

        host->random += UINT64_C(0x9e3779b97f4a7c15);
        x = host->random;
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

void model_host_is_old(struct model_host *host)
{
        host->ksm.smart_scan = 0;
        host->hide_from |= MODEL_HIDE_SMART | MODEL_HIDE_COUNTERS;
}

void model_host_init(struct model_host *host, uint64_t seed, double unit_pages, int64_t total_kb,
                     uint32_t guest_units)
{
        *host = (struct model_host){
                .random = seed,
                .total_kb = total_kb,
                .guest_units = guest_units < IMAGE_MAX ? guest_units : IMAGE_MAX,
                .interval_sec = 60,
                .rates = {.zero = 0.1, .common = 0.4, .busy = 0.05},
                .settings = {.kind = POLICY_ADAPTIVE,
                             .classic = CLASSIC_PARAMS_DEFAULT,
                             .adaptive = ADAPTIVE_PARAMS_DEFAULT},
        };
        model_ksm_init(&host->ksm, unit_pages);
        host->n_image = host->guest_units;
        for (uint32_t i = 0; i < host->n_image; i++)
                host->image[i] = model_ksm_new_content(&host->ksm);
}

void model_host_release(struct model_host *host)
{
        model_ksm_release(&host->ksm);
}

unsigned model_host_guests(const struct model_host *host)
{
        unsigned n = 0;

        for (uint32_t i = 0; i < MODEL_PROCESSES_MAX; i++)
                n += host->guests[i].alive;
        return n;
}

/* Classes alternate, as the pages of a guest do, but in runs. */
static void touch(struct model_host *host, struct model_unit *unit, uint32_t index)
{
        double class = model_random(host);
        uint32_t content;

        if (class < host->rates.zero)
                content = MODEL_ZERO;
        else if (class < host->rates.zero + host->rates.common)
                content = host->image[index % host->n_image];
        else
                content = model_ksm_new_content(&host->ksm);
        unit->busy = class >= 1 - host->rates.busy;
        model_ksm_touch(&host->ksm, unit, content);
}

static void boot(struct model_host *host, uint32_t guest)
{
        struct model_process *process = &host->ksm.processes[guest];
        double age = host->now_sec - host->guests[guest].started_sec;
        double share = host->rates.boot_sec > 0 ? age / host->rates.boot_sec : 1;
        uint32_t wanted = share >= 1 ? process->n_units : (uint32_t)(share * process->n_units);

        for (; host->guests[guest].touched < wanted; host->guests[guest].touched++)
                touch(host, &process->units[host->guests[guest].touched],
                      host->guests[guest].touched);
}

uint32_t model_host_start_guest(struct model_host *host)
{
        uint32_t guest = model_ksm_add(&host->ksm, host->guest_units);

        if (guest == MODEL_PROCESSES_MAX)
                return guest;
        host->guests[guest].alive = true;
        host->guests[guest].started_sec = host->now_sec;
        host->guests[guest].touched = 0;
        host->events |= EVENT_GUEST_STARTED;
        boot(host, guest);
        return guest;
}

void model_host_end_guest(struct model_host *host, uint32_t guest)
{
        model_ksm_remove(&host->ksm, guest);
        host->guests[guest].alive = false;
        host->events |= EVENT_GUEST_ENDED;
}

static uint32_t random_guest(struct model_host *host)
{
        uint32_t start = (uint32_t)(model_random(host) * MODEL_PROCESSES_MAX);

        for (uint32_t i = 0; i < MODEL_PROCESSES_MAX; i++)
                if (host->guests[(start + i) % MODEL_PROCESSES_MAX].alive)
                        return (start + i) % MODEL_PROCESSES_MAX;
        return MODEL_PROCESSES_MAX;
}

static struct model_unit *random_unit(struct model_host *host, uint32_t *ret_index)
{
        uint32_t guest = random_guest(host);

        if (guest == MODEL_PROCESSES_MAX || host->guests[guest].touched == 0)
                return NULL;
        *ret_index = (uint32_t)(model_random(host) * host->guests[guest].touched);
        return &host->ksm.processes[guest].units[*ret_index];
}

static void rewrite(struct model_host *host)
{
        uint32_t index;
        struct model_unit *unit = random_unit(host, &index);

        if (!unit || unit->busy)
                return;
        if (model_random(host) < host->rates.rewrites_common)
                model_ksm_write(&host->ksm, unit, host->image[index % host->n_image]);
        else
                model_ksm_write(&host->ksm, unit, model_ksm_new_content(&host->ksm));
}

void model_host_make_twins(struct model_host *host, unsigned n)
{
        for (unsigned tries = 0; n > 0 && tries < 100000; tries++) {
                uint32_t index;
                struct model_unit *old = random_unit(host, &index);
                struct model_unit *late = random_unit(host, &index);

                if (!old || !late || old == late || old->busy || late->busy ||
                    old->place == MODEL_STABLE || late->place == MODEL_STABLE)
                        continue;
                model_ksm_write(&host->ksm, late, old->content);
                n--;
        }
}

void model_host_copy_old(struct model_host *host, uint32_t guest, uint32_t n)
{
        struct model_process *process = &host->ksm.processes[guest];
        uint32_t index, i = 0;

        for (unsigned tries = 0; i < n && i < process->n_units && tries < 100000; tries++) {
                const struct model_unit *old = random_unit(host, &index);

                if (!old || old->busy || old->place == MODEL_STABLE || !old->known)
                        continue;
                process->units[i].busy = false;
                model_ksm_write(&host->ksm, &process->units[i++], old->content);
        }
}

/* How many of something that comes at random in a time. */
static unsigned happenings(struct model_host *host, double expected)
{
        double whole = floor(expected);

        return (unsigned)whole + (model_random(host) < expected - whole);
}

static void live(struct model_host *host, double seconds)
{
        const struct model_rates *rates = &host->rates;
        unsigned n;

        if (host->live) {
                host->live(host, host->live_context);
                return;
        }
        for (uint32_t i = 0; i < MODEL_PROCESSES_MAX; i++)
                if (host->guests[i].alive &&
                    host->guests[i].touched < host->ksm.processes[i].n_units)
                        boot(host, i);
        for (n = happenings(host, rates->rewrites_per_sec * seconds); n > 0; n--)
                rewrite(host);
        for (n = happenings(host, rates->guests_per_hour * seconds / 3600); n > 0; n--) {
                uint32_t guest = random_guest(host);

                if (guest < MODEL_PROCESSES_MAX)
                        model_host_end_guest(host, guest);
                (void)model_host_start_guest(host);
        }
}

static int64_t kb_of_units(const struct model_host *host, int64_t units)
{
        return (int64_t)((double)units * host->ksm.unit_pages * 4);
}

void model_host_sample(const struct model_host *host, struct sample *ret_sample)
{
        int64_t unmerged_kb = kb_of_units(host, host->ksm.present);
        int64_t zero_kb = kb_of_units(host, host->ksm.zero_pages);
        int64_t anon_kb = unmerged_kb - kb_of_units(host, host->ksm.sharing) - zero_kb;
        int64_t available_kb = host->total_kb - host->other_kb - host->anon_other_kb - anon_kb;
        struct sample sample = {
                .memory = {.total_kb = host->total_kb,
                           .free_kb = available_kb > 0 ? available_kb / 2 : 0,
                           .cached_kb = available_kb > 0 ? available_kb / 2 : 0,
                           .available_kb = available_kb > 0 ? available_kb : 0,
                           .anon_kb = anon_kb + host->anon_other_kb},
                /* The kernel's zero page is nobody's resident memory. */
                .guests = {.count = model_host_guests(host), .committed_kb = unmerged_kb - zero_kb},
                .events = host->events,
        };

        sample.pressure.some.avg10_centi = (int64_t)host->pressure_centi;
        model_ksm_sample(&host->ksm, &sample.ksm);
        if (host->hide_from & MODEL_HIDE_COUNTERS)
                sample.ksm.pages_scanned = sample.ksm.pages_skipped = SAMPLE_ABSENT;
        if (host->hide_from & MODEL_HIDE_SMART)
                sample.ksm.smart_scan = sample.ksm.pages_skipped = SAMPLE_ABSENT;
        if (host->hide_from & MODEL_HIDE_CPU)
                sample.ksm.ksmd_cpu_nsec = SAMPLE_ABSENT;
        if (host->hide_from & MODEL_HIDE_TICKS)
                sample.ksm.ksmd_cpu_nsec -= sample.ksm.ksmd_cpu_nsec % 10000000;
        if (host->hide_from & MODEL_HIDE_AVAILABLE)
                sample.memory.available_kb = SAMPLE_ABSENT;
        if (host->hide_from & MODEL_HIDE_GUESTS)
                sample.guests.count = sample.guests.committed_kb = 0;
        if (host->hide_from & MODEL_HIDE_ANON)
                sample.memory.anon_kb = SAMPLE_ABSENT;
        *ret_sample = sample;
}

static void take(struct model_host *host, const struct decision *decision)
{
        if (decision->verdict == VERDICT_STOP) {
                host->ksm.run = 0;
        } else if (decision->verdict == VERDICT_START) {
                if (decision->smart_scan != SMART_SCAN_LEAVE)
                        host->ksm.smart_scan = decision->smart_scan;
                host->ksm.pages_to_scan = decision->pages_to_scan;
                host->ksm.sleep_millisecs = decision->sleep_millisecs;
                host->ksm.run = 1;
        }
}

/* A line for each change of what the policy does. */
static void tell(struct model_host *host)
{
        const struct decision *decision = &host->decision;
        const struct adaptive_state *state = &host->state.adaptive;
        double started_sec = host->now_sec - (double)decision->decided_usec / 1e6;

        if (decision->phase == host->last_phase && decision->why == host->last_why &&
            decision->last_pass.ended_usec != decision->decided_usec)
                return;
        printf("# %9.2f %-5s why %2d smart %2d due %9.1f cpu %8.2f saved %9.0f, last pass %9" PRId64
               " for %.2f s, cursor %u:%u, candidates %.0f + %.0f, shares %.3f %.3f, tokens %.2f, "
               "price %" PRId64 "\n",
               host->now_sec, decision_phase_name(decision->phase), (int)decision->why,
               (int)decision->smart_scan,
               decision->pass_due_usec ? (double)decision->pass_due_usec / 1e6 + started_sec : 0,
               host->ksm.cpu_sec, model_ksm_saved(&host->ksm), decision->last_pass.yield_pages,
               (double)decision->last_pass.cpu_nsec / 1e9, host->ksm.cursor, host->ksm.cursor_unit,
               state->candidates_new, state->candidates_changed, state->p_new, state->p_changed,
               state->tokens_sec, decision->price_micro);
}

static void call_adaptive(struct model_host *host)
{
        uint64_t now_usec = (uint64_t)(host->now_sec * 1e6) + 1000000;
        struct sample sample;

        model_host_sample(host, &sample);
        /* As the daemon may. */
        if (host->decision.light_next && host->events == 0) {
                sample.guests = host->last_sample.guests;
                sample.pressure = host->last_sample.pressure;
        }
        host->last_sample = sample;
        host->events = 0;
        policy_decide(&host->settings, &host->state, &sample, now_usec, &host->decision);
        take(host, &host->decision);
        host->calls++;
        if ((double)host->decision.price_micro > host->price_most)
                host->price_most = (double)host->decision.price_micro;
        if (host->verbose)
                tell(host);
        if (host->check)
                host->check(host, &sample);
        if ((host->decision.phase == PHASE_OFF) != host->was_off) {
                host->was_off = !host->was_off;
                host->switches++;
        }
        host->last_phase = host->decision.phase;
        host->last_why = host->decision.why;
        host->next_call_sec = host->now_sec + (double)(host->decision.next_usec - now_usec) / 1e6;
        if (host->next_call_sec > host->now_sec + host->interval_sec)
                host->next_call_sec = host->now_sec + host->interval_sec;
}

/* Documentation/admin-guide/mm/ksm.rst: a pass in 200 s, within 500 to 30000 pages a batch, 70 %.
 */
static void call_advisor(struct model_host *host)
{
        double pages = (double)host->ksm.known * host->ksm.unit_pages;
        double wanted = pages / (200 / 0.028);

        host->ksm.run = 1;
        host->ksm.sleep_millisecs = 20;
        host->ksm.pages_to_scan = wanted < 500 ? 500 : wanted > 30000 ? 30000 : (int64_t)wanted;
        host->next_call_sec = host->now_sec + 20;
}

static void call_driver(struct model_host *host)
{
        if (host->driver == DRIVER_ADAPTIVE) {
                call_adaptive(host);
                return;
        }
        host->events = 0;
        if (host->driver == DRIVER_ADVISOR) {
                call_advisor(host);
                return;
        }
        if (host->driver == DRIVER_FORCED) {
                const struct classic_params *params = &host->settings.classic;
                int64_t npages = host->state.classic.npages + params->npages_boost;

                host->state.classic.npages =
                        npages < params->npages_max ? npages : params->npages_max;
                host->ksm.pages_to_scan = host->state.classic.npages;
                host->ksm.sleep_millisecs = classic_sleep_msec(params, host->total_kb);
        } else {
                host->ksm.pages_to_scan = host->fixed_pages;
                host->ksm.sleep_millisecs = host->fixed_msec;
        }
        host->ksm.run = 1;
        host->next_call_sec = host->now_sec + 60;
}

static void measure(struct model_host *host, double seconds, double cpu_sec)
{
        host->saved_gib_sec += model_ksm_saved(&host->ksm) * 4096 / GIB * seconds;
        if (host->ksm.run == 1) {
                host->cpu_in_pass_sec += cpu_sec;
                host->wall_in_pass_sec += seconds;
        }
        if (host->now_sec - host->window_start_sec >= 5) {
                double share = (host->ksm.cpu_sec - host->window_cpu_sec) /
                               (host->now_sec - host->window_start_sec);

                if (share > host->window_most)
                        host->window_most = share;
                host->window_start_sec = host->now_sec;
                host->window_cpu_sec = host->ksm.cpu_sec;
        }
}

/* Stalls begin where less than a twentieth of memory is available. */
static void feel_pressure(struct model_host *host)
{
        struct sample sample;
        double before = host->pressure_centi, share;

        model_host_sample(host, &sample);
        share = (double)(host->total_kb - host->other_kb - host->anon_other_kb -
                         kb_of_units(host, host->ksm.present - host->ksm.sharing -
                                                   host->ksm.zero_pages)) /
                (double)host->total_kb;
        host->pressure_centi = share >= 0.05 ? 0 : (0.05 - share) * 200000;
        if (host->pressure_centi > 9900)
                host->pressure_centi = 9900;
        if (before < 1000 && host->pressure_centi >= 1000)
                host->events |= EVENT_PRESSURE;
}

void model_host_run(struct model_host *host, double until_sec, double tick_sec)
{
        while (host->now_sec < until_sec) {
                double next = host->next_tick_sec < until_sec ? host->next_tick_sec : until_sec,
                       cpu_sec, seconds;
                double call;

                /* An event wakes the daemon a moment later. */
                if (host->driver == DRIVER_ADAPTIVE && host->events &&
                    host->next_call_sec > host->now_sec + 0.2)
                        host->next_call_sec = host->now_sec + 0.2;
                call = host->next_call_sec;
                if (call < next)
                        next = call;
                seconds = next - host->now_sec;
                cpu_sec = host->ksm.cpu_sec;
                model_ksm_go(&host->ksm, seconds);
                host->now_sec = next;
                measure(host, seconds, host->ksm.cpu_sec - cpu_sec);
                if (host->now_sec >= host->next_tick_sec) {
                        live(host, host->now_sec - host->lived_sec);
                        host->lived_sec = host->now_sec;
                        feel_pressure(host);
                        host->next_tick_sec = host->now_sec + tick_sec;
                }
                if (host->now_sec >= call)
                        call_driver(host);
        }
}
