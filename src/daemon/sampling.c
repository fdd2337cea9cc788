/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sampling.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "guest-log.h"
#include "guest-watch.h"
#include "ksmtuned/journal.h"
#include "ksmtuned/memory.h"

/* What a scan met that the administrator should know. */
static void complain_of_scan(struct manager *manager, const struct guests_scan_info *info)
{
        complain(&manager->complaints, COMPLAINT_GUESTS_METRIC, info->n_unreadable > 0, LOG_WARNING,
                 "%s of %zu guests cannot be read (it takes CAP_SYS_PTRACE); their RSS counts "
                 "instead",
                 guest_metric_name(settings_guest_metric(manager->settings)), info->n_unreadable);
        complain(
                &manager->complaints, COMPLAINT_GUESTS_HIDDEN,
                info->others_hidden  ? 1
                : info->names_denied ? 2
                                     : 0,
                LOG_WARNING,
                "processes of other users %s: /proc is mounted with hidepid, and guests among them "
                "are not counted",
                info->others_hidden ? "cannot be seen" : "can be seen, but not their names");
}

/* The attribute on which ksm_sample() failed, and in what way. */
static void complain_of_ksm(struct manager *manager, int error)
{
        const char *name = "folder";
        int64_t value;

        for (int i = 0; error < 0 && i < KSM_ATTRIBUTE_COUNT; i++)
                if (ksm_get(manager->root, (enum ksm_attribute)i, &value) == error) {
                        name = ksm_attribute_info((enum ksm_attribute)i)->name;
                        break;
                }
        complain(&manager->complaints, COMPLAINT_KSM_READ, error, LOG_ERR,
                 "cannot read " KSM_FOLDER "/%s: %s; nothing is decided", name,
                 error == -EOPNOTSUPP ? "it is not there"
                 : error == -EBADMSG  ? "it holds no number in its range"
                                      : strerror(-error));
}

/* KSM's part of a sample. */
static int take_ksm(struct manager *manager, struct ksm_sample *ret_ksm)
{
        int r;

        r = ksm_reader_sample(manager->ksm_reader, &manager->ksmd, ret_ksm);
        complain_of_ksm(manager, r);
        return r;
}

int sampling_scan_guests(struct manager *manager, struct guests_sample *ret_guests)
{
        struct guests_scan_info *info = &manager->last_scan;
        int r;

        r = guests_scan(manager->guests, ret_guests, info);
        /* A scan that begins afresh tells of nobody. */
        if (r == 0 && info->changed && manager->n_guest_changes == 0 && manager->guest_watch)
                guest_watch_follow_all(manager->guest_watch);
        guest_log_sum_up(manager);
        if (r == 0)
                manager->guests_to_publish |= info->changed;
        return r;
}

/* The guests' part of a sample. */
static int take_guests(struct manager *manager, struct guests_sample *ret_guests)
{
        int r;

        if (manager->just_scanned) {
                *ret_guests = *manager->just_scanned;
                return 0;
        }
        r = sampling_scan_guests(manager, ret_guests);
        complain(&manager->complaints, COMPLAINT_GUESTS, r, LOG_ERR,
                 "cannot look through the processes: %s; nothing is decided", strerror(-r));
        if (r == 0)
                complain_of_scan(manager, &manager->last_scan);
        return r;
}

int sampling_take(struct manager *manager, struct sample *ret_sample)
{
        struct sample sample = {.pressure = PRESSURE_ABSENT};
        int r, failed = 0;

        r = memory_reread(manager->root, &manager->meminfo_fd, &sample.memory);
        failed |= r;
        complain(&manager->complaints, COMPLAINT_MEMORY, r, LOG_ERR,
                 "cannot read /proc/meminfo: %s; nothing is decided",
                 r == -EBADMSG ? "MemTotal or MemFree is missing, or a number is none"
                               : strerror(-r));
        failed |= take_guests(manager, &sample.guests);
        failed |= take_ksm(manager, &sample.ksm);
        /* Classic does not look at it; a kernel without it is nothing to complain of. */
        if (manager->settings->policy.kind != POLICY_CLASSIC)
                (void)pressure_reread(manager->root, &manager->pressure_fd, &sample.pressure);
        if (failed)
                return -EAGAIN;
        manager->last_sample = sample;
        *ret_sample = sample;
        return 0;
}

int sampling_take_step(struct manager *manager, struct sample *ret_sample)
{
        struct sample sample = manager->last_sample;
        int r;

        r = take_ksm(manager, &sample.ksm);
        if (r == 0)
                r = memory_reread(manager->root, &manager->meminfo_fd, &sample.memory);
        if (r < 0)
                return -EAGAIN;
        *ret_sample = sample;
        return 0;
}

void sampling_judge(struct manager *manager, const struct decision *decision)
{
        complain(&manager->complaints, COMPLAINT_TOTAL, decision->total_kb <= 0, LOG_ERR,
                 "/proc/meminfo has a MemTotal of 0: nothing can be decided");
        /* A KSM_THRES_COEF of more than 100 has been told by the configuration already. */
        complain(&manager->complaints, COMPLAINT_THRESHOLD,
                 manager->settings->policy.classic.thres_coef <= 100 && decision->total_kb > 0 &&
                         decision->threshold_kb >= decision->total_kb,
                 LOG_WARNING,
                 "the threshold of %" PRId64 " kB (KSM_THRES_COEF, KSM_THRES_CONST) is not below "
                 "MemTotal, %" PRId64 " kB: KSM will always run",
                 decision->threshold_kb, decision->total_kb);
}
