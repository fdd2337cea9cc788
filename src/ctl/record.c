/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmctl record: samples of the host, a line each, for replay, for a plot, for a bug report. */

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "ksmtuned/cleanup.h"
#include "sampler.h"
#include "ticker.h"

#define INTERVAL_DEFAULT_USEC UINT64_C(10000000)

struct record {
        struct sampling sampling;
        enum recording_form form;
        const char *path; /* NULL: standard output */
        int fd;           /* of the output; owned unless standard output */
        off_t len;        /* of the whole lines in a file of ours */
        int last_failure; /* told already */
};

static int open_output(struct record *record)
{
        record->fd = STDOUT_FILENO;
        if (!record->path)
                return CTL_SUCCESS;
        record->fd = open(record->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0644);
        if (record->fd >= 0)
                return CTL_SUCCESS;
        warnx("cannot open %s: %s", record->path, strerror(errno));
        return CTL_FAILURE;
}

/* Return: -1 to go on, else the exit status. */
static int put_lines(struct record *record, const struct ticker *ticker, const char *text, int len)
{
        size_t written;
        int r = len < 0 ? len : ticker_write(ticker, record->fd, text, (size_t)len, &written);

        if (r == 0) {
                record->len += len;
                return -1;
        }
        /* The end of a pipe is how its reader says enough, and a signal how its user does. */
        if (r == -EPIPE || r == -EINTR)
                return CTL_SUCCESS;
        warnx("cannot write to %s: %s", record->path ? record->path : "standard output",
              strerror(-r));
        /* Whole lines only: half of one would make the whole recording unreadable. */
        if (record->path && len > 0 && written > 0 && ftruncate(record->fd, record->len) < 0)
                warnx("the last line of %s is cut", record->path);
        return CTL_FAILURE;
}

/* What comes back at the next sample is no reason to lose a recording of days. */
static void complain(struct record *record, const struct sampler *sampler, int error)
{
        char why[128];

        if (error == record->last_failure)
                return;
        record->last_failure = error;
        if (error < 0)
                warnx("%s; samples are left out",
                      sampler_failure(sampler, error, why, sizeof(why)));
        else
                warnx("samples can be taken again");
}

static int put_sample(struct record *record, struct sampler *sampler, const struct ticker *ticker)
{
        char text[RECORDING_LINE_SIZE];
        struct recording_row row;
        int r = sampler_take(sampler, &row);

        complain(record, sampler, r);
        if (r < 0)
                return -1;
        return put_lines(record, ticker, text,
                         recording_format_row(record->form, &row, text, sizeof(text)));
}

static int put_header(struct record *record, struct sampler *sampler, const struct ticker *ticker)
{
        char text[RECORDING_LINE_SIZE], why[128];
        struct recording_header header;
        struct recording_row row;
        int r = sampler_take(sampler, &row);

        /* Nothing is written where there is nothing to tell. */
        if (r < 0) {
                warnx("%s", sampler_failure(sampler, r, why, sizeof(why)));
                return CTL_FAILURE;
        }
        sampler_header(sampler, record->sampling.interval_usec, &header);
        return put_lines(record, ticker, text,
                         recording_format_header(record->form, &header, text, sizeof(text)));
}

static int run(struct record *record, struct sampler *sampler, struct ticker *ticker)
{
        uint64_t n = 0;
        int status = put_header(record, sampler, ticker);

        while (status < 0) {
                int event = ticker_wait(ticker);

                if (event < 0) {
                        warnx("cannot wait: %s", strerror(-event));
                        return CTL_FAILURE;
                }
                if (event == TICKER_END || event == TICKER_CLOSED)
                        return CTL_SUCCESS;
                if (event == TICKER_PAUSE)
                        (void)raise(SIGSTOP);
                if (event != TICKER_TURN)
                        continue;
                status = put_sample(record, sampler, ticker);
                if (status < 0 && ++n == record->sampling.count)
                        return CTL_SUCCESS;
        }
        return status;
}

/* Return: -1 to go on, else the exit status. */
static int parse_options(struct record *record, const struct ctl_verb *verb, int argc, char **argv)
{
        static const struct option options[] = {{"interval", required_argument, NULL, 'i'},
                                                {"count", required_argument, NULL, 'n'},
                                                {"format", required_argument, NULL, 'f'},
                                                {"json", no_argument, NULL, 'j'},
                                                {"output", required_argument, NULL, 'o'},
                                                {"config", required_argument, NULL, 'c'},
                                                {"help", no_argument, NULL, 'h'},
                                                {0}};
        int c, r;

        while ((c = getopt_long(argc, argv, "i:n:f:jo:c:h", options, NULL)) != -1) {
                switch (c) {
                case 'f':
                        if (strcmp(optarg, "tsv") != 0 && strcmp(optarg, "jsonl") != 0) {
                                warnx("record: the format is '%s'; tsv or jsonl is accepted",
                                      optarg);
                                return CTL_USAGE;
                        }
                        record->form = *optarg == 't' ? RECORDING_TSV : RECORDING_JSONL;
                        break;
                case 'j':
                        record->form = RECORDING_JSONL;
                        break;
                case 'o':
                        record->path = optarg;
                        break;
                default:
                        r = sampling_option(&record->sampling, verb, c, argv);
                        if (r >= 0)
                                return r;
                }
        }
        return optind < argc ? ctl_verb_misuse(verb, argv[optind]) : -1;
}

int ctl_record(const struct ctl_verb *verb, const struct sysroot *root, int argc, char **argv)
{
        struct record record = {.sampling = {.interval_usec = INTERVAL_DEFAULT_USEC}, .fd = -1};
        CLEANUP(sampler_close) struct sampler sampler = SAMPLER_INIT;
        CLEANUP(ticker_close) struct ticker ticker = TICKER_INIT;
        int r = parse_options(&record, verb, argc, argv);

        if (r >= 0)
                return r;
        if (sampler_open(&sampler, root, record.sampling.config) < 0 ||
            open_output(&record) != CTL_SUCCESS)
                return CTL_FAILURE;
        r = ticker_open(&ticker, record.sampling.interval_usec, -1, record.fd);
        if (r < 0) {
                warnx("cannot wait for the time to come: %s", strerror(-r));
                r = CTL_FAILURE;
        } else {
                r = run(&record, &sampler, &ticker);
        }
        if (record.path && close(record.fd) < 0) {
                warnx("cannot write to %s: %s", record.path, strerror(errno));
                r = CTL_FAILURE;
        }
        return r;
}
