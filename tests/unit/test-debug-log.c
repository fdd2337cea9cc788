/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The DEBUG log: the original's wording, and disks that do not take it. time() is intercepted. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "ksmtuned/debug-log.h"
#include "made-up-root.h"

#define LOG "/var/log/ksmtuned"
#define NOW "Sat Nov 21 02:29:41 UTC 2026: "

static time_t now = 1795228181;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's name */
time_t __wrap_time(time_t *ret_time);

time_t __wrap_time(time_t *ret_time)
{
        if (ret_time)
                *ret_time = now;
        return now;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const struct decision boost = {
        .verdict = VERDICT_START,
        .phase = PHASE_BOOST,
        .pages_to_scan = 364,
        .sleep_millisecs = 10,
        .total_kb = 16777216,
        .free_kb = 1000000,
        .committed_kb = 14000000,
        .threshold_kb = 3355443,
};

static struct decision decision(enum verdict verdict, enum phase phase)
{
        struct decision copy = boost;

        copy.verdict = verdict;
        copy.phase = phase;
        return copy;
}

static void open_log(struct debug_log *log, const struct made_up_root *host)
{
        put_folder(host, "/var/log");
        assert_int_equal(debug_log_open(log, &host->root, LOG), 0);
}

static void test_parameters(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;

        open_log(&log, host);
        assert_int_equal(debug_log_parameters(&log, &boost), 0);
        assert_file(host, LOG, NOW "total 16777216\n" NOW "sleep 10\n" NOW "thres 3355443\n");
        debug_log_close(&log);
        assert_int_equal(log.fd, -1);
        debug_log_close(&log);
}

static void test_decisions(void **state)
{
        const struct made_up_root *host = *state;
        const struct decision decay = decision(VERDICT_START, PHASE_DECAY);
        const struct decision stop = decision(VERDICT_STOP, PHASE_OFF);
        const struct decision none = decision(VERDICT_NONE, PHASE_UNDECIDED);
        struct debug_log log = DEBUG_LOG_INIT;

        open_log(&log, host);
        assert_int_equal(debug_log_decision(&log, &none), 0);
        assert_file(host, LOG, "");
        assert_int_equal(debug_log_decision(&log, &boost), 0);
        assert_int_equal(debug_log_decision(&log, &decay), 0);
        assert_int_equal(debug_log_decision(&log, &stop), 0);
        debug_log_close(&log);
        assert_file(host, LOG,
                    NOW "committed 14000000 free 1000000\n" NOW
                        "17355443 > 16777216, start ksm\n" NOW "1000000 < 3355443, boost\n" NOW
                        "KSMCTL start 364 10\n" NOW "committed 14000000 free 1000000\n" NOW
                        "17355443 > 16777216, start ksm\n" NOW "1000000 > 3355443, decay\n" NOW
                        "KSMCTL start 364 10\n" NOW "committed 14000000 free 1000000\n" NOW
                        "17355443 < 16777216 and free > 3355443, stop ksm\n");
}

/* A policy that drives passes has its own reasons. */
static void test_passes(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;
        struct decision burst = decision(VERDICT_START, PHASE_BURST);
        struct decision rest = decision(VERDICT_STOP, PHASE_REST);

        burst.why = WHY_GUEST;
        rest.why = WHY_NOTHING;
        burst.unmerged_kb = rest.unmerged_kb = 4711;
        open_log(&log, host);
        assert_int_equal(debug_log_decision(&log, &burst), 0);
        assert_int_equal(debug_log_decision(&log, &rest), 0);
        debug_log_close(&log);
        assert_file(host, LOG,
                    NOW "committed 14000000 free 1000000\n" NOW
                        "burst, with nothing merged 4711\n" NOW "KSMCTL start 364 10\n" NOW
                        "committed 14000000 free 1000000\n" NOW
                        "rest, with nothing merged 4711\n" NOW "KSMCTL stop\n");
}

static void test_extremes(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;
        struct decision decision = {
                .verdict = VERDICT_START,
                .phase = PHASE_BOOST,
                .pages_to_scan = INT64_MAX,
                .sleep_millisecs = INT64_MAX,
                .total_kb = INT64_MAX,
                .free_kb = INT64_MAX,
                .committed_kb = INT64_MAX,
                .threshold_kb = INT64_MAX,
        };

#define MAX "9223372036854775807"
        open_log(&log, host);
        assert_int_equal(debug_log_decision(&log, &decision), 0);
        debug_log_close(&log);
        assert_file(host, LOG,
                    NOW "committed " MAX " free " MAX "\n" NOW MAX " > " MAX ", start ksm\n" NOW MAX
                        " < " MAX ", boost\n" NOW "KSMCTL start " MAX " " MAX "\n");
}

/* As date(1) prints it: the day padded with a blank, the time zone in letters. */
static void test_dates(void **state)
{
        static const struct {
                const char *zone;
                time_t now;
                const char *date;
        } cases[] = {
                {"UTC", 0, "Thu Jan  1 00:00:00 UTC 1970"},
                {"UTC", 1793494861, "Sun Nov  1 01:01:01 UTC 2026"},
                {"CET-1CEST,M3.5.0,M10.5.0/3", 1795228181, "Sat Nov 21 03:29:41 CET 2026"},
                {"CET-1CEST,M3.5.0,M10.5.0/3", 1782864000, "Wed Jul  1 02:00:00 CEST 2026"},
                {"<-03>3", 1795228181, "Fri Nov 20 23:29:41 -03 2026"},
        };
        const struct made_up_root *host = *state;
        const time_t before = now;

        put_folder(host, "/var/log");
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct debug_log log = DEBUG_LOG_INIT;
                char text[256];

                assert_int_equal(setenv("TZ", cases[i].zone, 1), 0);
                tzset();
                now = cases[i].now;
                assert_int_equal(debug_log_open(&log, &host->root, LOG), 0);
                assert_int_equal(debug_log_parameters(&log, &boost), 0);
                debug_log_close(&log);
                (void)snprintf(text, sizeof(text),
                               "%s: total 16777216\n%s: sleep 10\n"
                               "%s: thres 3355443\n",
                               cases[i].date, cases[i].date, cases[i].date);
                assert_file(host, LOG, text);
                put_away(host, LOG);
        }
        now = before;
        assert_int_equal(setenv("TZ", "UTC", 1), 0);
        tzset();
}

