/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /run/ksmtuned/guests. */

#include "fuzz.h"
#include "ksmtuned/guest-file.h"

#define MAX 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct guest_file_entry *list = malloc(MAX * sizeof(*list));
        char *text = fuzz_text(data, size), again[GUEST_FILE_SIZE(MAX)];
        struct {
                size_t n;
                pid_t daemon;
        } result;
        int r;

        CHECK(list);
        fuzz_mark(&result, sizeof(result));
        r = guest_file_parse(text, list, MAX, &result.daemon, &result.n);
        if (r != 0) {
                fuzz_check_failure(r, &result, sizeof(result));
        } else {
                CHECK(result.daemon > 0 && result.n <= MAX);
                for (size_t i = 0; i < result.n; i++)
                        CHECK(list[i].pid > (i > 0 ? list[i - 1].pid : 0));
                /* The same but for zeros that lead numbers. */
                CHECK(guest_file_format(again, sizeof(again), result.daemon, list, result.n) > 0);
                CHECK(strlen(again) <= strlen(text));
                CHECK(guest_file_parse(again, list, MAX, &result.daemon, &result.n) == 0);
        }
        free(text);
        free(list);

        return 0;
}
