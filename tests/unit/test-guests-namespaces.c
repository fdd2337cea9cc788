/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What takes a /proc of one's own to be seen: PIDs that are given out again, a cursor that begins
 * anew, hidepid. Each test runs in a child with namespaces of its own, as PID 1 of them. Where they
 * cannot be had, it is skipped; cmocka 1.1.5 reports that as a failure, so the results are written
 * here.
 */

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "children.h"
#include "ksmtuned/guests.h"

/* What the child says by its exit status. */
enum { PASSED = 0, FAILED = 1, NO_NAMESPACES = 77, NO_SUCH_MOUNT = 78, NO_SUCH_CALL = 79 };

static void *host; /* the made-up root */

/* Ends a child; for those who look for leaks it frees what it has in common with its parent. */
static _Noreturn void leave(int status)
{
        free(host);
        _exit(status);
}

#define CHECK(condition)                                                                 \
        do {                                                                             \
                if (!(condition)) {                                                      \
                        (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
                                      #condition);                                       \
                        leave(FAILED);                                                   \
                }                                                                        \
        } while (0)

struct programs {
        char guest[600], other[600];
};

static char program_name[32];
static const char *const globs[] = {program_name, NULL};

static void put_programs(struct programs *programs)
{
        /* Of this test alone: others run beside it. */
        (void)snprintf(program_name, sizeof(program_name), "ksmn%d-g", getpid());
        (void)put_program(host, program_name, programs->guest, sizeof(programs->guest));
        (void)put_program(host, "ksmn-other", programs->other, sizeof(programs->other));
}

/* Namespaces of users for who is not root. @more: CLONE_NEWPID, CLONE_NEWNS. */
static void enter(int more)
{
        if (unshare(more | (getuid() != 0 ? CLONE_NEWUSER : 0)) < 0)
                leave(NO_NAMESPACES);
}

static void mount_proc(const char *options)
{
        if (mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) < 0)
                leave(NO_SUCH_MOUNT);
}

static int await(pid_t pid)
{
        int status;

        if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
                return FAILED;
        return WEXITSTATUS(status);
}

/* Goes on as PID 1 of a namespace; who was here before waits for it and exits like it. */
static void become_first(void)
{
        pid_t pid;

        enter(CLONE_NEWPID | CLONE_NEWNS);
        pid = fork();
        CHECK(pid >= 0);
        if (pid > 0)
                leave(await(pid));
}

static struct guests *new_guests(struct sysroot *root)
{
        struct guests *guests;

        CHECK(sysroot_open(root, "/") == 0);
        CHECK(guests_new(&guests, root) == 0);
        guests_set_match(guests, globs, GUEST_METRIC_RSS);
        return guests;
}

static int64_t scan(struct guests *guests)
{
        struct guests_scan_info info;
        struct guests_sample sample;

        CHECK(guests_scan(guests, &sample, &info) == 0);
        CHECK(!info.others_hidden);
        return sample.count;
}

static unsigned scans_until(struct guests *guests, int64_t expected)
{
        unsigned n = 1;

        while (scan(guests) != expected)
                CHECK(++n <= 3 * GUESTS_CYCLE);
        return n;
}

/* The PID that the next fork gets is the one behind @pid. */
static void set_cursor(pid_t pid)
{
        char text[32];
        int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        int n = snprintf(text, sizeof(text), "%d", pid);

        if (fd < 0 || write(fd, text, (size_t)n) != n)
                leave(NO_SUCH_CALL);
        (void)close(fd);
}

static pid_t pid_max(void)
{
        char text[32] = "";
        int fd = open("/proc/sys/kernel/pid_max", O_RDONLY | O_CLOEXEC);

        CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
        (void)close(fd);
        return (pid_t)strtol(text, NULL, 10);
}

/* As if the kernel had gone once through its PIDs since the scan before. */
static void go_round(struct guests *guests, int64_t expected)
{
        set_cursor(10000);
        for (unsigned i = 0; i < 2; i++)
                CHECK(scan(guests) == expected);
        set_cursor(699);
}

