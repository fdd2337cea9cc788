/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is written to standard output or standard error meanwhile. Include cmocka.h before. */

#include <stddef.h>
#include <stdio.h>

struct capture {
        FILE *stream; /* stdout or stderr */
        int saved;    /* where it led before */
        int file;     /* where it leads now */
};

void capture_begin(struct capture *capture, FILE *stream);

/* Ends it, and asserts that the text fits. Return: @buf. */
const char *capture_end(struct capture *capture, char *buf, size_t size);
