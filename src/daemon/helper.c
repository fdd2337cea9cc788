/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "events.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/journal.h"

#define LINE_SIZE         512 /* as the helper's line.h has it */
#define HELLO_WITHIN_USEC UINT64_C(10000000)
#define REAP_WITHIN_MSEC  100
/* Also what the dynamic linker says where a library is missing: no reason to try again. */
#define CANNOT_RUN     127
#define CANNOT_CONFINE 125
#define PAUSE_MIN_USEC UINT64_C(1000000)
#define PAUSE_MAX_USEC UINT64_C(60000000)
/* One that has lived for this long did not end because of how it was started. */
#define LONG_LIFE_USEC UINT64_C(60000000)

struct helper {
        sd_event *loop;
        sd_event_source *io, *child, *timer;
        char *program, *uri;
        struct helper_handler handler;

        pid_t pid; /* 0: none runs */
        bool installed;
        bool greeted;
        bool connected; /* as it told last */
        bool killed;    /* by us, for a reason that has been told */
        uint64_t started_usec, pause_usec;
        char line[LINE_SIZE];
        size_t len;
        char told[LINE_SIZE]; /* the failure told last; "": none */
};

/* The same trouble again and again is told once. */
static void tell_trouble(struct helper *helper, const char *what)
{
        if (strcmp(helper->told, what) == 0)
                return;
        (void)strncpy(helper->told, what, sizeof(helper->told) - 1);
        journal_print(
                LOG_WARNING,
                "no events from libvirt (%s): %s; guests are counted at every interval all the "
                "same",
                helper->uri, what);
}

static void kill_child(struct helper *helper, const char *why)
{
        if (helper->pid <= 0)
                return;
        if (why) {
                tell_trouble(helper, why);
                helper->killed = true;
        }
        (void)kill(helper->pid, SIGKILL);
}

/* Return: 0; -EBADMSG for a line that the helper does not print; what the handler returned. */
static int take_line(struct helper *helper, char *line)
{
        static const char failed[] = "failed ", event[] = "event ";

        if (!helper->greeted) {
                helper->greeted = strcmp(line, "hello 1") == 0;
                return helper->greeted ? 0 : -EBADMSG;
        }
        if (strcmp(line, "connecting") == 0)
                return 0;
        if (strcmp(line, "connected") == 0) {
                helper->connected = true;
                helper->told[0] = '\0';
                journal_print(LOG_INFO, "events come from libvirt (%s)", helper->uri);
                return 0;
        }
        if (strncmp(line, failed, strlen(failed)) == 0) {
                helper->connected = false;
                tell_trouble(helper, line + strlen(failed));
                return 0;
        }
        if (strncmp(line, event, strlen(event)) == 0) {
                char *kind = line + strlen(event), *name = strchr(kind, ' ');

                if (!name)
                        return -EBADMSG;
                *name++ = '\0';
                return helper->handler.event(helper->handler.userdata, kind, name);
        }
        return -EBADMSG;
}

/* Takes the whole lines out of the buffer. A full buffer without a newline is no line of ours. */
static int take_lines(struct helper *helper)
{
        char *start = helper->line, *newline;
        int r = 0;

        while (r == 0 && (newline = memchr(start, '\n', helper->len)) != NULL) {
                helper->len -= (size_t)(newline + 1 - start);
                *newline = '\0';
                r = take_line(helper, start);
                start = newline + 1;
        }
        if (start != helper->line)
                memmove(helper->line, start, helper->len);
        if (r == 0 && helper->len == sizeof(helper->line))
                r = -EBADMSG;
        return r;
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct helper *helper = userdata;
        ssize_t n;
        int r;

        /* A buffer a turn: a helper that floods the pipe must not keep the loop for itself. */
        n = read(fd, helper->line + helper->len, sizeof(helper->line) - helper->len);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                /* The end of the pipe without the end of the process is none of its ways. */
                kill_child(helper, NULL);
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        helper->len += (size_t)n;
        r = take_lines(helper);
        if (r == -EBADMSG) {
                kill_child(helper,
                           "the helper process printed what it never prints, and was killed");
                return sd_event_source_set_enabled(source, SD_EVENT_OFF);
        }
        return r;
}

static uint64_t jitter(uint64_t usec)
{
        unsigned char byte = 128;

        (void)!getrandom(&byte, sizeof(byte), GRND_NONBLOCK);
        return usec * 3 / 4 + usec * byte / 512;
}

static int set_timer(struct helper *helper, uint64_t usec)
{
        int r = sd_event_source_set_time(helper->timer, events_now_usec() + usec);

        return r < 0 ? r : sd_event_source_set_enabled(helper->timer, SD_EVENT_ONESHOT);
}

static void forget_child(struct helper *helper)
{
        helper->io = sd_event_source_disable_unref(helper->io);
        helper->child = sd_event_source_disable_unref(helper->child);
        helper->pid = 0;
        helper->len = 0;
        helper->greeted = false;
        helper->connected = false;
        helper->killed = false;
}

static int start_later(struct helper *helper)
{
        uint64_t pause = helper->pause_usec;

        if (events_now_usec() >= helper->started_usec + LONG_LIFE_USEC)
                pause = PAUSE_MIN_USEC;
        helper->pause_usec = pause * 2 < PAUSE_MAX_USEC ? pause * 2 : PAUSE_MAX_USEC;
        return set_timer(helper, jitter(pause));
}

