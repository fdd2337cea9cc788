/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a verb that goes on for long waits for: its next turn, a signal, a key, the end of its
 * output. The turns come from an absolute timer, so that they do not drift; one that is missed,
 * because the host slept or the verb was late, is left out.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ticker_event {
        TICKER_TURN,   /* it is time again; the first comes at once */
        TICKER_END,    /* SIGINT, SIGTERM, SIGHUP */
        TICKER_CLOSED, /* nobody reads the output any more, or the terminal is gone */
        TICKER_RESIZE, /* SIGWINCH */
        TICKER_PAUSE,  /* SIGTSTP: Ctrl-Z */
        TICKER_KEY,    /* the input can be read */
};

struct ticker {
        int timer_fd;
        int signal_fd;
        int in_fd;  /* of keys; -1: none */
        int out_fd; /* whose end is an end; -1: none */
};

#define TICKER_INIT                                                        \
        {                                                                  \
                .timer_fd = -1, .signal_fd = -1, .in_fd = -1, .out_fd = -1 \
        }

/*
 * From now on signals are events, and SIGPIPE and SIGXFSZ are errors of write(). @in_fd and @out_fd
 * stay the caller's. Return: 0; -errno.
 */
int ticker_open(struct ticker *ticker, uint64_t interval_usec, int in_fd, int out_fd);
void ticker_close(struct ticker *ticker);

/* Waits. Return: an enum ticker_event; -errno. */
int ticker_wait(struct ticker *ticker);

/* Takes all keys that have been pressed. Return: how many bytes, 0 at the end; -errno. */
int ticker_keys(const struct ticker *ticker, char *buf, size_t size);

/*
 * Writes all of @text to @fd, but gives up for a signal when @fd takes nothing. *@ret_written says
 * how much went out. Return: 0; -EINTR for a signal, which the next ticker_wait() tells; -errno.
 */
int ticker_write(const struct ticker *ticker, int fd, const char *text, size_t len,
                 size_t *ret_written);

/* CLOCK_REALTIME, CLOCK_MONOTONIC in µs. */
int64_t clock_realtime_usec(void);
int64_t clock_monotonic_usec(void);