/* A PID that has been a guest's goes to another, and the other way round, between two scans. */
static void in_reused_pids(const struct programs *programs)
{
        uint64_t start_time = 0;
        struct child child;
        struct sysroot root;
        struct guests *guests;

        become_first();
        mount_proc(NULL);
        guests = new_guests(&root);
        for (unsigned i = 0; i < 2 * GUESTS_CYCLE; i++) {
                /* Two guests and two others in turn; each guest of another size. */
                const bool guest = i % 4 < 2, big = i % 2;
                const struct guest *list;
                size_t n;

                go_round(guests, i == 0 ? 0 : (i - 1) % 4 < 2);
                if (i > 0)
                        child_end(&child);
                child_start(&child, guest ? programs->guest : programs->other);
                CHECK(child.pid == 700);
                if (big)
                        child_tell(&child, "grow 16384\n");
                for (unsigned j = 0; j < 1 + i % 5; j++)
                        CHECK(scan(guests) == guest);
                list = guests_list(guests, &n);
                if (guest) {
                        CHECK(n == 1 && list[0].pid == 700);
                        CHECK((list[0].committed_kb > 16384) == big);
                        CHECK(list[0].start_time >= start_time);
                        start_time = list[0].start_time;
                }
        }
        child_end(&child);
        (void)guests_free(guests);
}

/* The same, while the cursor seems to stand still: nobody is mistaken, and found in time. */
static void in_hidden_reuse(const struct programs *programs)
{
        struct child child;
        struct sysroot root;
        struct guests *guests;

        become_first();
        mount_proc(NULL);
        guests = new_guests(&root);
        for (unsigned i = 0; i < 3 * GUESTS_CYCLE; i++) {
                const bool guest = i % 3 != 2;

                set_cursor(699);
                child_start(&child, guest ? programs->guest : programs->other);
                CHECK(child.pid == 700);
                if (guest)
                        CHECK(scans_until(guests, 1) <= GUESTS_CYCLE);
                else
                        for (unsigned j = 0; j < GUESTS_CYCLE; j++)
                                CHECK(scan(guests) == 0);
                for (unsigned j = 0; j < i % 4; j++)
                        CHECK(scan(guests) == guest);
                child_end(&child);
        }
        (void)guests_free(guests);
}

/* The kernel gives out its last PIDs and begins anew. */
static void in_new_cycle(const struct programs *programs)
{
        struct child children[8];
        struct sysroot root;
        struct guests *guests;
        pid_t last;

        become_first();
        mount_proc(NULL);
        last = pid_max();
        guests = new_guests(&root);
        CHECK(scan(guests) == 0);
        set_cursor(last - 4);
        for (size_t i = 0; i < ELEMENTS(children); i++) {
                child_start(&children[i], i % 2 ? programs->other : programs->guest);
                CHECK(scan(guests) == (int64_t)i / 2 + 1);
        }
        CHECK(children[0].pid == last - 3);
        CHECK(children[ELEMENTS(children) - 1].pid < children[0].pid);
        /* All of them between two scans. */
        for (size_t i = 0; i < ELEMENTS(children); i++)
                child_end(&children[i]);
        set_cursor(last - 4);
        for (unsigned i = 0; i < 2; i++)
                CHECK(scan(guests) == 0);
        for (size_t i = 0; i < ELEMENTS(children); i++)
                child_start(&children[i], i % 2 ? programs->other : programs->guest);
        CHECK(scan(guests) == ELEMENTS(children) / 2);
        for (size_t i = 0; i < ELEMENTS(children); i++)
                child_end(&children[i]);
        CHECK(scan(guests) == 0);
        (void)guests_free(guests);
}

/*
 * A guest by a PID of one's choice, which leaves the cursor where it stands (as CRIU restores).
 * Return: its PID; -1 where this cannot be done.
 */
static pid_t start_at(pid_t pid, const char *program, int ends[2])
{
        struct clone_args args = {
                .exit_signal = SIGCHLD,
                .set_tid = (uintptr_t)&pid,
                .set_tid_size = 1,
        };
        int in[2], out[2];
        char dot;
        long r;

        CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
        r = syscall(SYS_clone3, &args, sizeof(args));
        if (r < 0)
                return -1;
        if (r == 0) {
                (void)dup2(in[0], STDIN_FILENO);
                (void)dup2(out[1], STDOUT_FILENO);
                (void)execl(program, program, (char *)NULL);
                leave(FAILED);
        }
        (void)close(in[0]);
        (void)close(out[1]);
        CHECK(read(out[0], &dot, 1) == 1);
        ends[0] = in[1];
        ends[1] = out[0];
        return (pid_t)r;
}

