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
#include "kernel-settings.h"
#include "ksmtuned/debug-log.h"
#include "ksmtuned/guests.h"
#include "ksmtuned/ksm.h"
#include "ksmtuned/policy.h"
#include "ksmtuned/settings.h"
#include "ksmtuned/state.h"
#include "ksmtuned/sysroot.h"
#include "metering.h"
#include "options.h"
#include "owed.h"

struct manager {
        const struct options *options;
        const struct sysroot *root;
        struct settings *settings; /* owned */
        struct debug_log debug_log;

        struct events *events;
        struct guests *guests;
        struct ksmd ksmd;
        struct ksm_reader *ksm_reader;
        int meminfo_fd, pressure_fd; /* -1: not opened yet */
        struct policy_state policy_state;
        struct foreign foreign;
        struct kernel_wishes kernel_wishes;
        struct complaints complaints;
        struct metering metering;

        int64_t n_decisions;
        struct decision last_decision;
        struct guests_scan_info last_scan;
        struct sample last_sample;
        const struct guests_sample *just_scanned; /* of this moment; NULL: to be scanned */
        uint64_t published_usec;                  /* CLOCK_MONOTONIC of the last time */
        struct ksm_knobs last_knobs; /* as the last journal entry told them; run -1: none yet */
        struct owed owed;            /* to be given back at the end */
        unsigned long watchdog_usec; /* 0: the service manager does not watch */
        struct background background;
        struct guest_watch *guest_watch; /* NULL: none (yet) */
        struct helper *helper;           /* NULL: no libvirt */
        sd_event_source *pressure;       /* NULL: nobody listens */
        struct ending *ending;           /* not NULL once it is over */

        enum phase last_phase;    /* as the last journal entry told it */
        unsigned new_events;      /* EVENT_* since the last manager_decide() */
        unsigned n_guest_changes; /* in this scan */
        bool publish_state;       /* this daemon may write the state file and the guests' */
        bool guests_to_publish;   /* the guests' file does not hold those of the last scan */
        bool ready;               /* READY=1 has been said */
        bool advisor_told;
        bool logged_parameters; /* the DEBUG log has the lines that come first */
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
 * A decision in the course of a pass, on fresh figures of KSM alone, that is told only where it
 * changes something. What has happened (EVENT_*) waits for manager_decide(). Return: as there.
 */
int manager_step(struct manager *manager);

/*
 * Scans the guests out of turn, @everywhere: all processes that have run, not just the new ones;
 * decides (TRIGGER_GUEST) if one came or went. Return: 1 if so; 0; -errno of the loop.
 */
int manager_look_for_guests(struct manager *manager, bool everywhere);

/* Decides and goes on deciding until a signal ends it. Return: 0; -errno of the loop. */
int manager_run(struct manager *manager);

/* Opens LOGFILE where DEBUG asks for it, closes it where not; complains where that fails. */
void manager_open_debug_log(struct manager *manager);

/* Logs problems of a configuration, as errors and warnings. */
void manager_log_problems(const struct settings_problems *problems);
