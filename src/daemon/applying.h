/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The third step of a decision: the knobs. */

#include "manager.h"

/*
 * The mode of the kernel's advisor, once for all that follows. Return: KSM_ADVISOR_NONE also where
 * there is no advisor, or nothing is to be started; a negative errno.
 */
int64_t applying_advisor(const struct manager *manager, const struct decision *decision);

/*
 * What applying_run() will owe behind the first knob that it writes: to be published before, as it
 * may be killed between any two of them. @knobs: what the kernel has; @advisor: what
 * applying_advisor() said.
 */
struct owed applying_debts(const struct manager *manager, const struct decision *decision,
                           const struct ksm_knobs *knobs, int64_t advisor);

/*
 * Brings the knobs to what was decided; with --once, a policy that drives passes starts none, and
 * ksmd is stopped. @knobs: what the kernel has, before and after; @advisor as above.
 * Return: 0; -EAGAIN where a knob could not be written (logged once).
 */
int applying_run(struct manager *manager, const struct decision *decision, struct ksm_knobs *knobs,
                 int64_t advisor);

/* Where nobody decides any more: ends the pass, and gives back what is owed. What cannot be given
 * back is logged, and stays owed. */
void applying_give_back(struct manager *manager);

/*
 * Stops ksmd where a policy that drives passes is in the middle of one: nobody else would.
 * Return: 0; what writing run said.
 */
int applying_end_pass(struct manager *manager);
