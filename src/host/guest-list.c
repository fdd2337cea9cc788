/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void guest_close(struct guest *guest)
{
        free(guest->own_name);
        if (guest->statm_fd >= 0)
                (void)close(guest->statm_fd);
        if (guest->pid_fd >= 0)
                (void)close(guest->pid_fd);
}

/* Index of the first guest whose PID is @pid or more. */
static size_t lower_bound(const struct guest_list *list, pid_t pid)
{
        size_t low = 0, high = list->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (list->guests[middle].pid < pid)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

struct guest *guest_list_find(const struct guest_list *list, pid_t pid)
{
        size_t i = lower_bound(list, pid);

        return i < list->n && list->guests[i].pid == pid ? &list->guests[i] : NULL;
}

int guest_list_insert(struct guest_list *list, struct guest *guest)
{
        size_t i = lower_bound(list, guest->pid);

        if (list->n == list->n_allocated) {
                size_t n = list->n_allocated + list->n_allocated / 8 + 16;
                struct guest *guests = realloc(list->guests, n * sizeof(*guests));

                if (!guests) {
                        guest_close(guest);
                        return -ENOMEM;
                }
                list->guests = guests;
                list->n_allocated = n;
        }
        memmove(&list->guests[i + 1], &list->guests[i], (list->n - i) * sizeof(*guest));
        list->guests[i] = *guest;
        list->n++;
        list->changed = true;
        return 0;
}

void guest_list_remove(struct guest_list *list, struct guest *guest)
{
        size_t i = (size_t)(guest - list->guests);

        guest_close(guest);
        list->n--;
        memmove(guest, guest + 1, (list->n - i) * sizeof(*guest));
        list->changed = true;
}

void guest_list_clear(struct guest_list *list)
{
        for (size_t i = 0; i < list->n; i++)
                guest_close(&list->guests[i]);
        list->changed |= list->n > 0;
        list->n = 0;
}

void guest_list_free(struct guest_list *list)
{
        guest_list_clear(list);
        free(list->guests);
        *list = (struct guest_list){.guests = NULL};
}
