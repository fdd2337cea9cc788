/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /proc/meminfo and /proc/pressure/memory. */

#include "fuzz.h"
#include "ksmtuned/memory.h"

static void check_line(const struct pressure_line *line)
{
        CHECK(line->avg10_centi >= SAMPLE_ABSENT);
        CHECK(line->avg60_centi >= SAMPLE_ABSENT);
        CHECK(line->avg300_centi >= SAMPLE_ABSENT);
        CHECK(line->total_usec >= SAMPLE_ABSENT);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);
        struct pressure_sample pressure;
        struct memory_sample memory;
        int r;

        fuzz_mark(&memory, sizeof(memory));
        r = memory_parse(text, &memory);
        if (r != 0) {
                fuzz_check_failure(r, &memory, sizeof(memory));
        } else {
                CHECK(memory.total_kb >= 0);
                CHECK(memory.free_kb >= 0);
                CHECK(memory.buffers_kb >= 0);
                CHECK(memory.cached_kb >= 0);
                CHECK(memory.available_kb >= SAMPLE_ABSENT);
                CHECK(memory.swap_free_kb >= SAMPLE_ABSENT);
                CHECK(memory_reclaimable_kb(&memory) >= memory.free_kb);
                CHECK(strstr(text, "MemTotal:") && strstr(text, "MemFree:"));
        }
        fuzz_mark(&pressure, sizeof(pressure));
        r = pressure_parse(text, &pressure);
        if (r != 0) {
                fuzz_check_failure(r, &pressure, sizeof(pressure));
        } else {
                check_line(&pressure.some);
                check_line(&pressure.full);
                CHECK(pressure.some.total_usec >= 0);
        }
        free(text);

        return 0;
}
