/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Supervises ksmtuned-libvirt, the process that listens to libvirt. Whatever becomes of it (it
 * ends, hangs, stops, prints rubbish), it is killed if need be and started again after a growing
 * pause; nothing here waits for it, and no decision depends on it.
 */

#include <stdbool.h>
#include <systemd/sd-event.h>

/* The daemon's side. Negative returns end the loop with that error. */
struct helper_handler {
        int (*event)(void *userdata, const char *kind, const char *domain);
        void *userdata;
};

struct helper;

/*
 * Starts @program @uri as soon as @loop runs; both strings are copied. A program that is not there
 * is told once, and not looked for again. Return: 0; -ENOMEM; -errno of libsystemd.
 */
int helper_new(struct helper **ret_helper, sd_event *loop, const char *program, const char *uri,
               const struct helper_handler *handler);

/* Whether its program was there when it was last to be started. */
bool helper_installed(const struct helper *helper);

/* Whether events would come now. */
bool helper_connected(const struct helper *helper);

/* Kills the process, if there is one. Return: NULL. */
struct helper *helper_free(struct helper *helper);