static void test_file(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;
        struct stat st;
        mode_t mask = umask(0);

        /* Closed, it takes everything and writes nothing. */
        assert_int_equal(debug_log_parameters(&log, &boost), 0);
        assert_int_equal(debug_log_decision(&log, &boost), 0);
        assert_int_equal(debug_log_open(&log, &host->root, LOG), -ENOENT);
        assert_int_equal(log.fd, -1);

        open_log(&log, host);
        (void)umask(mask);
        assert_int_equal(fstat(log.fd, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(fcntl(log.fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(debug_log_parameters(&log, &boost), 0);
        debug_log_close(&log);

        /* What is there stays. */
        put(host, LOG, "an older line\n");
        assert_int_equal(debug_log_open(&log, &host->root, LOG), 0);
        assert_int_equal(debug_log_parameters(&log, &boost), 0);
        debug_log_close(&log);
        assert_file(host, LOG,
                    "an older line\n" NOW "total 16777216\n" NOW "sleep 10\n" NOW
                    "thres 3355443\n");
}

/* logrotate renames it and says so; until then the old one is written to. */
static void test_rotation(void **state)
{
        const struct made_up_root *host = *state;
        const struct decision stop = decision(VERDICT_STOP, PHASE_OFF);
        static const char lines[] = NOW "committed 14000000 free 1000000\n" NOW
                                        "17355443 < 16777216 and free > 3355443, stop ksm\n";
        struct debug_log log = DEBUG_LOG_INIT;
        char from[600], to[600];
        int fd;

        open_log(&log, host);
        (void)snprintf(from, sizeof(from), "%s" LOG, host->path);
        (void)snprintf(to, sizeof(to), "%s" LOG ".1", host->path);
        assert_int_equal(rename(from, to), 0);
        assert_int_equal(debug_log_decision(&log, &stop), 0);
        assert_int_equal(sysroot_exists(&host->root, LOG), 0);
        assert_file(host, LOG ".1", lines);

        fd = log.fd;
        assert_int_equal(debug_log_open(&log, &host->root, LOG), 0);
        /* The old one was closed: its number is free again. */
        assert_int_equal(log.fd, fd);
        assert_int_equal(debug_log_decision(&log, &stop), 0);
        assert_file(host, LOG, lines);
        assert_file(host, LOG ".1", lines);

        /* One that cannot be opened any more is closed. */
        assert_int_equal(debug_log_open(&log, &host->root, "/nothing/log"), -ENOENT);
        assert_int_equal(log.fd, -1);
        assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void test_stderr(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;
        struct capture capture;
        char text[512];
        int r;

        capture_begin(&capture, stderr);
        r = debug_log_open(&log, &host->root, "");
        if (r == 0)
                r = debug_log_parameters(&log, &boost);
        debug_log_close(&log);
        (void)capture_end(&capture, text, sizeof(text));
        assert_int_equal(r, 0);
        assert_string_equal(text, NOW "total 16777216\n" NOW "sleep 10\n" NOW "thres 3355443\n");
        /* It is not ours to close. */
        assert_true(fcntl(STDERR_FILENO, F_GETFD) >= 0);
        assert_int_equal(log.fd, -1);
}

static void test_full_disk(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;
        struct rlimit limit, before;
        struct sysroot root;
        int cut, none;

        assert_int_equal(sysroot_open(&root, "/"), 0);
        assert_int_equal(debug_log_open(&log, &root, "/dev/full"), 0);
        assert_int_equal(debug_log_parameters(&log, &boost), -ENOSPC);
        assert_int_equal(debug_log_decision(&log, &boost), -ENOSPC);
        debug_log_close(&log);
        sysroot_close(&root);

        /* A limit on the size of files stands for a disk that fills up amid a write. */
        open_log(&log, host);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        limit = before;
        limit.rlim_cur = 50;
        (void)signal(SIGXFSZ, SIG_IGN);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cut = debug_log_parameters(&log, &boost);
        none = debug_log_parameters(&log, &boost);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        (void)signal(SIGXFSZ, SIG_DFL);
        debug_log_close(&log);
        assert_int_equal(cut, -ENOSPC);
        assert_int_equal(none, -EFBIG);
}

static void test_no_log_file(void **state)
{
        const struct made_up_root *host = *state;
        struct debug_log log = DEBUG_LOG_INIT;

        put_folder(host, LOG);
        assert_int_equal(debug_log_open(&log, &host->root, LOG), -EISDIR);
        put_fifo(host, "/fifo");
        assert_int_equal(debug_log_open(&log, &host->root, "/fifo"), -ENXIO);
        put_mode(host, "/var/log", 0555);
        become_ordinary();
        assert_int_equal(debug_log_open(&log, &host->root, "/var/log/other"), -EACCES);
        become_self();
        put_mode(host, "/var/log", 0755);
        assert_int_equal(log.fd, -1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_parameters),  ON_A_HOST(test_decisions), ON_A_HOST(test_passes),
                ON_A_HOST(test_extremes),    ON_A_HOST(test_dates),     ON_A_HOST(test_file),
                ON_A_HOST(test_rotation),    ON_A_HOST(test_stderr),    ON_A_HOST(test_full_disk),
                ON_A_HOST(test_no_log_file),
        };

        if (setenv("TZ", "UTC", 1) < 0)
                return 1;
        tzset();
        return cmocka_run_group_tests_name("debug-log", tests, NULL, NULL);
}
