/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /proc/PID/ksm_stat, and the memory of /proc/PID/status. */

#include "fuzz.h"
#include "ksmtuned/ksm-process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);
        struct ksm_process process;
        int r;

        fuzz_mark(&process, sizeof(process));
        r = ksm_stat_parse(text, &process);
        if (r != 0)
                fuzz_check_failure(r, &process, sizeof(process));

        ksm_process_init(&process);
        if (ksm_stat_parse(text, &process) == 0)
                CHECK(strstr(text, "ksm_"));
        CHECK(process.rmap_items >= SAMPLE_ABSENT);
        CHECK(process.merging_pages >= SAMPLE_ABSENT);
        CHECK(process.zero_pages >= SAMPLE_ABSENT);
        ksm_process_status_parse(text, &process);
        CHECK(process.rss_kb >= SAMPLE_ABSENT && process.hugetlb_kb >= SAMPLE_ABSENT);
        CHECK(ksm_process_judge(&process, NULL, false) < KSM_PROCESS_VERDICT_COUNT);
        free(text);

        return 0;
}