static void in_behind_the_cursor(const struct programs *programs)
{
        struct sysroot root;
        struct guests *guests;

        become_first();
        mount_proc(NULL);
        guests = new_guests(&root);
        set_cursor(5000);
        for (unsigned at = 0; at < 2 * GUESTS_CYCLE; at++) {
                pid_t pid = (pid_t)(at % 3 == 0 ? 2000 + at : at % 3 == 1 ? 5000 - at : 9000 + at);
                int ends[2];

                for (unsigned i = 0; i < 12 + at; i++)
                        CHECK(scan(guests) == 0);
                if (start_at(pid, programs->guest, ends) != pid) {
                        (void)guests_free(guests);
                        leave(NO_SUCH_CALL);
                }
                CHECK(scans_until(guests, 1) <= GUESTS_CYCLE);
                (void)close(ends[0]);
                (void)close(ends[1]);
                CHECK(await(pid) == 0);
        }
        (void)guests_free(guests);
}

/* A /proc of another PID namespace: nothing can be remembered, and all is found at once. */
static void in_foreign_proc(const struct programs *programs)
{
        struct child child;
        struct sysroot root;
        struct guests *guests;
        int64_t before;

        become_first();
        CHECK(getpid() == 1);
        guests = new_guests(&root);
        before = scan(guests);
        child_start(&child, programs->other);
        for (unsigned i = 0; i < 12; i++)
                CHECK(scan(guests) == before);
        child_tell(&child, "exec %s\n", programs->guest);
        CHECK(scan(guests) == before + 1);
        child_tell(&child, "exec %s\n", programs->other);
        CHECK(scan(guests) == before);
        child_end(&child);
        (void)guests_free(guests);
}

/* As an ordinary user on a host with hidepid; only root can make such a one. */
static void with_hidepid(const struct programs *programs, const char *options, bool hidden)
{
        struct guests_scan_info info;
        struct guests_sample sample;
        struct child child;
        struct sysroot root;
        struct guests *guests;

        if (getuid() != 0)
                leave(NO_SUCH_MOUNT);
        enter(CLONE_NEWNS);
        mount_proc(options);
        /* Who is in group 0 sees all, and whom sudo made root is. */
        CHECK(setgroups(0, NULL) == 0);
        CHECK(setregid(65534, 65534) == 0 && setreuid(65534, 65534) == 0);
        guests = new_guests(&root);
        child_start(&child, programs->guest);
        for (unsigned i = 0; i < GUESTS_CYCLE + 2; i++) {
                CHECK(guests_scan(guests, &sample, &info) == 0);
                CHECK(sample.count == 1);
                CHECK(info.others_hidden == hidden);
                CHECK(info.names_denied == !hidden);
        }
        child_end(&child);
        CHECK(guests_scan(guests, &sample, &info) == 0);
        CHECK(sample.count == 0);
        (void)guests_free(guests);
}

static void in_hidden_processes(const struct programs *programs)
{
        with_hidepid(programs, "hidepid=2", true);
}

static void in_denied_names(const struct programs *programs)
{
        with_hidepid(programs, "hidepid=1", false);
}

static const struct {
        const char *name;
        void (*run)(const struct programs *);
} tests[] = {
        {"PIDs used again", in_reused_pids},
        {"PIDs used again behind a cursor that stands still", in_hidden_reuse},
        {"a new cycle of PIDs", in_new_cycle},
        {"PIDs behind the cursor", in_behind_the_cursor},
        {"/proc of another PID namespace", in_foreign_proc},
        {"hidepid=2", in_hidden_processes},
        {"hidepid=1", in_denied_names},
};

static int run_case(size_t i)
{
        struct programs programs;
        pid_t pid;
        int status;

        (void)made_up_root_setup(&host);
        put_programs(&programs);
        (void)fflush(NULL);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
                tests[i].run(&programs);
                leave(PASSED);
        }
        status = await(pid);
        (void)made_up_root_teardown(&host);
        return status;
}

int main(void)
{
        bool failed = false;

        (void)printf("1..%zu\n", ELEMENTS(tests));
        for (size_t i = 0; i < ELEMENTS(tests); i++) {
                int status = run_case(i);
                bool skipped = status >= NO_NAMESPACES && status <= NO_SUCH_CALL;

                (void)printf("%s %zu - %s%s\n", status == PASSED || skipped ? "ok" : "not ok",
                             i + 1, tests[i].name,
                             status == NO_NAMESPACES   ? " # SKIP namespaces cannot be made here"
                             : status == NO_SUCH_MOUNT ? " # SKIP /proc cannot be mounted so here"
                             : status == NO_SUCH_CALL  ? " # SKIP PIDs cannot be chosen here"
                                                       : "");
                failed = failed || (status != PASSED && !skipped);
        }
        return failed;
}
