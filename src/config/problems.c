/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"

void settings_problems_clear(struct settings_problems *problems)
{
        for (size_t i = 0; i < problems->n; i++) {
                free(problems->list[i].file);
                free(problems->list[i].text);
        }
        free(problems->list);
        *problems = (struct settings_problems){0};
}

int problems_add(struct settings_problems *problems, bool is_error, const char *file, unsigned line,
                 const char *text)
{
        struct settings_problem *list, *problem;

        list = reallocarray(problems->list, problems->n + 1, sizeof(*list));
        if (!list)
                return -ENOMEM;
        problems->list = list;

        problem = &list[problems->n];
        *problem = (struct settings_problem){.is_error = is_error, .line = line};
        problem->file = strdup(file);
        problem->text = strdup(text);
        if (!problem->file || !problem->text) {
                free(problem->file);
                free(problem->text);
                return -ENOMEM;
        }
        problems->n++;

        return 0;
}
