/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Guests of made-up hosts. Memory runs out on demand (--wrap=realloc, --wrap=calloc). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/guests.h"
#include "made-up-root.h"

static unsigned fail_after; /* how many allocations succeed before one fails; 0: all do */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);

static bool must_fail(void)
{
        return fail_after > 0 && --fail_after == 0;
}

void *__wrap_realloc(void *p, size_t size)
{
        return must_fail() ? NULL : __real_realloc(p, size);
}

void *__wrap_calloc(size_t n, size_t size)
{
        return must_fail() ? NULL : __real_calloc(n, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const char *const globs[] = {"qemu-kvm", "qemu-system-*", "cloud-hypervisor", NULL};

/* A file of a process. */
static void put_of(const struct made_up_root *host, unsigned pid, const char *name,
                   const char *text)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
        put(host, path, text);
}

static void put_away_of(const struct made_up_root *host, unsigned pid, const char *name)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u%s%s", pid, *name ? "/" : "", name);
        put_away(host, path);
}

static void put_stat(const struct made_up_root *host, unsigned pid, const char *comm, char state,
                     unsigned start_time, unsigned rss_pages)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        put_format(host, path,
                   "%u (%s) %c 1 1 1 0 -1 4194304 0 0 0 0 9 1 0 0 20 0 1 0 %u %u %u 0 0 0 0\n", pid,
                   comm, state, start_time, rss_pages * 3 * (unsigned)sysconf(_SC_PAGESIZE),
                   rss_pages);
}

/* @exe may be NULL. Its address space is three times its resident set. */
static void put_process(const struct made_up_root *host, unsigned pid, const char *comm,
                        const char *exe, unsigned rss_pages)
{
        char text[64], path[64];

        (void)snprintf(text, sizeof(text), "%s\n", comm);
        put_of(host, pid, "comm", text);
        (void)snprintf(text, sizeof(text), "%u %u 1 1 0 1 0\n", rss_pages * 3, rss_pages);
        put_of(host, pid, "statm", text);
        put_stat(host, pid, comm, 'S', 1000 + pid, rss_pages);
        (void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
        if (exe)
                put_link(host, path, exe);
}

static int64_t kb(int64_t pages)
{
        return pages * sysconf(_SC_PAGESIZE) / 1024;
}

static struct guests *new_guests(const struct made_up_root *host, enum guest_metric metric)
{
        struct guests *guests;

        assert_int_equal(guests_new(&guests, &host->root), 0);
        guests_set_match(guests, globs, metric);
        return guests;
}

/* A scan that finds just these PIDs, in this order, and so many pages. @n_unreadable of them. */
static void assert_scan(struct guests *guests, const unsigned *pids, size_t n, int64_t pages,
                        size_t n_unreadable)
{
        struct guests_scan_info info;
        struct guests_sample sample;
        const struct guest *list;
        size_t n_list;

        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        list = guests_list(guests, &n_list);
        assert_int_equal(n_list, n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(list[i].pid, pids[i]);
        assert_int_equal(sample.count, n);
        assert_int_equal(sample.committed_kb, kb(pages));
        assert_int_equal(info.n_unreadable, n_unreadable);
        /* Nothing can be said of that on a made-up host. */
        assert_false(info.others_hidden);
}

#define ASSERT_SCAN(guests, pages, ...)                      \
        assert_scan(guests, (const unsigned[]){__VA_ARGS__}, \
                    sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned), pages, 0)

static void assert_nothing(struct guests *guests)
{
        assert_scan(guests, NULL, 0, 0, 0);
}

static void test_counting(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        const struct guest *list;
        size_t n;

        put_process(host, 1, "systemd", "/usr/lib/systemd/systemd", 100);
        put_process(host, 300, "qemu-system-x86", "/usr/bin/qemu-system-x86_64", 20);
        put_process(host, 20, "qemu-kvm", "/usr/libexec/qemu-kvm", 1);
        put_process(host, 4194304, "qemu-kvm", "/usr/libexec/qemu-kvm", 400);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 421, 20, 300, 4194304);
        list = guests_list(guests, &n);
        assert_string_equal(list[1].comm, "qemu-system-x86");
        assert_int_equal(list[1].start_time, 1300);
        assert_int_equal(list[1].committed_kb, kb(20));
        assert_false(list[1].by_rss);

        /* One grows, one ends, one comes. */
        put_of(host, 300, "statm", "90 33 1 1 0 1 0\n");
        put_away(host, "/proc/20");
        put_process(host, 21, "qemu-kvm", NULL, 1000);
        ASSERT_SCAN(guests, 1433, 21, 300, 4194304);
        /* One becomes something else, and one that was something else becomes a guest. */
        put_of(host, 21, "comm", "bash\n");
        put_away_of(host, 1, "exe");
        put_of(host, 1, "comm", "qemu-kvm\n");
        ASSERT_SCAN(guests, 533, 1, 300, 4194304);
        assert_null(guests_free(guests));
        assert_null(guests_free(NULL));
}

