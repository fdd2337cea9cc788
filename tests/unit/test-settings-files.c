/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Where the configuration comes from: the file, the drop-ins, and what can be wrong with them. */

#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/cleanup.h"
#include "settings-help.h"

#define DROPIN_PATH(name) SETTINGS_DROPIN_PATH "/" name

/* A made-up root in a folder of its own, and what was loaded from it. */
struct fixture {
        char folder[64];
        struct sysroot root;
        struct settings *settings;
        struct settings_problems problems;
};

static void host_path(const struct fixture *f, const char *path, char *buf, size_t size)
{
        assert_true(snprintf(buf, size, "%s%s", f->folder, path) < (int)size);
}

static void make_folder(const struct fixture *f, const char *path)
{
        char full[256];

        host_path(f, path, full, sizeof(full));
        assert_int_equal(mkdir(full, 0755), 0);
}

static void make_file(const struct fixture *f, const char *path, const char *text)
{
        char full[256];
        FILE *file;

        host_path(f, path, full, sizeof(full));
        file = fopen(full, "we");
        assert_non_null(file);
        assert_true(fputs(text, file) >= 0);
        assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
        struct fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        (void)snprintf(f->folder, sizeof(f->folder), "/tmp/test-settings-XXXXXX");
        assert_non_null(mkdtemp(f->folder));
        assert_int_equal(chmod(f->folder, 0755), 0);
        f->root = (struct sysroot)SYSROOT_INIT;
        assert_int_equal(sysroot_open(&f->root, f->folder), 0);
        make_folder(f, "/etc");
        make_folder(f, SETTINGS_DROPIN_PATH);
        *state = f;

        return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *place)
{
        return remove(path);
}

static int tear_down(void **state)
{
        struct fixture *f = *state;
        int r;

        /* Where a test ended without its rights. */
        if (getuid() == 0 && seteuid(0) < 0)
                return -1;
        (void)settings_free(f->settings);
        settings_problems_clear(&f->problems);
        sysroot_close(&f->root);
        r = nftw(f->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        free(f);

        return r;
}

static int load(struct fixture *f, const char *file)
{
        f->settings = settings_free(f->settings);
        settings_problems_clear(&f->problems);

        return settings_load(&f->settings, &f->root, file, &f->problems);
}

/* One error, about a file as a whole. */
static void check_file_error(struct fixture *f, const char *load_file, const char *named,
                             const char *text)
{
        assert_int_equal(load(f, load_file), -EBADMSG);
        assert_null(f->settings);
        assert_int_equal(f->problems.n, 1);
        assert_true(f->problems.list[0].is_error);
        assert_string_equal(f->problems.list[0].file, named);
        assert_int_equal(f->problems.list[0].line, 0);
        assert_string_equal(f->problems.list[0].text, text);
}

static void test_nothing_there(void **state)
{
        struct fixture *f = *state;
        char path[256];

        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 0);
        assert_int_equal(f->settings->policy.classic.thres_coef, 20);

        host_path(f, SETTINGS_DROPIN_PATH, path, sizeof(path));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(load(f, NULL), 0);
        host_path(f, "/etc", path, sizeof(path));
        assert_int_equal(rmdir(path), 0);
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 0);
}

static void test_empty_file(void **state)
{
        struct fixture *f = *state;

        make_file(f, SETTINGS_PATH, "");
        make_file(f, DROPIN_PATH("a.conf"), "");
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 0);
}

static void test_drop_ins_in_order(void **state)
{
        struct fixture *f = *state;

        make_file(f, SETTINGS_PATH, "KSM_THRES_COEF=1\nKSM_SLEEP_MSEC=1\nDEBUG=1\n");
        /* In the order of bytes: capitals, digits before letters, 10 before 9. */
        make_file(f, DROPIN_PATH("9.conf"), "KSM_THRES_COEF=9\nKSM_NPAGES_MIN=9\n");
        make_file(f, DROPIN_PATH("10.conf"), "KSM_THRES_COEF=10\nKSM_NPAGES_MIN=10\n");
        make_file(f, DROPIN_PATH("a.conf"), "KSM_THRES_COEF=70\nKSM_NPAGES_MAX=100\n");
        make_file(f, DROPIN_PATH("Z.conf"), "KSM_THRES_COEF=60\nKSM_NPAGES_MAX=90\n");
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 0);
        assert_int_equal(f->settings->policy.classic.thres_coef, 70);
        assert_int_equal(f->settings->policy.classic.sleep_msec, 1);
        assert_int_equal(f->settings->policy.classic.npages_min, 9);
        assert_int_equal(f->settings->policy.classic.npages_max, 100);
        assert_true(f->settings->debug);
}

