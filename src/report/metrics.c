/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/metrics.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/sample.h"
#include "metrics-label.h"

#define NSEC_PER_SEC INT64_C(1000000000)
#define USEC_PER_SEC INT64_C(1000000)

/* What the lines of the guests' families take beside those of the guests themselves. */
#define GUEST_FAMILIES_SIZE 1024

enum unit { NUMBER, KB, NSEC, USEC };

/* A family of one series without labels. */
struct figure {
        const char *name;
        const char *type;
        enum unit unit;
        size_t offset;
        const char *help;
};

#define GAUGE(name, unit, member, help)                                     \
        {                                                                   \
                name, "gauge", unit, offsetof(struct metrics, member), help \
        }
#define COUNTER(name, unit, member, help)                                     \
        {                                                                     \
                name, "counter", unit, offsetof(struct metrics, member), help \
        }

/* clang-format off */
static const struct figure figures[] = {
        GAUGE("ksmtuned_dry_run", NUMBER, dry_run, "Whether the daemon only tells what it would do."),
        GAUGE("ksmtuned_start_time_seconds", USEC, start_usec, "When the daemon started, in seconds of Unix time."),
        GAUGE("ksmtuned_last_decision_timestamp_seconds", USEC, decision_usec, "When the last decision was made, in seconds of Unix time."),
        GAUGE("ksmtuned_decision_interval_seconds", USEC, interval_usec, "Time until the next decision at the latest."),
        GAUGE("ksmtuned_ksm_wanted", NUMBER, ksm_wanted, "Whether memory is so short that the policy wants KSM."),
        GAUGE("ksmtuned_memory_threshold_bytes", KB, threshold_kb, "How much memory should be free."),
        GAUGE("ksmtuned_memory_free_bytes", KB, free_kb, "Memory that the policy took for free."),
        GAUGE("ksmtuned_memory_committed_bytes", KB, committed_kb, "Memory of all guests, as KSM_PS_METRIC counts it."),
        GAUGE("ksmtuned_saved_bytes", NUMBER, saved_bytes, "Memory that merging saves, zero pages included."),
        COUNTER("ksmtuned_ksmd_cpu_seconds_total", NSEC, ksmd_cpu_nsec, "CPU time of the kernel's thread ksmd since boot."),
        COUNTER("ksmtuned_process_cpu_seconds_total", NSEC, own_cpu_nsec, "CPU time of the daemon itself."),
        COUNTER("ksmtuned_failed_decisions_total", NUMBER, counters.failed_decisions, "Times that nothing could be decided, because a figure could not be read."),
        COUNTER("ksmtuned_knob_write_failures_total", NUMBER, counters.knob_write_failures, "Decisions that could not be applied, because a knob could not be written."),
        COUNTER("ksmtuned_foreign_writes_total", NUMBER, counters.foreign_writes, "Decisions that found a knob other than it was left: somebody else writes it."),
        COUNTER("ksmtuned_guest_starts_total", NUMBER, counters.guest_starts, "Guests that came since the daemon's start."),
        COUNTER("ksmtuned_guest_ends_total", NUMBER, counters.guest_ends, "Guests that went since the daemon's start."),
        GAUGE("ksmtuned_libvirt_connected", NUMBER, libvirt_connected, "Whether libvirt tells of its domains."),
};
/* clang-format on */

/* Of all policies: a phase that is over must read 0, and not just vanish. */
static const char *const phases[] = {"undecided", "off",  "boost", "decay",
                                     "burst",     "rest", "probe"};

static const char *const mergeable_words[] = {"unknown", "no", "yes"};

struct text {
        char *buf;
        size_t size, len;
        bool full;
};

static void add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* All or nothing, as a line in halves would spoil the whole file. */
static void add(struct text *text, const char *format, ...)
{
        size_t left = text->size - text->len;
        va_list args;
        int n;

        va_start(args, format);
        n = vsnprintf(text->buf + text->len, left, format, args);
        va_end(args);
        if (n < 0 || (size_t)n >= left) {
                text->buf[text->len] = '\0';
                text->full = true;
                return;
        }
        text->len += (size_t)n;
}

