/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sampler.h"

#include <err.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned-config.h"
#include "ksmtuned/memory.h"
#include "ksmtuned/state.h"
#include "ticker.h"

/* Some 190 lines of at most 40 characters today. */
#define VMSTAT_SIZE 16384

int ctl_load_settings(const struct sysroot *root, const char *config,
                      struct settings **ret_settings)
{
        struct settings_problems problems = {.n = 0};
        int r = settings_load(ret_settings, root, config, &problems);

        for (size_t i = 0; i < problems.n; i++) {
                const struct settings_problem *problem = &problems.list[i];
                const char *kind = problem->is_error ? "error" : "warning";

                if (problem->line > 0)
                        warnx("%s:%u: %s: %s", problem->file, problem->line, kind, problem->text);
                else
                        warnx("%s: %s: %s", problem->file, kind, problem->text);
        }
        if (r < 0 && problems.n == 0)
                warnx("cannot read the configuration: %s", strerror(-r));
        settings_problems_clear(&problems);
        return r;
}

int sampler_open(struct sampler *sampler, const struct sysroot *root, const char *config)
{
        int r;

        *sampler = (struct sampler){.root = root};
        r = ctl_load_settings(root, config, &sampler->settings);
        if (r < 0)
                return r;
        r = guests_new(&sampler->guests, root);
        if (r < 0) {
                warnx("cannot look at /proc: %s", strerror(-r));
                return r;
        }
        guests_set_match(sampler->guests, (const char *const *)sampler->settings->vm_match,
                         settings_guest_metric(sampler->settings));
        return 0;
}

void sampler_close(struct sampler *sampler)
{
        sampler->guests = guests_free(sampler->guests);
        sampler->settings = settings_free(sampler->settings);
}

/* The count of COW_KSM of /proc/vmstat. */
static int64_t read_cow_ksm(const struct sysroot *root)
{
        static const char name[] = "\ncow_ksm ";
        char text[VMSTAT_SIZE], *at, *end;
        long long value;

        if (sysroot_read(root, "/proc/vmstat", text, sizeof(text)) < 0)
                return SAMPLE_ABSENT;
        at = strstr(text, name);
        if (!at)
                return SAMPLE_ABSENT;
        at += strlen(name);
        errno = 0;
        value = *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : -1;
        return value < 0 || errno != 0 || *end != '\n' ? SAMPLE_ABSENT : value;
}

static void read_extras(const struct sysroot *root, struct recording_row *row)
{
        const struct {
                enum ksm_attribute attribute;
                int64_t *value;
        } wanted[] = {
                {KSM_GENERAL_PROFIT, &row->general_profit},
                {KSM_STABLE_NODE_CHAINS, &row->stable_node_chains},
                {KSM_STABLE_NODE_DUPS, &row->stable_node_dups},
                {KSM_USE_ZERO_PAGES, &row->use_zero_pages},
                {KSM_MERGE_ACROSS_NODES, &row->merge_across_nodes},
                {KSM_MAX_PAGE_SHARING, &row->max_page_sharing},
                {KSM_ADVISOR_MODE, &row->advisor_mode},
                {KSM_ADVISOR_TARGET_SCAN_TIME, &row->advisor_target_scan_time},
                {KSM_ADVISOR_MAX_CPU, &row->advisor_max_cpu},
                {KSM_ADVISOR_MIN_PAGES_TO_SCAN, &row->advisor_min_pages_to_scan},
                {KSM_ADVISOR_MAX_PAGES_TO_SCAN, &row->advisor_max_pages_to_scan},
        };

        /* A value that is not known stays as recording_row_init() left it. */
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
                (void)ksm_get(root, wanted[i].attribute, wanted[i].value);
        row->cow_ksm = read_cow_ksm(root);
}

