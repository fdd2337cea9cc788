/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The pidfile: who may take it, and when. flock() is intercepted (--wrap=flock) to come in between.
 */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "made-up-root.h"
#include "src/daemon/pidfile.h"

#define PATH "/run/ksmtune.pid"

/* What happens just before the lock is asked for, that often. */
static struct {
        const struct made_up_root *host;
        unsigned n_removals;
        int error;
} before_lock;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
        if (before_lock.error) {
                errno = before_lock.error;
                return -1;
        }
        if (before_lock.n_removals > 0) {
                before_lock.n_removals--;
                put_away(before_lock.host, PATH);
        }
        return __real_flock(fd, operation);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int setup(void **state)
{
        int r = made_up_root_setup(state);

        memset(&before_lock, 0, sizeof(before_lock));
        before_lock.host = *state;
        put_folder(*state, "/run");
        return r;
}

static void own_text(char text[32])
{
        (void)snprintf(text, 32, "%d\n", getpid());
}

static void test_first_start(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner = -7;
        char text[32];

        own_text(text);
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        assert_int_equal(owner, -7);
        assert_true(pidfile.fd >= 0);
        assert_int_equal(fcntl(pidfile.fd, F_GETFD), FD_CLOEXEC);
        assert_file(host, PATH, "");
        assert_int_equal(pidfile_write(&pidfile), 0);
        assert_file(host, PATH, text);
        assert_int_equal(pidfile_write(&pidfile), 0);
        assert_file(host, PATH, text);
        pidfile_release(&pidfile, true);
        assert_int_equal(pidfile.fd, -1);
        assert_null(pidfile.path);
        assert_int_equal(sysroot_exists(&host->root, PATH), 0);
        pidfile_release(&pidfile, true);
        assert_int_equal(pidfile_write(&pidfile), 0);
}

/* As when the parent of a daemon lets go of it: the file stays. */
static void test_release_without_removal(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner;
        char text[32];

        own_text(text);
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        assert_int_equal(pidfile_write(&pidfile), 0);
        pidfile_release(&pidfile, false);
        assert_file(host, PATH, text);
}

static void test_second_start(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile first = PIDFILE_INIT, second = PIDFILE_INIT;
        pid_t owner = -7;

        assert_int_equal(pidfile_acquire(&first, &host->root, PATH, &owner), 0);
        /* Its PID is not there yet: somebody runs, and it cannot be said who. */
        assert_int_equal(pidfile_acquire(&second, &host->root, PATH, &owner), -EEXIST);
        assert_int_equal(owner, 0);
        assert_int_equal(second.fd, -1);
        assert_int_equal(pidfile_write(&first), 0);
        assert_int_equal(pidfile_acquire(&second, &host->root, PATH, &owner), -EEXIST);
        assert_int_equal(owner, getpid());
        pidfile_release(&second, true);
        assert_int_equal(sysroot_exists(&host->root, PATH), 1);

        pidfile_release(&first, true);
        assert_int_equal(pidfile_acquire(&second, &host->root, PATH, &owner), 0);
        pidfile_release(&second, true);
}

/* What a crash left behind is taken over, whatever it holds. */
static void test_stale(void **state)
{
        static const char *const texts[] = {
                "",
                "\n",
                "4711\n",
                "4711",
                "4711\nand more\n",
                "0\n",
                "-1\n",
                "rubbish\n",
                "99999999999999999999\n",
                "2147483648\n",
                "a text that is far longer than any PID could be, even with a newline behind it\n",
        };
        const struct made_up_root *host = *state;
        char own[32];

        own_text(own);
        /* That PID is somebody else's by now. */
        put(host, "/proc/4711/comm", "bash\n");
        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                struct pidfile pidfile = PIDFILE_INIT;
                pid_t owner = -7;

                put(host, PATH, texts[i]);
                assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
                assert_int_equal(owner, -7);
                /* Until it is written to, scripts see what they saw. */
                assert_file(host, PATH, texts[i]);
                assert_int_equal(pidfile_write(&pidfile), 0);
                assert_file(host, PATH, own);
                pidfile_release(&pidfile, true);
        }
}

