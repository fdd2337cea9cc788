/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "kernel-settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ksmtuned/journal.h"
#include "ksmtuned/ksm-settings.h"
#include "ksmtuned/reason.h"
#include "ksmtuned/unmerge.h"
#include "manager.h"

#define TEXT_SIZE 256

static bool any_wanted(const struct kernel_settings *want)
{
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                if (want->value[i] != KERNEL_SETTING_UNSET)
                        return true;
        return false;
}

/*
 * What is to be had now. Once a policy that drives passes has taken smart_scan, the configured
 * value is what it gives back.
 */
static void effective_wishes(struct manager *manager, struct kernel_settings *ret_want)
{
        int64_t *smart_scan = &ret_want->value[KERNEL_SMART_SCAN];

        *ret_want = manager->settings->kernel;
        if (*smart_scan == KERNEL_SETTING_UNSET || manager->owed.smart_scan == SAMPLE_ABSENT)
                return;
        manager->owed.smart_scan = *smart_scan;
        if (manager->settings->policy.kind != POLICY_CLASSIC)
                *smart_scan = KERNEL_SETTING_UNSET;
}

static void tell_absent(enum kernel_setting setting)
{
        const struct kernel_setting_info *info = kernel_setting_info(setting);

        journal_print(LOG_NOTICE,
                      "this kernel has no %s (it came with Linux %s%s): %s is passed "
                      "over",
                      kernel_setting_name(setting), ksm_attribute_info(info->attribute)->since,
                      setting == KERNEL_MERGE_ACROSS_NODES ? ", for hosts with NUMA" : "",
                      info->key);
}

/* Others have changed it since. smart_scan is among the knobs that foreign_check() looks at. */
static void give_up_to_others(struct manager *manager, enum kernel_setting setting,
                              const struct kernel_setting_look *look,
                              const struct ksm_sample *sample)
{
        char what[TEXT_SIZE];

        manager->kernel_wishes.of[setting].stage = KERNEL_WISH_GIVEN;
        if (setting == KERNEL_SMART_SCAN)
                return;
        (void)snprintf(what, sizeof(what),
                       "%s reads %" PRId64 ", and %s asks for %" PRId64
                       "; it is left so until the configuration is read again",
                       kernel_setting_name(setting), look->now, kernel_setting_info(setting)->key,
                       look->want);
        foreign_tell(manager->root, sample, what);
        manager->metering.counters.foreign_writes++;
}

static void note_smart_scan(struct manager *manager, struct sample *sample, int64_t value)
{
        sample->ksm.smart_scan = value;
        manager->foreign.knobs.smart_scan = value;
}

/* Return: whether it is owed now: the kernel says that pages are merged. */
static bool write_one(struct manager *manager, enum kernel_setting setting,
                      const struct kernel_setting_look *look, struct sample *sample)
{
        const struct kernel_setting_info *info = kernel_setting_info(setting);
        const char *name = kernel_setting_name(setting);
        int r = ksm_set(manager->root, info->attribute, look->want);

        if (r == -EBUSY)
                return true;
        manager->kernel_wishes.of[setting].stage = r == 0 ? KERNEL_WISH_DONE : KERNEL_WISH_GIVEN;
        if (r < 0) {
                manager->metering.counters.knob_write_failures++;
                journal_print(LOG_WARNING,
                              "cannot set %s to %" PRId64 ", as %s asks: %s; it stays %" PRId64,
                              name, look->want, info->key, strerror(-r), look->now);
                return false;
        }
        if (setting == KERNEL_SMART_SCAN)
                note_smart_scan(manager, sample, look->want);
        journal_print(LOG_NOTICE, "%s is set to %" PRId64 ", as %s asks; it was %" PRId64, name,
                      look->want, info->key, look->now);
        return false;
}

/* Somebody has unmerged for it, and written it. */
static void note_right(struct manager *manager, enum kernel_setting setting, int64_t value)
{
        enum kernel_wish *stage = &manager->kernel_wishes.of[setting].stage;

        if (*stage == KERNEL_WISH_OWED) {
                journal_print(LOG_NOTICE, "%s is %" PRId64 " now, as %s asks",
                              kernel_setting_name(setting), value,
                              kernel_setting_info(setting)->key);
                /* full_scans has fallen for that. */
                manager->foreign.known = false;
        }
        *stage = KERNEL_WISH_DONE;
}

/* One that does not read as wanted. Return: whether that is news: it is owed from now on. */
static bool work_off(struct manager *manager, enum kernel_setting setting,
                     struct kernel_setting_look *look, struct sample *sample)
{
        enum kernel_wish *stage = &manager->kernel_wishes.of[setting].stage;
        int64_t *left = &manager->kernel_wishes.of[setting].left;
        bool was_owed = *stage == KERNEL_WISH_OWED;

        if (*stage == KERNEL_WISH_GIVEN)
                return false;
        if (*stage == KERNEL_WISH_DONE || (was_owed && look->now != *left)) {
                give_up_to_others(manager, setting, look, &sample->ksm);
                return false;
        }
        if (look->state == KERNEL_SETTING_DUE && !write_one(manager, setting, look, sample))
                return false;
        look->state = KERNEL_SETTING_BLOCKED;
        *stage = KERNEL_WISH_OWED;
        *left = look->now;
        return !was_owed;
}

