/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "ksmtuned/settings.h"

/* Appends a problem; the texts are copied. Return: 0; -ENOMEM. */
int problems_add(struct settings_problems *problems, bool is_error, const char *file, unsigned line,
                 const char *text);
