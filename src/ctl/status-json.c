/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The keys are a contract: ksmctl(8), "JSON OUTPUT". */

#include <errno.h>

#include "ksmtuned/sample.h"
#include "status.h"
#include "table.h"

static void add_known(struct json_object *object, const char *key, int64_t value)
{
        if (value == SAMPLE_ABSENT)
                json_null(object, key);
        else
                json_integer(object, key, value);
}

static void add_hundredths(struct json_object *object, const char *key, int64_t hundredths)
{
        if (hundredths == SAMPLE_ABSENT)
                json_null(object, key);
        else
                json_hundredths(object, key, hundredths);
}

static void kernel_object(const struct status *status, struct json_object *ret_object)
{
        ret_object->n = 0;
        add_known(ret_object, "saved_bytes", status->saved_bytes);
        add_known(ret_object, "saved_mib",
                  status->saved_bytes == SAMPLE_ABSENT ? SAMPLE_ABSENT
                                                       : status->saved_bytes / (1024 * 1024));
        add_known(ret_object, "memory_bytes", status->memory_bytes);
        add_hundredths(ret_object, "saved_percent", status->saved_hundredths);
        add_hundredths(ret_object, "sharing_rate", status->sharing_rate_hundreds);
        json_integer(ret_object, "page_bytes", status->page_bytes);
        add_known(ret_object, "ksmd_cpu_nsec", status->ksmd_cpu_nsec);
        add_hundredths(ret_object, "ksmd_cpu_percent", status->ksmd_cpu_hundredths);
        add_known(ret_object, "pages_scanned_per_second", status->scanned_per_second);
        add_known(ret_object, "pass_seconds", status->pass_seconds);
        json_text_or_null(ret_object, "transparent_hugepage", status->thp);
        add_known(ret_object, "numa_nodes", status->numa_nodes);

        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                const char *name = ksm_attribute_info((enum ksm_attribute)i)->name;

                if (status->error[i] < 0)
                        json_null(ret_object, name);
                else if (i == KSM_ADVISOR_MODE)
                        json_text(ret_object, name, status_advisor_name(status->value[i]));
                else
                        json_integer(ret_object, name, status->value[i]);
        }
}

static void daemon_object(const struct status *status, struct json_object *ret_object)
{
        struct state none, *unknown = &none;
        const struct state *state = &status->state;
        bool there = status->state_error == 0;

        state_init(unknown);
        if (!there)
                state = unknown;

        ret_object->n = 0;
        if (there ? status->running < 0 : status->state_error != -ENOENT)
                json_null(ret_object, "running");
        else
                json_boolean(ret_object, "running", there && status->running > 0);
        json_boolean(ret_object, "stale", there && status->stale);
        add_known(ret_object, "age_usec",
                  there && status->age_known ? status->age_usec : SAMPLE_ABSENT);
        add_known(ret_object, "pid", state->pid > 0 ? state->pid : SAMPLE_ABSENT);
        json_text_or_null(ret_object, "version", state->version);
        json_text_or_null(ret_object, "policy", state->policy);
        json_text_or_null(ret_object, "phase", state->phase);
        add_known(ret_object, "run", state->run);
        add_known(ret_object, "pages_to_scan", state->pages_to_scan);
        add_known(ret_object, "sleep_msec", state->sleep_msec);
        add_known(ret_object, "total_kb", state->total_kb);
        add_known(ret_object, "free_kb", state->free_kb);
        add_known(ret_object, "committed_kb", state->committed_kb);
        add_known(ret_object, "threshold_kb", state->threshold_kb);
        add_known(ret_object, "guests", state->guests);
        add_known(ret_object, "saved_bytes", state->saved_bytes);
        add_known(ret_object, "ksmd_cpu_nsec", state->ksmd_cpu_nsec);
        add_known(ret_object, "decisions", state->decisions);
        json_text_or_null(ret_object, "trigger", state->trigger);
        json_text_or_null(ret_object, "reason", state->reason);
        json_text_or_null(ret_object, "settings_owed", state->settings_owed);
        add_known(ret_object, "time_usec", state->time_usec);
        add_known(ret_object, "interval_usec", state->interval_usec);
        if (there && status->age_known && state->interval_usec >= 0)
                json_integer(ret_object, "due_usec", status->due_usec);
        else
                json_null(ret_object, "due_usec");
        add_known(ret_object, "pass_due_usec",
                  there && status->age_known ? status->pass_due_usec : SAMPLE_ABSENT);
}

/* What is there and cannot be read. Return: how many objects were filled. */
static size_t unreadable_objects(const struct status *status, struct json_object *ret_objects)
{
        size_t n = 0;

        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++) {
                struct json_object *object = &ret_objects[n];

                if (status->error[i] == 0 || status->error[i] == -EOPNOTSUPP)
                        continue;
                object->n = 0;
                json_text(object, "name", ksm_attribute_info((enum ksm_attribute)i)->name);
                json_text(object, "why", status_error_text(status->error[i]));
                n++;
        }
        if (status->state_error < 0 && status->state_error != -ENOENT) {
                ret_objects[n].n = 0;
                json_text(&ret_objects[n], "name", STATE_PATH);
                json_text(&ret_objects[n], "why", status_error_text(status->state_error));
                n++;
        }
        return n;
}

int status_print_json(const struct status *status)
{
        CLEANUP_TABLE struct libscols_table *kernel = NULL, *daemon = NULL, *unreadable = NULL;
        CLEANUP_FREE struct json_object *objects =
                calloc(KSM_ATTRIBUTE_COUNT + 1, sizeof(struct json_object));
        size_t n;
        int r;

        if (!objects)
                return -ENOMEM;

        kernel_object(status, &objects[0]);
        r = json_array_new(&kernel, "kernel", objects, status->supported == 1 ? 1 : 0);
        if (r < 0)
                return r;
        daemon_object(status, &objects[0]);
        r = json_array_new(&daemon, "daemon", objects, 1);
        if (r < 0)
                return r;
        n = unreadable_objects(status, objects);
        r = json_array_new(&unreadable, "unreadable", objects, n);
        if (r < 0)
                return r;
        return json_print((struct libscols_table *[]){kernel, daemon, unreadable}, 3);
}
