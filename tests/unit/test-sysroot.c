/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Files of the host: nothing leads out of a made-up root, and nothing hangs. */

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "old-kernel.h"

static void test_open(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot root = {.fd = -7};
        char path[600];

        assert_int_equal(sysroot_open(&root, "/"), 0);
        assert_false(root.made_up);
        assert_int_equal(fcntl(root.fd, F_GETFD), FD_CLOEXEC);
        sysroot_close(&root);
        assert_int_equal(root.fd, -1);
        sysroot_close(&root);

        /* The same folder by another name is no made-up one. */
        assert_int_equal(sysroot_open(&root, "/proc/.."), 0);
        assert_false(root.made_up);
        sysroot_close(&root);

        put(host, "/file", "");
        (void)snprintf(path, sizeof(path), "%s/file", host->path);
        root = (struct sysroot){.fd = -7};
        assert_int_equal(sysroot_open(&root, path), -ENOTDIR);
        (void)snprintf(path, sizeof(path), "%s/nothing", host->path);
        assert_int_equal(sysroot_open(&root, path), -ENOENT);
        assert_int_equal(root.fd, -7);
}

/* Every way out of the folder ends inside it. */
static void test_no_way_out(void **state)
{
        const struct made_up_root *host = *state;
        static const struct {
                const char *link, *target;
        } links[] = {
                {"/absolute", "/outside"},
                {"/relative", "../../../../../../../../outside"},
                {"/deep/relative", "../../../../../../../../outside"},
                {"/deep/absolute", "/outside"},
                {"/deep/down", "../outside"},
                {"/chain", "absolute"},
                {"/folder-link", "/"},
                {"/up-link", ".."},
        };
        static const char *const paths[] = {
                "/absolute",
                "/relative",
                "/deep/relative",
                "/deep/absolute",
                "/deep/down",
                "/deep/./../deep/absolute",
                "/chain",
                "/outside",
                "/../outside",
                "/../../../../../../../outside",
                "/deep/../../outside",
                "/folder-link/outside",
                "/up-link/outside",
                "/up-link/../up-link/../outside",
        };
        char buf[64], path[600];
        int fd;

        /* "/outside" of the made-up root, and none outside of it. */
        put(host, "/outside", "inside\n");
        assert_int_not_equal(access("/outside", F_OK), 0);
        for (size_t i = 0; i < ELEMENTS(links); i++)
                put_link(host, links[i].link, links[i].target);
        for (size_t i = 0; i < ELEMENTS(paths); i++) {
                if (sysroot_read(&host->root, paths[i], buf, sizeof(buf)) != 7)
                        fail_msg("cannot read %s", paths[i]);
                assert_string_equal(buf, "inside\n");
                assert_int_equal(sysroot_exists(&host->root, paths[i]), 1);
        }

        /* This machine has /proc/version, the made-up host has not. */
        assert_int_equal(access("/proc/version", R_OK), 0);
        put_link(host, "/version", "/proc/version");
        assert_int_equal(sysroot_read(&host->root, "/version", buf, sizeof(buf)), -ENOENT);
        assert_int_equal(sysroot_exists(&host->root, "/version"), 0);

        /* Writing goes the same ways. */
        assert_int_equal(sysroot_write(&host->root, "/relative", "new\n"), 0);
        assert_file(host, "/outside", "new\n");
        fd = sysroot_openat(&host->root, "/folder-link/../../made", O_WRONLY | O_CREAT, 0600);
        assert_true(fd >= 0);
        (void)close(fd);
        (void)snprintf(path, sizeof(path), "%s/made", host->path);
        assert_int_equal(access(path, F_OK), 0);
        assert_int_equal(sysroot_replace(&host->root, "/deep/../up-link/replaced", "r", 1), 0);
        assert_file(host, "/replaced", "r");
        assert_int_equal(sysroot_unlink(&host->root, "/up-link/../replaced"), 0);
        assert_int_equal(sysroot_exists(&host->root, "/replaced"), 0);
}

/* A link of /proc that jumps anywhere does not, from a made-up root. */
static void test_no_magic_links(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot proc = {.fd = -1};
        char buf[64];

        if (sysroot_open(&proc, "/proc") < 0)
                fail_msg("there is no /proc");
        assert_true(proc.made_up);
        assert_true(sysroot_read(&proc, "/self/root/proc/version", buf, sizeof(buf)) < 0);
        sysroot_close(&proc);
        put_link(host, "/loop", "loop");
        assert_int_equal(sysroot_read(&host->root, "/loop", buf, sizeof(buf)), -ELOOP);
        assert_int_equal(sysroot_exists(&host->root, "/loop"), -ELOOP);
}

