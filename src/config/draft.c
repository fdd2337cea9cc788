/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "draft.h"
#include "excerpt.h"
#include "ksmtuned/reader.h"
#include "problems.h"

/* A file that is all rubbish must not become a list without end. */
static int draft_problem(struct draft *draft, bool is_error, unsigned line, const char *text)
{
        size_t *n = is_error ? &draft->n_errors : &draft->n_warnings;

        if (is_error)
                draft->failed = true;
        if (*n > DRAFT_PROBLEMS_MAX)
                return 0;
        if (++*n > DRAFT_PROBLEMS_MAX)
                text = is_error ? "there are further errors" : "there are further warnings";

        return problems_add(draft->problems, is_error, draft->file, line, text);
}

void draft_init(struct draft *draft, struct settings *settings, struct settings_problems *problems)
{
        *draft = (struct draft){
                .settings = settings, .problems = problems, .n_problems_before = problems->n};
}

static void draft_next_file(struct draft *draft, const char *file)
{
        draft->file = file;
        draft->lines_before = 0;
        draft->n_errors = 0;
        draft->n_warnings = 0;
}

int draft_file_problem(struct draft *draft, bool is_error, const char *file, const char *format,
                       ...)
{
        char text[128];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        draft_next_file(draft, file);

        return draft_problem(draft, is_error, 0, text);
}

static int unknown_key(struct draft *draft, unsigned line, const char *name)
{
        enum key nearest = key_nearest(name);
        char text[192];

        if (nearest != KEY_COUNT)
                (void)snprintf(text, sizeof(text), "unknown key %s: did you mean %s?", name,
                               key_infos[nearest].name);
        else
                (void)snprintf(text, sizeof(text), "unknown key %s is passed over", name);

        return draft_problem(draft, false, line, text);
}

static int take_assignment(void *userdata, unsigned line, const char *name, const char *value)
{
        struct draft *draft = userdata;
        enum key key = key_find(name);
        char text[256];
        int r;

        line += draft->lines_before;
        if (key == KEY_COUNT)
                return unknown_key(draft, line, name);

        r = key_set(key, draft->settings, value, text, sizeof(text));
        if (r == -EBADMSG)
                return draft_problem(draft, true, line, text);
        if (r < 0)
                return r;
        draft->origins[key] = (struct draft_origin){.file = draft->file, .line = line};

        return 0;
}

int draft_read(struct draft *draft, const char *file, const char *text, size_t len)
{
        const char *at = text, *end = text + len;
        struct reader_error error;
        int r;

        draft_next_file(draft, file);
        for (;;) {
                const char *bad = at, *bad_end;

                r = reader_parse(at, (size_t)(end - at), take_assignment, draft, &error);
                if (r != -EBADMSG)
                        return r;
                r = draft_problem(draft, true, draft->lines_before + error.line, error.text);
                if (r < 0)
                        return r;

                for (unsigned line = 1; line < error.line; line++)
                        bad = (const char *)rawmemchr(bad, '\n') + 1;
                bad_end = memchr(bad, '\n', (size_t)(end - bad));
                /* A file that is no text has no lines to go on with. */
                if (!bad_end || memchr(bad, '\0', (size_t)(bad_end - bad)) ||
                    draft->n_errors > DRAFT_PROBLEMS_MAX)
                        return 0;
                /* Go on with the newline, as an empty line: what follows is no start of a text. */
                at = bad_end;
                draft->lines_before += error.line - 1;
        }
}

/* A warning about a setting in force, at the line that it comes from. */
__attribute__((format(printf, 3, 4))) static int warn(struct draft *draft, enum key key,
                                                      const char *format, ...)
{
        const struct draft_origin *origin = &draft->origins[key];
        char body[192], text[256];
        va_list ap;

        if (!origin->file)
                return 0;

        va_start(ap, format);
        (void)vsnprintf(body, sizeof(body), format, ap);
        va_end(ap);
        (void)snprintf(text, sizeof(text), "%s: %s", key_infos[key].name, body);
        draft->file = origin->file;

        return draft_problem(draft, false, origin->line, text);
}

/*
 * Files are read in the order of their names: the configuration's is a prefix of the folder's,
 * and that of those in it. So names tell which of two lines comes later.
 */
static int compare_place(const char *file, unsigned line, const char *other_file,
                         unsigned other_line)
{
        int c = strcmp(file, other_file);

        return c != 0 ? c : (line > other_line) - (line < other_line);
}

static enum key later_key(const struct draft *draft, enum key a, enum key b)
{
        const struct draft_origin *of_a = &draft->origins[a], *of_b = &draft->origins[b];