static void read_daemon(const struct sysroot *root, struct recording_row *row)
{
        struct state state;

        if (state_read(root, &state) < 0 || state_daemon_alive(root, &state) != 1)
                return;
        row->daemon_decisions = state.decisions;
        row->daemon_time_usec = state.time_usec;
}

int sampler_take(struct sampler *sampler, struct recording_row *ret_row)
{
        const struct sysroot *root = sampler->root;
        struct recording_row row;
        int r;

        recording_row_init(&row);
        row.time_usec = clock_realtime_usec();
        row.monotonic_usec = clock_monotonic_usec();
        sampler->failed = "/proc/meminfo";
        r = memory_read(root, &row.sample.memory);
        if (r < 0)
                return r;
        sampler->failed = "/proc";
        r = guests_scan(sampler->guests, &row.sample.guests, &sampler->scan);
        if (r < 0)
                return r;
        sampler->failed = KSM_FOLDER;
        r = ksm_sample(root, &row.sample.ksm);
        if (r < 0)
                return r;
        if (pressure_read(root, &row.sample.pressure) < 0)
                row.sample.pressure = (struct pressure_sample)PRESSURE_ABSENT;
        if (ksmd_cpu_nsec(&sampler->ksmd, root, &row.sample.ksm.ksmd_cpu_nsec) < 0)
                row.sample.ksm.ksmd_cpu_nsec = SAMPLE_ABSENT;
        read_extras(root, &row);
        read_daemon(root, &row);
        sampler->failed = NULL;
        *ret_row = row;
        return 0;
}

const char *sampler_failure(const struct sampler *sampler, int error, char *buf, size_t size)
{
        if (error == -EOPNOTSUPP)
                (void)snprintf(buf, size,
                               "this kernel has no KSM (there is no " KSM_FOLDER "/run)");
        else
                (void)snprintf(buf, size, "cannot read %s: %s", sampler->failed,
                               error == -EBADMSG ? "it holds nothing that makes sense"
                                                 : strerror(-error));
        return buf;
}

/* "0-3,8" as in /sys/devices/system/cpu/online. Return: how many; SAMPLE_ABSENT. */
static int64_t count_cpus(const char *text)
{
        const char *p = text;
        int64_t n = 0;

        while (*p >= '0' && *p <= '9') {
                char *end;
                long first = strtol(p, &end, 10), last = first;

                if (*end == '-' && end[1] >= '0' && end[1] <= '9')
                        last = strtol(end + 1, &end, 10);
                if (last < first || last > 1000000)
                        return SAMPLE_ABSENT;
                n += last - first + 1;
                if (*end != ',')
                        return *end == '\n' ? n : SAMPLE_ABSENT;
                p = end + 1;
        }
        return SAMPLE_ABSENT;
}

void sampler_header(const struct sampler *sampler, uint64_t interval_usec,
                    struct recording_header *ret_header)
{
        struct recording_header header = {.page_bytes = sysconf(_SC_PAGESIZE),
                                          .total_kb = SAMPLE_ABSENT,
                                          .cpus = SAMPLE_ABSENT,
                                          .interval_usec = (int64_t)interval_usec};
        struct memory_sample memory;
        char cpus[4096];

        (void)snprintf(header.ksmtuned, sizeof(header.ksmtuned), "%s", KSMTUNED_VERSION);
        (void)snprintf(header.ps_metric, sizeof(header.ps_metric), "%s",
                       guest_metric_name(settings_guest_metric(sampler->settings)));
        if (sysroot_read(sampler->root, "/proc/sys/kernel/osrelease", header.kernel,
                         sizeof(header.kernel)) < 0)
                header.kernel[0] = '\0';
        header.kernel[strcspn(header.kernel, "\n")] = '\0';
        if (memory_read(sampler->root, &memory) == 0)
                header.total_kb = memory.total_kb;
        if (sysroot_read(sampler->root, "/sys/devices/system/cpu/online", cpus, sizeof(cpus)) > 0)
                header.cpus = count_cpus(cpus);
        *ret_header = header;
}
