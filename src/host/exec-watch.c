/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/exec-watch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"
#include "ksmtuned/guests.h"

#define PATH_SIZE  4096
#define EVENT_SIZE 4096

/* Where distributions and administrators install such programs. */
static const char *const folders[] = {
        "/usr/bin",       "/usr/sbin",       "/usr/libexec",       "/usr/lib/qemu",
        "/usr/local/bin", "/usr/local/sbin", "/usr/local/libexec", "/opt/bin",
};
#define N_FOLDERS (sizeof(folders) / sizeof(folders[0]))

struct exec_watch {
        const struct sysroot *root;
        const char *const *globs;
        int fd;
        int folder_watches[N_FOLDERS];
        int *programs; /* watch descriptors; few, and looked up only when an event comes */
        unsigned n_programs, n_allocated;
};

/*
 * inotify wants a path: the magic link of a descriptor is one that leads where the root says.
 * Return: a watch descriptor; -errno.
 */
static int add_watch(const struct exec_watch *watch, const char *path, uint32_t mask)
{
        CLEANUP_FD int fd = -1;
        char link[64];
        int wd;

        fd = sysroot_openat(watch->root, path, O_PATH, 0);
        if (fd < 0)
                return fd;
        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        wd = inotify_add_watch(watch->fd, link, mask);
        return wd < 0 ? -errno : wd;
}

static bool is_program(const struct exec_watch *watch, int wd)
{
        for (unsigned i = 0; i < watch->n_programs; i++)
                if (watch->programs[i] == wd)
                        return true;
        return false;
}

int exec_watch_add(struct exec_watch *watch, const char *path)
{
        int wd = add_watch(watch, path, IN_OPEN);

        if (wd < 0)
                return wd;
        /* The same file by another name, or watched before. */
        if (is_program(watch, wd))
                return 0;
        if (watch->n_programs == watch->n_allocated) {
                unsigned n = watch->n_allocated + 32;
                int *programs = realloc(watch->programs, n * sizeof(*programs));

                if (!programs) {
                        (void)inotify_rm_watch(watch->fd, wd);
                        return -ENOMEM;
                }
                watch->programs = programs;
                watch->n_allocated = n;
        }
        watch->programs[watch->n_programs++] = wd;
        return 0;
}

/* Watches the programs of a folder. What cannot be watched is left to the interval. */
static void add_programs(struct exec_watch *watch, const char *folder)
{
        struct dirent *entry;
        DIR *dir;
        int fd;

        fd = sysroot_openat(watch->root, folder, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
                return;
        dir = fdopendir(fd);
        if (!dir) {
                (void)close(fd);
                return;
        }
        while ((entry = readdir(dir)) != NULL) {
                char path[PATH_SIZE];

                if (!guest_match(watch->globs, entry->d_name, entry->d_name))
                        continue;
                (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
                (void)exec_watch_add(watch, path);
        }
        (void)closedir(dir);
}

int exec_watch_new(struct exec_watch **ret_watch, const struct sysroot *root,
                   const char *const *globs)
{
        struct exec_watch *watch;

        watch = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        watch->root = root;
        watch->globs = globs;
        watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (watch->fd < 0) {
                int r = -errno;

                free(watch);
                return r;
        }
        for (size_t i = 0; i < N_FOLDERS; i++) {
                /* First the folder, so that nothing comes unseen between the two. */
                watch->folder_watches[i] =
                        add_watch(watch, folders[i], IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
                add_programs(watch, folders[i]);
        }
        *ret_watch = watch;
        return 0;
}

struct exec_watch *exec_watch_free(struct exec_watch *watch)
{
        if (!watch)
                return NULL;
        (void)close(watch->fd);
        free(watch->programs);
        free(watch);
        return NULL;
}

int exec_watch_fd(const struct exec_watch *watch)
{
        return watch->fd;
}

unsigned exec_watch_count(const struct exec_watch *watch)
{
        return watch->n_programs;
}

/* Return: whether it is the opening of a program. */
static bool take_event(struct exec_watch *watch, const struct inotify_event *event)
{
        /* More has come than the kernel keeps: anything may have been among it. */
        if (event->mask & IN_Q_OVERFLOW)
                return true;
        if (event->mask & IN_OPEN)
                return is_program(watch, event->wd);
        if (event->mask & IN_IGNORED) {
                /* Deleted; an upgrade has put another in its place, which its folder tells. */
                for (unsigned i = 0; i < watch->n_programs; i++)
                        if (watch->programs[i] == event->wd)
                                watch->programs[i] = watch->programs[--watch->n_programs];
                return false;
        }
        if ((event->mask & (IN_CREATE | IN_MOVED_TO)) && event->len > 0 &&
            guest_match(watch->globs, event->name, event->name))
                for (size_t i = 0; i < N_FOLDERS; i++)
                        if (watch->folder_watches[i] == event->wd)
                                add_programs(watch, folders[i]);
        return false;
}

bool exec_watch_read(struct exec_watch *watch)
{
        union {
                struct inotify_event event; /* for its alignment */
                char bytes[EVENT_SIZE];
        } buffer;
        bool opened = false;
        ssize_t n;

        while ((n = read(watch->fd, &buffer, sizeof(buffer))) > 0)
                for (ssize_t at = 0; at < n;) {
                        const struct inotify_event *event = (const void *)(buffer.bytes + at);

                        opened |= take_event(watch, event);
                        at += (ssize_t)(sizeof(*event) + event->len);
                }
        return opened;
}
