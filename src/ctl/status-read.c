/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ksmtuned/sample.h"
#include "status.h"

int64_t status_now_usec(void)
{
        struct timespec now;

        if (clock_gettime(CLOCK_REALTIME, &now) < 0)
                return 0;
        return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t known(const struct status *status, enum ksm_attribute attribute)
{
        return status->error[attribute] == 0 ? status->value[attribute] : SAMPLE_ABSENT;
}

static void read_kernel(const struct sysroot *root, struct status *status)
{
        struct ksm_sample ksm = {.page_bytes = sysconf(_SC_PAGESIZE)};
        struct ksmd ksmd = {0};

        status->supported = ksm_supported(root);
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                status->error[i] = ksm_get(root, (enum ksm_attribute)i, &status->value[i]);

        status->page_bytes = ksm.page_bytes;
        ksm.pages_shared = known(status, KSM_PAGES_SHARED);
        ksm.pages_sharing = known(status, KSM_PAGES_SHARING);
        ksm.ksm_zero_pages = known(status, KSM_ZERO_PAGES);

        status->saved_bytes = SAMPLE_ABSENT;
        if (ksm.pages_sharing != SAMPLE_ABSENT)
                status->saved_bytes = ksm_saved_bytes(&ksm);

        status->sharing_rate_hundreds = SAMPLE_ABSENT;
        if (ksm.pages_sharing != SAMPLE_ABSENT && ksm.pages_shared > 0)
                status->sharing_rate_hundreds =
                        saturating_mul(ksm.pages_sharing, 100) / ksm.pages_shared;

        if (ksmd_cpu_nsec(&ksmd, root, &status->ksmd_cpu_nsec) < 0)
                status->ksmd_cpu_nsec = SAMPLE_ABSENT;
}

static int daemon_running(const struct sysroot *root, const struct state *state)
{
        int r = state_daemon_alive(root, state);

        if (r != 0)
                return r;
        /* Where /proc hides other users' processes, PID 1 is not there either. */
        return sysroot_exists(root, "/proc/1") == 1 ? 0 : -EACCES;
}

static void read_age(int64_t now_usec, struct status *status)
{
        const struct state *state = &status->state;

        status->age_known = state->time_usec >= 0 && state->time_usec <= now_usec;
        if (!status->age_known)
                return;
        status->age_usec = now_usec - state->time_usec;
        if (state->next_usec >= 0)
                status->due_usec = state->next_usec - now_usec;
        else
                status->due_usec =
                        state->interval_usec >= 0 ? state->interval_usec - status->age_usec : -1;
        status->pass_due_usec =
                state->pass_due_usec >= 0 ? state->pass_due_usec - now_usec : SAMPLE_ABSENT;
        status->stale = state_is_stale(state, now_usec);
}

void status_read_now(const struct sysroot *root, int64_t now_usec, struct status *ret_status)
{
        struct status status = {0};
        int64_t before = SAMPLE_ABSENT;

        status.state_error = state_read(root, &status.state);
        if (status.state_error == 0)
                before = status.state.time_usec;
        read_kernel(root, &status);

        /* A decision in between would make it look as if a stranger had written the knobs. */
        status.state_error = state_read(root, &status.state);
        if (status.state_error == 0) {
                if (status.state.time_usec != before)
                        read_kernel(root, &status);
                status.running = daemon_running(root, &status.state);
                read_age(now_usec, &status);
        }
        *ret_status = status;
}

void status_read(const struct sysroot *root, int64_t now_usec, struct status *ret_status)
{
        status_read_now(root, now_usec, ret_status);
        status_read_host(root, ret_status);
        status_read_scan(root, ret_status);
}

bool status_any_figure(const struct status *status)
{
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                if (status->error[i] == 0)
                        return true;
        return false;
}

const char *status_error_text(int error)
{
        return error == -EBADMSG ? "holds nothing that makes sense" : strerror(-error);
}

const char *status_advisor_name(int64_t advisor_mode)
{
        return advisor_mode == KSM_ADVISOR_SCAN_TIME ? "scan-time" : "none";
}
