/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Where the host is: the folder that holds /proc, /sys, /etc, /run and /var.
 *
 * Every file of the host is reached through a sysroot. With the root "/" paths mean what they
 * say. With any other root (a test's, a recording's, a support dump) they are resolved inside it
 * as if it were the root directory: "..", absolute symbolic links and the like cannot lead out.
 *
 * Paths are absolute ("/proc/meminfo"). All functions return a negative errno on failure and
 * leave their ret_ arguments untouched then.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct sysroot {
        int fd;       /* O_PATH directory; owned */
        bool made_up; /* not the root that this process itself sees as "/" */
};

#define SYSROOT_INIT     \
        {                \
                .fd = -1 \
        }

/* Opens @path, which must be a directory. Release with sysroot_close(). */
int sysroot_open(struct sysroot *ret_root, const char *path);
void sysroot_close(struct sysroot *root);

/* open(2) inside the root; O_CLOEXEC, and but for O_PATH O_NOCTTY and O_NONBLOCK, are added.
 * Return: a descriptor. */
int sysroot_openat(const struct sysroot *root, const char *path, int flags, mode_t mode);

/*
 * Reads a whole file into @buf and ends it with a NUL byte.
 * Return: the number of bytes read; -EFBIG if it does not fit into size - 1 bytes.
 */
ssize_t sysroot_read(const struct sysroot *root, const char *path, char *buf, size_t size);

/* Reads a whole descriptor from offset 0; as sysroot_read(). */
ssize_t read_whole(int fd, char *buf, size_t size);

/*
 * For a file of the kernel that is read many times a second: it stays open in @fd (the caller's, -1
 * to begin with), and one pread() has all of it. That costs a fifth of opening it each time where
 * the CPU's caches have gone cold. In a made-up root, where files are replaced, it is opened anew.
 * Return: as sysroot_read().
 */
ssize_t sysroot_reread(const struct sysroot *root, int *fd, const char *path, char *buf,
                       size_t size);

/* The target of a symbolic link as it is written; as sysroot_read(). */
ssize_t sysroot_readlink(const struct sysroot *root, const char *path, char *buf, size_t size);

/*
 * Writes @text to an existing file with one write(), as a kernel attribute demands. A regular
 * file is emptied first; none is created. Return: 0; what open() or write() said; -EIO if the
 * file took less than the whole text.
 */
int sysroot_write(const struct sysroot *root, const char *path, const char *text);

/*
 * Replaces @path atomically by @text (a temporary file beside it, then rename), mode 0644.
 * The folder that holds it is made (0755) where only that last folder is missing.
 * On failure the old file is as it was and no temporary file stays behind.
 */
int sysroot_replace(const struct sysroot *root, const char *path, const char *text, size_t len);

/* Removes a file. Return: 0; -ENOENT and the like. */
int sysroot_unlink(const struct sysroot *root, const char *path);

/* Return: 1 if @path exists, 0 if it does not, or a negative errno. */
int sysroot_exists(const struct sysroot *root, const char *path);
