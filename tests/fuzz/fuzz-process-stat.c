/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /proc/PID/stat. */

#include "fuzz.h"
#include "ksmtuned/process.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);
        struct process_stat stat;
        int r;

        fuzz_mark(&stat, sizeof(stat));
        r = process_stat_parse(text, &stat);
        if (r != 0) {
                fuzz_check_failure(r, &stat, sizeof(stat));
        } else {
                const char *open = strchr(text, '('), *close = strrchr(text, ')');

                CHECK(stat.pid >= 0);
                CHECK(memchr(stat.comm, '\0', sizeof(stat.comm)));
                CHECK(open && close && open < close);
                CHECK(strncmp(stat.comm, open + 1, strlen(stat.comm)) == 0);
                CHECK(stat.state != '\0' && stat.state != ' ');
        }
        free(text);

        return 0;
}
