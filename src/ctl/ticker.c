/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ticker.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"

static int64_t clock_usec(clockid_t clock)
{
        struct timespec now;

        (void)clock_gettime(clock, &now);
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_realtime_usec(void)
{
        return clock_usec(CLOCK_REALTIME);
}

int64_t clock_monotonic_usec(void)
{
        return clock_usec(CLOCK_MONOTONIC);
}

static int open_timer(uint64_t interval_usec)
{
        CLEANUP_FD int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        struct itimerspec timer = {
                .it_interval = {(time_t)(interval_usec / 1000000),
                                (long)(interval_usec % 1000000) * 1000},
        };

        /* From now on: a moment that is over already. */
        if (fd < 0 || clock_gettime(CLOCK_MONOTONIC, &timer.it_value) < 0 ||
            timerfd_settime(fd, TFD_TIMER_ABSTIME, &timer, NULL) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int open_signals(void)
{
        static const int events[] = {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP};
        const struct sigaction ignored = {.sa_handler = SIG_IGN};
        sigset_t mask;
        int fd;

        (void)sigemptyset(&mask);
        for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
                (void)sigaddset(&mask, events[i]);
        if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0 || sigaction(SIGPIPE, &ignored, NULL) < 0 ||
            sigaction(SIGXFSZ, &ignored, NULL) < 0)
                return -errno;
        fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

int ticker_open(struct ticker *ticker, uint64_t interval_usec, int in_fd, int out_fd)
{
        ticker->in_fd = in_fd;
        ticker->out_fd = out_fd;
        ticker->signal_fd = open_signals();
        if (ticker->signal_fd < 0)
                return ticker->signal_fd;
        ticker->timer_fd = open_timer(interval_usec);
        return ticker->timer_fd < 0 ? ticker->timer_fd : 0;
}

void ticker_close(struct ticker *ticker)
{
        cleanup_fd(&ticker->timer_fd);
        cleanup_fd(&ticker->signal_fd);
}

static int take_signal(const struct ticker *ticker)
{
        struct signalfd_siginfo info;
        ssize_t n = read(ticker->signal_fd, &info, sizeof(info));

        if (n != (ssize_t)sizeof(info))
                return n < 0 ? -errno : -EIO;
        switch (info.ssi_signo) {
        case SIGWINCH:
                return TICKER_RESIZE;
        case SIGTSTP:
                return TICKER_PAUSE;
        default:
                return TICKER_END;
        }
}

int ticker_wait(struct ticker *ticker)
{
        enum { SIGNALS, OUT, IN, TIMER, N_FDS };
        struct pollfd fds[N_FDS] = {
                [SIGNALS] = {.fd = ticker->signal_fd, .events = POLLIN},
                [OUT] = {.fd = ticker->out_fd}, /* errors only */
                [IN] = {.fd = ticker->in_fd, .events = POLLIN},
                [TIMER] = {.fd = ticker->timer_fd, .events = POLLIN},
        };

        for (;;) {
                uint64_t missed;

                if (poll(fds, N_FDS, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (fds[SIGNALS].revents)
                        return take_signal(ticker);
                if (fds[OUT].revents)
                        return TICKER_CLOSED;
                if (fds[IN].revents & POLLIN)
                        return TICKER_KEY;
                if (fds[IN].revents)
                        return TICKER_CLOSED;
                if (read(ticker->timer_fd, &missed, sizeof(missed)) == (ssize_t)sizeof(missed))
                        return TICKER_TURN;
                if (errno != EAGAIN)
                        return -errno;
        }
}

int ticker_keys(const struct ticker *ticker, char *buf, size_t size)
{
        ssize_t n = read(ticker->in_fd, buf, size);

        /* What a terminal says that is gone. */
        if (n < 0 && errno == EIO)
                return 0;
        return n < 0 ? -errno : (int)n;
}

/* A pipe that can be written to takes so many bytes at once without blocking. */
static size_t portion(size_t len)
{
        return len < PIPE_BUF ? len : PIPE_BUF;
}

int ticker_write(const struct ticker *ticker, int fd, const char *text, size_t len,
                 size_t *ret_written)
{
        struct pollfd fds[] = {
                {.fd = fd, .events = POLLOUT},
                {.fd = ticker->signal_fd, .events = POLLIN},
        };

        *ret_written = 0;
        while (*ret_written < len) {
                ssize_t n;

                if (poll(fds, 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (fds[0].revents == 0)
                        return -EINTR;
                n = write(fd, text + *ret_written, portion(len - *ret_written));
                if (n < 0 && errno != EINTR && errno != EAGAIN)
                        return -errno;
                if (n > 0)
                        *ret_written += (size_t)n;
        }
        return 0;
}
