/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the world is told of a decision: service manager, state file, journal, DEBUG log. */

#include "manager.h"

/*
 * @sample is what was decided on, @knobs what the kernel has now. Nothing here fails a decision:
 * what cannot be written is complained about.
 */
void publish_decision(struct manager *manager, enum trigger trigger, const struct sample *sample,
                      const struct ksm_knobs *knobs);

/*
 * Whether the last decision only goes on with a pass, or with waiting for guests that grow, as was
 * told less than 5 s, and less than an interval, ago. @before: the phase of then.
 */
bool publish_can_wait(const struct manager *manager, enum phase before);

/*
 * The state file alone, with what will be owed once the knobs are written, so that a daemon that is
 * killed among them has told it. @knobs: what the kernel has.
 */
void publish_debts(struct manager *manager, enum trigger trigger, const struct sample *sample,
                   const struct ksm_knobs *knobs, const struct owed *debts);

/*
 * The guests of the last scan, where they are others than those that were written last. Not of a
 * daemon that cannot see all processes: who asks might see more.
 */
void publish_guests(struct manager *manager);

/* Takes away what is to be had only of a daemon that runs; where something is owed still, not the
 * state file, from which --give-back or the next daemon knows. */
void publish_end(struct manager *manager);

/* RELOADING=1 with the time that systemd asks for; READY=1 once the new settings are in force. */
void publish_reloading(void);
void publish_ready(struct manager *manager);

/* STOPPING=1, and a line on what is going on. */
void publish_stopping(const char *status);

/* Asks the service manager for more time, while an unmerge goes on. */
void publish_extend(uint64_t usec);
