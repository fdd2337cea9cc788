/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Listings of /proc or of a range of it, and the table of PIDs. realloc() fails on demand
 * (--wrap=realloc).
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "made-up-root.h"
#include "src/host/pid-table.h"
#include "src/host/proc-list.h"

static bool out_of_memory;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_realloc(void *p, size_t size)
{
        return out_of_memory ? NULL : __real_realloc(p, size);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* The kernel gives out no PID above it. */
#define PID_LIMIT 4194304

#define N_SEEN_MAX 65536

struct seen {
        size_t n;
        size_t stop_at; /* 0: never */
        uint32_t pids[N_SEEN_MAX];
};

static int see(void *userdata, uint32_t pid)
{
        struct seen *seen = userdata;

        assert_true(seen->n < N_SEEN_MAX);
        seen->pids[seen->n++] = pid;
        return seen->stop_at > 0 && seen->n == seen->stop_at ? -ECANCELED : 0;
}

static int open_proc(const struct made_up_root *host)
{
        int fd = sysroot_openat(&host->root, "/proc", O_RDONLY | O_DIRECTORY, 0);

        assert_true(fd >= 0);
        return fd;
}

static int compare(const void *a, const void *b)
{
        const uint32_t *x = a, *y = b;

        return (*x > *y) - (*x < *y);
}

/* Only whole numbers from 1 to the greatest PID are processes. */
static void test_names(void **state)
{
        static const char *const others[] = {"self",
                                             "meminfo",
                                             "0",
                                             "01",
                                             "-1",
                                             "+1",
                                             "1x",
                                             "x1",
                                             "2147483648",
                                             "4294967296",
                                             "4294967297",
                                             "1 ",
                                             "99999999999999999999"};
        static const uint32_t pids[] = {1, 2, 10, 32768, 4194304, INT32_MAX};
        const struct made_up_root *host = *state;
        struct proc_lister lister = {.can_seek = false};
        struct seen seen = {.n = 0};
        char path[64];
        int fd;

        for (size_t i = 0; i < ELEMENTS(others); i++) {
                (void)snprintf(path, sizeof(path), "/proc/%s/x", others[i]);
                put(host, path, "");
        }
        for (size_t i = 0; i < ELEMENTS(pids); i++) {
                (void)snprintf(path, sizeof(path), "/proc/%u/x", pids[i]);
                put(host, path, "");
        }
        fd = open_proc(host);
        assert_int_equal(proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, see, &seen), 0);
        assert_int_equal(seen.n, ELEMENTS(pids));
        qsort(seen.pids, seen.n, sizeof(seen.pids[0]), compare);
        assert_memory_equal(seen.pids, pids, sizeof(pids));

        /* A range, where seeking is out of the question. */
        lister.can_seek = false;
        seen.n = 0;
        assert_int_equal(proc_list(&lister, fd, 2, 32768, SIZE_MAX, see, &seen), 0);
        qsort(seen.pids, seen.n, sizeof(seen.pids[0]), compare);
        assert_int_equal(seen.n, 3);
        assert_memory_equal(seen.pids, pids + 1, 3 * sizeof(pids[0]));

        /* Who is called may end it. */
        seen = (struct seen){.stop_at = 2};
        assert_int_equal(proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, see, &seen),
                         -ECANCELED);
        assert_int_equal(seen.n, 2);
        (void)close(fd);
}

static void test_errors(void **state)
{
        const struct made_up_root *host = *state;
        struct proc_lister lister = {.can_seek = false};
        struct seen seen = {.n = 0};
        int fds[2], fd;

        put(host, "/file", "");
        fd = sysroot_openat(&host->root, "/file", O_RDONLY, 0);
        assert_true(fd >= 0);
        assert_int_equal(proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, see, &seen), -ENOTDIR);
        (void)close(fd);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        assert_int_equal(proc_list(&lister, fds[0], 0, PROC_LIST_END, SIZE_MAX, see, &seen),
                         -ESPIPE);
        (void)close(fds[0]);
        (void)close(fds[1]);
        assert_int_equal(seen.n, 0);
}