static void test_open_flags(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot real;
        int fd;

        assert_int_equal(sysroot_open(&real, "/"), 0);
        put(host, "/file", "");
        for (unsigned i = 0; i < 2; i++) {
                const struct sysroot *root = i == 0 ? &real : &host->root;
                const char *path = i == 0 ? "/proc/version" : "/file";

                fd = sysroot_openat(root, path, O_RDONLY, 0);
                assert_true(fd >= 0);
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
                (void)close(fd);
                fd = sysroot_openat(root, path, O_PATH, 0);
                assert_true(fd >= 0);
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                (void)close(fd);
        }
        sysroot_close(&real);
}

static void test_read(void **state)
{
        const struct made_up_root *host = *state;
        char buf[8];

        put(host, "/empty", "");
        put(host, "/seven", "1234567");
        put(host, "/eight", "12345678");
        put_bytes(host, "/binary", "a\0b", 3);
        assert_int_equal(sysroot_read(&host->root, "/empty", buf, sizeof(buf)), 0);
        assert_string_equal(buf, "");
        assert_int_equal(sysroot_read(&host->root, "/seven", buf, sizeof(buf)), 7);
        assert_string_equal(buf, "1234567");
        assert_int_equal(sysroot_read(&host->root, "/eight", buf, sizeof(buf)), -EFBIG);
        assert_int_equal(sysroot_read(&host->root, "/binary", buf, sizeof(buf)), 3);
        assert_memory_equal(buf, "a\0b", 4);
        assert_int_equal(sysroot_read(&host->root, "/nothing", buf, sizeof(buf)), -ENOENT);
        assert_int_equal(sysroot_read(&host->root, "/empty/x", buf, sizeof(buf)), -ENOTDIR);
        assert_int_equal(sysroot_exists(&host->root, "/empty"), 1);
        assert_int_equal(sysroot_exists(&host->root, "/empty/x"), 0);
        assert_int_equal(sysroot_exists(&host->root, "/nothing"), 0);
        assert_int_equal(sysroot_exists(&host->root, "/nothing/x"), 0);

        put(host, "/locked/file", "");
        put_mode(host, "/locked", 0);
        become_ordinary();
        assert_int_equal(sysroot_exists(&host->root, "/locked/file"), -EACCES);
        become_self();
        put_mode(host, "/locked", 0755);
}

/* One that stays open is read from its beginning each time; one of a made-up root is opened anew.
 */
static void test_reread(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot real;
        char buf[8], path[600];
        int fd = -1;

        put(host, "/file", "one");
        assert_int_equal(sysroot_reread(&host->root, &fd, "/file", buf, sizeof(buf)), 3);
        assert_string_equal(buf, "one");
        assert_int_equal(fd, -1);

        (void)snprintf(path, sizeof(path), "%s/file", host->path);
        assert_int_equal(sysroot_open(&real, "/"), 0);
        assert_int_equal(sysroot_reread(&real, &fd, "/nothing/here", buf, sizeof(buf)), -ENOENT);
        assert_int_equal(fd, -1);
        assert_int_equal(sysroot_reread(&real, &fd, path, buf, sizeof(buf)), 3);
        assert_string_equal(buf, "one");
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        put(host, "/file", "seven..");
        /* No path is needed any more. */
        assert_int_equal(sysroot_reread(&real, &fd, "", buf, sizeof(buf)), 7);
        assert_string_equal(buf, "seven..");
        put(host, "/file", "eight...");
        assert_int_equal(sysroot_reread(&real, &fd, "", buf, sizeof(buf)), -EFBIG);
        (void)close(fd);

        (void)snprintf(path, sizeof(path), "%s", host->path);
        fd = -1;
        assert_int_equal(sysroot_reread(&real, &fd, path, buf, sizeof(buf)), -EISDIR);
        (void)close(fd);
        sysroot_close(&real);
}