static void test_scan_without_info(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        struct guests_sample sample;

        put_process(host, 1, "qemu-kvm", NULL, 100);
        put_process(host, 2, "bash", NULL, 100);
        guests = new_guests(host, GUEST_METRIC_RSS);
        assert_int_equal(guests_scan(guests, &sample, NULL), 0);
        assert_int_equal(sample.count, 1);
        (void)guests_free(guests);

        /* Before it is told whom to look for, nobody is a guest. */
        assert_int_equal(guests_new(&guests, &host->root), 0);
        assert_nothing(guests);
        (void)guests_free(guests);
}

static void test_names(void **state)
{
        static const struct {
                const char *comm, *exe, *cmdline;
                bool guest;
        } cases[] = {
                {"web-1", "/usr/bin/qemu-system-x86_64", NULL, true},
                {"web-1", "/usr/bin/qemu-system-x86_64 (deleted)", NULL, true},
                {"web-1", " (deleted)", NULL, false},
                {"web-1", "qemu-kvm", NULL, true},
                {"web-1", "/qemu-kvm/bash", NULL, false},
                {"web-1", "/bin/bash", "qemu-kvm", false},
                /* A recording without links has the command line's first word. */
                {"web-1", NULL, "/usr/bin/qemu-system-x86_64", true},
                {"web-1", NULL, "qemu-kvm", true},
                {"web-1", NULL, "/bin/bash", false},
                {"web-1", NULL, "", false},
                {"web-1", NULL, NULL, false},
                {"qemu-kvm", NULL, NULL, true},
                {"cloud-hyperviso", NULL, NULL, true},
                {"cloud-hyperviso", "/usr/bin/cloud-hypervisor", NULL, true},
                {"cloud-hyperviso", "/usr/bin/another", NULL, false},
                {"qemu-img", "/usr/bin/qemu-img", NULL, false},
                {"qemu-nbd", NULL, NULL, false},
                {"qemu-storage-da", "/usr/bin/qemu-storage-daemon", NULL, false},
                {"qemu-kvm", "/usr/bin/qemu-storage-daemon", NULL, false},
                {"", "/usr/bin/qemu-kvm", NULL, true},
                {"a name that no process has, for it is too long", "/usr/bin/qemu-kvm", NULL, true},
                {"two\nlines", "/bin/qemu-kvm", NULL, true},
                {"qemu-kvm\n", "/bin/bash", NULL, false},
        };
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_folder(host, "/proc");
        guests = new_guests(host, GUEST_METRIC_RSS);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct guests_sample sample;

                put_process(host, 812, cases[i].comm, cases[i].exe, 5);
                /* The words end with NUL bytes, and the first of them counts. */
                if (cases[i].cmdline) {
                        char text[128];
                        int n = snprintf(text, sizeof(text), "%s%cqemu-kvm", cases[i].cmdline, 0);

                        put_bytes(host, "/proc/812/cmdline", text, (size_t)n);
                }
                assert_int_equal(guests_scan(guests, &sample, NULL), 0);
                if (sample.count != cases[i].guest)
                        fail_msg("comm '%s', exe '%s', cmdline '%s'", cases[i].comm, cases[i].exe,
                                 cases[i].cmdline);
                put_away(host, "/proc/812");
        }
        (void)guests_free(guests);
}

static void test_zombies(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_process(host, 812, "qemu-kvm", NULL, 7);
        put_of(host, 812, "statm", "0 0 0 0 0 0 0\n");
        put_stat(host, 812, "qemu-kvm", 'Z', 55, 0);
        put_process(host, 813, "qemu-kvm", NULL, 9);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 9, 813);
        ASSERT_SCAN(guests, 9, 813);
        (void)guests_free(guests);
}

