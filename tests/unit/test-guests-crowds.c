/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Many guests on the machine itself, few descriptors, storms. Memory runs out on demand
 * (--wrap=realloc).
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
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "live.h"

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

static time_t uptime_sec(void)
{
        struct timespec now;

        assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
        return now.tv_sec;
}

static void test_storm(void **state)
{
        static struct crowd crowd;
        struct live *live = *state;
        struct storm storm = {.program = live->guest2};
        const time_t over = uptime_sec() + 120; /* starting programs is slow in an emulator */
        unsigned n_scans = 0;
        pthread_t thread;
        bool missing = false;
        int64_t most = 0;

        crowd_start(&crowd, live->guest, 20);
        assert_int_equal(scan(live), 20);
        assert_int_equal(pthread_create(&thread, NULL, rage, &storm), 0);
        /* No assertion may leave before the thread has ended. */
        while ((atomic_load(&storm.n) < 300 || n_scans < 100) && uptime_sec() < over && !missing) {
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

#define LIVE(test) cmocka_unit_test_setup_teardown(test, live_setup, live_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                LIVE(test_crowd),
                LIVE(test_few_descriptors),
                LIVE(test_storm),
                LIVE(test_out_of_memory),
        };

        return cmocka_run_group_tests_name("guests-crowds", tests, NULL, NULL);
}
