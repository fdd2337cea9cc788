/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /run/ksmtuned/state. */

#include "fuzz.h"
#include "ksmtuned/state.h"

#define CHECK_STRING(member) \
        CHECK(memchr((member), '\0', sizeof(member)) && !strchr((member), '\n'))

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);
        struct state state;
        int r;

        fuzz_mark(&state, sizeof(state));
        r = state_parse(text, &state);
        if (r != 0) {
                fuzz_check_failure(r, &state, sizeof(state));
        } else {
                CHECK_STRING(state.version);
                CHECK_STRING(state.policy);
                CHECK_STRING(state.phase);
                CHECK_STRING(state.trigger);
                CHECK_STRING(state.reason);
                CHECK(state.pid >= 0);
        }
        free(text);

        return 0;
}