static void test_drop_in_names(void **state)
{
        static const char *const others[] = {".hidden.conf", ".conf", "x.conf~", "x.conf.bak",
                                             "README",       "conf",  "x.CONF"};
        struct fixture *f = *state;
        char path[64];

        for (size_t i = 0; i < ELEMENTS(others); i++) {
                (void)snprintf(path, sizeof(path), DROPIN_PATH("%s"), others[i]);
                make_file(f, path, "KSM_THRES_COEF=$\n");
        }
        make_file(f, DROPIN_PATH(" .conf"), "KSM_THRES_COEF=33\n");
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 0);
        assert_int_equal(f->settings->policy.classic.thres_coef, 33);
}

static void check_problem(const struct fixture *f, size_t i, char kind, const char *file,
                          unsigned line, const char *text)
{
        const struct settings_problem *problem = &f->problems.list[i];

        assert_true(i < f->problems.n);
        assert_int_equal(problem->is_error ? 'E' : 'W', kind);
        assert_string_equal(problem->file, file);
        assert_int_equal(problem->line, line);
        if (!strstr(problem->text, text))
                fail_msg("\"%s\" is not in \"%s\"", text, problem->text);
}

/* Errors of all files at once, each with its place. */
static void test_errors_of_all_files(void **state)
{
        struct fixture *f = *state;

        make_file(f, SETTINGS_PATH, "\nKSM_SLEEP_MSEC=x\n\nFOO\n");
        make_file(f, DROPIN_PATH("b.conf"), "KSM_TRHES_COEF=1\n");
        make_file(f, DROPIN_PATH("a.conf"), "\n\nKSM_POLICY=y");
        make_folder(f, DROPIN_PATH("c.conf"));
        make_file(f, DROPIN_PATH("d.conf"), "#\n[x]\n");
        assert_int_equal(load(f, NULL), -EBADMSG);
        assert_null(f->settings);
        assert_int_equal(f->problems.n, 6);
        check_problem(f, 0, 'E', SETTINGS_PATH, 2, "'x'");
        check_problem(f, 1, 'E', SETTINGS_PATH, 4, "'FOO' is no assignment");
        check_problem(f, 2, 'E', DROPIN_PATH("a.conf"), 3, "'y'");
        check_problem(f, 3, 'W', DROPIN_PATH("b.conf"), 1, "did you mean");
        check_problem(f, 4, 'E', DROPIN_PATH("c.conf"), 0, "is a folder");
        check_problem(f, 5, 'E', DROPIN_PATH("d.conf"), 2, "sections");
}

/* Of two keys that do not go together, the one that came later is named. */
static void test_whole_across_files(void **state)
{
        struct fixture *f = *state;

        make_file(f, SETTINGS_PATH, "#\n#\n#\nKSM_NPAGES_MIN=500\nKSM_NPAGES_DECAY=1\n");
        make_file(f, DROPIN_PATH("a.conf"), "FOO=1\nKSM_NPAGES_MAX=400\n");
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 3);
        check_problem(f, 0, 'W', SETTINGS_PATH, 5, "KSM_NPAGES_DECAY");
        check_problem(f, 1, 'W', DROPIN_PATH("a.conf"), 1, "FOO");
        check_problem(f, 2, 'W', DROPIN_PATH("a.conf"), 2, "KSM_NPAGES_MAX: KSM_NPAGES_MIN (500)");

        /* What is odd in one file and mended in a later one is no matter. */
        make_file(f, DROPIN_PATH("b.conf"), "KSM_NPAGES_MAX=600\nKSM_NPAGES_DECAY=-1\n");
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 1);
        check_problem(f, 0, 'W', DROPIN_PATH("a.conf"), 1, "FOO");
}

