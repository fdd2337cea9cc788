/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/policy.h"

const char *policy_name(enum policy_kind kind)
{
        switch (kind) {
        case POLICY_CLASSIC:
                return "classic";
        case POLICY_ADAPTIVE:
                return "adaptive";
        }
        return "unknown";
}

void policy_decide(const struct policy_settings *settings, struct policy_state *state,
                   const struct sample *sample, uint64_t now_usec, struct decision *ret_decision)
{
        switch (settings->kind) {
        case POLICY_CLASSIC:
                /* It knows steps, not time. */
                classic_decide(&settings->classic, &state->classic, sample, ret_decision);
                return;
        case POLICY_ADAPTIVE:
                /* Who cannot see passes cannot drive them. Every kernel since 2.6.32 counts them.
                 */
                if (sample->ksm.full_scans < 0) {
                        classic_decide(&settings->classic, &state->classic, sample, ret_decision);
                        return;
                }
                adaptive_decide(&settings->adaptive, &settings->classic, &state->adaptive, sample,
                                now_usec, ret_decision);
                return;
        }
}