static void add_family(struct text *text, const char *name, const char *type, const char *help)
{
        add(text, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Integers all the way: the decimal point is one in every locale, and no digit is lost. */
static void add_value(struct text *text, enum unit unit, int64_t value)
{
        switch (unit) {
        case NUMBER:
                add(text, " %" PRId64 "\n", value);
                break;
        case KB:
                add(text, " %" PRId64 "\n", saturating_mul(value, 1024));
                break;
        case NSEC:
                add(text, " %" PRId64 ".%09" PRId64 "\n", value / NSEC_PER_SEC,
                    value % NSEC_PER_SEC);
                break;
        case USEC:
                add(text, " %" PRId64 ".%06" PRId64 "\n", value / USEC_PER_SEC,
                    value % USEC_PER_SEC);
                break;
        }
}

static void add_figures(struct text *text, const struct metrics *metrics)
{
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++) {
                const struct figure *figure = &figures[i];
                int64_t value =
                        *(const int64_t *)(const void *)((const char *)metrics + figure->offset);

                if (value < 0)
                        continue;
                add_family(text, figure->name, figure->type, figure->help);
                add(text, "%s", figure->name);
                add_value(text, figure->unit, value);
        }
}

static void add_info(struct text *text, const char *name, const char *label, const char *value,
                     const char *help)
{
        char escaped[METRICS_LABEL_SIZE];

        add_family(text, name, "gauge", help);
        add(text, "%s{%s=\"%s\"} 1\n", name, label, metrics_label(escaped, value));
}

static void add_phases(struct text *text, const char *phase)
{
        add_family(text, "ksmtuned_phase", "gauge", "Where the policy stands: 1 for that phase.");
        for (size_t i = 0; i < sizeof(phases) / sizeof(phases[0]); i++)
                add(text, "ksmtuned_phase{phase=\"%s\"} %d\n", phases[i],
                    strcmp(phases[i], phase) == 0);
}

/* It can be negative, and tells something just then, so it is no figure of the table. */
static void add_unmerged(struct text *text, const struct metrics *metrics)
{
        if (metrics->available_kb < 0 || metrics->saved_bytes < 0)
                return;
        add_family(text, "ksmtuned_memory_unmerged_available_bytes", "gauge",
                   "Memory that would be available if nothing were merged; below 0 it would not "
                   "suffice.");
        add(text, "ksmtuned_memory_unmerged_available_bytes %" PRId64 "\n",
            saturating_add(saturating_mul(metrics->available_kb, 1024), -metrics->saved_bytes));
}

static void add_triggers(struct text *text, const struct metrics *metrics)
{
        if (metrics->n_triggers == 0)
                return;
        add_family(text, "ksmtuned_decisions_total", "counter",
                   "Decisions by what asked for them.");
        for (size_t i = 0; i < metrics->n_triggers; i++)
                add(text, "ksmtuned_decisions_total{trigger=\"%s\"} %" PRId64 "\n",
                    metrics->triggers[i].name, metrics->triggers[i].decisions);
}

/* Zeros, too, with a policy that does not count passes: a query then finds what it asks for. */
static void add_passes(struct text *text, const struct metrics_counters *counters)
{
        const struct {
                const char *kind;
                const struct metrics_passes *passes;
        } kinds[] = {{"smart", &counters->smart}, {"full", &counters->full}};

        add_family(text, "ksmtuned_passes_total", "counter",
                   "Passes that the policy asked for, with smart_scan and over all pages.");
        for (size_t i = 0; i < 2; i++)
                add(text, "ksmtuned_passes_total{kind=\"%s\"} %" PRId64 "\n", kinds[i].kind,
                    kinds[i].passes->count);
        add_family(text, "ksmtuned_pass_merged_pages_total", "counter",
                   "Pages that these passes merged.");
        for (size_t i = 0; i < 2; i++)
                add(text, "ksmtuned_pass_merged_pages_total{kind=\"%s\"} %" PRId64 "\n",
                    kinds[i].kind, kinds[i].passes->merged_pages);
        add_family(text, "ksmtuned_pass_cpu_seconds_total", "counter",
                   "CPU time of ksmd in these passes.");
        for (size_t i = 0; i < 2; i++) {
                add(text, "ksmtuned_pass_cpu_seconds_total{kind=\"%s\"}", kinds[i].kind);
                add_value(text, NSEC, kinds[i].passes->cpu_nsec);
        }
}

/* --- Guests ---------------------------------------------------------------------------------- */

static void add_guest_counts(struct text *text, const struct metrics *metrics)
{
        size_t n[3] = {0};

        for (size_t i = 0; i < metrics->n_guests; i++)
                n[metrics->guests[i].mergeable + 1]++;
        add_family(text, "ksmtuned_guests", "gauge",
                   "Guests, by whether the kernel may merge memory of theirs.");
        for (size_t i = 0; i < 3; i++)
                add(text, "ksmtuned_guests{mergeable=\"%s\"} %zu\n", mergeable_words[i], n[i]);
}

static int compare_guests(const void *a, const void *b)
{
        const struct metrics_guest *one = a, *other = b;

        if (one->merged_bytes != other->merged_bytes)
                return one->merged_bytes > other->merged_bytes ? -1 : 1;
        return (one->pid > other->pid) - (one->pid < other->pid);
}

/* Return: the labels of a guest, {guest="…",pid="…"}; the PID as names need not be unique. */
static const char *guest_labels(char buf[METRICS_LABEL_SIZE + 64],
                                const struct metrics_guest *guest)
{
        char name[METRICS_LABEL_SIZE];

        (void)snprintf(buf, METRICS_LABEL_SIZE + 64, "{guest=\"%s\",pid=\"%d\"}",
                       metrics_label(name, guest->name), guest->pid);
        return buf;
}

/* Return: how many of the guests, in their order, are told one by one. */
static size_t count_told(const struct metrics *metrics, size_t room)
{
        /* Both lines, with the longest number. */
        const size_t fixed = sizeof("ksmtuned_guest_merged_bytes -9223372036854775808\n"
                                    "ksmtuned_guest_mergeable 1\n");
        char labels[METRICS_LABEL_SIZE + 64];
        size_t n;

        if (room < GUEST_FAMILIES_SIZE)
                return 0;
        room -= GUEST_FAMILIES_SIZE;
        for (n = 0; n < metrics->n_guests && n < metrics->max_guests; n++) {
                size_t size = fixed + 2 * strlen(guest_labels(labels, &metrics->guests[n]));

                if (size > room)
                        break;
                room -= size;
        }
        return n;
}

static void add_guests(struct text *text, const struct metrics *metrics)
{
        char labels[METRICS_LABEL_SIZE + 64];
        bool begun = false;
        size_t n;

        if (metrics->n_guests > 0)
                qsort(metrics->guests, metrics->n_guests, sizeof(*metrics->guests), compare_guests);
        n = count_told(metrics, text->size - text->len);

        for (size_t i = 0; i < n; i++) {
                const struct metrics_guest *guest = &metrics->guests[i];

                if (guest->merged_bytes < 0)
                        break; /* the last ones of the order */
                if (i == 0)
                        add_family(text, "ksmtuned_guest_merged_bytes", "gauge",
                                   "Memory of a guest that is merged, zero pages included.");
                add(text, "ksmtuned_guest_merged_bytes%s %" PRId64 "\n",
                    guest_labels(labels, guest), guest->merged_bytes);
        }
        for (size_t i = 0; i < n; i++) {
                const struct metrics_guest *guest = &metrics->guests[i];

                if (guest->mergeable < 0)
                        continue;
                if (!begun)
                        add_family(text, "ksmtuned_guest_mergeable", "gauge",
                                   "Whether the kernel may merge memory of a guest.");
                begun = true;
                add(text, "ksmtuned_guest_mergeable%s %d\n", guest_labels(labels, guest),
                    guest->mergeable);
        }
        add_family(text, "ksmtuned_guests_untold", "gauge",
                   "Guests without series of their own (KSM_METRICS_GUESTS).");
        add(text, "ksmtuned_guests_untold %zu\n", metrics->n_guests - n);
}

/* --- All of it ------------------------------------------------------------------------------- */

void metrics_init(struct metrics *metrics)
{
        *metrics = (struct metrics){.version = "", .policy = "", .phase = ""};
        for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
                *(int64_t *)(void *)((char *)metrics + figures[i].offset) = SAMPLE_ABSENT;
        metrics->available_kb = SAMPLE_ABSENT;
        metrics->counters = (struct metrics_counters){0};
}

void metrics_count_pass(struct metrics_passes *passes, int64_t merged_pages, int64_t cpu_nsec)
{
        passes->count++;
        if (merged_pages > 0)
                passes->merged_pages = saturating_add(passes->merged_pages, merged_pages);
        if (cpu_nsec > 0)
                passes->cpu_nsec = saturating_add(passes->cpu_nsec, cpu_nsec);
}

ssize_t metrics_format(const struct metrics *metrics, char *buf, size_t size)
{
        struct text text = {.buf = buf, .size = size};

        if (size == 0)
                return -ENOSPC;
        *buf = '\0';
        add_info(&text, "ksmtuned_build_info", "version", metrics->version,
                 "Version of the daemon; always 1.");
        add_info(&text, "ksmtuned_policy_info", "policy", metrics->policy,
                 "How the daemon decides (KSM_POLICY); always 1.");
        add_phases(&text, metrics->phase);
        add_figures(&text, metrics);
        add_unmerged(&text, metrics);
        add_triggers(&text, metrics);
        add_passes(&text, &metrics->counters);
        add_guest_counts(&text, metrics);
        add_guests(&text, metrics);
        return text.full ? -ENOSPC : (ssize_t)text.len;
}

int metrics_write(const struct sysroot *root, const char *path, const struct metrics *metrics)
{
        CLEANUP_FREE char *buf = malloc(METRICS_SIZE_MAX);
        ssize_t len;

        if (!buf)
                return -ENOMEM;
        len = metrics_format(metrics, buf, METRICS_SIZE_MAX);
        return len < 0 ? (int)len : sysroot_replace(root, path, buf, (size_t)len);
}
