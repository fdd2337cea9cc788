/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What doctor found, for people and for programs. The keys are a contract: ksmctl(8). */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "doctor.h"
#include "table.h"
#include "terminal.h"

/* Of the processes that a finding is about, without --verbose. */
#define N_PROCESSES_SHOWN 10
#define INDENT            9
#define TEXT_WIDTH        (TABLE_WIDTH - INDENT)

static const char *const verdict_names[] = {
        [DOCTOR_OK] = "ok",
        [DOCTOR_ADVICE] = "advice",
        [DOCTOR_TROUBLE] = "trouble",
        [DOCTOR_UNKNOWN] = "unknown",
};

static const enum terminal_style verdict_styles[] = {
        [DOCTOR_OK] = STYLE_GOOD,
        [DOCTOR_ADVICE] = STYLE_WARN,
        [DOCTOR_TROUBLE] = STYLE_BAD,
        [DOCTOR_UNKNOWN] = STYLE_DIM,
};

/* A text of at most DOCTOR_TEXT_SIZE in lines, each indented. */
static void print_indented(const char *prefix, const char *given)
{
        char text[2 * DOCTOR_TEXT_SIZE];

        (void)snprintf(text, sizeof(text), "%s%s", prefix, given);
        make_printable(text);
        wrap_words(text, TEXT_WIDTH);
        for (char *line = text, *end; line; line = end) {
                end = strchr(line, '\n');
                if (end)
                        *end++ = '\0';
                (void)printf("%*s%s\n", INDENT, "", line);
        }
}

static void print_processes(const struct doctor_facts *facts, const struct doctor_check *check,
                            bool verbose)
{
        size_t n = 0;

        for (size_t i = 0; i < facts->processes.n; i++) {
                const struct guest_row *process = &facts->processes.rows[i];
                char merged[32];

                if (!check->is_about(process))
                        continue;
                if (!verbose && n++ >= N_PROCESSES_SHOWN)
                        continue;
                (void)printf("%*s  %.40s (PID %d): ", INDENT, "", process->name, process->pid);
                if (ksm_verdict_is_no(process->ksm.verdict))
                        (void)printf("%s\n", ksm_verdict_word(process->ksm.verdict));
                else
                        (void)printf("%s merged\n", status_size(merged, sizeof(merged),
                                                                process->merged_bytes, false));
        }
        if (n > N_PROCESSES_SHOWN)
                (void)printf("%*s  and %zu more, with --verbose\n", INDENT, "",
                             n - N_PROCESSES_SHOWN);
}

static void print_finding(const struct doctor_facts *facts, const struct doctor_check *check,
                          const struct finding *finding, bool verbose,
                          const struct terminal *terminal)
{
        (void)printf("%s%-*s%s%s%s%s\n", terminal_style(terminal, verdict_styles[finding->verdict]),
                     INDENT, verdict_names[finding->verdict], terminal_style(terminal, STYLE_PLAIN),
                     terminal_style(terminal, STYLE_BOLD), check->id,
                     terminal_style(terminal, STYLE_PLAIN));
        print_indented("", finding->figure);
        if (check->is_about && finding->verdict != DOCTOR_OK && finding->verdict != DOCTOR_UNKNOWN)
                print_processes(facts, check, verbose);
        if (*finding->remedy)
                print_indented("Remedy: ", finding->remedy);
}

/* Checks that could not be made for one reason are one entry. */
static void print_unknown(const struct finding *findings, const bool *chosen,
                          const struct terminal *terminal)
{
        for (size_t i = 0; i < doctor_n_checks; i++) {
                bool seen = false;

                if (!chosen[i] || findings[i].verdict != DOCTOR_UNKNOWN)
                        continue;
                for (size_t j = 0; j < i; j++)
                        seen |= chosen[j] && findings[j].verdict == DOCTOR_UNKNOWN &&
                                strcmp(findings[j].figure, findings[i].figure) == 0;
                if (seen)
                        continue;
                (void)printf("%s%-*s%s", terminal_style(terminal, STYLE_DIM), INDENT,
                             verdict_names[DOCTOR_UNKNOWN], terminal_style(terminal, STYLE_PLAIN));
                for (size_t j = i, width = INDENT; j < doctor_n_checks; j++) {
                        size_t len = strlen(doctor_checks[j].id) + 2;

                        if (!chosen[j] || findings[j].verdict != DOCTOR_UNKNOWN ||
                            strcmp(findings[j].figure, findings[i].figure) != 0)
                                continue;
                        if (width + len > TABLE_WIDTH) {
                                (void)printf(",\n%*s", INDENT, "");
                                width = INDENT;
                        } else if (j > i) {
                                (void)printf(", ");
                        }
                        width += len;
                        (void)printf("%s", doctor_checks[j].id);
                }
                (void)putchar('\n');
                print_indented("Not checked: ", findings[i].figure);
                if (*findings[i].remedy)
                        print_indented("Remedy: ", findings[i].remedy);
        }
}

