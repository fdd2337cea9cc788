/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Processes of made-up hosts. Include cmocka.h before. */

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "ksmtuned/guests.h"
#include "made-up-root.h"

static const char *const globs[] = {"qemu-kvm", "qemu-system-*", "cloud-hypervisor", NULL};

/* A file of a process. */
static inline void put_of(const struct made_up_root *host, unsigned pid, const char *name,
                          const char *text)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
        put(host, path, text);
}

static inline void put_away_of(const struct made_up_root *host, unsigned pid, const char *name)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u%s%s", pid, *name ? "/" : "", name);
        put_away(host, path);
}

static inline void put_stat(const struct made_up_root *host, unsigned pid, const char *comm,
                            char state, unsigned start_time, unsigned rss_pages)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
        put_format(host, path,
                   "%u (%s) %c 1 1 1 0 -1 4194304 0 0 0 0 9 1 0 0 20 0 1 0 %u %u %u 0 0 0 0\n", pid,
                   comm, state, start_time, rss_pages * 3 * (unsigned)sysconf(_SC_PAGESIZE),
                   rss_pages);
}

/* @exe may be NULL. Its address space is three times its resident set. */
static inline void put_process(const struct made_up_root *host, unsigned pid, const char *comm,
                               const char *exe, unsigned rss_pages)
{
        char text[64], path[64];

        (void)snprintf(text, sizeof(text), "%s\n", comm);
        put_of(host, pid, "comm", text);
        (void)snprintf(text, sizeof(text), "%u %u 1 1 0 1 0\n", rss_pages * 3, rss_pages);
        put_of(host, pid, "statm", text);
        put_stat(host, pid, comm, 'S', 1000 + pid, rss_pages);
        (void)snprintf(path, sizeof(path), "/proc/%u/exe", pid);
        if (exe)
                put_link(host, path, exe);
}

static inline int64_t kb(int64_t pages)
{
        return pages * sysconf(_SC_PAGESIZE) / 1024;
}

static inline struct guests *new_guests(const struct made_up_root *host, enum guest_metric metric)
{
        struct guests *guests;

        assert_int_equal(guests_new(&guests, &host->root), 0);
        guests_set_match(guests, globs, metric);
        return guests;
}

/* A scan that finds just these PIDs, in this order, and so many pages. @n_unreadable of them. */
static inline void assert_scan(struct guests *guests, const unsigned *pids, size_t n, int64_t pages,
                               size_t n_unreadable)
{
        struct guests_scan_info info;
        struct guests_sample sample;
        const struct guest *list;
        size_t n_list;

        assert_int_equal(guests_scan(guests, &sample, &info), 0);
        list = guests_list(guests, &n_list);
        assert_int_equal(n_list, n);
        for (size_t i = 0; i < n; i++)
                assert_int_equal(list[i].pid, pids[i]);
        assert_int_equal(sample.count, n);
        assert_int_equal(sample.committed_kb, kb(pages));
        assert_int_equal(info.n_unreadable, n_unreadable);
        /* Nothing can be said of that on a made-up host. */
        assert_false(info.others_hidden);
}

#define ASSERT_SCAN(guests, pages, ...)                      \
        assert_scan(guests, (const unsigned[]){__VA_ARGS__}, \
                    sizeof((const unsigned[]){__VA_ARGS__}) / sizeof(unsigned), pages, 0)

static inline void assert_nothing(struct guests *guests)
{
        assert_scan(guests, NULL, 0, 0, 0);
}
