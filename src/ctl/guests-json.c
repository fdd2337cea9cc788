/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The keys are a contract: ksmctl(8), "JSON OUTPUT". */

#include <errno.h>

#include "guests.h"
#include "table.h"

static void add_known(struct json_object *object, const char *key, int64_t value)
{
        if (value == SAMPLE_ABSENT)
                json_null(object, key);
        else
                json_integer(object, key, value);
}

static void add_figures(struct json_object *object, const struct guest_row *row)
{
        add_known(object, "rss_bytes", row->rss_bytes);
        add_known(object, "merged_bytes", row->merged_bytes);
        add_known(object, "zero_bytes", row->zero_bytes);
        add_known(object, "profit_bytes", row->ksm.profit_bytes);
        if (row->share_hundredths == SAMPLE_ABSENT)
                json_null(object, "share_percent");
        else
                json_hundredths(object, "share_percent", row->share_hundredths);
}

static void row_object(const struct guest_row *row, struct json_object *ret_object)
{
        enum ksm_process_verdict verdict = row->ksm.verdict;

        ret_object->n = 0;
        json_text(ret_object, "name", row->name);
        json_integer(ret_object, "pid", row->pid);
        json_boolean(ret_object, "guest", row->is_guest);
        if (verdict == KSM_PROCESS_MERGEABLE || ksm_verdict_is_no(verdict))
                json_boolean(ret_object, "mergeable", verdict == KSM_PROCESS_MERGEABLE);
        else
                json_null(ret_object, "mergeable");
        json_text_or_null(ret_object, "why_not",
                          verdict == KSM_PROCESS_MERGEABLE ? "" : ksm_verdict_word(verdict));
        add_figures(ret_object, row);
        add_known(ret_object, "merging_pages", row->ksm.merging_pages);
        add_known(ret_object, "zero_pages", row->ksm.zero_pages);
        add_known(ret_object, "rmap_items", row->ksm.rmap_items);
        json_text_or_null(ret_object, "unit", row->cgroup.unit);
        json_text_or_null(ret_object, "cgroup", row->cgroup.path);
}

/* What is there and cannot be read. */
static int new_unreadable(const struct guest_table *guests, struct libscols_table **ret_table)
{
        struct json_object object = {0};
        int r = 0;

        json_text(&object, "name", "ksm_stat");
        json_text(&object, "why", ksm_verdict_sentence(KSM_PROCESS_NO_PERMISSION));
        json_integer(&object, "processes", (int64_t)guests->n_denied);
        r = json_array_begin(ret_table, "unreadable",
                             guests->n_denied > 0 || guests->hidden ? &object : NULL);
        if (r == 0 && guests->n_denied > 0)
                r = json_array_add(*ret_table, &object);
        if (r < 0 || !guests->hidden)
                return r;
        object.n = 0;
        json_text(&object, "name", "/proc");
        json_text(&object, "why", "other users' processes cannot be seen");
        json_null(&object, "processes");
        return json_array_add(*ret_table, &object);
}

int guest_table_print_json(const struct guest_table *guests)
{
        CLEANUP_TABLE struct libscols_table *rows = NULL, *total = NULL, *unreadable = NULL;
        struct json_object object;
        int r;

        row_object(&guests->total, &object);
        r = json_array_begin(&rows, "guests", guests->n > 0 ? &object : NULL);
        for (size_t i = 0; r == 0 && i < guests->n; i++) {
                row_object(&guests->rows[i], &object);
                r = json_array_add(rows, &object);
        }
        if (r < 0)
                return r;
        object.n = 0;
        json_integer(&object, "count", (int64_t)guests->n);
        add_figures(&object, &guests->total);
        r = json_array_new(&total, "total", &object, 1);
        if (r == 0)
                r = new_unreadable(guests, &unreadable);
        return r < 0 ? r : json_print((struct libscols_table *[]){rows, total, unreadable}, 3);
}
