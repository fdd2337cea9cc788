/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the tests of the settings share. Include cmocka.h before. */

#include <inttypes.h>
#include <stdio.h>

#include "ksmtuned/settings.h"
#include "src/config/draft.h"
#include "src/config/keys.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

#define VM_MATCH_DEFAULT "qemu-kvm|qemu-system-*|qemu:*|kvm|cloud-hypervisor|firecracker|crosvm"

/* The setting of a key in words, so that tables can hold it. */
static inline const char *show(const struct settings *settings, enum key key, char *buf,
                               size_t size)
{
        const void *member = (const char *)settings + key_infos[key].offset;
        FILE *out = fmemopen(buf, size, "w");

        assert_non_null(out);
        switch (key_infos[key].type) {
        case KEY_TYPE_INTEGER:
                (void)fprintf(out, "%" PRId64, *(const int64_t *)member);
                break;
        case KEY_TYPE_OPTIONAL:
                if (*(const int64_t *)member == KERNEL_SETTING_UNSET)
                        (void)fputs("unset", out);
                else
                        (void)fprintf(out, "%" PRId64, *(const int64_t *)member);
                break;
        case KEY_TYPE_DECIMAL:
                (void)fprintf(out, "%" PRId64 "/%" PRId64, *(const int64_t *)member,
                              key_infos[key].scale);
                break;
        case KEY_TYPE_INTERVAL:
                (void)fprintf(out, "%" PRIu64, *(const uint64_t *)member);
                break;
        case KEY_TYPE_FLAG:
                (void)fprintf(out, "%d", *(const bool *)member);
                break;
        case KEY_TYPE_PATH:
        case KEY_TYPE_URI:
                (void)fputs(*(char *const *)member, out);
                break;
        case KEY_TYPE_WORDS:
                for (char *const *word = *(char *const *const *)member; *word; word++)
                        (void)fprintf(out, "%s%s", *word, word[1] ? "|" : "");
                break;
        case KEY_TYPE_CHOICE:
                if (key == KEY_POLICY)
                        (void)fputs(policy_name(settings->policy.kind), out);
                else if (key == KEY_PS_METRIC)
                        (void)fputs(guest_metric_name(settings->ps_metric), out);
                else
                        (void)fputs(stop_action_name(settings->stop_action), out);
                break;
        }
        (void)fputc('\0', out);
        assert_int_equal(fclose(out), 0);

        return buf;
}

/* As settings_load() does it, from a text. @ret_settings is NULL after an error. */
static inline void load_text(const char *text, size_t len, struct settings **ret_settings,
                             struct settings_problems *problems)
{
        struct settings *settings;
        struct draft draft;

        assert_int_equal(settings_new(&settings), 0);
        draft_init(&draft, settings, problems);
        assert_int_equal(draft_read(&draft, "test.conf", text, len), 0);
        assert_int_equal(draft_finish(&draft), 0);
        *ret_settings = draft.failed ? settings_free(settings) : settings;
}