static void test_readlink(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot real;
        char buf[8], own[32];

        put_link(host, "/seven", "1234567");
        put_link(host, "/eight", "12345678");
        put_link(host, "/folder", "/");
        put(host, "/file", "");
        assert_int_equal(sysroot_readlink(&host->root, "/seven", buf, sizeof(buf)), 7);
        assert_string_equal(buf, "1234567");
        assert_int_equal(sysroot_readlink(&host->root, "/folder/../folder/seven", buf, sizeof(buf)),
                         7);
        assert_int_equal(sysroot_readlink(&host->root, "/eight", buf, sizeof(buf)), -EFBIG);
        assert_true(sysroot_readlink(&host->root, "/file", buf, sizeof(buf)) < 0);
        assert_int_equal(sysroot_readlink(&host->root, "/nothing", buf, sizeof(buf)), -ENOENT);

        assert_int_equal(sysroot_open(&real, "/"), 0);
        (void)snprintf(own, sizeof(own), "%d", getpid());
        assert_int_equal(sysroot_readlink(&real, "/proc/self", buf, sizeof(buf)), strlen(own));
        assert_string_equal(buf, own);
        assert_int_equal(sysroot_readlink(&real, "/nothing-of-that-name", buf, sizeof(buf)),
                         -ENOENT);
        sysroot_close(&real);
}

/* The alarm ends a test that hangs after all. */
static void test_fifo_does_not_hang(void **state)
{
        const struct made_up_root *host = *state;
        char buf[64];

        put_fifo(host, "/fifo");
        (void)alarm(60);
        assert_int_equal(sysroot_read(&host->root, "/fifo", buf, sizeof(buf)), -ESPIPE);
        assert_int_equal(sysroot_write(&host->root, "/fifo", "1\n"), -ENXIO);
        assert_int_equal(sysroot_exists(&host->root, "/fifo"), 1);
        assert_true(sysroot_readlink(&host->root, "/fifo", buf, sizeof(buf)) < 0);
        assert_int_equal(sysroot_replace(&host->root, "/fifo", "text", 4), 0);
        assert_file(host, "/fifo", "text");
        (void)alarm(0);
}

static void test_long_paths(void **state)
{
        const struct made_up_root *host = *state;
        char path[2 * PATH_MAX], deep[256], buf[8];
        size_t len = 0;

        memset(path, 'x', sizeof(path));
        path[0] = '/';
        path[sizeof(path) - 1] = '\0';
        assert_int_equal(sysroot_read(&host->root, path, buf, sizeof(buf)), -ENAMETOOLONG);

        /* Forty links are followed, and no more. */
        put(host, "/link0", "end");
        for (unsigned i = 1; i <= 41; i++) {
                char name[16], target[16];

                (void)snprintf(name, sizeof(name), "/link%u", i);
                (void)snprintf(target, sizeof(target), "./link%u", i - 1);
                put_link(host, name, target);
        }
        assert_int_equal(sysroot_read(&host->root, "/link40", buf, sizeof(buf)), 3);
        assert_int_equal(sysroot_read(&host->root, "/link41", buf, sizeof(buf)), -ELOOP);

        for (unsigned i = 0; i < 20; i++)
                len += (size_t)snprintf(deep + len, sizeof(deep) - len, "/folder");
        put_folder(host, deep);
        (void)snprintf(deep + len, sizeof(deep) - len, "/.././/folder//file");
        put(host, deep, "deep");
        assert_int_equal(sysroot_read(&host->root, deep, buf, sizeof(buf)), 4);
        assert_string_equal(buf, "deep");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                NOW(test_open),
                NOW(test_no_way_out),
                NOW(test_no_magic_links),
                NOW(test_open_flags),
                NOW(test_read),
                NOW(test_reread),
                NOW(test_readlink),
                NOW(test_fifo_does_not_hang),
                NOW(test_long_paths),
                ON_OLD_KERNEL(test_open),
                ON_OLD_KERNEL(test_no_way_out),
                ON_OLD_KERNEL(test_no_magic_links),
                ON_OLD_KERNEL(test_open_flags),
                ON_OLD_KERNEL(test_read),
                ON_OLD_KERNEL(test_readlink),
                ON_OLD_KERNEL(test_fifo_does_not_hang),
                ON_OLD_KERNEL(test_long_paths),
                /* The last: it looks back on the others. */
                cmocka_unit_test(test_asked_once),
        };

        return cmocka_run_group_tests_name("sysroot", tests, NULL, NULL);
}
