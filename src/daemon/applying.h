/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The third step of a decision: the knobs. */

#include "manager.h"

/*
 * Brings the knobs to what was decided. @knobs: what the kernel has, before and after.
 * Return: 0; -EAGAIN where a knob could not be written (logged once).
 */
int applying_run(struct manager *manager, const struct decision *decision, struct ksm_knobs *knobs);

/*
 * Stops ksmd where a policy that drives passes is in the middle of one: nobody else would.
 * Return: 0; what writing run said.
 */
int applying_end_pass(struct manager *manager);
