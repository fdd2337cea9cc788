/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The opening of executables in a made-up root. inotify tells at once: nothing is waited for. */

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/exec-watch.h"
#include "made-up-root.h"

#define QEMU "/usr/bin/qemu-system-x86_64"

static const char *const globs[] = {"qemu-system-*", "firecracker", NULL};

static void open_file(const struct made_up_root *host, const char *path)
{
        int fd = sysroot_openat(&host->root, path, O_RDONLY, 0);

        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
}

static void rename_file(const struct made_up_root *host, const char *from, const char *to)
{
        char old[1024], new[1024];

        (void)snprintf(old, sizeof(old), "%s%s", host->path, from);
        (void)snprintf(new, sizeof(new), "%s%s", host->path, to);
        assert_int_equal(rename(old, new), 0);
}

static struct exec_watch *new_watch(const struct made_up_root *host)
{
        struct exec_watch *watch = NULL;

        assert_int_equal(exec_watch_new(&watch, &host->root, globs), 0);
        assert_non_null(watch);
        return watch;
}

static bool readable(const struct exec_watch *watch)
{
        struct pollfd fd = {.fd = exec_watch_fd(watch), .events = POLLIN};

        return poll(&fd, 1, 0) == 1;
}

static void test_opened(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch;

        put(host, QEMU, "x");
        put(host, "/usr/local/bin/firecracker", "x");
        put(host, "/usr/bin/cat", "x");
        put(host, "/usr/bin/qemu-img", "x");
        watch = new_watch(host);
        assert_int_equal(exec_watch_count(watch), 2);
        assert_false(readable(watch));
        assert_false(exec_watch_read(watch));

        open_file(host, "/usr/bin/cat");
        open_file(host, "/usr/bin/qemu-img");
        assert_false(exec_watch_read(watch));

        open_file(host, QEMU);
        assert_true(readable(watch));
        assert_true(exec_watch_read(watch));
        /* Taken, it is quiet. */
        assert_false(readable(watch));
        assert_false(exec_watch_read(watch));

        open_file(host, "/usr/local/bin/firecracker");
        assert_true(exec_watch_read(watch));
        assert_null(exec_watch_free(watch));
        assert_null(exec_watch_free(NULL));
}

/* No folder, no program: nothing to watch, and no error. */
static void test_empty_root(void **state)
{
        struct exec_watch *watch = new_watch(*state);

        assert_int_equal(exec_watch_count(watch), 0);
        assert_false(exec_watch_read(watch));
        (void)exec_watch_free(watch);
}

/* A link leads to the program, and stays inside the root. */
static void test_links(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch;

        put(host, QEMU, "x");
        put_link(host, "/usr/bin/qemu-system-i386", QEMU);
        put(host, "/opt/fc/firecracker-v1", "x");
        put_link(host, "/usr/local/bin/firecracker", "/opt/fc/firecracker-v1");
        put_link(host, "/usr/local/sbin/firecracker", "/nowhere");
        watch = new_watch(host);
        /* Two names of one file are one; one that leads nowhere is none. */
        assert_int_equal(exec_watch_count(watch), 2);
        open_file(host, "/opt/fc/firecracker-v1");
        assert_true(exec_watch_read(watch));
        (void)exec_watch_free(watch);
}

/* Installed meanwhile: written in place, or renamed as a package manager does it. */
static void test_installed(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch;

        put_folder(host, "/usr/bin");
        watch = new_watch(host);
        put(host, "/usr/bin/sed", "x");
        put(host, QEMU, "x");
        (void)exec_watch_read(watch);
        assert_int_equal(exec_watch_count(watch), 1);
        open_file(host, QEMU);
        assert_true(exec_watch_read(watch));

        put(host, "/usr/bin/firecracker.dpkg-new", "x");
        assert_false(exec_watch_read(watch));
        assert_int_equal(exec_watch_count(watch), 1);
        rename_file(host, "/usr/bin/firecracker.dpkg-new", "/usr/bin/firecracker");
        (void)exec_watch_read(watch);
        assert_int_equal(exec_watch_count(watch), 2);
        open_file(host, "/usr/bin/firecracker");
        assert_true(exec_watch_read(watch));
        (void)exec_watch_free(watch);
}

static void test_upgraded_and_removed(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch;

        put(host, QEMU, "old");
        watch = new_watch(host);
        for (unsigned i = 0; i < 10; i++) {
                put(host, "/usr/bin/new", "new");
                rename_file(host, "/usr/bin/new", QEMU);
                (void)exec_watch_read(watch);
                assert_int_equal(exec_watch_count(watch), 1);
                open_file(host, QEMU);
                assert_true(exec_watch_read(watch));
        }
        put_away(host, QEMU);
        (void)exec_watch_read(watch);
        assert_int_equal(exec_watch_count(watch), 0);
        put(host, QEMU, "again");
        (void)exec_watch_read(watch);
        open_file(host, QEMU);
        assert_true(exec_watch_read(watch));
        (void)exec_watch_free(watch);
}

/* One elsewhere, as a known guest's is. */
static void test_add(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch = new_watch(host);

        put(host, "/nix/store/x/bin/vmm", "x");
        assert_int_equal(exec_watch_add(watch, "/nix/store/x/bin/vmm"), 0);
        assert_int_equal(exec_watch_add(watch, "/nix/store/x/bin/vmm"), 0);
        assert_int_equal(exec_watch_count(watch), 1);
        open_file(host, "/nix/store/x/bin/vmm");
        assert_true(exec_watch_read(watch));
        assert_int_equal(exec_watch_add(watch, "/nix/store/x/bin/vmm (deleted)"), -ENOENT);
        assert_int_equal(exec_watch_count(watch), 1);
        (void)exec_watch_free(watch);
}

/* Many programs, and many events at once. */
static void test_many(void **state)
{
        struct made_up_root *host = *state;
        struct exec_watch *watch;
        char path[64];

        for (unsigned i = 0; i < 100; i++) {
                (void)snprintf(path, sizeof(path), "/usr/bin/qemu-system-%u", i);
                put(host, path, "x");
        }
        watch = new_watch(host);
        assert_int_equal(exec_watch_count(watch), 100);
        for (unsigned i = 0; i < 1000; i++) {
                (void)snprintf(path, sizeof(path), "/usr/bin/qemu-system-%u", i % 100);
                open_file(host, path);
        }
        assert_true(exec_watch_read(watch));
        assert_false(readable(watch));
        (void)exec_watch_free(watch);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define IN_ROOT(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                IN_ROOT(test_opened),    IN_ROOT(test_empty_root),           IN_ROOT(test_links),
                IN_ROOT(test_installed), IN_ROOT(test_upgraded_and_removed), IN_ROOT(test_add),
                IN_ROOT(test_many),
        };

        return cmocka_run_group_tests_name("exec-watch", tests, NULL, NULL);
}
