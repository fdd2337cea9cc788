/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Guests on the machine itself: processes of the test, by names that nobody else has. They wait for
 * each other through pipes, never by time. Include cmocka.h before.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "children.h"
#include "ksmtuned/guests.h"

struct live {
        struct made_up_root *host; /* where the programs are */
        struct sysroot root;       /* "/" */
        struct guests *guests;
        char prefix[32], glob[40];
        const char *globs[2];
        char guest[600], guest2[600], other[600]; /* programs; the last is no guest */
};

static inline int live_setup(void **state)
{
        static char letter = 'a' - 1;
        struct live *live = calloc(1, sizeof(*live));
        void *host;

        assert_non_null(live);
        assert_int_equal(made_up_root_setup(&host), 0);
        live->host = host;
        assert_int_equal(sysroot_open(&live->root, "/"), 0);
        /* Other names for each test. With a PID up to 4194304 in it, there is room for a letter. */
        letter++;
        (void)snprintf(live->prefix, sizeof(live->prefix), "ksmt%d%c-", getpid(), letter);
        (void)snprintf(live->glob, sizeof(live->glob), "%s*", live->prefix);
        live->globs[0] = live->glob;
        for (unsigned i = 0; i < 3; i++) {
                char name[64];

                (void)snprintf(name, sizeof(name), "%s%s", i == 2 ? "no-" : live->prefix,
                               i == 0   ? "g"
                               : i == 1 ? "h"
                                        : "o");
                (void)put_program(live->host, name,
                                  i == 0   ? live->guest
                                  : i == 1 ? live->guest2
                                           : live->other,
                                  sizeof(live->guest));
        }
        assert_int_equal(guests_new(&live->guests, &live->root), 0);
        guests_set_match(live->guests, live->globs, GUEST_METRIC_RSS);
        *state = live;
        return 0;
}

static inline int live_teardown(void **state)
{
        struct live *live = *state;
        void *host = live->host;

        live->guests = guests_free(live->guests);
        sysroot_close(&live->root);
        assert_int_equal(made_up_root_teardown(&host), 0);
        free(live);
        return 0;
}

/* Scans, and asserts what must hold after every scan. Return: how many guests there are. */
static inline int64_t scan(struct live *live)
{
        struct guests_scan_info info;
        struct guests_sample sample;
        const struct guest *list;
        int64_t sum_kb = 0;
        size_t n;

        assert_int_equal(guests_scan(live->guests, &sample, &info), 0);
        list = guests_list(live->guests, &n);
        assert_int_equal(sample.count, n);
        for (size_t i = 0; i < n; i++) {
                assert_true(i == 0 || list[i - 1].pid < list[i].pid);
                assert_true(list[i].committed_kb > 0);
                assert_true(list[i].start_time > 0);
                sum_kb += list[i].committed_kb;
        }
        assert_true(sample.committed_kb == sum_kb);
        assert_true(info.n_processes > n);
        assert_int_equal(info.n_unreadable, 0);
        assert_false(info.names_denied);
        return sample.count;
}

static inline const struct guest *find(const struct live *live, pid_t pid)
{
        size_t n;
        const struct guest *list = guests_list(live->guests, &n);

        for (size_t i = 0; i < n; i++)
                if (list[i].pid == pid)
                        return &list[i];
        return NULL;
}

/* Scans until there are @expected guests. Return: how many scans that took. */
static inline unsigned scans_until(struct live *live, int64_t expected)
{
        for (unsigned n = 1; n <= 3 * GUESTS_CYCLE; n++)
                if (scan(live) == expected)
                        return n;
        fail_msg("not even in three cycles");
        return 0;
}
