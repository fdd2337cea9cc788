/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files of the host are written whole or not at all. */

#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "old-kernel.h"

static void test_write(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot real;

        put(host, "/file", "a longer text than that which comes");
        assert_int_equal(sysroot_write(&host->root, "/file", "42\n"), 0);
        assert_file(host, "/file", "42\n");
        assert_int_equal(sysroot_write(&host->root, "/nothing", "42\n"), -ENOENT);
        assert_int_equal(sysroot_exists(&host->root, "/nothing"), 0);
        put_folder(host, "/folder");
        assert_int_equal(sysroot_write(&host->root, "/folder", "42\n"), -EISDIR);
        put_mode(host, "/file", 0444);
        become_ordinary();
        assert_int_equal(sysroot_write(&host->root, "/file", "43\n"), -EACCES);
        become_self();
        assert_file(host, "/file", "42\n");

        assert_int_equal(sysroot_open(&real, "/"), 0);
        assert_int_equal(sysroot_write(&real, "/dev/full", "1\n"), -ENOSPC);
        sysroot_close(&real);
}

static void test_replace(void **state)
{
        const struct made_up_root *host = *state;
        char path[600];
        struct stat st;
        mode_t mask;
        ino_t before;

        put(host, "/run/state", "old");
        (void)snprintf(path, sizeof(path), "%s/run/state", host->path);
        assert_int_equal(stat(path, &st), 0);
        before = st.st_ino;

        /* Readable by everyone whatever the umask says; another file, so nobody sees half of it. */
        mask = umask(0077);
        assert_int_equal(sysroot_replace(&host->root, "/run/state", "new text", 8), 0);
        (void)umask(mask);
        assert_file(host, "/run/state", "new text");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_true(st.st_ino != before);
        assert_int_equal(count_entries(host, "/run"), 1);

        /* The last folder is made, and no other. */
        assert_int_equal(sysroot_replace(&host->root, "/run/a/state", "x", 1), 0);
        assert_file(host, "/run/a/state", "x");
        assert_int_equal(sysroot_replace(&host->root, "/run/b/c/state", "x", 1), -ENOENT);
        assert_int_equal(sysroot_exists(&host->root, "/run/b"), 0);
        assert_int_equal(sysroot_replace(&host->root, "/top", "x", 1), 0);
        assert_file(host, "/top", "x");
        assert_int_equal(sysroot_replace(&host->root, "/top", "", 0), 0);
        assert_file(host, "/top", "");

        /* What a crash left behind, and a link in its place, are no obstacle and no trap. */
        put(host, "/run/.state.new", "half of");
        assert_int_equal(sysroot_replace(&host->root, "/run/state", "1", 1), 0);
        put(host, "/victim", "untouched");
        put_link(host, "/run/.state.new", "../victim");
        assert_int_equal(sysroot_replace(&host->root, "/run/state", "2", 1), 0);
        assert_file(host, "/run/state", "2");
        assert_file(host, "/victim", "untouched");
        assert_int_equal(count_entries(host, "/run"), 2);
}

/* A limit on the size of files stands for a disk that fills up amid a write. */
static void set_file_size_limit(rlim_t size)
{
        struct rlimit limit;

        assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
        limit.rlim_cur = size;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_replace_fails(void **state)
{
        const struct made_up_root *host = *state;
        char name[NAME_MAX + 2], path[PATH_MAX + 32];
        int short_write, no_write;

        put(host, "/run/state", "old");

        (void)signal(SIGXFSZ, SIG_IGN);
        set_file_size_limit(4);
        short_write = sysroot_replace(&host->root, "/run/state", "new text", 8);
        set_file_size_limit(0);
        no_write = sysroot_replace(&host->root, "/run/state", "new text", 8);
        set_file_size_limit(RLIM_INFINITY);
        (void)signal(SIGXFSZ, SIG_DFL);
        assert_int_equal(short_write, -EIO);
        assert_int_equal(no_write, -EFBIG);
        assert_file(host, "/run/state", "old");
        assert_int_equal(count_entries(host, "/run"), 1);

        put_folder(host, "/run/folder");
        assert_int_equal(sysroot_replace(&host->root, "/run/folder", "x", 1), -EISDIR);
        assert_int_equal(count_entries(host, "/run"), 2);
        /* The temporary file's place is taken by what cannot be removed. */
        put_folder(host, "/run/.state.new");
        assert_int_equal(sysroot_replace(&host->root, "/run/state", "x", 1), -EEXIST);
        assert_file(host, "/run/state", "old");
        put_away(host, "/run/.state.new");

        assert_int_equal(sysroot_replace(&host->root, "/run/", "x", 1), -EINVAL);
        assert_int_equal(sysroot_replace(&host->root, "state", "x", 1), -EINVAL);
        assert_int_equal(sysroot_replace(&host->root, "/run/state/x", "x", 1), -ENOTDIR);
        memset(name, 'n', sizeof(name) - 1);
        name[0] = '/';
        name[sizeof(name) - 1] = '\0';
        assert_int_equal(sysroot_replace(&host->root, name, "x", 1), -ENAMETOOLONG);
        memset(path, '/', sizeof(path));
        path[sizeof(path) - 2] = 'x';
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(sysroot_replace(&host->root, path, "x", 1), -ENAMETOOLONG);

        put_mode(host, "/run", 0555);
        become_ordinary();
        assert_int_equal(sysroot_replace(&host->root, "/run/state", "x", 1), -EACCES);
        assert_int_equal(sysroot_replace(&host->root, "/run/new/state", "x", 1), -EACCES);
        assert_int_equal(sysroot_unlink(&host->root, "/run/state"), -EACCES);
        become_self();
        put_mode(host, "/run", 0755);
        assert_file(host, "/run/state", "old");
}

static void test_unlink(void **state)
{
        const struct made_up_root *host = *state;

        put(host, "/run/state", "old");
        assert_int_equal(sysroot_unlink(&host->root, "/run/state"), 0);
        assert_int_equal(sysroot_unlink(&host->root, "/run/state"), -ENOENT);
        assert_int_equal(sysroot_unlink(&host->root, "/nothing/state"), -ENOENT);
        assert_int_equal(sysroot_exists(&host->root, "/nothing"), 0);
        assert_int_equal(sysroot_unlink(&host->root, "/run"), -EISDIR);
        assert_int_equal(sysroot_unlink(&host->root, "/run/"), -EINVAL);
        /* The link goes, not what it leads to. */
        put(host, "/target", "x");
        put_link(host, "/link", "target");
        assert_int_equal(sysroot_unlink(&host->root, "/link"), 0);
        assert_file(host, "/target", "x");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                NOW(test_write),
                NOW(test_replace),
                NOW(test_replace_fails),
                NOW(test_unlink),
                ON_OLD_KERNEL(test_write),
                ON_OLD_KERNEL(test_replace),
                ON_OLD_KERNEL(test_replace_fails),
                ON_OLD_KERNEL(test_unlink),
                /* The last: it looks back on the others. */
                cmocka_unit_test(test_asked_once),
        };

        return cmocka_run_group_tests_name("sysroot-write", tests, NULL, NULL);
}