/* Without a statm, stat has the figures; without a stat it is no process any more. */
static void test_missing_files(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;

        put_process(host, 10, "qemu-kvm", NULL, 7);
        put_away_of(host, 10, "statm");
        put_process(host, 11, "qemu-kvm", NULL, 50);
        put_away_of(host, 11, "stat");
        put_process(host, 12, "qemu-kvm", NULL, 600);
        put_of(host, 12, "statm", "rubbish");
        put_process(host, 13, "qemu-kvm", NULL, 7000);
        put_of(host, 13, "stat", "13 (qemu-kvm)");
        put_process(host, 14, "qemu-kvm", NULL, 80000);
        put_away_of(host, 14, "comm");
        put_folder(host, "/proc/15");
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 7, 10);
        ASSERT_SCAN(guests, 7, 10);
        guests_set_match(guests, globs, GUEST_METRIC_VSZ);
        ASSERT_SCAN(guests, 21, 10);
        put_of(host, 10, "stat", "rubbish");
        assert_nothing(guests);
        (void)guests_free(guests);
}

/* The alarm ends a test that hangs after all. */
static void test_hostile(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        char target[600];

        (void)alarm(60);
        put_process(host, 5, "qemu-kvm", NULL, 7);
        put(host, "/proc/10", "a file");
        put_fifo(host, "/proc/11");
        put_folder(host, "/proc/12/comm");
        put_fifo(host, "/proc/13/comm");
        put_process(host, 14, "bash", NULL, 7);
        put_fifo(host, "/proc/14/cmdline");
        put_process(host, 15, "qemu-kvm", NULL, 7);
        put_away_of(host, 15, "statm");
        put_fifo(host, "/proc/15/statm");
        put_process(host, 16, "qemu-kvm", NULL, 7);
        put_away_of(host, 16, "stat");
        put_fifo(host, "/proc/16/stat");
        put_process(host, 17, "qemu-kvm", NULL, 7);
        put_away_of(host, 17, "statm");
        put_folder(host, "/proc/17/statm");
        put_bytes(host, "/proc/18/comm", "qemu-kvm\0", 9);
        put(host, "/proc/19/comm", "");
        /* Links out of /proc, and out of the host. */
        put_process(host, 20, "qemu-kvm", NULL, 7);
        put(host, "/outside/comm", "qemu-kvm\n");
        put(host, "/outside/statm", "30 10 1 1 0 1 0\n");
        put(host, "/outside/stat", "5 (qemu-kvm) S\n");
        put_link(host, "/proc/21", "../outside");
        (void)snprintf(target, sizeof(target), "%s/outside", host->path);
        put_link(host, "/proc/22", target);
        put_link(host, "/proc/23", "23");
        put_away_of(host, 20, "statm");
        put_link(host, "/proc/20/statm", target);
        put_folder(host, "/proc/self");

        /* 20 is read from its own stat, since its link leads nowhere. */
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 14, 5, 20);
        ASSERT_SCAN(guests, 14, 5, 20);
        guests_set_match(guests, globs, GUEST_METRIC_PSS);
        put_fifo(host, "/proc/5/smaps_rollup");
        assert_scan(guests, (const unsigned[]){5, 20}, 2, 14, 2);
        (void)guests_free(guests);
        (void)alarm(0);
}

static void test_metrics(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        char rollup[128];

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 1000);
        (void)snprintf(rollup, sizeof(rollup), "0-1 ---p 0 0:0 0 [rollup]\nRss: 1 kB\nPss: %d kB\n",
                       (int)kb(40));
        put_of(host, 10, "smaps_rollup", rollup);

        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 1100, 10, 11);
        guests_set_match(guests, globs, GUEST_METRIC_VSZ);
        ASSERT_SCAN(guests, 3300, 10, 11);
        /* Whose figure cannot be read is counted with its resident set, and that is told. */
        guests_set_match(guests, globs, GUEST_METRIC_PSS);
        assert_scan(guests, (const unsigned[]){10, 11}, 2, 1040, 1);
        put_of(host, 10, "smaps_rollup", "rubbish");
        assert_scan(guests, (const unsigned[]){10, 11}, 2, 1100, 2);
        put_of(host, 10, "smaps_rollup", rollup);
        put_of(host, 11, "smaps_rollup", rollup);
        ASSERT_SCAN(guests, 80, 10, 11);
        (void)guests_free(guests);
}

