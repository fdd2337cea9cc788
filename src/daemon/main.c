/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "applying.h"
#include "daemonize.h"
#include "events.h"
#include "ksmtuned-config.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/reason.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"
#include "manager.h"
#include "options.h"
#include "pidfile.h"
#include "publish.h"

/* Descriptors for the guests' statm, one each. */
#define DESCRIPTORS 65536

static void raise_descriptor_limit(void)
{
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= DESCRIPTORS)
                return;
        limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
        /* With fewer, guests are read by name: slower, nothing else. */
        (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int load_settings(const struct options *options, const struct sysroot *root,
                         struct settings **ret_settings)
{
        struct settings_problems problems = {.n = 0};
        int r;

        r = settings_load(ret_settings, root, options->config, &problems);
        manager_log_problems(&problems);
        settings_problems_clear(&problems);
        if (r == 0)
                return STATUS_OK;
        if (r != -EBADMSG)
                journal_print(LOG_ERR, "cannot read the configuration: %s", strerror(-r));
        return r == -EBADMSG ? STATUS_CONFIG : STATUS_FAILURE;
}

/* Before anything is set up: is there a KSM, and may it be written? Return: a status. */
static int check_ksm(const struct options *options, const struct sysroot *root)
{
        CLEANUP_FD int fd = -1;
        struct utsname uts = {.release = "?"};
        int r;

        r = ksm_supported(root);
        if (r == 0) {
                (void)uname(&uts);
                journal_print(LOG_ERR,
                              "this kernel (%s) has no KSM: there is no " KSM_FOLDER
                              "; it takes CONFIG_KSM=y",
                              root->made_up ? "of the given root" : uts.release);
                return STATUS_FAILURE;
        }
        if (r < 0) {
                journal_print(LOG_ERR, "cannot look at " KSM_FOLDER ": %s", strerror(-r));
                return STATUS_FAILURE;
        }
        if (options->dry_run)
                return STATUS_OK;
        fd = sysroot_openat(root, KSM_FOLDER "/run", O_WRONLY, 0);
        if (fd < 0) {
                journal_print(LOG_ERR,
                              "cannot write " KSM_FOLDER "/run: %s; run as root, or with --dry-run",
                              strerror(-fd));
                return STATUS_FAILURE;
        }
        return STATUS_OK;
}

/*
 * Keeps a second daemon away. A dry run beside a daemon is fine, but leaves the state file to it.
 * Return: a status.
 */
static int take_pidfile(const struct options *options, const struct sysroot *root, const char *path,
                        struct pidfile *pidfile, bool *ret_publish)
{
        pid_t owner = 0;
        int r;

        *ret_publish = true;
        if (*path == '\0')
                return STATUS_OK;
        r = pidfile_acquire(pidfile, root, path, &owner);
        if (r == -EEXIST) {
                journal_print(options->dry_run ? LOG_NOTICE : LOG_ERR,
                              "ksmtuned already runs as PID %d (%s)%s", owner, path,
                              options->dry_run ? "; this dry run leaves its state file alone" : "");
                *ret_publish = false;
                return options->dry_run ? STATUS_OK : STATUS_FAILURE;
        }
        if (r < 0 && options->dry_run)
                *ret_publish = false;
        else if (r < 0 && !options->once)
                journal_print(LOG_WARNING, "cannot write the pidfile %s: %s; going on without",
                              path, strerror(-r));
        return STATUS_OK;
}

/* A crash may have left things taken: the state file tells what they were before. */
static void inherit_debts(struct manager *manager)
{
        struct state state;

        if (!manager->publish_state || state_read(manager->root, &state) < 0)
                return;
        /* Where PIDFILE is empty, it may run beside this one. */
        if (state.pid != getpid() && state_daemon_alive(manager->root, &state) == 1)
                return;
        owed_from_state(&manager->owed, &state);
        /* What one policy has taken is none of the other's business. */
        if (manager->settings->policy.kind == POLICY_CLASSIC &&
            manager->owed.pages_to_scan != SAMPLE_ABSENT)
                applying_give_back(manager);
}

/* For the service manager, behind a daemon that did not end by itself. Return: a status. */
static int give_back(const struct sysroot *root)
{
        struct owed owed = OWED_NOTHING;
        struct state state;
        bool done;
        int r;

        r = state_read(root, &state);
        if (r == -ENOENT)
                return STATUS_OK;
        if (r < 0) {
                journal_print(LOG_ERR, "cannot read " STATE_PATH ": %s", strerror(-r));
                return STATUS_FAILURE;
        }
        if (state_daemon_alive(root, &state) == 1) {
                journal_print(LOG_ERR,
                              "ksmtuned runs as PID %d, and gives back what it took itself",
                              state.pid);
                return STATUS_FAILURE;
        }
        owed_from_state(&owed, &state);
        done = owed_give_back(&owed, root);
        /* What else it told stays to be read. */
        owed_to_state(&owed, &state);
        if (state_write(root, &state) < 0)
                journal_print(LOG_WARNING, "cannot write " STATE_PATH);
        return done ? STATUS_OK : STATUS_FAILURE;
}

static void announce(const struct manager *manager)
{
        char interval[32];

        journal_print(
                LOG_NOTICE, "ksmtuned %s: %s policy, a decision every %s%s", KSMTUNED_VERSION,
                policy_name(manager->settings->policy.kind),
                format_usec(interval, sizeof(interval), manager->settings->monitor_interval_usec),
                manager->options->dry_run ? ", dry run: KSM is left alone" : "");
}

/*
 * Nobody stays to end a pass, so applying_run() begins none; and one that goes on since a crash is
 * ended. Return: a status.
 */
static int decide_once(struct manager *manager)
{
        const bool passes =
                manager->settings->policy.kind != POLICY_CLASSIC && !manager->options->dry_run;
        int r;

        if (passes)
                applying_give_back(manager);
        r = manager_decide(manager, TRIGGER_START);
        if (r == 0 && passes && manager->last_decision.verdict == VERDICT_START)
                journal_print(LOG_WARNING,
                              "KSM_POLICY=%s works in passes that only a running daemon can end: "
                              "nothing is left running",
                              policy_name(manager->settings->policy.kind));
        return r < 0 ? STATUS_FAILURE : STATUS_OK;
}

static int run_daemon(struct manager *manager, struct pidfile *pidfile)
{
        int r;

        r = pidfile_write(pidfile);
        if (r < 0)
                journal_print(LOG_WARNING, "cannot write the pidfile %s: %s; going on without",
                              pidfile->path, strerror(-r));
        if (manager->background.fd < 0)
                announce(manager);
        r = manager_run(manager);
        if (r < 0) {
                journal_print(LOG_ERR, "the event loop failed: %s", strerror(-r));
                applying_give_back(manager);
        }
        publish_end(manager);
        metering_remove(manager);
        return r < 0 ? STATUS_FAILURE : STATUS_OK;
}

/* In the process that stays. @settings is taken over. Return: a status. */
static int run(const struct options *options, const struct sysroot *root, struct settings *settings,
               struct pidfile *pidfile, struct background background, bool publish_state)
{
        struct manager manager;
        int r, status;

        r = manager_init(&manager, options, root, settings);
        manager.background = background;
        manager.publish_state = publish_state;
        if (r < 0) {
                journal_print(LOG_ERR, "cannot start: %s", strerror(-r));
                status = STATUS_FAILURE;
        } else {
                inherit_debts(&manager);
                manager_open_debug_log(&manager);
                status = options->once ? decide_once(&manager) : run_daemon(&manager, pidfile);
        }
        background_ready(&manager.background, status);
        manager_release(&manager);
        return status;
}

/* Takes the pidfile, goes to the background where that is asked for, runs. Return: a status. */
static int start(const struct options *options, const struct sysroot *root,
                 struct settings *settings)
{
        struct background background = BACKGROUND_NONE;
        struct pidfile pidfile = PIDFILE_INIT;
        bool publish_state;
        int r = 0, status;

        background.keep_stderr = options->debug || (settings->debug && *settings->log_file == '\0');
        status = take_pidfile(options, root, settings->pid_file, &pidfile, &publish_state);
        if (status != STATUS_OK) {
                (void)settings_free(settings);
                return status;
        }
        /* Who asks for one decision, or for a dry run, wants to see it. */
        if (!options->foreground && !options->once && !options->dry_run)
                r = background_enter(&background, &status);
        if (r == 0) {
                status = run(options, root, settings, &pidfile, background, publish_state);
                pidfile_release(&pidfile, true);
                return status;
        }
        (void)settings_free(settings);
        if (r < 0) {
                journal_print(LOG_ERR, "cannot go to the background: %s", strerror(-r));
                status = STATUS_FAILURE;
        }
        /* The parent's: the file belongs to the daemon that it has started. */
        pidfile_release(&pidfile, r < 0);
        return status;
}

int main(int argc, char **argv)
{
        struct sysroot root = SYSROOT_INIT;
        struct settings *settings = NULL;
        struct options options;
        int r, status;

        status = options_parse(argc, argv, &options);
        if (status >= 0)
                return status;
        (void)signal(SIGPIPE, SIG_IGN);
        r = events_block_signals();
        if (r == 0)
                r = sysroot_open(&root, options.root);
        if (r < 0) {
                (void)fprintf(stderr, "ksmtuned: cannot open the root %s: %s\n", options.root,
                              strerror(-r));
                return STATUS_FAILURE;
        }
        journal_open(root.made_up ? JOURNAL_STDERR : journal_target_auto());
        raise_descriptor_limit();

        if (options.give_back) {
                status = give_back(&root);
                sysroot_close(&root);
                return status;
        }
        status = load_settings(&options, &root, &settings);
        if (status == STATUS_OK && options.check_config) {
                (void)printf("the configuration is fine\n");
        } else if (status == STATUS_OK) {
                status = check_ksm(&options, &root);
                if (status == STATUS_OK)
                        status = start(&options, &root, TAKE_PTR(settings));
        }
        (void)settings_free(settings);
        sysroot_close(&root);
        return status;
}
