/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * ksmctl retune: SIGUSR1 to the daemon, and what it then decides, as it publishes it.
 */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "facts.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/reason.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/state.h"
#include "retune.h"

#define WAIT_MSEC 5000
#define LOOK_MSEC 10

#define PID_SIZE 64

/* The daemon, held by a descriptor where the kernel has such (5.3), so that no other process that
 * gets its PID is meant. */
struct daemon {
        pid_t pid;
        int pid_fd; /* owned; -1: there are none */
};

static void daemon_release(struct daemon *daemon)
{
        cleanup_fd(&daemon->pid_fd);
}

/* A state that was never written, or by a daemon that is gone: the pidfile may know a younger one
 * which has not decided yet. Return: 0 if it does not. */
static pid_t pid_of_pidfile(const struct sysroot *root)
{
        struct settings_problems problems = {.n = 0};
        struct settings *settings = NULL;
        char text[PID_SIZE], *rest;
        ssize_t n = -ENOENT;
        long pid;

        /* A bad configuration is the daemon's to complain about: the default is tried then. */
        if (settings_load(&settings, root, NULL, &problems) < 0)
                (void)settings_new(&settings);
        settings_problems_clear(&problems);
        if (settings && *settings->pid_file)
                n = sysroot_read(root, settings->pid_file, text, sizeof(text));
        (void)settings_free(settings);
        if (n <= 0)
                return 0;
        errno = 0;
        pid = strtol(text, &rest, 10);
        return errno != 0 || rest == text || pid <= 0 || pid > INT32_MAX ? 0 : (pid_t)pid;
}

/*
 * Holds the process, and then looks whether it is the daemon: it cannot change in between.
 * Return: 1; 0 if there is no such daemon; a negative errno.
 */
static int daemon_hold(const struct sysroot *root, pid_t pid, struct daemon *ret_daemon)
{
        CLEANUP_FD int fd = -1;
        struct state state = {.pid = pid};
        int r;

        if (pid <= 0)
                return 0;
        fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd < 0 && errno == ESRCH)
                return 0;
        r = state_daemon_alive(root, &state);
        if (r == 1)
                *ret_daemon = (struct daemon){pid, TAKE_FD(fd)};
        return r;
}

static int daemon_find(const struct sysroot *root, const struct state *state,
                       struct daemon *ret_daemon)
{
        int r = daemon_hold(root, state->pid, ret_daemon);

        return r != 0 ? r : daemon_hold(root, pid_of_pidfile(root), ret_daemon);
}

static int daemon_signal(const struct daemon *daemon)
{
        int r;

        if (daemon->pid_fd >= 0)
                r = (int)syscall(SYS_pidfd_send_signal, daemon->pid_fd, SIGUSR1, NULL, 0);
        else
                r = kill(daemon->pid, SIGUSR1);
        return r < 0 ? -errno : 0;
}

int retune_ask(const struct sysroot *root)
{
        CLEANUP(daemon_release) struct daemon daemon = {.pid_fd = -1};
        struct state state;
        int r;

        if (state_read(root, &state) < 0)
                state_init(&state);
        r = daemon_find(root, &state, &daemon);
        if (r <= 0)
                return r;
        r = daemon_signal(&daemon);
        return r < 0 ? r : 1;
}

static int64_t monotonic_msec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/*
 * Waits for a decision that is not @before. Return: 0; -ETIMEDOUT; -ESRCH if the daemon ended;
 * why its state cannot be read.
 */
static int wait_for_decision(const struct sysroot *root, const struct daemon *daemon,
                             const struct state *before, struct state *ret_state)
{
        struct pollfd end = {.fd = daemon->pid_fd, .events = POLLIN};
        int64_t until = monotonic_msec() + WAIT_MSEC;

        for (;;) {
                struct state state;
                int r = state_read(root, &state), ended;

                if (r == 0 && state.pid == daemon->pid &&
                    (before->pid != state.pid || before->decisions != state.decisions ||
                     before->time_usec != state.time_usec)) {
                        *ret_state = state;
                        return 0;
                }
                if (monotonic_msec() >= until)
                        return r < 0 && r != -ENOENT ? r : -ETIMEDOUT;
                ended = poll(&end, 1, LOOK_MSEC);
                if (ended > 0)
                        return -ESRCH;
        }
}

