/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/policy.h"

const char *policy_name(enum policy_kind kind)
{
        switch (kind) {
        case POLICY_CLASSIC:
                return "classic";
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
        }
}
