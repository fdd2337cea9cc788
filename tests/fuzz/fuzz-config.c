/* SPDX-License-Identifier: GPL-2.0-or-later */

/* ksmtuned.conf: the reader's assignments, and the settings that come of them. */

#include <errno.h>
#include <stdbool.h>

#include "fuzz.h"
#include "ksmtuned/reader.h"
#include "src/config/draft.h"

/* --- The reader ------------------------------------------------------------------------------ */

struct taken {
        unsigned line;
        size_t n;
};

static unsigned count_lines(const char *text, size_t len)
{
        unsigned lines = 1;

        for (size_t i = 0; i < len; i++)
                lines += text[i] == '\n';

        return lines;
}

/* "KEY='value'" as anybody's shell would write it. Return: its length. */
static size_t quote(char *out, const char *key, const char *value)
{
        char *p = stpcpy(stpcpy(out, key), "='");

        for (; *value; value++) {
                if (*value == '\'')
                        p = stpcpy(p, "'\\'");
                *p++ = *value;
        }
        p = stpcpy(p, "'");

        return (size_t)(p - out);
}

struct again {
        const char *key, *value;
        unsigned n;
};

static int check_again(void *userdata, unsigned line, const char *key, const char *value)
{
        struct again *again = userdata;

        CHECK(line == 1);
        CHECK(strcmp(key, again->key) == 0);
        CHECK(strcmp(value, again->value) == 0);
        again->n++;

        return 0;
}

static int check_assignment(void *userdata, unsigned line, const char *key, const char *value)
{
        char text[READER_KEY_MAX + 4 * READER_LINE_MAX + 8];
        struct again again = {.key = key, .value = value};
        struct taken *taken = userdata;
        struct reader_error error;
        size_t len;

        CHECK(line >= taken->line);
        taken->line = line;
        taken->n++;

        len = strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789");
        CHECK(len > 0 && len <= READER_KEY_MAX && key[len] == '\0');
        CHECK(!(key[0] >= '0' && key[0] <= '9'));
        CHECK(strlen(value) < READER_LINE_MAX);
        for (const unsigned char *p = (const unsigned char *)value; *p; p++)
                CHECK((*p >= ' ' || *p == '\t') && *p != 0x7f);

        /* Written down anew it is the same. */
        len = quote(text, key, value);
        if (len <= READER_LINE_MAX) {
                CHECK(reader_parse(text, len, check_again, &again, &error) == 0);
                CHECK(again.n == 1);
        }

        return 0;
}

static void check_message(const char *text)
{
        CHECK(*text);
        for (; *text; text++)
                CHECK(*text >= ' ' && *text <= '~');
}

static void check_reader(const char *text, size_t len)
{
        struct taken taken = {0};
        struct reader_error error;
        int r = reader_parse(text, len, check_assignment, &taken, &error);

        CHECK(r == 0 || r == -EBADMSG);
        if (r == 0) {
                CHECK(!memchr(text, '\0', len));
                return;
        }
        CHECK(error.line >= 1 && error.line <= count_lines(text, len));
        CHECK(error.line > taken.line);
        check_message(error.text);
}

/* --- The settings ---------------------------------------------------------------------------- */

static void check_path(const char *path)
{
        CHECK(*path == '\0' || *path == '/');
}

static void check_settings(const struct settings *settings)
{
        for (int key = 0; key < KEY_COUNT; key++) {
                const struct key_info *info = &key_infos[key];
                const void *member = (const char *)settings + info->offset;

                if (info->type == KEY_TYPE_INTEGER || info->type == KEY_TYPE_DECIMAL) {
                        CHECK(*(const int64_t *)member >= info->min);
                        CHECK(*(const int64_t *)member <= info->max);
                } else if (info->type == KEY_TYPE_INTERVAL) {
                        CHECK(*(const uint64_t *)member >= (uint64_t)info->min);
                        CHECK(*(const uint64_t *)member <= (uint64_t)info->max);
                }
        }
        check_path(settings->log_file);
        check_path(settings->pid_file);
        check_path(settings->metrics_file);
        CHECK(settings->vm_match[0]);
        for (char **glob = settings->vm_match; *glob; glob++)
                CHECK(**glob && !strpbrk(*glob, " \t,"));
        CHECK(settings->policy.kind == POLICY_CLASSIC || settings->policy.kind == POLICY_ADAPTIVE);
        CHECK(guest_metric_name(settings->ps_metric));
        CHECK(stop_action_name(settings->stop_action));
}

static void check_problems(const struct settings_problems *problems, bool failed, unsigned lines)
{
        unsigned line = 0;
        bool error = false;

        CHECK(problems->n <= 2 * (DRAFT_PROBLEMS_MAX + 1) + KEY_COUNT);
        for (size_t i = 0; i < problems->n; i++) {
                const struct settings_problem *problem = &problems->list[i];

                CHECK(problem->line >= 1 && problem->line >= line && problem->line <= lines);
                line = problem->line;
                CHECK(strcmp(problem->file, "fuzz") == 0);
                check_message(problem->text);
                error = error || problem->is_error;
        }
        CHECK(error == failed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Not fuzz_text(): there is no NUL behind a file. */
        char *text = malloc(size > 0 ? size : 1);
        struct settings_problems problems = {0};
        struct settings *settings;
        struct draft draft;

        CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        check_reader(text, size);

        CHECK(settings_new(&settings) == 0);
        draft_init(&draft, settings, &problems);
        CHECK(draft_read(&draft, "fuzz", text, size) == 0);
        CHECK(draft_finish(&draft) == 0);
        check_settings(settings);
        check_problems(&problems, draft.failed, count_lines(text, size));
        (void)settings_free(settings);
        settings_problems_clear(&problems);
        free(text);

        return 0;
}
