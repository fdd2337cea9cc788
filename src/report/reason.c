/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/reason.h"

#include <inttypes.h>
#include <stdio.h>

#define SIZE_TEXT 32

const char *format_kb(char *buf, size_t size, int64_t kb)
{
        static const char *const units[] = {"kB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)kb;
        size_t unit = 0;

        while ((value >= 999.5 || value <= -999.5) && unit + 1 < sizeof(units) / sizeof(units[0])) {
                value /= 1024;
                unit++;
        }
        (void)snprintf(buf, size, "%.*f %s", unit > 0 && value < 99.95 && value > -99.95, value,
                       units[unit]);
        return buf;
}

const char *format_usec(char *buf, size_t size, uint64_t usec)
{
        uint64_t seconds = usec / 1000000;

        if (usec < 1000000)
                (void)snprintf(buf, size, "%" PRIu64 " ms", usec / 1000);
        else if (usec < 60000000 && usec % 1000000 != 0)
                (void)snprintf(buf, size, "%.1f s", (double)usec / 1e6);
        else if (seconds < 120)
                (void)snprintf(buf, size, "%" PRIu64 " s", seconds);
        else if (seconds < 7200)
                (void)snprintf(buf, size, "%" PRIu64 " min", seconds / 60);
        else if (seconds < UINT64_C(2) * 86400)
                (void)snprintf(buf, size, "%" PRIu64 " h", seconds / 3600);
        else
                (void)snprintf(buf, size, "%" PRIu64 " days", seconds / 86400);
        return buf;
}

const char *decision_reason(char *buf, size_t size, const struct decision *decision)
{
        char free[SIZE_TEXT], threshold[SIZE_TEXT], left[SIZE_TEXT], total[SIZE_TEXT];

        (void)format_kb(free, sizeof(free), decision->free_kb);
        (void)format_kb(threshold, sizeof(threshold), decision->threshold_kb);
        (void)format_kb(
                left, sizeof(left),
                saturating_add(decision->total_kb, saturating_mul(decision->committed_kb, -1)));
        (void)format_kb(total, sizeof(total), decision->total_kb);

        switch (decision->phase) {
        case PHASE_OFF:
                (void)snprintf(buf, size,
                               "%s are free and the guests leave %s of %s; both are above the "
                               "threshold of %s",
                               free, left, total, threshold);
                break;
        case PHASE_BOOST:
                (void)snprintf(buf, size, "%s are free, below the threshold of %s", free,
                               threshold);
                break;
        case PHASE_DECAY:
                if (decision->free_kb > decision->threshold_kb)
                        (void)snprintf(buf, size,
                                       "%s are free, but the guests leave only %s of %s, not more "
                                       "than the threshold of %s",
                                       free, left, total, threshold);
                else
                        (void)snprintf(buf, size, "just the threshold of %s is free", threshold);
                break;
        case PHASE_UNDECIDED:
                (void)snprintf(buf, size, "nothing can be decided on a MemTotal of 0");
                break;
        }
        return buf;
}

/* What KSM does and why, in a few words. */
static const char *describe(char *buf, size_t size, const struct decision *decision)
{
        switch (decision->phase) {
        case PHASE_OFF:
                return "off, memory is plentiful";
        case PHASE_BOOST:
        case PHASE_DECAY:
                (void)snprintf(buf, size, "on (%" PRId64 " pages every %" PRId64 " ms), %s",
                               decision->pages_to_scan, decision->sleep_millisecs,
                               decision->phase == PHASE_BOOST ? "memory is short"
                                                              : "memory may become short");
                return buf;
        case PHASE_UNDECIDED:
                break;
        }
        return "left alone, MemTotal is 0";
}

const char *decision_status(char *buf, size_t size, const struct decision *decision,
                            const struct sample *sample)
{
        char free[SIZE_TEXT], threshold[SIZE_TEXT], committed[SIZE_TEXT], saved[SIZE_TEXT];
        char what[96];

        (void)format_kb(free, sizeof(free), decision->free_kb);
        (void)format_kb(threshold, sizeof(threshold), decision->threshold_kb);
        (void)format_kb(committed, sizeof(committed), decision->committed_kb);
        (void)format_kb(saved, sizeof(saved), ksm_saved_bytes(&sample->ksm) / 1024);

        (void)snprintf(
                buf, size, "KSM %s: %s free, threshold %s; %" PRId64 " guest%s with %s; %s saved",
                describe(what, sizeof(what), decision), free, threshold, sample->guests.count,
                sample->guests.count == 1 ? "" : "s", committed, saved);
        return buf;
}
