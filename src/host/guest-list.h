/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The guests, in order of their PIDs. It owns their descriptors and names. */

#include <stdbool.h>
#include <stddef.h>

#include "ksmtuned/guests.h"

struct guest_list {
        struct guest *guests;
        size_t n, n_allocated;
        bool changed; /* one was put in or taken out */
};

/* The guest of @pid, or NULL. */
struct guest *guest_list_find(const struct guest_list *list, pid_t pid);

/* Takes @guest over, with what it owns, whatever comes of it. Return: 0; -ENOMEM. */
int guest_list_insert(struct guest_list *list, struct guest *guest);

void guest_list_remove(struct guest_list *list, struct guest *guest);

/* Removes all; the memory stays for those to come. */
void guest_list_clear(struct guest_list *list);
void guest_list_free(struct guest_list *list);

/* Closes the descriptors of a guest that is in no list, and frees its name. */
void guest_close(struct guest *guest);