/* Return: the exit status. */
static int complain_about_wait(pid_t pid, int error)
{
        if (error == -ESRCH)
                warnx("retune: ksmtuned (process %d) ended before it decided", pid);
        else if (error == -ETIMEDOUT)
                warnx("retune: ksmtuned (process %d) got the signal, but there is no decision "
                      "after %d s: it hangs, or cannot decide; see its journal",
                      pid, WAIT_MSEC / 1000);
        else
                warnx("retune: ksmtuned (process %d) got the signal, but " STATE_PATH
                      " cannot be read: %s",
                      pid, strerror(-error));
        return CTL_FAILURE;
}

static int add_knobs(struct libscols_table *table, const char *name, const struct state *state)
{
        const char *does = "ksmd sleeps";

        if (state->run < 0)
                return facts_add(table, name, "unknown");
        if (state->run == 1)
                does = "ksmd looks for equal pages";
        return facts_add(table, name, "run %lld: %s; pages_to_scan %lld, sleep_millisecs %lld",
                         (long long)state->run, does, (long long)state->pages_to_scan,
                         (long long)state->sleep_msec);
}

static const char *kb_text(char *buf, size_t n, int64_t kb)
{
        return kb < 0 ? "unknown" : format_kb(buf, n, kb);
}

static int print_decision(const struct state *before, const struct state *now)
{
        CLEANUP_TABLE struct libscols_table *table = NULL;
        char free[32], threshold[32], total[32], committed[32];
        int r = facts_new(&table);

        if (r == 0)
                r = facts_add(table, "ksmtuned", "process %d, policy %s, phase %s", now->pid,
                              now->policy, now->phase);
        if (r == 0 && before->pid == now->pid)
                r = add_knobs(table, "before", before);
        if (r == 0)
                r = add_knobs(table, "now", now);
        if (r == 0)
                r = facts_add(table, "reason", "%s", now->reason);
        if (r == 0)
                r = facts_add(table, "memory", "%s, of which free: %s; threshold: %s",
                              kb_text(total, sizeof(total), now->total_kb),
                              kb_text(free, sizeof(free), now->free_kb),
                              kb_text(threshold, sizeof(threshold), now->threshold_kb));
        if (r == 0)
                r = facts_add(table, "guests", "%lld, with %s committed", (long long)now->guests,
                              kb_text(committed, sizeof(committed), now->committed_kb));
        return r == 0 ? facts_print(table) : r;
}

/* Return: the exit status. */
static int retune(const struct sysroot *root, bool wait)
{
        CLEANUP(daemon_release) struct daemon daemon = {.pid_fd = -1};
        struct state before, now;
        int r;

        if (state_read(root, &before) < 0)
                state_init(&before);
        r = daemon_find(root, &before, &daemon);
        if (r <= 0) {
                if (r == 0)
                        warnx("retune: no ksmtuned runs");
                else
                        warnx("retune: cannot see whether ksmtuned runs: %s", strerror(-r));
                return CTL_FAILURE;
        }
        r = daemon_signal(&daemon);
        if (r < 0) {
                if (r == -EPERM)
                        warnx("retune: not permitted to signal ksmtuned (process %d); run it as "
                              "root",
                              daemon.pid);
                else if (r == -ESRCH)
                        warnx("retune: no ksmtuned runs: it has just ended");
                else
                        warnx("retune: cannot signal ksmtuned (process %d): %s", daemon.pid,
                              strerror(-r));
                return CTL_FAILURE;
        }
        if (!wait)
                return CTL_SUCCESS;
        r = wait_for_decision(root, &daemon, &before, &now);
        if (r < 0)
                return complain_about_wait(daemon.pid, r);
        r = print_decision(&before, &now);
        if (r < 0) {
                warnx("retune: cannot print the decision: %s", strerror(-r));
                return CTL_FAILURE;
        }
        return ctl_flush();
}

int ctl_retune(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        static const struct option options[] = {
                {"no-wait", no_argument, NULL, 'n'}, {"help", no_argument, NULL, 'h'}, {0}};
        bool wait = true;
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) != -1) {
                switch (c) {
                case 'n':
                        wait = false;
                        break;
                case 'h':
                        return ctl_verb_help(verb);
                default:
                        return ctl_verb_misuse(verb, argv[optind - 1]);
                }
        }
        if (optind < argc)
                return ctl_verb_misuse(verb, argv[optind]);
        if (root->made_up) {
                warnx("retune: the processes of another root cannot be signalled: leave --root "
                      "out");
                return CTL_USAGE;
        }
        return retune(root, wait);
}
