/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Checks of who tunes: ksmtuned, others, the kernel's advisor. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "doctor.h"
#include "ksmtuned/reason.h"

/* Profiles of tuned that switch KSM off when they are activated, and those made from them. */
static const char *const tuned_against[] = {"realtime-virtual-host", "cpu-partitioning"};

static bool is_ksmtuned(const struct rival *rival)
{
        return strcmp(rival->name, "another ksmtuned") == 0;
}

static void no_state(const struct doctor_facts *facts, struct finding *finding)
{
        for (int i = 0; i < facts->n_rivals; i++)
                if (is_ksmtuned(&facts->rivals[i])) {
                        finding_set(
                                finding, DOCTOR_ADVICE,
                                "a program called ksmtuned runs (PID %d), but leaves no " STATE_PATH
                                ": it is an older one, or cannot write it",
                                facts->rivals[i].pid);
                        finding_remedy(finding, "See what it is: systemctl status ksmtuned");
                        return;
                }
        finding_set(finding, DOCTOR_ADVICE,
                    "ksmtuned does not run: nobody switches KSM on when memory is short, and off");
        finding_remedy(finding, "systemctl enable --now ksmtuned");
}

void check_daemon(const struct doctor_facts *facts, struct finding *finding)
{
        const struct status *status = &facts->status;
        char age[48] = "at an unknown time", interval[48];

        if (status->state_error == -ENOENT) {
                no_state(facts, finding);
                return;
        }
        if (status->state_error < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, STATE_PATH " cannot be read: %s",
                            status_error_text(status->state_error));
                return;
        }
        if (status->running < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "process %d cannot be seen: %s",
                            status->state.pid, status_error_text(status->running));
                return;
        }
        if (status->age_known) {
                char span[32];

                (void)snprintf(age, sizeof(age), "%s ago",
                               format_usec(span, sizeof(span),
                                           (uint64_t)(status->age_usec / 1000000 * 1000000)));
                finding_value(finding, status->age_usec, "usec");
        }
        if (status->running == 0) {
                finding_set(finding, DOCTOR_TROUBLE,
                            "ksmtuned (PID %d) is gone, and left its state behind: it was killed. "
                            "Its last decision was %s",
                            status->state.pid, age);
                finding_remedy(finding, "systemctl restart ksmtuned; why it ended: journalctl -u "
                                        "ksmtuned -e");
        } else if (status->stale) {
                finding_set(finding, DOCTOR_TROUBLE,
                            "ksmtuned (PID %d) decided %s, although a decision is due every %s: "
                            "it hangs, or it cannot write " STATE_PATH,
                            status->state.pid, age,
                            format_usec(interval, sizeof(interval),
                                        (uint64_t)status->state.interval_usec));
                finding_remedy(finding, "journalctl -u ksmtuned -e; df /run; then: systemctl "
                                        "restart ksmtuned");
        } else {
                finding_set(finding, DOCTOR_OK, "ksmtuned runs (PID %d) and decided %s",
                            status->state.pid, age);
        }
}

/* ": perhaps tuned (PID 812) or …", or "" if nobody is known. */
static void name_rivals(const struct doctor_facts *facts, bool acting_only, char *buf, size_t size)
{
        size_t len = 0;

        buf[0] = '\0';
        for (int i = 0; i < facts->n_rivals && len < size; i++) {
                const struct rival *rival = &facts->rivals[i];
                const char *between = len > 0 ? ", " : "";
                int r;

                if (acting_only && (rival->on_request || rival->pid == 0))
                        continue;
                if (rival->pid > 0)
                        r = snprintf(buf + len, size - len, "%s%s (PID %d)", between, rival->name,
                                     rival->pid);
                else
                        r = snprintf(buf + len, size - len, "%s%s", between, rival->name);
                if (r < 0)
                        return;
                len += (size_t)r;
        }
}

