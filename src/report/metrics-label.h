/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Values of labels in Prometheus' text format. */

/* What metrics_label() takes at most, its NUL included. */
#define METRICS_LABEL_SIZE 256

/*
 * Escapes a label's value: \\, \" and \n, as the format demands. Bytes that are no UTF-8 become
 * U+FFFD, since one of them would make the node exporter refuse the whole file. What is too long is
 * cut between two characters. Pure. Return: @buf.
 */
const char *metrics_label(char buf[METRICS_LABEL_SIZE], const char *value);