        if (!of_a->file || !of_b->file)
                return of_a->file ? a : b;

        return compare_place(of_a->file, of_a->line, of_b->file, of_b->line) > 0 ? a : b;
}

static int check_threshold(struct draft *draft, const struct classic_params *params)
{
        int r = 0;

        if (params->thres_coef > 100)
                r = warn(draft, KEY_THRES_COEF,
                         "%" PRId64 " %% is more than all memory, so KSM will never stop",
                         params->thres_coef);
        else if (params->thres_coef == 0)
                r = warn(draft, KEY_THRES_COEF,
                         "with 0 %% the threshold is KSM_THRES_CONST alone, %" PRId64 " kB",
                         params->thres_const_kb);
        if (r < 0)
                return r;

        if (params->thres_const_kb > 0 && params->thres_const_kb < THRES_CONST_KB_LOW &&
            params->thres_const_kb != (struct classic_params)CLASSIC_PARAMS_DEFAULT.thres_const_kb)
                r = warn(draft, KEY_THRES_CONST,
                         "%" PRId64 " counts in kB; if MB are meant, write %" PRId64,
                         params->thres_const_kb, params->thres_const_kb * 1024);

        return r;
}

static int check_pages(struct draft *draft, const struct classic_params *params)
{
        int r = 0;

        if (params->npages_decay > 0)
                r = warn(draft, KEY_NPAGES_DECAY,
                         "%" PRId64 " makes ksmd work harder when memory is free again; "
                         "a negative number makes it work less",
                         params->npages_decay);
        if (r < 0)
                return r;

        if (params->npages_min > params->npages_max)
                r = warn(draft, later_key(draft, KEY_NPAGES_MIN, KEY_NPAGES_MAX),
                         "KSM_NPAGES_MIN (%" PRId64 ") is above KSM_NPAGES_MAX (%" PRId64 ")",
                         params->npages_min, params->npages_max);

        return r;
}

static int check_match(struct draft *draft, char *const *globs)
{
        for (; *globs; globs++) {
                char glob[EXCERPT_SIZE];
                int r = 0;

                (void)excerpt(glob, *globs, strlen(*globs));
                if ((*globs)[0] == '/')
                        r = warn(draft, KEY_VM_MATCH,
                                 "'%s' matches nothing: names are compared without their folder",
                                 glob);
                else if (fnmatch(*globs, "init", 0) == 0 && fnmatch(*globs, "sshd", 0) == 0)
                        r = warn(draft, KEY_VM_MATCH,
                                 "'%s' matches processes that are no virtual machines", glob);
                if (r < 0)
                        return r;
        }

        return 0;
}

/* The node exporter passes over all other files of its folder, and says nothing. */
static int check_metrics(struct draft *draft, const char *path)
{
        static const char suffix[] = ".prom";
        size_t len = strlen(path);
        char shown[EXCERPT_SIZE];

        if (len == 0 || (len >= strlen(suffix) && strcmp(path + len - strlen(suffix), suffix) == 0))
                return 0;
        return warn(draft, KEY_METRICS_FILE,
                    "'%s' does not end in .prom, and the node exporter reads no other files",
                    excerpt(shown, path, len));
}

/* Stable, and quick where there is hardly anything to do, as is the case here. */
static void sort_problems(struct settings_problem *list, size_t n)
{
        for (size_t i = 1; i < n; i++) {
                struct settings_problem moved = list[i];
                size_t j = i;

                for (; j > 0 && compare_place(list[j - 1].file, list[j - 1].line, moved.file,
                                              moved.line) > 0;
                     j--)
                        list[j] = list[j - 1];
                list[j] = moved;
        }
}

int draft_finish(struct draft *draft)
{
        struct settings_problems *problems = draft->problems;
        int r = 0;

        /* With errors about, the settings are not what the administrator means. */
        if (!draft->failed) {
                const struct settings *settings = draft->settings;

                draft->n_warnings = 0;
                r = check_pages(draft, &settings->policy.classic);
                if (r >= 0)
                        r = check_threshold(draft, &settings->policy.classic);
                if (r >= 0)
                        r = check_match(draft, settings->vm_match);
                if (r >= 0)
                        r = check_metrics(draft, settings->metrics_file);
                if (r < 0)
                        return r;
        }

        /* No list is no place to point into. */
        if (problems->n > draft->n_problems_before)
                sort_problems(problems->list + draft->n_problems_before,
                              problems->n - draft->n_problems_before);

        return 0;
}
