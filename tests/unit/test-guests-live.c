/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Guests on the machine itself: processes of this test, by names that nobody else has. They wait
 * for each other through pipes, never by time. Memory runs out on demand (--wrap=realloc).
 */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "children.h"
#include "ksmtuned/guests.h"

static unsigned fail_after; /* how many calls succeed before one fails; 0: all do */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
        if (fail_after > 0 && --fail_after == 0)
                return NULL;
        return __real_realloc(p, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

struct live {
        struct made_up_root *host; /* where the programs are */
        struct sysroot root;       /* "/" */
        struct guests *guests;
        char prefix[32], glob[40];
        const char *globs[2];
        char guest[600], guest2[600], other[600]; /* programs; the last is no guest */
};

static int setup(void **state)
{
        static char letter = 'a' - 1;
        struct live *live = calloc(1, sizeof(*live));
        void *host;

        assert_non_null(live);
        assert_int_equal(made_up_root_setup(&host), 0);
        live->host = host;
        assert_int_equal(sysroot_open(&live->root, "/"), 0);
        /* Other names for each test. With a PID up to 4194304 in it, there is room for a letter. */
        letter++;
        (void)snprintf(live->prefix, sizeof(live->prefix), "ksmt%d%c-", getpid(), letter);
        (void)snprintf(live->glob, sizeof(live->glob), "%s*", live->prefix);
        live->globs[0] = live->glob;
        for (unsigned i = 0; i < 3; i++) {
                char name[64];

                (void)snprintf(name, sizeof(name), "%s%s", i == 2 ? "no-" : live->prefix,
                               i == 0   ? "g"
                               : i == 1 ? "h"
                                        : "o");
                (void)put_program(live->host, name,
                                  i == 0   ? live->guest
                                  : i == 1 ? live->guest2
                                           : live->other,
                                  sizeof(live->guest));
        }
        assert_int_equal(guests_new(&live->guests, &live->root), 0);
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        *state = live;
        return 0;
}

static int teardown(void **state)
{
        struct live *live = *state;
        void *host = live->host;

        live->guests = guests_free(live->guests);
        sysroot_close(&live->root);
        assert_int_equal(made_up_root_teardown(&host), 0);
        free(live);
        return 0;
}

/* Scans, and asserts what must hold after every scan. Return: how many guests there are. */
static int64_t scan(struct live *live)
{
        struct guests_scan_info info;
        struct guests_sample sample;
        const struct guest *list;
        int64_t sum_kb = 0;
        size_t n;

        assert_int_equal(guests_scan(live->guests, &sample, &info), 0);
        list = guests_list(live->guests, &n);
        assert_int_equal(sample.count, n);
        for (size_t i = 0; i < n; i++) {
                assert_true(i == 0 || list[i - 1].pid < list[i].pid);
                assert_true(list[i].committed_kb > 0);
                assert_true(list[i].start_time > 0);
                sum_kb += list[i].committed_kb;
        }
        assert_true(sample.committed_kb == sum_kb);
        assert_true(info.n_processes > n);
        assert_int_equal(info.n_unreadable, 0);
        assert_false(info.names_denied);
        return sample.count;
}

static const struct guest *find(const struct live *live, pid_t pid)
{
        size_t n;
        const struct guest *list = guests_list(live->guests, &n);

        for (size_t i = 0; i < n; i++)
                if (list[i].pid == pid)
                        return &list[i];
        return NULL;
}

static void test_come_and_go(void **state)
{
        struct live *live = *state;
        struct child first, second, other;

        child_start(&first, live->guest);
        child_start(&other, live->other);
        assert_int_equal(scan(live), 1);
        assert_non_null(find(live, first.pid));
        assert_memory_equal(find(live, first.pid)->comm, live->prefix, strlen(live->prefix));
        assert_true(find(live, first.pid)->statm_fd >= 0);
        assert_int_equal(fcntl(find(live, first.pid)->statm_fd, F_GETFD), FD_CLOEXEC);

        /* A new one is found at once, an ended one is gone at once. */
        child_start(&second, live->guest2);
        assert_int_equal(scan(live), 2);
        assert_non_null(find(live, second.pid));
        child_end(&first);
        assert_int_equal(scan(live), 1);
        assert_null(find(live, first.pid));
        child_end(&second);
        child_end(&other);
        assert_int_equal(scan(live), 0);
}

/* Something is started after every scan, over several cycles: it is found in the next. */
static void test_new_ones_at_every_step(void **state)
{
        struct live *live = *state;
        struct child children[2 * GUESTS_CYCLE + 5];

        for (size_t i = 0; i < ELEMENTS(children); i++) {
                assert_int_equal(scan(live), i);
                child_start(&children[i], i % 2 ? live->guest : live->guest2);
        }
        for (size_t i = 0; i < ELEMENTS(children); i++) {
                assert_int_equal(scan(live), ELEMENTS(children) - i);
                child_end(&children[i]);
        }
        assert_int_equal(scan(live), 0);
}

/* It was forked before a scan and calls exec just behind it: found in the next. */
static void test_exec_after_fork(void **state)
{
        struct live *live = *state;
        struct child child;

        assert_int_equal(scan(live), 0);
        child_start(&child, live->other);
        assert_int_equal(scan(live), 0);
        child_tell(&child, "exec %s\n", live->guest);
        assert_int_equal(scan(live), 1);
        child_end(&child);
}

/* Scans until there are @expected guests. Return: how many scans that took. */
static unsigned scans_until(struct live *live, int64_t expected)
{
        for (unsigned n = 1; n <= 3 * GUESTS_CYCLE; n++)
                if (scan(live) == expected)
                        return n;
        fail_msg("not even in three cycles");
        return 0;
}

/* At every place in the cycle. */
static void test_late_exec(void **state)
{
        struct live *live = *state;
        struct child child;

        child_start(&child, live->other);
        for (unsigned at = 0; at < GUESTS_CYCLE; at++) {
                for (unsigned i = 0; i < 12 + at; i++)
                        assert_int_equal(scan(live), 0);
                child_tell(&child, "exec %s\n", live->guest);
                assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
                assert_non_null(find(live, child.pid));
                /* And back: it is dropped again. */
                for (unsigned i = 0; i < 12; i++)
                        assert_int_equal(scan(live), 1);
                child_tell(&child, "exec %s\n", live->other);
                assert_true(scans_until(live, 0) <= GUESTS_CYCLE);
                assert_null(find(live, child.pid));
        }
        child_end(&child);
}

static void test_other_names(void **state)
{
        struct live *live = *state;
        struct child child;

        /* A comm of its own choice, under an executable that is no guest's. */
        child_start(&child, live->other);
        for (unsigned i = 0; i < 12; i++)
                assert_int_equal(scan(live), 0);
        child_tell(&child, "name %s1\n", live->prefix);
        assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
        child_tell(&child, "name %s2\n", live->prefix);
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_int_equal(find(live, child.pid)->comm[strlen(live->prefix)], '2');
        child_tell(&child, "name sleepy\n");
        assert_true(scans_until(live, 0) <= GUESTS_CYCLE);

        /* "-name process=": the executable tells, also when an upgrade has replaced it. */
        child_tell(&child, "exec %s\n", live->guest);
        assert_true(scans_until(live, 1) <= GUESTS_CYCLE);
        child_tell(&child, "name a) S (b\n");
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_string_equal(find(live, child.pid)->comm, "a) S (b");
        assert_int_equal(unlink(live->guest), 0);
        child_tell(&child, "name a) S (c\n");
        for (unsigned i = 0; i < GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 1);
        assert_string_equal(find(live, child.pid)->comm, "a) S (c");
        child_end(&child);
}

static void test_zombie(void **state)
{
        struct live *live = *state;
        struct child child, born_dead;

        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        child_end_as_zombie(&child);
        child_start(&born_dead, live->guest);
        child_end_as_zombie(&born_dead);
        for (unsigned i = 0; i < 2 * GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 0);
        child_end(&child);
        child_end(&born_dead);
        assert_int_equal(scan(live), 0);
}

/* The figure of @metric as the kernel tells it here. */
static int64_t memory_kb(const struct live *live, pid_t pid, enum guest_metric metric)
{
        const int64_t page_kb = sysconf(_SC_PAGESIZE) / 1024;
        char path[64], text[4096];
        int64_t size, resident;
        char *figure;

        (void)snprintf(path, sizeof(path), "/proc/%d/%s", pid,
                       metric == GUEST_METRIC_PSS ? "smaps_rollup" : "statm");
        assert_true(sysroot_read(&live->root, path, text, sizeof(text)) > 0);
        if (metric == GUEST_METRIC_PSS) {
                figure = strstr(text, "\nPss:");
                assert_non_null(figure);
                return strtoll(figure + strlen("\nPss:"), NULL, 10);
        }
        size = strtoll(text, &figure, 10);
        resident = strtoll(figure, NULL, 10);
        return (metric == GUEST_METRIC_VSZ ? size : resident) * page_kb;
}

static void assert_memory_of(struct live *live, pid_t pid, enum guest_metric metric)
{
        /* What it shares with others changes as they come and go; then it is asked again. */
        for (unsigned tries = 0; tries < 100; tries++) {
                int64_t before = memory_kb(live, pid, metric);

                assert_int_equal(scan(live), 1);
                if (find(live, pid)->committed_kb == before &&
                    memory_kb(live, pid, metric) == before)
                        return;
        }
        fail_msg("its memory is never what the kernel tells");
}

static void test_metrics(void **state)
{
        static const enum guest_metric metrics[] = {GUEST_METRIC_RSS, GUEST_METRIC_PSS,
                                                    GUEST_METRIC_VSZ};
        struct live *live = *state;

        for (size_t i = 0; i < ELEMENTS(metrics); i++) {
                struct child child;
                int64_t before;

                guests_set_match(live->guests, live->globs, metrics[i]);
                child_start(&child, live->guest);
                assert_memory_of(live, child.pid, metrics[i]);
                before = find(live, child.pid)->committed_kb;
                child_tell(&child, "grow 16384\n");
                assert_int_equal(scan(live), 1);
                /* Give or take what the kernel counts for each CPU apart. */
                assert_true(find(live, child.pid)->committed_kb > before + 12288);
                assert_memory_of(live, child.pid, metrics[i]);
                child_end(&child);
        }
}

static void test_other_globs(void **state)
{
        static const char *const nobody[] = {"no-such-name-here", NULL};
        struct live *live = *state;
        struct child child;

        child_start(&child, live->guest);
        assert_int_equal(scan(live), 1);
        guests_set_match(live->guests, nobody, GUEST_METRIC_RSS);
        assert_int_equal(scan(live), 0);
        assert_int_equal(scan(live), 0);
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        assert_int_equal(scan(live), 1);
        child_end(&child);
}

static size_t count_descriptors(void)
{
        const struct made_up_root self = {.path = "/proc/self"};

        return count_entries(&self, "/fd");
}

static void test_crowd(void **state)
{
        static struct crowd crowd, second;
        struct live *live = *state;
        const struct guest *list;
        size_t before, n;

        assert_int_equal(scan(live), 0);
        before = count_descriptors();
        crowd_start(&crowd, live->guest, 300);
        assert_int_equal(scan(live), 300);
        list = guests_list(live->guests, &n);
        for (size_t i = 0; i < n; i++)
                assert_true(list[i].statm_fd >= 0);
        assert_int_equal(count_descriptors(), before + 2 + 300);
        crowd_start(&second, live->guest2, 100);
        for (unsigned i = 0; i < 2 * GUESTS_CYCLE; i++)
                assert_int_equal(scan(live), 400);
        crowd_end(&crowd);
        assert_int_equal(scan(live), 100);
        for (size_t i = 0; i < second.n; i++)
                assert_non_null(find(live, second.pids[i]));
        crowd_end(&second);
        assert_int_equal(scan(live), 0);
        assert_int_equal(count_descriptors(), before);
}

/* With few descriptors left, guests are read by name, and some are kept for doing so. */
static void test_few_descriptors(void **state)
{
        static struct crowd crowd;
        struct live *live = *state;
        struct rlimit before, few;
        struct child child;
        size_t n, n_open = 0;
        const struct guest *list;

        crowd_start(&crowd, live->guest, 60);
        assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
        few = before;
        few.rlim_cur = (rlim_t)count_descriptors() + 40;
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        for (unsigned i = 0; i < GUESTS_CYCLE + 2; i++)
                assert_int_equal(scan(live), 60);
        list = guests_list(live->guests, &n);
        for (size_t i = 0; i < n; i++)
                n_open += list[i].statm_fd >= 0;
        assert_true(n_open > 0 && n_open < 60);

        child_start(&child, live->guest2);
        assert_int_equal(scan(live), 61);
        assert_int_equal(find(live, child.pid)->statm_fd, -1);
        child_tell(&child, "grow 16384\n");
        assert_int_equal(scan(live), 61);
        assert_true(find(live, child.pid)->committed_kb > 12288);
        child_tell(&child, "exec %s\n", live->other);
        assert_true(scans_until(live, 60) <= GUESTS_CYCLE);
        child_tell(&child, "exec %s\n", live->guest);
        assert_true(scans_until(live, 61) <= GUESTS_CYCLE);
        child_end(&child);
        assert_int_equal(scan(live), 60);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        crowd_end(&crowd);
        assert_int_equal(scan(live), 0);
}

struct storm {
        const char *program;
        atomic_bool stop;
        atomic_uint n;
};

/* Guests that come and go as fast as they can: their standard input is at its end. */
static void *rage(void *userdata)
{
        struct storm *storm = userdata;
        char *const argv[] = {(char *)(uintptr_t)storm->program, NULL};
        char *const envp[] = {NULL};
        posix_spawn_file_actions_t actions;

        (void)posix_spawn_file_actions_init(&actions);
        (void)posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        (void)posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        while (!atomic_load(&storm->stop)) {
                pid_t pid;

                if (posix_spawn(&pid, storm->program, &actions, NULL, argv, envp) != 0)
                        break;
                atomic_fetch_add(&storm->n, 1);
                if (waitpid(pid, NULL, 0) != pid)
                        break;
        }
        (void)posix_spawn_file_actions_destroy(&actions);
        return NULL;
}

static void test_storm(void **state)
{
        static struct crowd crowd;
        struct live *live = *state;
        struct storm storm = {.program = live->guest2};
        unsigned n_scans = 0;
        pthread_t thread;
        bool missing = false;
        int64_t most = 0;

        crowd_start(&crowd, live->guest, 20);
        assert_int_equal(scan(live), 20);
        assert_int_equal(pthread_create(&thread, NULL, rage, &storm), 0);
        /* No assertion may leave before the thread has ended. */
        while ((atomic_load(&storm.n) < 300 || n_scans < 100) && n_scans < 100000 && !missing) {
                struct guests_sample sample;

                if (guests_scan(live->guests, &sample, NULL) != 0 || sample.count < 20)
                        missing = true;
                for (size_t i = 0; i < crowd.n; i++)
                        missing = missing || !find(live, crowd.pids[i]);
                if (sample.count > most)
                        most = sample.count;
                n_scans++;
        }
        atomic_store(&storm.stop, true);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_false(missing);
        assert_true(atomic_load(&storm.n) >= 300);
        /* There is one at a time, and perhaps one that has just ended. */
        assert_true(most <= 22);
        assert_int_equal(scan(live), 20);
        crowd_end(&crowd);
        assert_int_equal(scan(live), 0);
}

/* Wherever memory runs out, the next scan is right again. */
static void test_out_of_memory(void **state)
{
        static struct crowd crowd;
        struct live *live = *state;
        bool failed = true;

        crowd_start(&crowd, live->guest, 100);
        for (unsigned i = 1; failed; i++) {
                struct guests_sample sample;
                int r;

                guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
                fail_after = i;
                r = guests_scan(live->guests, &sample, NULL);
                failed = fail_after == 0;
                fail_after = 0;
                assert_int_equal(r, failed ? -ENOMEM : 0);
                for (unsigned j = 0; j < 3; j++)
                        assert_int_equal(scan(live), 100);
        }
        crowd_end(&crowd);
        assert_int_equal(scan(live), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define LIVE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
                LIVE(test_come_and_go),     LIVE(test_new_ones_at_every_step),
                LIVE(test_exec_after_fork), LIVE(test_late_exec),
                LIVE(test_other_names),     LIVE(test_zombie),
                LIVE(test_metrics),         LIVE(test_other_globs),
                LIVE(test_crowd),           LIVE(test_few_descriptors),
                LIVE(test_storm),           LIVE(test_out_of_memory),
        };

        return cmocka_run_group_tests_name("guests-live", tests, NULL, NULL);
}
