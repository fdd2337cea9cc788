/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "complaints.h"

#include <stdarg.h>
#include <stdio.h>

#include "ksmtuned/journal.h"

#define TEXT_SIZE 512

static const char *const over[COMPLAINT_COUNT] = {
        [COMPLAINT_MEMORY] = "/proc/meminfo can be read again",
        [COMPLAINT_GUESTS] = "the processes can be listed again",
        [COMPLAINT_GUESTS_METRIC] = "the guests' memory is counted as KSM_PS_METRIC says again",
        [COMPLAINT_GUESTS_HIDDEN] = "the processes of all users can be seen again",
        [COMPLAINT_KSM_READ] = "the KSM knobs can be read again",
        [COMPLAINT_KSM_WRITE] = "the KSM knobs can be written again",
        [COMPLAINT_ADVISOR] = "the kernel's advisor can be switched again",
        [COMPLAINT_THRESHOLD] = "the threshold is below MemTotal again",
        [COMPLAINT_TOTAL] = "MemTotal is above 0 again",
        [COMPLAINT_STATE] = "the state file can be written again",
        [COMPLAINT_GUEST_FILE] = "the list of guests can be written again",
        [COMPLAINT_DEBUG_LOG] = "the log file can be written again",
        [COMPLAINT_METRICS] = "the file of metrics can be written again",
        [COMPLAINT_PRESSURE] = "memory pressure can be listened to again",
        [COMPLAINT_UNMERGING] = "the unmerge is over",
};

void complain(struct complaints *complaints, enum complaint which, int error, int priority,
              const char *format, ...)
{
        char text[TEXT_SIZE];
        va_list args;

        if (error == complaints->last[which])
                return;
        complaints->last[which] = error;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        journal_print(error ? priority : LOG_NOTICE, "%s", error ? text : over[which]);
}
