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

/* "%s" of a span that is ahead, at least a second of it. */
static const char *format_ahead(char *buf, size_t size, uint64_t from_usec, uint64_t to_usec)
{
        uint64_t usec = to_usec > from_usec ? to_usec - from_usec : 0;

        return format_usec(buf, size, usec < 1000000 ? 1000000 : usec - usec % 1000000);
}

/* "the last pass saved 1.2 GiB for 3.4 s of CPU time" */
static const char *describe_pass(char *buf, size_t size, const struct decision_pass *pass)
{
        char yield[SIZE_TEXT], cpu[SIZE_TEXT];
        int64_t kb = saturating_mul(pass->yield_pages, pass->page_bytes) / 1024;

        (void)format_usec(cpu, sizeof(cpu),
                          pass->cpu_nsec > 0 ? (uint64_t)(pass->cpu_nsec / 10000000) * 10000 : 0);
        if (kb == 0)
                (void)snprintf(buf, size, "the last pass saved nothing for %s of CPU time", cpu);
        else if (kb < 0)
                (void)snprintf(buf, size, "in the last pass %s broke up again, for %s of CPU time",
                               format_kb(yield, sizeof(yield), saturating_mul(kb, -1)), cpu);
        else
                (void)snprintf(buf, size, "the last pass saved %s for %s of CPU time",
                               format_kb(yield, sizeof(yield), kb), cpu);
        return buf;
}

/* Why ksmd is, or is not, at work. */
static const char *name_why(enum decision_why why)
{
        switch (why) {
        case WHY_SHORT:
                return "memory has become short";
        case WHY_GUEST:
                return "a guest has started";
        case WHY_GROWTH:
                return "memory has grown";
        case WHY_PRESSURE:
                return "processes wait for memory, or hardly any is left";
        case WHY_CANDIDATES:
                return "the last pass met pages that this one can merge";
        case WHY_PERIOD:
                return "it is time to look for what has changed";
        case WHY_TWINS:
                return "it is time to look for what smart_scan misses";
        case WHY_BROKEN:
                return "merged pages were written to, and some may be equal again";
        case WHY_ASKED:
                return "a pass was asked for";
        case WHY_NOTHING:
                return "all is merged that pays";
        case WHY_NO_PAGES:
                return "no page is mergeable";
        case WHY_GROWS:
                return "the guests' memory still grows, and so a pass is soon worth more";
        case WHY_BUDGET:
                return "the CPU time of the last passes is more than KSM_CPU_BUDGET allows by now";
        case WHY_PLENTY:
                return "memory is plentiful";
        case WHY_NONE:
                break;
        }
        return "no reason is known";
}

static const char *pass_reason(char *buf, size_t size, const struct decision *decision)
{
        char done[64] = "", last[128] = "";

        if (decision->pass_done_percent >= 0)
                (void)snprintf(done, sizeof(done), "; %" PRId64 " %% of the pass are done",
                               decision->pass_done_percent);
        if (decision->last_pass.known)
                (void)describe_pass(last, sizeof(last), &decision->last_pass);
        (void)snprintf(buf, size, "%s%s%s%s", name_why(decision->why), done, *last ? "; " : "",
                       last);
        return buf;
}

static const char *rest_reason(char *buf, size_t size, const struct decision *decision)
{
        char due[64] = "", last[128] = "", span[SIZE_TEXT];

        if (decision->pass_due_usec > 0)
                (void)snprintf(due, sizeof(due), "; the next pass is due in %s",
                               format_ahead(span, sizeof(span), decision->decided_usec,
                                            decision->pass_due_usec));
        if (decision->last_pass.known)
                (void)describe_pass(last, sizeof(last), &decision->last_pass);
        (void)snprintf(buf, size, "%s%s%s%s", name_why(decision->why), *last ? "; " : "", last,
                       due);
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
                if (decision->why == WHY_PLENTY) {
                        (void)format_kb(free, sizeof(free), decision->unmerged_kb);
                        (void)snprintf(buf, size,
                                       "%s would be available with nothing merged, more than the "
                                       "threshold of %s",
                                       free, threshold);
                        break;
                }
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
        case PHASE_BURST:
        case PHASE_PROBE:
                return pass_reason(buf, size, decision);
        case PHASE_REST:
                return rest_reason(buf, size, decision);
        case PHASE_UNDECIDED:
                (void)snprintf(buf, size, "nothing can be decided on a MemTotal of 0");
                break;
        }
        return buf;
}

/* What KSM does and why, in a few words. */
static const char *describe(char *buf, size_t size, const struct decision *decision)
{
        char span[SIZE_TEXT];

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
        case PHASE_BURST:
        case PHASE_PROBE:
                (void)snprintf(buf, size, "%s (up to %" PRId64 " %% of a CPU), %s",
                               decision->phase == PHASE_BURST ? "merging" : "looking again",
                               decision->cpu_percent, name_why(decision->why));
                return buf;
        case PHASE_REST:
                (void)snprintf(buf, size, "at rest%s%s, %s",
                               decision->pass_due_usec > 0 ? " for " : "",
                               decision->pass_due_usec > 0
                                       ? format_ahead(span, sizeof(span), decision->decided_usec,
                                                      decision->pass_due_usec)
                                       : "",
                               name_why(decision->why));
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
        char what[160];

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
