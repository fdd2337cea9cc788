/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl watch: options and the loop; the view on the terminal, or a line per change. */

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"
#include "watch.h"

#define INTERVAL_DEFAULT_USEC UINT64_C(2000000)

struct request {
        struct sampling sampling;
        bool log;
};

/* Return: -1 to go on, else the exit status. */
static int parse_options(struct request *request, const struct ctl_verb *verb, int argc,
                         char **argv)
{
        static const struct option options[] = {{"interval", required_argument, NULL, 'i'},
                                                {"count", required_argument, NULL, 'n'},
                                                {"log", no_argument, NULL, 'l'},
                                                {"config", required_argument, NULL, 'c'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        int c;

        while ((c = getopt_long(argc, argv, "i:n:lc:h", options, NULL)) != -1) {
                int r = -1;

                if (c == 'l')
                        request->log = true;
                else
                        r = sampling_option(&request->sampling, verb, c, argv);
                if (r >= 0)
                        return r;
        }
        return optind < argc ? ctl_verb_misuse(verb, argv[optind]) : -1;
}

/* A look that must not fail: the first. Return: whether it did not; else told. */
static bool look_first(struct watch *watch)
{
        char why[128];
        int r = watch_look(watch);

        if (r < 0)
                warnx("%s", sampler_failure(&watch->sampler, r, why, sizeof(why)));
        return r == 0;
}

/* The look at the first turn was taken by look_first(), an instant ago. */
static int look_again(struct watch *watch, uint64_t turn)
{
        return turn == 1 ? 0 : watch_look(watch);
}

/* What ends a verb without being its failure. */
static bool is_end(int error)
{
        return error == -EPIPE || error == -EINTR || error == -EIO;
}

static int complain_of_writing(int error)
{
        warnx("cannot write to standard output: %s", strerror(-error));
        return CTL_FAILURE;
}

/* --- A line per change --------------------------------------------------------------------- */

static int log_change(const struct watch *watch, struct watch_log *log, const struct ticker *ticker)
{
        char line[256];
        size_t written;

        if (!watch_log_changed(log, watch))
                return 0;
        return ticker_write(ticker, STDOUT_FILENO, line,
                            (size_t)watch_log_line(watch, line, sizeof(line)), &written);
}

static int run_log(struct watch *watch, const struct request *request)
{
        CLEANUP(ticker_close) struct ticker ticker = TICKER_INIT;
        struct watch_log log = {.begun = false};
        uint64_t n = 0;
        int last_error = 0;
        int r = ticker_open(&ticker, watch->interval_usec, -1, STDOUT_FILENO);

        while (r >= 0 && (request->sampling.count == 0 || n < request->sampling.count)) {
                r = ticker_wait(&ticker);
                if (r == TICKER_END || r == TICKER_CLOSED)
                        return CTL_SUCCESS;
                if (r == TICKER_PAUSE)
                        (void)raise(SIGSTOP);
                if (r != TICKER_TURN)
                        continue;
                r = look_again(watch, ++n);
                if (r < 0 && r != last_error) {
                        char why[128];

                        warnx("%s", sampler_failure(&watch->sampler, r, why, sizeof(why)));
                }
                last_error = r;
                r = r < 0 ? 0 : log_change(watch, &log, &ticker);
                if (r < 0)
                        return is_end(r) ? CTL_SUCCESS : complain_of_writing(r);
        }
        if (r < 0) {
                warnx("cannot wait: %s", strerror(-r));
                return CTL_FAILURE;
        }
        return CTL_SUCCESS;
}

/* --- The view ------------------------------------------------------------------------------ */

/* Return: whether one of the keys quits, or the terminal is at its end. */
static bool keys_quit(const struct ticker *ticker)
{
        char keys[64];
        int n = ticker_keys(ticker, keys, sizeof(keys));

        for (int i = 0; i < n; i++)
                if (keys[i] == 'q' || keys[i] == 'Q' || keys[i] == '\004') /* Ctrl-D */
                        return true;
        return n <= 0;
}

/* Ctrl-Z: the terminal goes back to the shell until it says go on. */
static int pause_view(struct screen *screen)
{
        screen_close(screen);
        (void)raise(SIGSTOP);
        return screen_open(screen);
}

/* Return: 0 to go on; 1 at the end; -errno. */
static int handle(int event, uint64_t turn, struct watch *watch, struct screen *screen,
                  const struct ticker *ticker)
{
        int r = 0;

        switch (event) {
        case TICKER_END:
        case TICKER_CLOSED:
                return 1;
        case TICKER_KEY:
                return keys_quit(ticker);
        case TICKER_RESIZE:
                screen_resize(screen);
                break;
        case TICKER_PAUSE:
                r = pause_view(screen);
                break;
        default:
                /* What fails stands in the view, and may be better the next time. */
                (void)look_again(watch, turn);
        }
        if (r < 0)
                return r;
        watch_draw(watch, screen);
        return screen_show(screen, ticker);
}

static int run_view(struct watch *watch, const struct request *request, struct screen *screen)
{
        CLEANUP(ticker_close) struct ticker ticker = TICKER_INIT;
        uint64_t n = 0;
        int r = ticker_open(&ticker, watch->interval_usec, -1, STDOUT_FILENO);

        if (r == 0)
                r = screen_open(screen);
        if (r < 0) {
                warnx("cannot take the terminal over: %s", strerror(-r));
                return CTL_FAILURE;
        }
        ticker.in_fd = screen->in_fd;
        while (r == 0) {
                int event = ticker_wait(&ticker);

                if (event < 0) {
                        r = event;
                        break;
                }
                n += event == TICKER_TURN;
                r = handle(event, n, watch, screen, &ticker);
                if (event == TICKER_TURN && n == request->sampling.count)
                        break;
        }
        screen_close(screen);
        return r >= 0 || is_end(r) ? CTL_SUCCESS : complain_of_writing(r);
}

int ctl_watch(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        struct watch *watch = calloc(1, sizeof(*watch));
        struct screen *screen = calloc(1, sizeof(*screen));
        struct request request = {.sampling = {.interval_usec = INTERVAL_DEFAULT_USEC}};
        int status = CTL_FAILURE;

        if (!watch || !screen) {
                warnx("watch: %s", strerror(ENOMEM));
        } else {
                status = parse_options(&request, verb, argc, argv);
                watch->interval_usec = request.sampling.interval_usec;
        }
        if (status < 0 && !request.log && !screen_possible()) {
                warnx("watch: standard output is no terminal that can show it; 'ksmctl watch "
                      "--log' "
                      "prints a line for each change");
                status = CTL_FAILURE;
        }
        if (status < 0)
                status = sampler_open(&watch->sampler, root, request.sampling.config) < 0 ||
                                         !look_first(watch)
                                 ? CTL_FAILURE
                         : request.log ? run_log(watch, &request)
                                       : run_view(watch, &request, screen);
        if (watch) {
                watch_guests_release(&watch->guests);
                sampler_close(&watch->sampler);
        }
        free(watch);
        free(screen);
        return status;
}