/* The original does not lock its pidfile: a process of that name counts. */
static void test_unlocked_owner(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner = -7;
        char text[64];

        put(host, PATH, "4711\n");
        put(host, "/proc/4711/comm", "ksmtuned\n");
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), -EEXIST);
        assert_int_equal(owner, 4711);
        assert_int_equal(pidfile.fd, -1);
        assert_file(host, PATH, "4711\n");

        /* Our own PID, left by one who had it before the reboot. */
        (void)snprintf(text, sizeof(text), "/proc/%d/comm", getpid());
        put(host, text, "ksmtuned\n");
        own_text(text);
        put(host, PATH, text);
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        pidfile_release(&pidfile, true);
}

/* A daemon that ends removes its file between our opening and our locking it. */
static void test_removed_meanwhile(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner = -7;
        struct stat ours, there;
        char path[600];

        before_lock.n_removals = 3;
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        assert_int_equal(before_lock.n_removals, 0);
        (void)snprintf(path, sizeof(path), "%s" PATH, host->path);
        assert_int_equal(fstat(pidfile.fd, &ours), 0);
        assert_int_equal(stat(path, &there), 0);
        assert_true(ours.st_ino == there.st_ino);
        pidfile_release(&pidfile, true);

        /* It does not try for ever. */
        before_lock.n_removals = 1000;
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), -EBUSY);
        assert_int_equal(pidfile.fd, -1);
        assert_int_equal(owner, -7);
}

/* Somebody has removed our file, and another has made his own: that one stays. */
static void test_not_ours_any_more(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner;

        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        assert_int_equal(pidfile_write(&pidfile), 0);
        put_away(host, PATH);
        put(host, PATH, "4711\n");
        pidfile_release(&pidfile, true);
        assert_file(host, PATH, "4711\n");

        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        put_away(host, PATH);
        pidfile_release(&pidfile, true);
        assert_int_equal(sysroot_exists(&host->root, PATH), 0);
}

static void test_errors(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        pid_t owner = -7;

        assert_int_equal(pidfile_acquire(&pidfile, &host->root, "/nothing/pid", &owner), -ENOENT);
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, "/run", &owner), -EISDIR);
        before_lock.error = ENOLCK;
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), -ENOLCK);
        before_lock.error = 0;
        put_away(host, PATH);
        put_mode(host, "/run", 0555);
        become_ordinary();
        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), -EACCES);
        become_self();
        put_mode(host, "/run", 0755);
        assert_int_equal(pidfile.fd, -1);
        assert_int_equal(owner, -7);
}

/* A limit on the size of files stands for a disk that is full. */
static void test_full_disk(void **state)
{
        const struct made_up_root *host = *state;
        struct pidfile pidfile = PIDFILE_INIT;
        struct rlimit limit, before;
        pid_t owner;
        int cut, none;

        assert_int_equal(pidfile_acquire(&pidfile, &host->root, PATH, &owner), 0);
        assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
        (void)signal(SIGXFSZ, SIG_IGN);
        limit = before;
        limit.rlim_cur = 1;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        cut = pidfile_write(&pidfile);
        limit.rlim_cur = 0;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        none = pidfile_write(&pidfile);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        (void)signal(SIGXFSZ, SIG_DFL);
        pidfile_release(&pidfile, true);
        assert_true(cut < 0);
        assert_int_equal(none, -EFBIG);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) cmocka_unit_test_setup_teardown(test, setup, made_up_root_teardown)
                ON_A_HOST(test_first_start),       ON_A_HOST(test_release_without_removal),
                ON_A_HOST(test_second_start),      ON_A_HOST(test_stale),
                ON_A_HOST(test_unlocked_owner),    ON_A_HOST(test_removed_meanwhile),
                ON_A_HOST(test_not_ours_any_more), ON_A_HOST(test_errors),
                ON_A_HOST(test_full_disk),
        };

        return cmocka_run_group_tests_name("pidfile", tests, NULL, NULL);
}
