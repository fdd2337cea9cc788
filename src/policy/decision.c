/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/decision.h"

const char *decision_phase_name(enum phase phase)
{
        switch (phase) {
        case PHASE_OFF:
                return "off";
        case PHASE_BOOST:
                return "boost";
        case PHASE_DECAY:
                return "decay";
        case PHASE_BURST:
                return "burst";
        case PHASE_REST:
                return "rest";
        case PHASE_PROBE:
                return "probe";
        case PHASE_UNDECIDED:
                break;
        }
        return "undecided";
}
