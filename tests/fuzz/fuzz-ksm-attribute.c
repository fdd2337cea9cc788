/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files of /sys/kernel/mm/ksm: one input is tried as the text of each of them. */

#include "fuzz.h"
#include "ksmtuned/ksm.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        char *text = fuzz_text(data, size);

        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                enum ksm_attribute attribute = (enum ksm_attribute)i;
                const struct ksm_attribute_info *info = ksm_attribute_info(attribute);
                int64_t value;
                int r;

                fuzz_mark(&value, sizeof(value));
                r = ksm_parse(attribute, text, &value);
                if (r != 0) {
                        fuzz_check_failure(r, &value, sizeof(value));
                } else {
                        CHECK(value >= info->min);
                        CHECK(value <= info->max);
                }
        }
        free(text);

        return 0;
}
