/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The classic policy against every step that the original decided. */

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/policy.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define N_VECTORS          2400
#define STEPS_PER_SEQUENCE 16

static int64_t *param(struct classic_params *params, const char *key)
{
        const struct {
                const char *key;
                int64_t *value;
        } keys[] = {
                {"KSM_SLEEP_MSEC", &params->sleep_msec},
                {"KSM_NPAGES_BOOST", &params->npages_boost},
                {"KSM_NPAGES_DECAY", &params->npages_decay},
                {"KSM_NPAGES_MIN", &params->npages_min},
                {"KSM_NPAGES_MAX", &params->npages_max},
                {"KSM_THRES_COEF", &params->thres_coef},
                {"KSM_THRES_CONST", &params->thres_const_kb},
        };

        for (size_t i = 0; i < ELEMENTS(keys); i++)
                if (strcmp(keys[i].key, key) == 0)
                        return keys[i].value;
        fail_msg("a vector has a key %s", key);
        return NULL;
}

static int64_t number(const char *text)
{
        char *rest;
        long long value = strtoll(text, &rest, 10);

        if (rest == text || *rest != '\0')
                fail_msg("'%s' is no number", text);
        return value;
}

/* "KEY=1,KEY=2"; "-" where there is none. */
static void parse_conf(char *conf, struct classic_params *params)
{
        char *save = NULL;

        if (strcmp(conf, "-") == 0)
                return;
        for (char *item = strtok_r(conf, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
                char *equals = strchr(item, '=');

                assert_non_null(equals);
                *equals = '\0';
                *param(params, item) = number(equals + 1);
        }
}

enum {
        COLUMN_SEQ,
        COLUMN_STEP,
        COLUMN_CONF,
        COLUMN_TOTAL,
        COLUMN_FREE,
        COLUMN_BUFFERS,
        COLUMN_CACHED,
        COLUMN_COMMITTED,
        COLUMN_PAGES_TO_SCAN,
        COLUMN_SLEEP_MILLISECS,
        COLUMN_RUN,
        N_COLUMNS,
};

static void split(char *line, char *columns[N_COLUMNS])
{
        size_t n = 0;
        char *save = NULL;

        for (char *item = strtok_r(line, "\t\n", &save); item;
             item = strtok_r(NULL, "\t\n", &save)) {
                assert_true(n < N_COLUMNS);
                columns[n++] = item;
        }
        assert_int_equal(n, N_COLUMNS);
}

/* The knobs as the vectors tell them: "-" until something is written. */
struct knobs {
        char pages_to_scan[24], sleep_millisecs[24], run[24];
};

static const struct knobs untouched = {"-", "-", "-"};

static void apply(struct knobs *knobs, const struct decision *decision)
{
        assert_true(decision->verdict == VERDICT_START || decision->verdict == VERDICT_STOP);
        if (decision->verdict == VERDICT_START) {
                (void)snprintf(knobs->pages_to_scan, sizeof(knobs->pages_to_scan), "%" PRId64,
                               decision->pages_to_scan);
                (void)snprintf(knobs->sleep_millisecs, sizeof(knobs->sleep_millisecs), "%" PRId64,
                               decision->sleep_millisecs);
        }
        (void)snprintf(knobs->run, sizeof(knobs->run), "%d", decision->verdict == VERDICT_START);
}

static void test_vectors(void **state)
{
        const struct policy_settings defaults = {.kind = POLICY_CLASSIC,
                                                 .classic = CLASSIC_PARAMS_DEFAULT};
        struct policy_settings settings = defaults;
        struct policy_state policy_state = {0};
        struct knobs knobs = untouched;
        char path[512], line[1024];
        unsigned n = 0;
        FILE *file;

        assert_non_null(getenv("TEST_DATA"));
        (void)snprintf(path, sizeof(path), "%s/classic-vectors.tsv", getenv("TEST_DATA"));
        file = fopen(path, "re");
        assert_non_null(file);
        while (fgets(line, sizeof(line), file)) {
                char *columns[N_COLUMNS];
                struct sample sample = {.memory = {.total_kb = 0}};
                struct decision decision;

                if (*line == '#')
                        continue;
                assert_non_null(strchr(line, '\n'));
                split(line, columns);
                /* Each sequence begins afresh and keeps its state over its steps. */
                assert_int_equal(number(columns[COLUMN_SEQ]), n / STEPS_PER_SEQUENCE);
                assert_int_equal(number(columns[COLUMN_STEP]), n % STEPS_PER_SEQUENCE);
                if (n % STEPS_PER_SEQUENCE == 0) {
                        settings = defaults;
                        parse_conf(columns[COLUMN_CONF], &settings.classic);
                        policy_state = (struct policy_state){0};
                        knobs = untouched;
                }
                sample.memory.total_kb = number(columns[COLUMN_TOTAL]);
                sample.memory.free_kb = number(columns[COLUMN_FREE]);
                sample.memory.buffers_kb = number(columns[COLUMN_BUFFERS]);
                sample.memory.cached_kb = number(columns[COLUMN_CACHED]);
                sample.guests.committed_kb = number(columns[COLUMN_COMMITTED]);

                policy_decide(&settings, &policy_state, &sample, n * UINT64_C(60000000), &decision);
                apply(&knobs, &decision);
                assert_string_equal(knobs.pages_to_scan, columns[COLUMN_PAGES_TO_SCAN]);
                assert_string_equal(knobs.sleep_millisecs, columns[COLUMN_SLEEP_MILLISECS]);
                assert_string_equal(knobs.run, columns[COLUMN_RUN]);
                n++;
        }
        (void)fclose(file);
        assert_int_equal(n, N_VECTORS);
}
int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};

        return cmocka_run_group_tests_name("classic-vectors", tests, NULL, NULL);
}
