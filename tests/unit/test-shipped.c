/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The defaults, and that the configuration and the manual as shipped tell them. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/cleanup.h"
#include "settings-help.h"

static void test_defaults(void **state)
{
        static const struct classic_params classic = CLASSIC_PARAMS_DEFAULT;
        static const struct adaptive_params adaptive = ADAPTIVE_PARAMS_DEFAULT;
        struct settings *settings;
        char shown[256];

        assert_int_equal(settings_new(&settings), 0);
        assert_int_equal(settings->monitor_interval_usec, 60 * 1000 * 1000);
        assert_int_equal(settings->policy.kind, POLICY_CLASSIC);
        assert_memory_equal(&settings->policy.classic, &classic, sizeof(classic));
        assert_memory_equal(&settings->policy.adaptive, &adaptive, sizeof(adaptive));
        assert_false(settings->debug);
        assert_string_equal(settings->log_file, "/var/log/ksmtuned");
        assert_string_equal(settings->pid_file, "/run/ksmtune.pid");
        assert_string_equal(settings->metrics_file, "");
        assert_int_equal(settings->metrics_guests, 50);
        assert_string_equal(show(settings, KEY_VM_MATCH, shown, sizeof(shown)), VM_MATCH_DEFAULT);
        assert_int_equal(settings->ps_metric, GUEST_METRIC_RSS);
        assert_int_equal(settings->stop_action, STOP_ACTION_KEEP);
        assert_null(settings_free(settings));
        assert_null(settings_free(NULL));
}

/* A file of the source tree, NUL at its end. */
static char *shipped(const char *name)
{
        const char *data = getenv("TEST_DATA");
        char path[4096], *text = calloc(1, 65536);
        FILE *file;
        size_t n;

        assert_non_null(text);
        if (!data)
                print_error("TEST_DATA has to name the folder of the tests\n");
        assert_non_null(data);
        (void)snprintf(path, sizeof(path), "%s/../%s", data, name);
        file = fopen(path, "re");
        if (!file)
                print_error("%s: %s\n", path, strerror(errno));
        assert_non_null(file);
        n = fread(text, 1, 65535, file);
        assert_int_equal(fclose(file), 0);
        assert_true(n > 0 && n < 65535);

        return text;
}

/* As it is shipped, and with every "# KEY=VALUE" in force, the file says what is built in. */
static void test_shipped_defaults(void **state)
{
        CLEANUP_FREE char *text = shipped("conf/ksmtuned.conf");
        struct settings_problems problems = {0};
        struct settings *settings, *defaults;
        unsigned seen[KEY_COUNT] = {0};

        load_text(text, strlen(text), &settings, &problems);
        assert_int_equal(problems.n, 0);
        (void)settings_free(settings);

        assert_int_equal(settings_new(&defaults), 0);
        for (char *line, *next = text; (line = strsep(&next, "\n")) != NULL;) {
                char shown[256], wanted[256], *name_end = strchr(line, '=');
                enum key key;

                if (strncmp(line, "# ", 2) != 0 || !name_end)
                        continue;
                *name_end = '\0';
                key = key_find(line + 2);
                if (key == KEY_COUNT)
                        continue;
                seen[key]++;
                *name_end = '=';

                load_text(line + 2, strlen(line + 2), &settings, &problems);
                assert_int_equal(problems.n, 0);
                assert_string_equal(show(settings, key, shown, sizeof(shown)),
                                    show(defaults, key, wanted, sizeof(wanted)));
                (void)settings_free(settings);
        }
        for (int key = 0; key < KEY_COUNT; key++)
                if (seen[key] != 1)
                        fail_msg("%s stands in the file %u times", key_infos[key].name, seen[key]);
        (void)settings_free(defaults);
}

/* What scripts out there do with the file by the names of its keys alone. */
static void test_shipped_for_scripts(void **state)
{
        CLEANUP_FREE char *text = shipped("conf/ksmtuned.conf");
        const char *coef = strstr(text, "KSM_THRES_COEF");
        unsigned debug = 0, log_file = 0;

        /* The first number behind the first mention. */
        assert_non_null(coef);
        coef += strcspn(coef, "0123456789");
        assert_int_equal(strtol(coef, NULL, 10), 20);

        /* Lines with these words in them are replaced as a whole. */
        for (char *line, *next = text; (line = strsep(&next, "\n")) != NULL;) {
                if (strstr(line, "DEBUG")) {
                        assert_string_equal(line, "# DEBUG=0");
                        debug++;
                }
                if (strstr(line, "LOGFILE")) {
                        assert_string_equal(line, "# LOGFILE=/var/log/ksmtuned");
                        log_file++;
                }
                /* Nothing is in force. */
                assert_true(*line == '#' || *line == '\0');
        }
        assert_int_equal(debug, 1);
        assert_int_equal(log_file, 1);
}

/* Every key with its range and default; "-" is "\-" there. */
static void test_manual(void **state)
{
        CLEANUP_FREE char *text = shipped("man/ksmtuned.conf.5");

        for (int key = 0; key < KEY_COUNT; key++) {
                const struct key_info *info = &key_infos[key];
                char item[64], wanted[256];
                const char *entry, *next;

                (void)snprintf(item, sizeof(item), "\n.It Ev %s\n", info->name);
                entry = strstr(text, item);
                if (!entry) {
                        fail_msg("%s is not in the manual", info->name);
                        return;
                }
                next = strstr(entry + strlen(item), "\n.It Ev ");
                if (info->type == KEY_TYPE_INTEGER ||
                    (info->type == KEY_TYPE_OPTIONAL && info->max > 1)) {
                        bool negative = info->min < 0;

                        (void)snprintf(wanted, sizeof(wanted), "From %s%" PRId64 " to %" PRId64,
                                       negative ? "\\-" : "", negative ? -info->min : info->min,
                                       info->max);
                        if (!strstr(entry, wanted) || (next && strstr(entry, wanted) > next))
                                fail_msg("\"%s\" is not in the entry of %s", wanted, info->name);
                }
                if (info->type == KEY_TYPE_FLAG)
                        continue;
                if (*info->default_text == '-')
                        (void)snprintf(wanted, sizeof(wanted), "\\%s", info->default_text);
                else
                        (void)snprintf(wanted, sizeof(wanted), "%s", info->default_text);
                if (!strstr(entry, wanted) || (next && strstr(entry, wanted) > next))
                        fail_msg("\"%s\" is not in the entry of %s", wanted, info->name);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_shipped_defaults),
                cmocka_unit_test(test_shipped_for_scripts),
                cmocka_unit_test(test_manual),
        };

        return cmocka_run_group_tests_name("shipped", tests, NULL, NULL);
}