void check_knobs(const struct doctor_facts *facts, struct finding *finding)
{
        const struct state *state = &facts->status.state;
        const struct {
                enum ksm_attribute attribute;
                int64_t left;
        } knobs[] = {
                {KSM_RUN, state->run},
                {KSM_PAGES_TO_SCAN, state->pages_to_scan},
                {KSM_SLEEP_MILLISECS, state->sleep_msec},
        };
        char who[120];
        int64_t value;

        if (!fact_daemon_runs(facts) || facts->status.stale) {
                finding_set(finding, DOCTOR_OK, "no ksmtuned has left them in any way");
                return;
        }
        for (size_t i = 0; i < sizeof(knobs) / sizeof(knobs[0]); i++) {
                if (!fact_need(facts, knobs[i].attribute, &value, finding))
                        return;
                if (knobs[i].left < 0 || value == knobs[i].left)
                        continue;
                name_rivals(facts, false, who, sizeof(who));
                finding_value(finding, value, NULL);
                finding_set(finding, DOCTOR_ADVICE,
                            "%s reads %" PRId64 ", and ksmtuned left it at %" PRId64 ": %s%s",
                            ksm_attribute_info(knobs[i].attribute)->name, value, knobs[i].left,
                            *who ? "a person, or " : "a person, or a program not known here", who);
                finding_remedy(finding, "Let one of them tune. What ksmtuned wants it sets at its "
                                        "next decision, or now: systemctl kill -s USR1 ksmtuned");
                return;
        }
        finding_set(finding, DOCTOR_OK, "they read as ksmtuned left them");
}

static bool tuned_is_against(const struct doctor_facts *facts)
{
        for (size_t i = 0; i < sizeof(tuned_against) / sizeof(tuned_against[0]); i++)
                if (strstr(facts->tuned_profile, tuned_against[i]))
                        for (int j = 0; j < facts->n_rivals; j++)
                                if (strcmp(facts->rivals[j].name, "tuned") == 0)
                                        return true;
        return false;
}

void check_rivals(const struct doctor_facts *facts, struct finding *finding)
{
        bool ours = fact_daemon_runs(facts);
        char who[160];
        int n = 0;

        if (facts->n_rivals < 0) {
                finding_set(finding, DOCTOR_UNKNOWN, "the processes cannot be listed: %s",
                            status_error_text(facts->n_rivals));
                return;
        }
        for (int i = 0; i < facts->n_rivals; i++)
                n += !facts->rivals[i].on_request && facts->rivals[i].pid > 0;
        finding_value(finding, n, "processes");
        name_rivals(facts, true, who, sizeof(who));
        if (tuned_is_against(facts)) {
                finding_set(finding, DOCTOR_ADVICE,
                            "tuned runs with the profile %s, which switches KSM off",
                            facts->tuned_profile);
                finding_remedy(finding, "Choose another, such as: tuned-adm profile virtual-host. "
                                        "Or do without KSM: systemctl disable --now ksmtuned");
        } else if (n + ours >= 2) {
                finding_set(finding, DOCTOR_TROUBLE, "%s%s: each undoes what the other sets",
                            ours ? "beside ksmtuned KSM is tuned by " : "KSM is tuned by ", who);
                finding_remedy(finding, "Stop all but one of them; for ksmtuned: systemctl disable "
                                        "--now ksmtuned");
        } else if (facts->processes.hidden) {
                finding_set(finding, DOCTOR_UNKNOWN, "processes of other users are hidden");
        } else {
                finding_set(finding, DOCTOR_OK, "%s", n > 0 ? who : "nobody else tunes KSM");
        }
}

void check_advisor(const struct doctor_facts *facts, struct finding *finding)
{
        int64_t mode, run, seconds = 0;

        if (facts->status.error[KSM_ADVISOR_MODE] == -EOPNOTSUPP) {
                finding_set(finding, DOCTOR_OK, "this kernel has none");
                return;
        }
        if (!fact_need(facts, KSM_ADVISOR_MODE, &mode, finding) ||
            !fact_need(facts, KSM_RUN, &run, finding))
                return;
        if (mode == KSM_ADVISOR_NONE || run != KSM_RUN_MERGE) {
                finding_set(finding, DOCTOR_OK, "advisor_mode is %s%s", status_advisor_name(mode),
                            mode == KSM_ADVISOR_NONE ? "" : ", and KSM is off");
                return;
        }
        (void)fact_attribute(facts, KSM_ADVISOR_TARGET_SCAN_TIME, &seconds);
        finding_value(finding, seconds, "s");
        finding_set(
                finding, DOCTOR_ADVICE,
                "advisor_mode is scan-time: the kernel sets pages_to_scan for a pass in %" PRId64
                " s, whatever merging yields, and ksmtuned cannot set it",
                seconds);
        finding_remedy(finding, "%secho none > " KSM_FOLDER "/advisor_mode",
                       fact_daemon_runs(facts)
                               ? "ksmtuned switches it off when it starts KSM. At once: "
                               : "Leave the tuning to ksmtuned, which switches it off; or by "
                                 "hand: ");
}