/* The true /proc: every range by seeking shows what a listing of everything shows there. */
static void test_seeking(void **state)
{
        struct proc_lister lister = {.can_seek = false};
        static struct seen all, part;
        uint32_t own = (uint32_t)getpid();
        int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        all.n = 0;
        assert_int_equal(proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, see, &all), 0);
        assert_true(lister.can_seek);
        assert_true(all.n >= 1);
        for (size_t i = 1; i < all.n; i++)
                assert_true(all.pids[i - 1] < all.pids[i]);
        assert_non_null(bsearch(&own, all.pids, all.n, sizeof(own), compare));

        /* This process alone, with hardly any room, and with all of it. */
        for (size_t expected = 0; expected < 3000; expected += 1000) {
                part.n = 0;
                assert_int_equal(proc_list(&lister, fd, own, own, expected, see, &part), 0);
                assert_int_equal(part.n, 1);
                assert_int_equal(part.pids[0], own);
                assert_true(lister.can_seek);
        }
        /* Nothing there, nothing behind. */
        part.n = 0;
        assert_int_equal(proc_list(&lister, fd, PID_LIMIT, INT32_MAX, 0, see, &part), 0);
        assert_int_equal(part.n, 0);
        /* In small pieces, up to the end: this process is in just one of them. */
        part.n = 0;
        for (uint32_t from = 0; from <= own; from += 100)
                assert_int_equal(proc_list(&lister, fd, from, from + 99, 1, see, &part), 0);
        for (size_t i = 1; i < part.n; i++)
                assert_true(part.pids[i - 1] < part.pids[i]);
        assert_non_null(bsearch(&own, part.pids, part.n, sizeof(own), compare));
        (void)close(fd);
}

/* An offset that does not hold is noticed. */
static void test_seeking_denied(void **state)
{
        struct proc_lister lister = {.can_seek = true, .offset = 3};
        static struct seen seen;
        int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        seen.n = 0;
        assert_int_equal(proc_list(&lister, fd, 300, PROC_LIST_END, SIZE_MAX, see, &seen), 0);
        if (seen.n > 1)
                assert_false(lister.can_seek);
        lister.can_seek = false;
        assert_int_equal(proc_list(&lister, fd, 0, PROC_LIST_END, SIZE_MAX, see, &seen), 0);
        assert_true(lister.can_seek);
        (void)close(fd);
}

static void test_last_pid(void **state)
{
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                {"0.09 0.10 0.08 1/123 4711\n", 0},
                {"x 4711\n", 0},
                {"", -EBADMSG},
                {"\n", -EBADMSG},
                {"4711\n", -EBADMSG},
                {"0.09 0.10 0.08 1/123 4711", -EBADMSG},
                {"0.09 0.10 0.08 1/123 \n", -EBADMSG},
                {"0.09 0.10 0.08 1/123 0\n", -EBADMSG},
                {"0.09 0.10 0.08 1/123 -1\n", -EBADMSG},
                {"0.09 0.10 0.08 1/123\n", -EBADMSG},
                {"0.09 0.10 0.08 1/123 4294967296\n", -EBADMSG},
        };
        const struct made_up_root *host = *state;
        struct sysroot proc = {.made_up = true};
        uint32_t pid = 7;
        int fd = -1;

        put_folder(host, "/proc");
        proc.fd = open_proc(host);
        assert_int_equal(proc_last_pid(&proc, &fd, &pid), -ENOENT);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                put(host, "/proc/loadavg", cases[i].text);
                pid = 7;
                assert_int_equal(proc_last_pid(&proc, &fd, &pid), cases[i].r);
                assert_int_equal(pid, cases[i].r < 0 ? 7 : 4711);
        }
        sysroot_close(&proc);
}

static void fill(struct pid_table *table, const uint32_t *pids, size_t n)
{
        for (size_t i = 0; i < n; i++)
                assert_int_equal(pid_table_append(table, (struct pid_entry){pids[i], pids[i] * 10}),
                                 0);
}

static void assert_pids(const struct pid_table *table, const uint32_t *pids, size_t n)
{
        assert_int_equal(table->n, n);
        for (size_t i = 0; i < n; i++) {
                assert_int_equal(table->entries[i].pid, pids[i]);
                assert_int_equal(table->entries[i].cpu_nsec, pids[i] * 10);
        }
}

