/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/ksm-settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static const struct kernel_setting_info infos[KERNEL_SETTING_COUNT] = {
        [KERNEL_MERGE_ACROSS_NODES] = {"KSM_MERGE_ACROSS_NODES", KSM_MERGE_ACROSS_NODES, true},
        [KERNEL_MAX_PAGE_SHARING] = {"KSM_MAX_PAGE_SHARING", KSM_MAX_PAGE_SHARING, true},
        [KERNEL_USE_ZERO_PAGES] = {"KSM_USE_ZERO_PAGES", KSM_USE_ZERO_PAGES, false},
        [KERNEL_SMART_SCAN] = {"KSM_SMART_SCAN", KSM_SMART_SCAN, false},
};

const struct kernel_setting_info *kernel_setting_info(enum kernel_setting setting)
{
        return &infos[setting];
}

const char *kernel_setting_name(enum kernel_setting setting)
{
        return ksm_attribute_info(infos[setting].attribute)->name;
}

struct kernel_setting_look kernel_setting_judge(enum kernel_setting setting, int64_t want,
                                                int read_error, int64_t now, int64_t pages_shared)
{
        struct kernel_setting_look look = {.want = want, .now = SAMPLE_ABSENT};

        if (want == KERNEL_SETTING_UNSET) {
                look.state = KERNEL_SETTING_UNWANTED;
        } else if (read_error == -EOPNOTSUPP) {
                look.state = KERNEL_SETTING_ABSENT;
        } else if (read_error < 0) {
                look.state = KERNEL_SETTING_UNREAD;
                look.error = read_error;
        } else {
                look.now = now;
                if (now == want)
                        look.state = KERNEL_SETTING_RIGHT;
                else
                        look.state = infos[setting].needs_unshared && pages_shared > 0
                                             ? KERNEL_SETTING_BLOCKED
                                             : KERNEL_SETTING_DUE;
        }
        return look;
}

void kernel_settings_look(const struct sysroot *root, const struct kernel_settings *want,
                          struct kernel_setting_look looks[KERNEL_SETTING_COUNT])
{
        int64_t pages_shared = SAMPLE_ABSENT;

        /* Where it cannot be read, the kernel will say. */
        (void)ksm_get(root, KSM_PAGES_SHARED, &pages_shared);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                int64_t now = SAMPLE_ABSENT;
                int r = 0;

                if (want->value[i] != KERNEL_SETTING_UNSET)
                        r = ksm_get(root, infos[i].attribute, &now);
                looks[i] = kernel_setting_judge((enum kernel_setting)i, want->value[i], r, now,
                                                pages_shared);
        }
}

bool kernel_settings_any(const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                         enum kernel_setting_state state)
{
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                if (looks[i].state == state)
                        return true;
        return false;
}

const char *kernel_settings_list(char *buf, size_t size,
                                 const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                                 enum kernel_setting_state state)
{
        size_t len = 0;

        buf[0] = '\0';
        for (int i = 0; i < KERNEL_SETTING_COUNT && len < size; i++) {
                int n;

                if (looks[i].state != state)
                        continue;
                n = snprintf(buf + len, size - len, "%s%s is %" PRId64 " (%" PRId64 " configured)",
                             len > 0 ? " and " : "", kernel_setting_name((enum kernel_setting)i),
                             looks[i].now, looks[i].want);
                len += n > 0 ? (size_t)n : 0;
        }
        return buf;
}

static bool is_to_write(const struct kernel_setting_look *look)
{
        return look->state == KERNEL_SETTING_DUE || look->state == KERNEL_SETTING_BLOCKED;
}

static bool put_back(const struct sysroot *root,
                     const struct kernel_setting_look looks[KERNEL_SETTING_COUNT], int failed)
{
        bool restored = true;

        for (int i = failed; i-- > 0;)
                if (is_to_write(&looks[i]) && ksm_set(root, infos[i].attribute, looks[i].now) < 0)
                        restored = false;
        return restored;
}

int kernel_settings_write(const struct sysroot *root,
                          const struct kernel_setting_look looks[KERNEL_SETTING_COUNT],
                          enum kernel_setting *ret_failed, bool *ret_restored)
{
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++) {
                int r = 0;

                if (is_to_write(&looks[i]))
                        r = ksm_set(root, infos[i].attribute, looks[i].want);
                if (r < 0) {
                        bool restored = put_back(root, looks, i);

                        if (ret_restored)
                                *ret_restored = restored;
                        *ret_failed = (enum kernel_setting)i;
                        return r;
                }
        }
        *ret_failed = KERNEL_SETTING_COUNT;
        if (ret_restored)
                *ret_restored = true;
        return 0;
}
