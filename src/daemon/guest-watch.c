/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-watch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "ksmtuned/exec-watch.h"

/* An executable is opened before its process has the new name. One that is slow gets a second look.
 */
#define LOOK_AFTER_USEC       UINT64_C(150000)
#define LOOK_AGAIN_AFTER_USEC UINT64_C(600000)
/* Each is 100 bytes of the kernel; a host has a handful of different ones. */
#define PROGRAMS_MAX 256
#define LINK_SIZE    4096

struct guest_watch {
        struct manager *manager;
        struct exec_watch *programs; /* NULL: inotify is not to be had */
        sd_event_source *opened, *look, *exits;
        unsigned looks_left;
};

static int look_later(struct guest_watch *watch, uint64_t usec)
{
        int r = sd_event_source_set_time_relative(watch->look, usec);

        return r < 0 ? r : sd_event_source_set_enabled(watch->look, SD_EVENT_ONESHOT);
}

static int on_opened(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct guest_watch *watch = userdata;
        int r;

        if (!exec_watch_read(watch->programs))
                return 0;
        watch->looks_left = 2;
        /* That look sees what is opened until then, too; nobody need be woken for it. */
        r = sd_event_source_set_enabled(watch->opened, SD_EVENT_OFF);
        return r < 0 ? r : look_later(watch, LOOK_AFTER_USEC);
}

static int on_look(sd_event_source *source, uint64_t usec, void *userdata)
{
        struct guest_watch *watch = userdata;
        int r;

        watch->looks_left--;
        if (watch->programs) {
                /* Before the look, which may be too early for what is opened from here on. */
                (void)exec_watch_read(watch->programs);
                r = sd_event_source_set_enabled(watch->opened, SD_EVENT_ON);
                if (r < 0)
                        return r;
        }
        /* Who has just been opened runs in a new process, or else in any. */
        r = manager_look_for_guests(watch->manager, watch->looks_left == 0);
        if (r != 0 || watch->looks_left == 0)
                return r < 0 ? r : 0;
        return look_later(watch, LOOK_AGAIN_AFTER_USEC);
}

static int on_guest_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
        struct guest_watch *watch = userdata;

        guests_take_exits(watch->manager->guests);
        return events_request(watch->manager->events, TRIGGER_GUEST);
}

/* Return: 0 also where there is no inotify to be had (its instances may be used up). */
static int watch_programs(struct guest_watch *watch)
{
        struct manager *manager = watch->manager;
        int r;

        watch->opened = sd_event_source_disable_unref(watch->opened);
        watch->programs = exec_watch_free(watch->programs);
        r = exec_watch_new(&watch->programs, manager->root,
                           (const char *const *)manager->settings->vm_match);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = sd_event_add_io(events_loop(manager->events), &watch->opened,
                            exec_watch_fd(watch->programs), EPOLLIN, on_opened, watch);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(watch->opened, true);
        return r < 0 ? r : 0;
}

static int watch_exits(struct guest_watch *watch)
{
        int fd, r;

        r = guests_watch_exits(watch->manager->guests, &fd);
        if (r < 0)
                return 0; /* an older kernel, or a made-up root */
        r = sd_event_add_io(events_loop(watch->manager->events), &watch->exits, fd, EPOLLIN,
                            on_guest_exit, watch);
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(watch->exits, true);
        return r < 0 ? r : 0;
}

int guest_watch_new(struct guest_watch **ret_watch, struct manager *manager)
{
        struct guest_watch *watch;
        int r;

        watch = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        watch->manager = manager;
        r = sd_event_add_time(events_loop(manager->events), &watch->look, CLOCK_MONOTONIC, 0, 10000,
                              on_look, watch);
        /* A handler's error ends the loop; by itself sd-event would go on without it. */
        if (r >= 0)
                r = sd_event_source_set_exit_on_failure(watch->look, true);
        if (r >= 0)
                r = sd_event_source_set_enabled(watch->look, SD_EVENT_OFF);
        if (r >= 0)
                r = watch_programs(watch);
        if (r >= 0)
                r = watch_exits(watch);
        if (r < 0) {
                (void)guest_watch_free(watch);
                return r;
        }
        *ret_watch = watch;
        return 0;
}

struct guest_watch *guest_watch_free(struct guest_watch *watch)
{
        if (!watch)
                return NULL;
        sd_event_source_disable_unref(watch->opened);
        sd_event_source_disable_unref(watch->look);
        sd_event_source_disable_unref(watch->exits);
        (void)exec_watch_free(watch->programs);
        free(watch);
        return NULL;
}

int guest_watch_reload(struct guest_watch *watch)
{
        return watch_programs(watch);
}

void guest_watch_follow(struct guest_watch *watch, const struct guest *guest)
{
        char path[64], link[LINK_SIZE];

        if (!watch->programs || exec_watch_count(watch->programs) >= PROGRAMS_MAX)
                return;
        (void)snprintf(path, sizeof(path), "/proc/%d/exe", guest->pid);
        /* Without the right to read it, or in another mount namespace: not watched. */
        if (sysroot_readlink(watch->manager->root, path, link, sizeof(link)) > 0)
                (void)exec_watch_add(watch->programs, link);
}

void guest_watch_follow_all(struct guest_watch *watch)
{
        const struct guest *guests;
        size_t n;

        guests = guests_list(watch->manager->guests, &n);
        for (size_t i = 0; i < n; i++)
                guest_watch_follow(watch, &guests[i]);
}
