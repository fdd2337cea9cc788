/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Decisions in words. Pure. */

#include <stddef.h>
#include <stdint.h>

#include "ksmtuned/decision.h"
#include "ksmtuned/sample.h"

/* A size for people: "512 kB", "3.4 MiB", "23.1 GiB". Return: @buf. */
const char *format_kb(char *buf, size_t size, int64_t kb);

/* A time span for people: "100 ms", "1.5 s", "60 s", "5 min", "3 h", "2 days", rounded down.
 * Return: @buf. */
const char *format_usec(char *buf, size_t size, uint64_t usec);

/*
 * Why the decision is what it is, a sentence without its full stop: "2.0 GiB are free, below the
 * threshold of 4.7 GiB". Return: @buf.
 */
const char *decision_reason(char *buf, size_t size, const struct decision *decision);

/*
 * The status line: what KSM does and why, memory free against the threshold, sharing, guests.
 * Return: @buf.
 */
const char *decision_status(char *buf, size_t size, const struct decision *decision,
                            const struct sample *sample);
