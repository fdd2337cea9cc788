/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Unmerging, watched: a process of its own writes 2 to run; this one looks how far it is, and waits
 * for its end, for signals, and for memory to run short.
 */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/reason.h"
#include "terminal.h"
#include "unmerge.h"

#define LOOK_USEC UINT64_C(200000)
/* In a file, so many looks to a line. */
#define LOOKS_A_LINE 15

#define SIZE_TEXT 32

struct work {
        const struct sysroot *root;
        const struct unmerge_figures *start;
        bool force;
        struct terminal terminal;
        sd_event *loop;
        sd_event_source *timer;
        pid_t pid;
        uint64_t begun_usec;
        unsigned n_looks;
        bool line_open; /* the cursor stands behind a line that is still to be replaced */
        struct unmerge_outcome outcome;
};

static void work_release(struct work *work)
{
        sd_event_source_unref(work->timer);
        sd_event_unref(work->loop);
}

static uint64_t monotonic_usec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static const char *bytes_text(char *buf, int64_t bytes)
{
        return format_kb(buf, SIZE_TEXT, bytes / 1024);
}

/* At the rate so far, in whole seconds. */
static uint64_t rest_usec(int64_t left, double bytes_per_usec)
{
        double seconds = (double)left / bytes_per_usec / 1e6;

        return seconds < 1 ? 1000000 : (uint64_t)(seconds + 0.5) * 1000000;
}

/* On a terminal one line that is written anew, else a line every few seconds. */
static void show(struct work *work, const struct unmerge_figures *now)
{
        int64_t left = unmerge_left_bytes(work->start, now);
        int64_t done = work->start->merged_bytes - left;
        uint64_t usec = monotonic_usec() - work->begun_usec;
        char left_text[SIZE_TEXT], all[SIZE_TEXT], rate[SIZE_TEXT], rest[48];

        if (!work->terminal.is_terminal && work->n_looks % LOOKS_A_LINE != 1)
                return;
        (void)printf("%s%s of %s left", work->terminal.is_terminal ? "\r" : "",
                     bytes_text(left_text, left), bytes_text(all, work->start->merged_bytes));
        if (done > 0 && usec > 0) {
                double bytes_per_usec = (double)done / (double)usec;

                (void)printf(", %s/s, about %s to go",
                             bytes_text(rate, (int64_t)(bytes_per_usec * 1e6)),
                             format_usec(rest, sizeof(rest), rest_usec(left, bytes_per_usec)));
        }
        /* What a longer line left behind it goes. */
        (void)fputs(work->terminal.is_terminal ? "\033[K" : "\n", stdout);
        (void)fflush(stdout);
        work->line_open = work->terminal.is_terminal;
}

static void end_line(struct work *work)
{
        if (work->line_open)
                (void)putchar('\n');
        work->line_open = false;
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct work *work = userdata;
        struct unmerge_figures now;
        int r;

        work->n_looks++;
        /* What cannot be read now may be in a moment; the work goes on meanwhile. */
        if (unmerge_look(work->root, &now) == 0) {
                show(work, &now);
                if (!work->force && !work->outcome.by_shortage &&
                    unmerge_is_short(work->start, &now)) {
                        work->outcome.by_shortage = true;
                        (void)kill(work->pid, SIGKILL);
                }
        }
        r = sd_event_source_set_time_relative(source, LOOK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct work *work = userdata;

        work->outcome.by_signal = (int)info->ssi_signo;
        (void)kill(work->pid, SIGKILL);
        return 0;
}

static int on_end(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct work *work = userdata;

        if (info->si_code == CLD_EXITED)
                work->outcome.error = info->si_status;
        else
                work->outcome.killed = work->outcome.by_signal == 0 && !work->outcome.by_shortage;
        /* Signals and a shortage that came when all was done interrupted nothing. */
        if (info->si_code == CLD_EXITED) {
                work->outcome.by_signal = 0;
                work->outcome.by_shortage = false;
        }
        return sd_event_exit(work->loop, 0);
}

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

/* Those that are ignored, as nohup does, stay so. */
static int listen_to_signals(struct work *work)
{
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
                struct sigaction action;
                int r;

                if (sigaction(signals[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN)
                        continue;
                r = sd_event_add_signal(work->loop, NULL, signals[i], on_signal, work);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int run_loop(struct work *work)
{
        sigset_t block;
        int r;

        /* sd-event takes only signals that are blocked. A reader of our output who goes must not
         * end us in mid-work. */
        (void)signal(SIGPIPE, SIG_IGN);
        (void)sigemptyset(&block);
        (void)sigaddset(&block, SIGCHLD);
        for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
                (void)sigaddset(&block, signals[i]);
        if (sigprocmask(SIG_BLOCK, &block, NULL) < 0)
                return -errno;

        r = sd_event_new(&work->loop);
        if (r == 0)
                r = listen_to_signals(work);
        if (r >= 0)
                r = sd_event_add_time_relative(work->loop, &work->timer, CLOCK_MONOTONIC, LOOK_USEC,
                                               0, on_look, work);
        if (r >= 0)
                r = unmerge_start(work->root, &work->pid);
        if (r < 0)
                return r;
        work->begun_usec = monotonic_usec();
        r = sd_event_add_child(work->loop, NULL, work->pid, WEXITED, on_end, work);
        if (r >= 0)
                r = sd_event_loop(work->loop);
        /* It dies with us, but should not write on while we tell of its failure. */
        if (r < 0)
                (void)kill(work->pid, SIGKILL);
        return r;
}

void unmerge_run(const struct sysroot *root, const struct unmerge_figures *start, bool force,
                 struct unmerge_outcome *ret_outcome)
{
        CLEANUP(work_release) struct work work = {.root = root, .start = start, .force = force};

        terminal_look(&work.terminal);
        work.begun_usec = monotonic_usec();
        work.outcome.loop_error = run_loop(&work);
        if (work.outcome.loop_error > 0)
                work.outcome.loop_error = 0;
        end_line(&work);
        (void)fflush(stdout);
        work.outcome.usec = monotonic_usec() - work.begun_usec;
        *ret_outcome = work.outcome;
}

bool unmerge_is_done(const struct unmerge_outcome *outcome)
{
        return outcome->loop_error == 0 && outcome->error == 0 && !outcome->by_shortage &&
               outcome->by_signal == 0 && !outcome->killed;
}
