/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Troubles that come back at every decision are told once: when they begin, when they turn into
 * another error, and when they are over.
 */

enum complaint {
        COMPLAINT_MEMORY,
        COMPLAINT_GUESTS,
        COMPLAINT_GUESTS_METRIC,
        COMPLAINT_GUESTS_HIDDEN,
        COMPLAINT_KSM_READ,
        COMPLAINT_KSM_WRITE,
        COMPLAINT_ADVISOR,
        COMPLAINT_THRESHOLD,
        COMPLAINT_TOTAL,
        COMPLAINT_STATE,
        COMPLAINT_GUEST_FILE,
        COMPLAINT_DEBUG_LOG,
        COMPLAINT_METRICS,
        COMPLAINT_PRESSURE,
        COMPLAINT_UNMERGING,
        COMPLAINT_COUNT,
};

struct complaints {
        int last[COMPLAINT_COUNT]; /* 0: all is well */
};

/*
 * @error: 0 where all is well, else what tells one trouble of this kind from another (an errno).
 * Logs @format if @error is a new one, and that it is over if it was there and is no more.
 */
void complain(struct complaints *complaints, enum complaint which, int error, int priority,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
