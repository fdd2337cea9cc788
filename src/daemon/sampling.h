/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The first step of a decision: the host, as numbers. */

#include "manager.h"

/* Return: 0; -EAGAIN where something that the decision needs cannot be had (logged once). */
int sampling_take(struct manager *manager, struct sample *ret_sample);

/*
 * The guests alone: what came and went is told, watched, and to be published. Return: 0; what
 * guests_scan() said (not logged).
 */
int sampling_scan_guests(struct manager *manager, struct guests_sample *ret_guests);

/* As it was taken last, but with the figures of KSM and /proc/meminfo of now. Return: as above. */
int sampling_take_step(struct manager *manager, struct sample *ret_sample);

/* Tells (once) of figures that make no sense together; they are decided on as they are. */
void sampling_judge(struct manager *manager, const struct decision *decision);
