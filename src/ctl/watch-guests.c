/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How much of each guest is merged, without reading it all at every look. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned/ksm-process.h"
#include "watch.h"

/* Merged and zero pages of a process, in kB. Return: 0; -ESRCH; why it is not known. */
static int read_merged(const struct sysroot *root, pid_t pid, int64_t *ret_kb)
{
        int64_t page_kb = sysconf(_SC_PAGESIZE) / 1024;
        struct ksm_process process;
        int r = ksm_process_read_stat(root, pid, &process);

        if (r == 0)
                r = process.error;
        if (r < 0)
                return r;
        *ret_kb = saturating_mul(saturating_add(process.merging_pages,
                                                process.zero_pages > 0 ? process.zero_pages : 0),
                                 page_kb);
        return 0;
}

/* Those with most, which are in sight also on a small terminal, are read at every look. */
static bool is_in_sight(const struct watch_guests *guests, size_t i)
{
        for (size_t t = 0; t < guests->n_top && t < WATCH_GUESTS_FRESH; t++)
                if (guests->top[t] == i)
                        return true;
        return false;
}

/* The one remembered of that PID, or NULL. @at moves on in the list, which is in order of PIDs. */
static const struct watch_guest *find_known(const struct watch_guests *guests, size_t *at,
                                            const struct guest *guest)
{
        while (*at < guests->n && guests->list[*at].pid < guest->pid)
                (*at)++;
        if (*at < guests->n && guests->list[*at].pid == guest->pid &&
            guests->list[*at].start_time == guest->start_time)
                return &guests->list[*at];
        return NULL;
}

/* Most merged memory first; then in order of the list. */
static bool is_before(const struct watch_guests *guests, size_t a, size_t b)
{
        const struct watch_guest *x = &guests->list[a], *y = &guests->list[b];
        int64_t x_kb = x->error ? -1 : x->merged_kb, y_kb = y->error ? -1 : y->merged_kb;

        return x_kb != y_kb ? x_kb > y_kb : a < b;
}

static void find_top(struct watch_guests *guests)
{
        guests->n_top = 0;
        for (size_t i = 0; i < guests->n; i++) {
                size_t at = guests->n_top;

                if (at == WATCH_GUESTS_MAX && !is_before(guests, i, guests->top[at - 1]))
                        continue;
                if (at < WATCH_GUESTS_MAX)
                        guests->n_top++;
                else
                        at--;
                for (; at > 0 && is_before(guests, i, guests->top[at - 1]); at--)
                        guests->top[at] = guests->top[at - 1];
                guests->top[at] = i;
        }
}

int watch_guests_follow(struct watch_guests *guests, const struct sysroot *root,
                        const struct guest *list, size_t n)
{
        struct watch_guest *now = calloc(n + 1, sizeof(*now));
        size_t at = 0;

        if (!now)
                return -ENOMEM;
        guests->turn++;
        for (size_t i = 0; i < n; i++) {
                const struct watch_guest *known = find_known(guests, &at, &list[i]);

                now[i] = (struct watch_guest){.pid = list[i].pid,
                                              .start_time = list[i].start_time,
                                              .rss_kb = list[i].rss_kb};
                (void)snprintf(now[i].name, sizeof(now[i].name), "%s", guest_name(&list[i]));
                if (known && (i + guests->turn) % WATCH_GUESTS_CYCLE != 0 &&
                    !is_in_sight(guests, at)) {
                        now[i].error = known->error;
                        now[i].merged_kb = known->merged_kb;
                } else {
                        now[i].error = read_merged(root, list[i].pid, &now[i].merged_kb);
                }
        }
        free(guests->list);
        guests->list = now;
        guests->n = n;
        find_top(guests);
        return 0;
}

void watch_guests_release(struct watch_guests *guests)
{
        free(guests->list);
        guests->list = NULL;
        guests->n = guests->n_top = 0;
}