static size_t count(const struct finding *findings, const bool *chosen, enum doctor_verdict verdict)
{
        size_t n = 0;

        for (size_t i = 0; i < doctor_n_checks; i++)
                n += chosen[i] && findings[i].verdict == verdict;
        return n;
}

void doctor_print_text(const struct doctor_facts *facts, const struct finding *findings,
                       const bool *chosen, bool verbose)
{
        static const enum doctor_verdict order[] = {DOCTOR_TROUBLE, DOCTOR_ADVICE, DOCTOR_OK};
        size_t n_unknown = count(findings, chosen, DOCTOR_UNKNOWN);
        size_t n_ok = count(findings, chosen, DOCTOR_OK);
        struct terminal terminal;

        terminal_look(&terminal);
        for (size_t v = 0; v < sizeof(order) / sizeof(order[0]); v++)
                for (size_t i = 0; i < doctor_n_checks; i++)
                        if (chosen[i] && findings[i].verdict == order[v] &&
                            (order[v] != DOCTOR_OK || verbose))
                                print_finding(facts, &doctor_checks[i], &findings[i], verbose,
                                              &terminal);
        print_unknown(findings, chosen, &terminal);
        (void)printf("%zu check%s passed", n_ok, n_ok == 1 ? "" : "s");
        if (n_unknown > 0)
                (void)printf(", %zu could not be made", n_unknown);
        (void)puts(".");
}

static void fill_check(const struct doctor_check *check, const struct finding *finding,
                       struct json_object *object)
{
        json_text(object, "id", check->id);
        json_text(object, "verdict", verdict_names[finding->verdict]);
        json_text(object, "figure", finding->figure);
        if (finding->has_value)
                json_integer(object, "value", finding->value);
        else
                json_null(object, "value");
        json_text_or_null(object, "unit", finding->has_value && finding->unit ? finding->unit : "");
        json_text_or_null(object, "remedy", finding->remedy);
}

static void add_known(struct json_object *object, const char *key, int64_t value)
{
        if (value == SAMPLE_ABSENT)
                json_null(object, key);
        else
                json_integer(object, key, value);
}

static void fill_process(const struct doctor_check *check, const struct guest_row *process,
                         struct json_object *object)
{
        json_text(object, "check", check->id);
        json_integer(object, "pid", process->pid);
        json_text(object, "name", process->name);
        json_boolean(object, "guest", process->is_guest);
        json_text(object, "mergeable", ksm_verdict_word(process->ksm.verdict));
        add_known(object, "merged_bytes", process->merged_bytes);
}

static bool lists(const struct finding *finding, const struct doctor_check *check,
                  const struct guest_row *process)
{
        return check->is_about && finding->verdict != DOCTOR_OK &&
               finding->verdict != DOCTOR_UNKNOWN && check->is_about(process);
}

/* One more object of an array, which begins with the first one. */
static int add_object(struct libscols_table **table, const char *name,
                      const struct json_object *object)
{
        int r = *table ? 0 : json_array_begin(table, name, object);

        return r < 0 || !object ? r : json_array_add(*table, object);
}

static int add_checks(const struct finding *findings, const bool *chosen,
                      struct libscols_table **table)
{
        int r = 0;

        for (size_t i = 0; r == 0 && i < doctor_n_checks; i++) {
                struct json_object object = {.n = 0};

                if (!chosen[i])
                        continue;
                fill_check(&doctor_checks[i], &findings[i], &object);
                r = add_object(table, "checks", &object);
        }
        return r == 0 && !*table ? add_object(table, "checks", NULL) : r;
}

static int add_processes(const struct doctor_facts *facts, const struct finding *findings,
                         const bool *chosen, struct libscols_table **table)
{
        int r = 0;

        for (size_t i = 0; i < doctor_n_checks; i++)
                for (size_t j = 0; r == 0 && chosen[i] && j < facts->processes.n; j++) {
                        struct json_object object = {.n = 0};

                        if (!lists(&findings[i], &doctor_checks[i], &facts->processes.rows[j]))
                                continue;
                        fill_process(&doctor_checks[i], &facts->processes.rows[j], &object);
                        r = add_object(table, "processes", &object);
                }
        return r == 0 && !*table ? add_object(table, "processes", NULL) : r;
}

int doctor_print_json(const struct doctor_facts *facts, const struct finding *findings,
                      const bool *chosen)
{
        CLEANUP_TABLE struct libscols_table *checks = NULL, *processes = NULL;
        int r = add_checks(findings, chosen, &checks);

        if (r == 0)
                r = add_processes(facts, findings, chosen, &processes);
        if (r < 0)
                return r;
        return json_print((struct libscols_table *[]){checks, processes}, 2);
}