/* What was there before stays, and is not mixed up with what comes. */
static void test_problems_are_appended(void **state)
{
        struct fixture *f = *state;

        make_file(f, SETTINGS_PATH, "FOO=1\n");
        assert_int_equal(load(f, NULL), 0);
        f->settings = settings_free(f->settings);
        make_file(f, SETTINGS_PATH, "\nKSM_SLEEP_MSEC=x\n");
        assert_int_equal(settings_load(&f->settings, &f->root, NULL, &f->problems), -EBADMSG);
        f->settings = NULL;
        make_file(f, SETTINGS_PATH, "BAR=1\n");
        assert_int_equal(settings_load(&f->settings, &f->root, NULL, &f->problems), 0);
        assert_int_equal(f->problems.n, 3);
        check_problem(f, 0, 'W', SETTINGS_PATH, 1, "FOO");
        check_problem(f, 1, 'E', SETTINGS_PATH, 2, "'x'");
        check_problem(f, 2, 'W', SETTINGS_PATH, 1, "BAR");
}

/* A file named by hand is read alone, and not in the root. */
static void test_file_by_name(void **state)
{
        struct fixture *f = *state;
        char path[256];

        make_file(f, SETTINGS_PATH, "KSM_THRES_COEF=$\n");
        make_file(f, DROPIN_PATH("a.conf"), "KSM_SLEEP_MSEC=77\n");
        make_file(f, "/other", "KSM_THRES_COEF=44");
        host_path(f, "/other", path, sizeof(path));
        assert_int_equal(load(f, path), 0);
        assert_int_equal(f->settings->policy.classic.thres_coef, 44);
        assert_int_equal(f->settings->policy.classic.sleep_msec, 10);
        check_file_error(f, "/other-that-is-in-the-root-alone", "/other-that-is-in-the-root-alone",
                         "cannot be opened: No such file or directory");
}

static void test_not_regular(void **state)
{
        struct fixture *f = *state;
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        CLEANUP_FD int fd = -1;
        char path[256];

        /* A writer never comes; opening must not wait for one. */
        host_path(f, SETTINGS_PATH, path, sizeof(path));
        assert_int_equal(mkfifo(path, 0644), 0);
        check_file_error(f, NULL, SETTINGS_PATH, "is not a regular file");
        check_file_error(f, path, path, "is not a regular file");
        assert_int_equal(unlink(path), 0);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        host_path(f, SETTINGS_PATH, address.sun_path, sizeof(address.sun_path));
        assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        check_file_error(f, NULL, SETTINGS_PATH, "is not a regular file");
        assert_int_equal(unlink(path), 0);

        make_folder(f, SETTINGS_PATH);
        check_file_error(f, NULL, SETTINGS_PATH, "is a folder, not a file");
        assert_int_equal(rmdir(path), 0);

        check_file_error(f, "/dev/zero", "/dev/zero", "is not a regular file");
        check_file_error(f, "/", "/", "is a folder, not a file");

        assert_int_equal(symlink("ksmtuned.conf", path), 0);
        check_file_error(f, NULL, SETTINGS_PATH,
                         "cannot be opened: Too many levels of symbolic links");
}

/* Files of /proc have a size of 0. */
static void test_size_unknown(void **state)
{
        struct fixture *f = *state;

        assert_int_equal(load(f, "/proc/version"), -EBADMSG);
        assert_int_equal(f->problems.n, 1);
        check_problem(f, 0, 'E', "/proc/version", 1, "'Linux' is no assignment");
}

static void test_symlink_stays_inside(void **state)
{
        struct fixture *f = *state;
        char path[256];

        make_file(f, "/etc/target", "KSM_THRES_COEF=55\n");
        host_path(f, SETTINGS_PATH, path, sizeof(path));
        assert_int_equal(symlink("/etc/target", path), 0);
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->settings->policy.classic.thres_coef, 55);
}

