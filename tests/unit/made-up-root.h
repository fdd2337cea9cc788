/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A made-up host in a temporary folder. Include cmocka.h before.
 *
 * made_up_root_setup() and made_up_root_teardown() are cmocka's setup and teardown: *state is a
 * struct made_up_root then. Whatever fails here fails the test.
 */

#include <stddef.h>
#include <sys/types.h>

#include "ksmtuned/sysroot.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

struct made_up_root {
        char path[512]; /* of the folder, as this process sees it */
        struct sysroot root;
};

int made_up_root_setup(void **state);
int made_up_root_teardown(void **state);

/* Writes a file, and makes the folders above it. @path as the made-up host sees it. */
void put(const struct made_up_root *host, const char *path, const char *text);
void put_bytes(const struct made_up_root *host, const char *path, const void *bytes, size_t len);
void put_format(const struct made_up_root *host, const char *path, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

void put_folder(const struct made_up_root *host, const char *path);
void put_fifo(const struct made_up_root *host, const char *path);
void put_link(const struct made_up_root *host, const char *path, const char *target);

/* chmod() and the removal of a file or of a folder with all that is in it. */
void put_mode(const struct made_up_root *host, const char *path, mode_t mode);
void put_away(const struct made_up_root *host, const char *path);

/* Asserts that the file holds just @text. */
void assert_file(const struct made_up_root *host, const char *path, const char *text);

/* How many entries a folder has. */
size_t count_entries(const struct made_up_root *host, const char *path);

/*
 * Between the two, root is an ordinary user, for whom permissions count; an ordinary user stays who
 * he is. Made-up roots are open to all.
 */
void become_ordinary(void);
void become_self(void);