/* Return: whether the setting is owed from now on. */
static bool step_one(struct manager *manager, enum kernel_setting setting,
                     struct kernel_setting_look *look, struct sample *sample)
{
        enum kernel_wish *stage = &manager->kernel_wishes.of[setting].stage;

        switch (look->state) {
        case KERNEL_SETTING_RIGHT:
                note_right(manager, setting, look->now);
                return false;
        case KERNEL_SETTING_DUE:
        case KERNEL_SETTING_BLOCKED:
                return work_off(manager, setting, look, sample);
        case KERNEL_SETTING_ABSENT:
                if (*stage == KERNEL_WISH_NEW)
                        tell_absent(setting);
                break;
        case KERNEL_SETTING_UNREAD:
                if (*stage == KERNEL_WISH_NEW)
                        journal_print(LOG_WARNING, "cannot read %s: %s; %s is passed over",
                                      kernel_setting_name(setting),
                                      look->error == -EBADMSG ? "it holds no number in its range"
                                                              : strerror(-look->error),
                                      kernel_setting_info(setting)->key);
                break;
        case KERNEL_SETTING_UNWANTED:
                break;
        }
        *stage = KERNEL_WISH_NONE;
        return false;
}

static const char *describe_room(char *buf, size_t size, const struct unmerge_figures *figures)
{
        char available[32];

        if (figures->available_kb < 0)
                return "it is not known what is available";
        (void)snprintf(buf, size, "%s are available, which %s",
                       format_kb(available, sizeof(available), figures->available_kb),
                       ksm_unmerge_fits(figures->available_kb, figures->saved_bytes)
                               ? "suffices"
                               : "does not suffice");
        return buf;
}

/* One line: what is owed, what it would cost, and how it is to be had. */
static void tell_cost(const struct manager *manager,
                      const struct kernel_setting_look looks[KERNEL_SETTING_COUNT])
{
        struct unmerge_figures figures;
        char list[TEXT_SIZE], needed[32], room[64];
        int r = unmerge_look(manager->root, &figures);

        (void)kernel_settings_list(list, sizeof(list), looks, KERNEL_SETTING_BLOCKED);
        if (r < 0) {
                journal_print(LOG_NOTICE,
                              "%s, and the kernel does not change it while pages are "
                              "merged: it is done when none are",
                              list);
                return;
        }
        journal_print(LOG_NOTICE,
                      "%s, and the kernel does not change it while pages are merged: it is done "
                      "when none are. To unmerge them takes %s of memory, and %s; ksmctl settings "
                      "--apply does it",
                      list, format_kb(needed, sizeof(needed), figures.saved_bytes / 1024),
                      describe_room(room, sizeof(room), &figures));
}

static void tell_dry_run(struct manager *manager, const struct kernel_settings *want)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        static const enum kernel_setting_state states[] = {KERNEL_SETTING_DUE,
                                                           KERNEL_SETTING_BLOCKED};
        char list[TEXT_SIZE];

        kernel_settings_look(manager->root, want, looks);
        for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
                if (kernel_settings_any(looks, states[i]))
                        journal_print(LOG_NOTICE, "%s (dry run: not applied)",
                                      kernel_settings_list(list, sizeof(list), looks, states[i]));
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                manager->kernel_wishes.of[i].stage = KERNEL_WISH_NONE;
}

void kernel_settings_step(struct manager *manager, struct sample *sample)
{
        struct kernel_setting_look looks[KERNEL_SETTING_COUNT];
        struct kernel_settings want;
        bool news = false;

        if (!any_wanted(&manager->settings->kernel))
                return;
        effective_wishes(manager, &want);
        if (manager->options->dry_run) {
                if (manager->kernel_wishes.of[0].stage == KERNEL_WISH_NEW)
                        tell_dry_run(manager, &want);
                return;
        }
        kernel_settings_look(manager->root, &want, looks);
        for (int i = 0; i < KERNEL_SETTING_COUNT; i++)
                if (step_one(manager, (enum kernel_setting)i, &looks[i], sample))
                        news = true;
        if (news)
                tell_cost(manager, looks);
}

void kernel_settings_owed(const struct manager *manager, char *buf, size_t size)
{
        size_t len = 0;

        buf[0] = '\0';
        for (int i = 0; i < KERNEL_SETTING_COUNT && len < size; i++) {
                enum kernel_wish stage = manager->kernel_wishes.of[i].stage;
                int n;

                if (stage != KERNEL_WISH_OWED && stage != KERNEL_WISH_GIVEN)
                        continue;
                n = snprintf(buf + len, size - len, "%s%s=%" PRId64, len > 0 ? " " : "",
                             kernel_setting_name((enum kernel_setting)i),
                             manager->settings->kernel.value[i]);
                len += n > 0 ? (size_t)n : 0;
        }
}
