/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The loop: sample → decide → apply → publish, at start, at every interval, and when asked.
 * It owns what a decision needs and survives from one to the next.
 */

#include <stdbool.h>

#include "complaints.h"
#include "daemonize.h"
#include "events.h"
#include "foreign.h"
#include "ksmtuned/debug-log.h"
#include "ksmtuned/guests.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/policy.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"
#include "options.h"

struct manager {
        const struct options *options;
        const struct sysroot *root;
        struct settings *settings; /* owned */
        struct debug_log debug_log;
        bool publish_state; /* this daemon may write the state file */

        struct events *events;
        struct guests *guests;
        struct ksmd ksmd;
        struct policy_state policy_state;
        struct foreign foreign;
        struct complaints complaints;

        int64_t n_decisions;
        bool advisor_told;
        bool logged_parameters; /* the DEBUG log has the lines that come first */
        struct decision last_decision;
        struct guests_scan_info last_scan;
        struct ksm_knobs last_knobs; /* as the last journal entry told them; run -1: none yet */
        int64_t advisor_before; /* KSM_ADVISOR_* to give back at the end; SAMPLE_ABSENT: none */
        unsigned long watchdog_usec; /* 0: the service manager does not watch */
        bool ready;                  /* READY=1 has been said */
        struct background background;
        struct guest_watch *guest_watch; /* NULL: none (yet) */
        struct helper *helper;           /* NULL: no libvirt */
        struct ending *ending;           /* not NULL once it is over */
};

/*
 * @settings is taken over. The debug log may be open or not. Return: 0; -errno (logged: no; the
 * caller does).
 */
int manager_init(struct manager *manager, const struct options *options, const struct sysroot *root,
                 struct settings *settings);
void manager_release(struct manager *manager);

/* One decision, applied and published. Return: 0, or -EAGAIN if none could be made or applied:
 * the daemon lives on, and the reason has been logged. */
int manager_decide(struct manager *manager, enum trigger trigger);

/*
 * Scans the guests out of turn, all processes that have run; decides (TRIGGER_GUEST) if one came or
 * went. Return: 1 if so; 0; -errno of the loop.
 */
int manager_look_for_guests(struct manager *manager);

/* Decides and goes on deciding until a signal ends it. Return: 0; -errno of the loop. */
int manager_run(struct manager *manager);

/* Opens LOGFILE where DEBUG asks for it, closes it where not; complains where that fails. */
void manager_open_debug_log(struct manager *manager);

/* Logs problems of a configuration, as errors and warnings. */
void manager_log_problems(const struct settings_problems *problems);
