/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "made-up-root.h"

#define PATH_SIZE 1024
#define NOBODY    65534

/* Where @path of the made-up host is. */
static const char *real_path(const struct made_up_root *host, const char *path, char buf[PATH_SIZE])
{
        int n = snprintf(buf, PATH_SIZE, "%s%s", host->path, path);

        assert_true(n > 0 && n < PATH_SIZE);
        return buf;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

static void remove_all(const char *path)
{
        assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int made_up_root_setup(void **state)
{
        const char *folder = getenv("TMPDIR");
        struct made_up_root *host = calloc(1, sizeof(*host));

        assert_non_null(host);
        (void)snprintf(host->path, sizeof(host->path), "%s/ksmtuned-test-XXXXXX",
                       folder && *folder ? folder : "/tmp");
        assert_non_null(mkdtemp(host->path));
        assert_int_equal(chmod(host->path, 0755), 0);
        assert_int_equal(sysroot_open(&host->root, host->path), 0);
        assert_true(host->root.made_up);
        *state = host;
        return 0;
}

int made_up_root_teardown(void **state)
{
        struct made_up_root *host = *state;

        become_self();
        sysroot_close(&host->root);
        remove_all(host->path);
        free(host);
        return 0;
}

static void make_folders_above(const char *path)
{
        char folder[PATH_SIZE];

        (void)snprintf(folder, sizeof(folder), "%s", path);
        for (char *p = folder + 1; (p = strchr(p, '/')) != NULL; p++) {
                *p = '\0';
                (void)mkdir(folder, 0755);
                *p = '/';
        }
}

void put_bytes(const struct made_up_root *host, const char *path, const void *bytes, size_t len)
{
        char buf[PATH_SIZE];
        FILE *file;

        make_folders_above(real_path(host, path, buf));
        file = fopen(buf, "we");
        assert_non_null(file);
        assert_int_equal(fwrite(bytes, 1, len, file), len);
        assert_int_equal(fclose(file), 0);
}

void put(const struct made_up_root *host, const char *path, const char *text)
{
        put_bytes(host, path, text, strlen(text));
}

void put_format(const struct made_up_root *host, const char *path, const char *format, ...)
{
        va_list args;
        char *text;
        int n;

        va_start(args, format);
        n = vasprintf(&text, format, args);
        va_end(args);
        assert_true(n >= 0);
        put(host, path, text);
        free(text);
}

void put_folder(const struct made_up_root *host, const char *path)
{
        char buf[PATH_SIZE];

        make_folders_above(real_path(host, path, buf));
        assert_int_equal(mkdir(buf, 0755), 0);
}

void put_fifo(const struct made_up_root *host, const char *path)
{
        char buf[PATH_SIZE];

        make_folders_above(real_path(host, path, buf));
        assert_int_equal(mkfifo(buf, 0644), 0);
}

void put_link(const struct made_up_root *host, const char *path, const char *target)
{
        char buf[PATH_SIZE];

        make_folders_above(real_path(host, path, buf));
        assert_int_equal(symlink(target, buf), 0);
}

void put_mode(const struct made_up_root *host, const char *path, mode_t mode)
{
        char buf[PATH_SIZE];

        assert_int_equal(chmod(real_path(host, path, buf), mode), 0);
}

void put_away(const struct made_up_root *host, const char *path)
{
        char buf[PATH_SIZE];

        remove_all(real_path(host, path, buf));
}

void assert_file(const struct made_up_root *host, const char *path, const char *text)
{
        char buf[PATH_SIZE], found[8192];
        FILE *file = fopen(real_path(host, path, buf), "re");
        size_t n;

        assert_non_null(file);
        n = fread(found, 1, sizeof(found) - 1, file);
        found[n] = '\0';
        (void)fclose(file);
        assert_string_equal(found, text);
        assert_int_equal(n, strlen(text));
}

size_t count_entries(const struct made_up_root *host, const char *path)
{
        char buf[PATH_SIZE];
        DIR *folder = opendir(real_path(host, path, buf));
        const struct dirent *entry;
        size_t n = 0;

        assert_non_null(folder);
        while ((entry = readdir(folder)) != NULL)
                n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
        (void)closedir(folder);
        return n;
}

void become_ordinary(void)
{
        if (getuid() == 0)
                assert_int_equal(seteuid(NOBODY), 0);
}

void become_self(void)
{
        assert_int_equal(seteuid(getuid()), 0);
}