static void test_sum_does_not_wrap(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests;
        struct guests_sample sample;

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 100);
        put_of(host, 10, "statm", "9223372036854775807 9223372036854775807 0 0 0 0 0\n");
        put_of(host, 11, "statm", "9223372036854775807 9223372036854775807 0 0 0 0 0\n");
        guests = new_guests(host, GUEST_METRIC_RSS);
        assert_int_equal(guests_scan(guests, &sample, NULL), 0);
        assert_int_equal(sample.count, 2);
        assert_true(sample.committed_kb == INT64_MAX);
        (void)guests_free(guests);
}

/* As with hidepid=1: others' names cannot be read. */
static void test_names_denied(void **state)
{
        const struct made_up_root *host = *state;
        struct guests_scan_info info;
        struct guests_sample sample;
        struct guests *guests;

        put_process(host, 10, "qemu-kvm", NULL, 100);
        put_process(host, 11, "qemu-kvm", NULL, 100);
        put_process(host, 12, "bash", NULL, 100);
        put_mode(host, "/proc/10/comm", 0);
        guests = new_guests(host, GUEST_METRIC_RSS);
        become_ordinary();
        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        assert_int_equal(sample.count, 1);
        assert_true(info.names_denied);
        assert_int_equal(info.n_processes, 3);
        become_self();
        put_mode(host, "/proc/10/comm", 0644);
        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        assert_int_equal(sample.count, 2);
        assert_false(info.names_denied);
        (void)guests_free(guests);
}

static void test_no_proc(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests = NULL;
        struct guests_sample sample = {.count = -7};
        size_t n;

        assert_int_equal(guests_new(&guests, &host->root), -ENOENT);
        put(host, "/proc", "");
        assert_int_equal(guests_new(&guests, &host->root), -ENOTDIR);
        assert_null(guests);
        put_away(host, "/proc");
        put_process(host, 10, "qemu-kvm", NULL, 100);
        guests = new_guests(host, GUEST_METRIC_RSS);
        ASSERT_SCAN(guests, 100, 10);
        put_away(host, "/proc");
        assert_int_equal(guests_scan(guests, &sample, NULL), -ENOENT);
        assert_int_equal(sample.count, -7);
        (void)guests_list(guests, &n);
        assert_int_equal(n, 0);
        (void)guests_free(guests);
}

/* Every allocation fails once; the next scan is right again. */
static void test_out_of_memory(void **state)
{
        const struct made_up_root *host = *state;
        struct guests *guests = NULL;
        unsigned n_failed = 0;
        int r;

        fail_after = 1;
        r = guests_new(&guests, &host->root);
        fail_after = 0;
        assert_int_equal(r, -ENOMEM);
        assert_null(guests);

        for (unsigned pid = 1; pid <= 200; pid++)
                put_process(host, pid, pid % 2 ? "qemu-kvm" : "bash", NULL, 1);
        for (unsigned i = 1;; i++) {
                struct guests_sample sample = {.count = -7};
                unsigned left;

                guests = new_guests(host, GUEST_METRIC_RSS);
                fail_after = i;
                r = guests_scan(guests, &sample, NULL);
                left = fail_after;
                fail_after = 0;
                if (r == 0) {
                        assert_true(left > 0);
                        assert_int_equal(sample.count, 100);
                        (void)guests_free(guests);
                        break;
                }
                n_failed++;
                assert_int_equal(r, -ENOMEM);
                assert_int_equal(sample.count, -7);
                assert_int_equal(guests_scan(guests, &sample, NULL), 0);
                assert_int_equal(sample.count, 100);
                (void)guests_free(guests);
        }
        assert_true(n_failed >= 4);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_A_HOST(test_counting),      ON_A_HOST(test_scan_without_info),
                ON_A_HOST(test_names),         ON_A_HOST(test_zombies),
                ON_A_HOST(test_missing_files), ON_A_HOST(test_hostile),
                ON_A_HOST(test_metrics),       ON_A_HOST(test_sum_does_not_wrap),
                ON_A_HOST(test_names_denied),  ON_A_HOST(test_no_proc),
                ON_A_HOST(test_out_of_memory),
        };

        return cmocka_run_group_tests_name("guests", tests, NULL, NULL);
}