static int on_child(sd_event_source *source, const siginfo_t *info, void *userdata)
{
        struct helper *helper = userdata;

        if (info->si_code == CLD_STOPPED) {
                kill_child(helper, "the helper process was stopped by a signal, and was killed");
                return sd_event_source_set_enabled(source, SD_EVENT_ON);
        }
        if (info->si_code == CLD_CONTINUED)
                return sd_event_source_set_enabled(source, SD_EVENT_ON);
        if (!helper->killed && info->si_code == CLD_EXITED && info->si_status == CANNOT_RUN) {
                tell_trouble(helper, "ksmtuned-libvirt cannot be run; is libvirt installed?");
                forget_child(helper);
                return sd_event_source_set_enabled(helper->timer, SD_EVENT_OFF);
        }
        if (!helper->killed && info->si_code == CLD_EXITED && info->si_status == CANNOT_CONFINE)
                tell_trouble(helper, "the helper process could not give up its rights, and ended");
        else if (!helper->killed)
                tell_trouble(helper, info->si_code == CLD_EXITED ? "the helper process ended"
                                                                 : "the helper process was killed");
        forget_child(helper);
        return start_later(helper);
}

/*
 * In the child. It dies with the daemon, however that ends, and whatever call it hangs in; and what
 * it hears from libvirt, or libvirt's libraries make of it, gets hold of none of the daemon's
 * rights.
 */
static void become_helper(const struct helper *helper, pid_t daemon, int fd)
{
        sigset_t none;
        int null;

        (void)sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != daemon)
                _exit(126);
        null = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
                _exit(126);
        if (confine_self() < 0)
                _exit(CANNOT_CONFINE);
        (void)execl(helper->program, helper->program, helper->uri, NULL);
        _exit(CANNOT_RUN);
}

static int add_sources(struct helper *helper, int *fd)
{
        int r;

        r = sd_event_add_child(helper->loop, &helper->child, helper->pid, WEXITED | WSTOPPED,
                               on_child, helper);
        if (r >= 0)
                r = sd_event_add_io(helper->loop, &helper->io, *fd, EPOLLIN, on_io, helper);
        /* A handler's error ends the loop; by itself sd-event would go on without it. */
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(helper->child, true);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(helper->io, true);
        if (r >= 0)
                r = sd_event_source_set_io_fd_own(helper->io, true);
        if (r >= 0) {
                (void)TAKE_FD(*fd);
                /* Behind everything else that wants the loop. */
                r = sd_event_source_set_priority(helper->io, SD_EVENT_PRIORITY_IDLE);
        }
        if (r >= 0)
                r = set_timer(helper, HELLO_WITHIN_USEC);
        return r;
}

static int start(struct helper *helper)
{
        CLEANUP_FD int reader = -1, writer = -1;
        pid_t daemon = getpid();
        int fds[2], r;

        helper->installed = access(helper->program, X_OK) == 0;
        if (!helper->installed) {
                tell_trouble(helper, "ksmtuned-libvirt is not installed");
                return 0;
        }
        helper->started_usec = events_now_usec();
        if (pipe2(fds, O_CLOEXEC) < 0)
                return start_later(helper);
        reader = fds[0];
        writer = fds[1];
        if (fcntl(reader, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        helper->pid = fork();
        if (helper->pid < 0) {
                helper->pid = 0;
                return start_later(helper);
        }
        if (helper->pid == 0)
                become_helper(helper, daemon, writer);
        r = add_sources(helper, &reader);
        if (r < 0)
                kill_child(helper, NULL);
        return r;
}

/* Time to start one; or the one that was started has not said hello. */
static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct helper *helper = userdata;

        if (helper->pid == 0)
                return start(helper);
        if (!helper->greeted)
                kill_child(helper, "the helper process hung at its start, and was killed");
        return 0;
}

static int block_sigchld(void)
{
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGCHLD);
        return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? -errno : 0;
}

int helper_new(struct helper **ret_helper, sd_event *loop, const char *program, const char *uri,
               const struct helper_handler *handler)
{
        struct helper *helper;
        int r;

        helper = calloc(1, sizeof(*helper));
        if (!helper)
                return -ENOMEM;
        helper->loop = sd_event_ref(loop);
        helper->handler = *handler;
        helper->pause_usec = PAUSE_MIN_USEC;
        helper->program = strdup(program);
        helper->uri = strdup(uri);
        r = helper->program && helper->uri ? block_sigchld() : -ENOMEM;
        /* Known before the first decision, which may come before the start. */
        helper->installed = r >= 0 && access(helper->program, X_OK) == 0;
        if (r >= 0)
                r = sd_event_add_time_relative(loop, &helper->timer, CLOCK_MONOTONIC, 0, 0,
                                               on_timer, helper);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(helper->timer, true);
        if (r < 0) {
                (void)helper_free(helper);
                return r;
        }
        *ret_helper = helper;
        return 0;
}

bool helper_installed(const struct helper *helper)
{
        return helper->installed;
}

bool helper_connected(const struct helper *helper)
{
        return helper->connected;
}

/*
 * Kills it and takes its status, so that no zombie is left. Even a process in a call that hangs
 * ends at once; but for a disk that does not answer, and then init takes it over when the daemon
 * ends.
 */
static void end_child(struct helper *helper)
{
        struct pollfd ended = {.fd = -1, .events = POLLIN};

        if (helper->pid <= 0)
                return;
        ended.fd = (int)syscall(SYS_pidfd_open, helper->pid, 0);
        (void)kill(helper->pid, SIGKILL);
        if (ended.fd >= 0) {
                (void)poll(&ended, 1, REAP_WITHIN_MSEC);
                (void)close(ended.fd);
        }
        (void)waitpid(helper->pid, NULL, WNOHANG);
}

struct helper *helper_free(struct helper *helper)
{
        if (!helper)
                return NULL;
        end_child(helper);
        forget_child(helper);
        sd_event_source_disable_unref(helper->timer);
        sd_event_unref(helper->loop);
        free(helper->program);
        free(helper->uri);
        free(helper);
        return NULL;
}
