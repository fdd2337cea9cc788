/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The command line. */

#include <getopt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "ksmtuned-config.h"
#include "src/daemon/options.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define N_ARGS_MAX      8

static int parse(const char *const *args, struct options *options, char *out, char *err,
                 size_t size)
{
        char copies[N_ARGS_MAX][64], *argv[N_ARGS_MAX + 1] = {NULL};
        struct capture output, errors;
        int argc = 0, r;

        for (; args[argc]; argc++) {
                assert_true(argc < N_ARGS_MAX);
                (void)snprintf(copies[argc], sizeof(copies[argc]), "%s", args[argc]);
                argv[argc] = copies[argc];
        }
        optind = 0;
        capture_begin(&output, stdout);
        capture_begin(&errors, stderr);
        r = options_parse(argc, argv, options);
        (void)capture_end(&errors, err, size);
        (void)capture_end(&output, out, size);
        /* Pointers into the copies are of no use any more: they are made literals. */
        if (r < 0 && options->config)
                options->config = strcmp(options->config, "FILE") == 0 ? "FILE" : "?";
        if (r < 0)
                options->root = strcmp(options->root, "DIR") == 0 ? "DIR"
                                : strcmp(options->root, "/") == 0 ? "/"
                                                                  : "?";
        return r;
}

static void test_good(void **state)
{
        static const struct {
                const char *args[N_ARGS_MAX];
                struct options options;
        } cases[] = {
                {{"ksmtuned"}, {.root = "/"}},
                {{"ksmtuned", "--"}, {.root = "/"}},
                {{"ksmtuned", "-f"}, {.root = "/", .foreground = true}},
                {{"ksmtuned", "--foreground"}, {.root = "/", .foreground = true}},
                {{"ksmtuned", "--once"}, {.root = "/", .once = true}},
                {{"ksmtuned", "-n"}, {.root = "/", .dry_run = true}},
                {{"ksmtuned", "--dry-run"}, {.root = "/", .dry_run = true}},
                {{"ksmtuned", "-d"}, {.root = "/", .debug = true}},
                {{"ksmtuned", "--debug"}, {.root = "/", .debug = true}},
                {{"ksmtuned", "--check-config"}, {.root = "/", .check_config = true}},
                {{"ksmtuned", "--give-back"}, {.root = "/", .give_back = true}},
                {{"ksmtuned", "-c", "FILE"}, {.root = "/", .config = "FILE"}},
                {{"ksmtuned", "--config", "FILE"}, {.root = "/", .config = "FILE"}},
                {{"ksmtuned", "--config=FILE"}, {.root = "/", .config = "FILE"}},
                {{"ksmtuned", "--root", "DIR"}, {.root = "DIR"}},
                {{"ksmtuned", "--root=DIR"}, {.root = "DIR"}},
                {{"ksmtuned", "-fnd", "-cFILE", "--root=DIR", "--once"},
                 {"FILE", "DIR", true, true, true, true, false, false}},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                const struct options *expected = &cases[i].options;
                struct options options;
                char out[64], err[64];

                assert_int_equal(parse(cases[i].args, &options, out, err, sizeof(out)), -1);
                assert_string_equal(out, "");
                assert_string_equal(err, "");
                assert_string_equal(options.root, expected->root);
                assert_string_equal(options.config ? options.config : "(none)",
                                    expected->config ? expected->config : "(none)");
                assert_int_equal(options.foreground, expected->foreground);
                assert_int_equal(options.once, expected->once);
                assert_int_equal(options.dry_run, expected->dry_run);
                assert_int_equal(options.debug, expected->debug);
                assert_int_equal(options.check_config, expected->check_config);
                assert_int_equal(options.give_back, expected->give_back);
        }
}

static void test_bad(void **state)
{
        static const char *const cases[][N_ARGS_MAX] = {
                {"ksmtuned", "-x"},         {"ksmtuned", "--unknown"}, {"ksmtuned", "-c"},
                {"ksmtuned", "--root"},     {"ksmtuned", "start"},     {"ksmtuned", "-f", "word"},
                {"ksmtuned", "--once=yes"}, {"ksmtuned", "--", "-f"},  {"ksmtuned", ""},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct options before, options;
                char out[512], err[512];

                memset(&before, 0x5a, sizeof(before));
                options = before;
                assert_int_equal(parse(cases[i], &options, out, err, sizeof(err)), STATUS_USAGE);
                assert_memory_equal(&options, &before, sizeof(options));
                assert_string_equal(out, "");
                assert_non_null(strstr(err, "Try 'ksmtuned --help'.\n"));
        }
}

static void test_information(void **state)
{
        static const char *const version[] = {"ksmtuned", "-V", "--unknown", NULL};
        static const char *const help[] = {"ksmtuned", "--help", NULL};
        static const char *const names[] = {
                "--foreground", "--config",       "--root",      "--once",    "--dry-run",
                "--debug",      "--check-config", "--give-back", "--version", "--help"};
        struct options options;
        char out[4096], err[4096];

        assert_int_equal(parse(version, &options, out, err, sizeof(out)), STATUS_OK);
        assert_string_equal(out, "ksmtuned " KSMTUNED_VERSION "\n");
        assert_string_equal(err, "");
        assert_int_equal(parse(help, &options, out, err, sizeof(out)), STATUS_OK);
        assert_string_equal(err, "");
        for (size_t i = 0; i < ELEMENTS(names); i++)
                assert_non_null(strstr(out, names[i]));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_information),
        };

        return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