static void test_too_large(void **state)
{
        struct fixture *f = *state;
        static char text[SETTINGS_MAX_BYTES + 2];

        memset(text, '\n', SETTINGS_MAX_BYTES + 1);
        text[SETTINGS_MAX_BYTES + 1] = '\0';
        make_file(f, SETTINGS_PATH, text);
        check_file_error(f, NULL, SETTINGS_PATH, "is larger than 1 MiB");

        text[SETTINGS_MAX_BYTES] = '\0';
        memcpy(text + SETTINGS_MAX_BYTES - 3, "A=1", 3);
        make_file(f, SETTINGS_PATH, text);
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 1);
        check_problem(f, 0, 'W', SETTINGS_PATH, SETTINGS_MAX_BYTES - 2, "unknown key A");
}

static void test_binary(void **state)
{
        static const char elf[] = "\x7f"
                                  "ELF\2\1\1\0\0\0\n$\n";
        struct fixture *f = *state;
        char path[256];
        FILE *file;

        host_path(f, SETTINGS_PATH, path, sizeof(path));
        file = fopen(path, "we");
        assert_non_null(file);
        assert_int_equal(fwrite(elf, 1, sizeof(elf), file), sizeof(elf));
        assert_int_equal(fclose(file), 0);
        assert_int_equal(load(f, NULL), -EBADMSG);
        assert_int_equal(f->problems.n, 1);
        check_problem(f, 0, 'E', SETTINGS_PATH, 1, "a NUL byte: this is no text file");
}

/* Run as root this takes the rights of nobody for a moment. */
static void test_unreadable(void **state)
{
        struct fixture *f = *state;
        bool is_root = geteuid() == 0;
        char path[256];

        make_file(f, SETTINGS_PATH, "KSM_THRES_COEF=1\n");
        host_path(f, SETTINGS_PATH, path, sizeof(path));
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(is_root ? seteuid(65534) : 0, 0);
        check_file_error(f, NULL, SETTINGS_PATH, "cannot be opened: Permission denied");
        assert_int_equal(is_root ? seteuid(0) : 0, 0);
        assert_int_equal(chmod(path, 0644), 0);

        host_path(f, SETTINGS_DROPIN_PATH, path, sizeof(path));
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(is_root ? seteuid(65534) : 0, 0);
        check_file_error(f, NULL, SETTINGS_DROPIN_PATH, "cannot be listed: Permission denied");
        assert_int_equal(is_root ? seteuid(0) : 0, 0);
        assert_int_equal(chmod(path, 0755), 0);
}

static void test_drop_in_folder_is_a_file(void **state)
{
        struct fixture *f = *state;
        char path[256];

        host_path(f, SETTINGS_DROPIN_PATH, path, sizeof(path));
        assert_int_equal(rmdir(path), 0);
        make_file(f, SETTINGS_DROPIN_PATH, "");
        check_file_error(f, NULL, SETTINGS_DROPIN_PATH, "cannot be listed: Not a directory");
}

/* A link that leads nowhere is told: an administrator wanted something there. */
static void test_drop_in_leads_nowhere(void **state)
{
        struct fixture *f = *state;
        char path[256];

        host_path(f, DROPIN_PATH("a.conf"), path, sizeof(path));
        assert_int_equal(symlink("/nowhere", path), 0);
        assert_int_equal(load(f, NULL), 0);
        assert_int_equal(f->problems.n, 1);
        check_problem(f, 0, 'W', DROPIN_PATH("a.conf"), 0,
                      "cannot be opened and is passed over: No such file");
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
        const struct CMUnitTest tests[] = {
                TEST(test_nothing_there),
                TEST(test_empty_file),
                TEST(test_drop_ins_in_order),
                TEST(test_drop_in_names),
                TEST(test_errors_of_all_files),
                TEST(test_whole_across_files),
                TEST(test_problems_are_appended),
                TEST(test_file_by_name),
                TEST(test_not_regular),
                TEST(test_size_unknown),
                TEST(test_symlink_stays_inside),
                TEST(test_too_large),
                TEST(test_binary),
                TEST(test_unreadable),
                TEST(test_drop_in_folder_is_a_file),
                TEST(test_drop_in_leads_nowhere),
        };

        return cmocka_run_group_tests_name("settings-files", tests, NULL, NULL);
}
