/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Gathers what the checks look at, each thing once. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "doctor.h"
#include "table.h"

#define TUNED_PROFILE "/etc/tuned/active_profile"

static void cleanup_settings(struct settings **settings)
{
        *settings = settings_free(*settings);
}

/* Opened as for a write, and none follows. */
static int try_to_write_run(const struct sysroot *root)
{
        CLEANUP_FD int fd = sysroot_openat(root, KSM_FOLDER "/run", O_WRONLY, 0);

        return fd < 0 ? fd : 1;
}

/* Warnings that have a check of their own. */
static bool has_own_check(const struct settings_problem *problem)
{
        return !problem->is_error && (strncmp(problem->text, "KSM_THRES_CONST:", 16) == 0 ||
                                      strncmp(problem->text, "KSM_THRES_COEF:", 15) == 0);
}

static void note_problems(const struct settings_problems *problems, struct doctor_config *config)
{
        for (size_t i = 0; i < problems->n; i++) {
                const struct settings_problem *problem = &problems->list[i];

                if (has_own_check(problem))
                        continue;
                if (problem->is_error ? config->n_errors == 0
                                      : config->n_errors + config->n_warnings == 0) {
                        if (problem->line > 0)
                                (void)snprintf(config->first, sizeof(config->first), "%s:%u: %s",
                                               problem->file, problem->line, problem->text);
                        else
                                (void)snprintf(config->first, sizeof(config->first), "%s: %s",
                                               problem->file, problem->text);
                        make_printable(config->first);
                }
                if (problem->is_error)
                        config->n_errors++;
                else
                        config->n_warnings++;
        }
}

/* Return: 0; -ENOMEM. Where the configuration is broken, the defaults are handed out. */
static int gather_config(const struct sysroot *root, const char *file,
                         struct doctor_config *ret_config, struct settings **ret_settings)
{
        struct doctor_config config = {.file = file};
        struct settings_problems problems = {0};
        struct settings *settings = NULL;

        config.error = settings_load(&settings, root, file, &problems);
        note_problems(&problems, &config);
        settings_problems_clear(&problems);
        if (config.error < 0) {
                int r = settings_new(&settings);

                if (r < 0)
                        return r;
        }
        (void)snprintf(config.policy, sizeof(config.policy), "%s",
                       policy_name(settings->policy.kind));
        config.classic = settings->policy.classic;
        config.kernel = settings->kernel;
        config.interval_usec = (int64_t)settings->monitor_interval_usec;
        *ret_config = config;
        *ret_settings = settings;
        return 0;
}

/* Whether ksmd's CPU time comes from schedstat. */
static int look_at_schedstat(const struct sysroot *root)
{
        struct ksmd ksmd = {0};
        int64_t nsec;
        int r = ksmd_cpu_nsec(&ksmd, root, &nsec);

        return r < 0 ? r : !ksmd.in_ticks;
}

/* The first line of tuned's own note; none is fine. */
static void read_tuned_profile(const struct sysroot *root, struct doctor_facts *facts)
{
        char text[256];

        if (sysroot_read(root, TUNED_PROFILE, text, sizeof(text)) <= 0)
                return;
        text[strcspn(text, "\n")] = '\0';
        make_printable(text);
        (void)snprintf(facts->tuned_profile, sizeof(facts->tuned_profile), "%.60s", text);
}

int doctor_gather(const struct sysroot *root, const char *config_file,
                  struct doctor_facts *ret_facts)
{
        CLEANUP(cleanup_settings) struct settings *settings = NULL;
        struct doctor_facts facts = {.is_root = geteuid() == 0};
        int r;

        r = gather_config(root, config_file, &facts.config, &settings);
        if (r < 0)
                return r;
        status_read_now(root, status_now_usec(), &facts.status);
        if (facts.status.supported == 1 && facts.is_root)
                facts.run_writable = try_to_write_run(root);
        facts.schedstat = look_at_schedstat(root);
        doctor_gather_memory(root, &facts.memory);
        facts.n_rivals =
                rivals_find(root, facts.status.state_error == 0 ? facts.status.state.pid : 0,
                            facts.rivals, DOCTOR_N_RIVALS);
        read_tuned_profile(root, &facts);
        facts.processes_error = guest_table_read(root, (const char *const *)settings->vm_match,
                                                 true, &facts.processes);
        if (facts.processes_error == -ENOMEM)
                return -ENOMEM;
        *ret_facts = facts;
        return 0;
}

void doctor_facts_clear(struct doctor_facts *facts)
{
        guest_table_clear(&facts->processes);
}