static void test_table(void **state)
{
        static const uint32_t pids[] = {2, 4, 6, 8};
        struct pid_table table = {.entries = NULL};

        assert_int_equal(pid_table_lower_bound(&table, 5), 0);
        assert_null(pid_table_find(&table, 5));
        pid_table_remove(&table, 5);

        fill(&table, pids, ELEMENTS(pids));
        assert_pids(&table, pids, ELEMENTS(pids));
        for (uint32_t pid = 0; pid <= 10; pid++) {
                const struct pid_entry *entry = pid_table_find(&table, pid);
                size_t bound = pid < 2 ? 0 : pid > 8 ? 4 : (pid - 1) / 2;

                assert_int_equal(pid_table_lower_bound(&table, pid), bound);
                assert_int_equal(entry != NULL, pid >= 2 && pid <= 8 && pid % 2 == 0);
                if (entry)
                        assert_int_equal(entry->pid, pid);
        }
        pid_table_remove(&table, 5);
        assert_int_equal(table.n, 4);
        pid_table_remove(&table, 8);
        pid_table_remove(&table, 2);
        assert_pids(&table, pids + 1, 2);
        pid_table_clear(&table);
        assert_int_equal(table.n, 0);
        assert_null(table.entries);
        pid_table_clear(&table);
}

/* Every range of a table, replaced by every length. */
static void test_splice(void **state)
{
        static const uint32_t pids[] = {1, 2, 3, 4}, others[] = {11, 12, 13, 14, 15, 16};

        for (size_t from = 0; from <= 4; from++)
                for (size_t to = from; to <= 4; to++)
                        for (size_t n = 0; n <= ELEMENTS(others); n++) {
                                struct pid_table table = {.entries = NULL}, in = table;
                                uint32_t expected[16];
                                size_t m = 0;

                                fill(&table, pids, ELEMENTS(pids));
                                fill(&in, others, n);
                                assert_int_equal(pid_table_splice(&table, from, to, &in), 0);
                                for (size_t i = 0; i < from; i++)
                                        expected[m++] = pids[i];
                                for (size_t i = 0; i < n; i++)
                                        expected[m++] = others[i];
                                for (size_t i = to; i < ELEMENTS(pids); i++)
                                        expected[m++] = pids[i];
                                assert_pids(&table, expected, m);
                                pid_table_clear(&table);
                                pid_table_clear(&in);
                        }
}

static void test_table_grows(void **state)
{
        struct pid_table table = {.entries = NULL};

        for (uint32_t i = 0; i < 100000; i++)
                assert_int_equal(pid_table_append(&table, (struct pid_entry){i, i}), 0);
        for (uint32_t i = 0; i < 100000; i += 777)
                assert_int_equal(pid_table_find(&table, i)->pid, i);
        /* Not far more room than is needed. */
        assert_true(table.n_allocated < 100000 + 100000 / 8 + 128);
        pid_table_clear(&table);
}

static void test_table_out_of_memory(void **state)
{
        static const uint32_t pids[] = {1, 2, 3};
        struct pid_table table = {.entries = NULL}, in = table;
        int append, splice;

        out_of_memory = true;
        append = pid_table_append(&table, (struct pid_entry){1, 10});
        out_of_memory = false;
        assert_int_equal(append, -ENOMEM);
        assert_int_equal(table.n, 0);

        fill(&table, pids, ELEMENTS(pids));
        for (uint32_t i = 0; i < 1000; i++)
                assert_int_equal(pid_table_append(&in, (struct pid_entry){i, i}), 0);
        out_of_memory = true;
        splice = pid_table_splice(&table, 1, 2, &in);
        out_of_memory = false;
        assert_int_equal(splice, -ENOMEM);
        assert_pids(&table, pids, ELEMENTS(pids));
        pid_table_clear(&table);
        pid_table_clear(&in);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_A_HOST(test_names),
                ON_A_HOST(test_errors),
                cmocka_unit_test(test_seeking),
                cmocka_unit_test(test_seeking_denied),
                ON_A_HOST(test_last_pid),
                cmocka_unit_test(test_table),
                cmocka_unit_test(test_splice),
                cmocka_unit_test(test_table_grows),
                cmocka_unit_test(test_table_out_of_memory),
        };

        return cmocka_run_group_tests_name("proc-list", tests, NULL, NULL);
}
