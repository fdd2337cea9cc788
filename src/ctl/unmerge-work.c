/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The work of ksmctl unmerge: a process of its own writes 2 to run; this one looks how far it is,
 * and waits for its end, for signals, and for memory to run short.
 */

#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/ksm.h"
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

        int by_signal; /* what interrupted it; 0: nothing did */
        bool by_shortage;
        bool killed; /* by somebody else */
        int error;   /* of the write; 0 */
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
                if (!work->force && !work->by_shortage && unmerge_is_short(work->start, &now)) {
                        work->by_shortage = true;
                        (void)kill(work->pid, SIGKILL);
                }
        }
        r = sd_event_source_set_time_relative(source, LOOK_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
        struct work *work = userdata;

        work->by_signal = (int)info->ssi_signo;
        (void)kill(work->pid, SIGKILL);
        return 0;
}

static int on_end(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct work *work = userdata;

        if (info->si_code == CLD_EXITED)
                work->error = info->si_status;
        else
                work->killed = work->by_signal == 0 && !work->by_shortage;
        /* Signals and a shortage that came when all was done interrupted nothing. */
        if (info->si_code == CLD_EXITED) {
                work->by_signal = 0;
                work->by_shortage = false;
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

/* All went well: an ordinary stop is what remains, and what is asked for next is done anew. */
static int finish(struct work *work)
{
        struct unmerge_figures now = *work->start;
        char freed[SIZE_TEXT], left[SIZE_TEXT], span[48];
        int r;

        (void)format_usec(span, sizeof(span), monotonic_usec() - work->begun_usec);
        (void)unmerge_look(work->root, &now);
        r = ksm_set(work->root, KSM_RUN, KSM_RUN_STOP);
        (void)printf("unmerged in %s: %s that merging saved are given up\n", span,
                     bytes_text(freed, saturating_add(work->start->saved_bytes, -now.saved_bytes)));
        if (now.merged_bytes > 0)
                (void)printf("%s are still counted as merged\n",
                             bytes_text(left, now.merged_bytes));
        if (r == 0)
                return ctl_flush();
        (void)ctl_flush();
        warnx("unmerge: run stays 2: cannot write 0 to it: %s", strerror(-r));
        return CTL_FAILURE;
}

/* What stays, and what to do about it. Return: the exit status. */
static int tell_rest(const struct work *work)
{
        struct unmerge_figures now;
        char left[SIZE_TEXT], done[SIZE_TEXT];
        int64_t left_bytes;

        if (unmerge_look(work->root, &now) < 0)
                return CTL_UNFINISHED;
        left_bytes = unmerge_left_bytes(work->start, &now);
        (void)printf("%s are unmerged, about %s are still merged; run is %lld: %s\n"
                     "'ksmctl unmerge' goes on with it, 'ksmctl start' merges again\n",
                     bytes_text(done, work->start->merged_bytes - left_bytes),
                     bytes_text(left, left_bytes), (long long)now.run,
                     now.run == KSM_RUN_MERGE ? "ksmd looks for equal pages" : "ksmd sleeps");
        (void)ctl_flush();
        return CTL_UNFINISHED;
}

/* Nothing was begun then. */
static bool may_not_write(int error)
{
        return error == EACCES || error == EPERM || error == EROFS || error == EOPNOTSUPP;
}

int unmerge_work(const struct sysroot *root, const struct unmerge_figures *start, bool force)
{
        CLEANUP(work_release) struct work work = {.root = root, .start = start, .force = force};
        int r;

        terminal_look(&work.terminal);
        r = run_loop(&work);
        end_line(&work);
        (void)fflush(stdout);
        if (r < 0) {
                warnx("unmerge: %s", strerror(-r));
                return tell_rest(&work);
        }
        if (work.error != 0) {
                warnx("unmerge: writing 2 to " KSM_FOLDER "/run: %s", strerror(work.error));
                return may_not_write(work.error) ? CTL_FAILURE : tell_rest(&work);
        }
        if (work.by_shortage)
                warnx("unmerge: stopped, as memory runs short; --force would go on");
        else if (work.by_signal != 0)
                warnx("unmerge: interrupted (%s)", strsignal(work.by_signal));
        else if (work.killed)
                warnx("unmerge: the process that unmerges was killed; if memory ran out, the "
                      "kernel did it");
        else
                return finish(&work);
        return tell_rest(&work);
}
