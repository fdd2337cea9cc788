/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/sysroot.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "ksmtuned/cleanup.h"
#include "resolve.h"

int sysroot_open(struct sysroot *ret_root, const char *path)
{
        CLEANUP_FD int fd = -1;
        struct stat ours, theirs;

        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &theirs) < 0 || stat("/", &ours) < 0)
                return -errno;
        ret_root->made_up = ours.st_dev != theirs.st_dev || ours.st_ino != theirs.st_ino;
        ret_root->fd = TAKE_FD(fd);
        return 0;
}

void sysroot_close(struct sysroot *root)
{
        if (root->fd >= 0)
                (void)close(root->fd);
        root->fd = -1;
}

/* A made-up root's symbolic links stay inside it. glibc has no wrapper for openat2(). */
static int open_in_root(int root_fd, const char *path, int flags, mode_t mode)
{
        struct open_how how = {
                .flags = (uint64_t)(unsigned)flags,
                .mode = flags & O_CREAT ? mode : 0,
                .resolve = RESOLVE_IN_ROOT,
        };
        static bool missing; /* the kernel is older than 5.6 */
        char resolved[PATH_MAX];
        int fd, r;

        if (!missing) {
                fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
                if (fd >= 0 || errno != ENOSYS)
                        return fd < 0 ? -errno : fd;
                missing = true;
        }
        r = resolve_in_root(root_fd, path, !(flags & O_NOFOLLOW), resolved, sizeof(resolved));
        if (r < 0)
                return r;
        fd = openat(root_fd, resolved, flags | O_NOFOLLOW, mode);
        return fd < 0 ? -errno : fd;
}

/* O_NONBLOCK: a FIFO that somebody put where a file belongs must not hang the daemon. */
int sysroot_openat(const struct sysroot *root, const char *path, int flags, mode_t mode)
{
        int fd;

        flags |= O_CLOEXEC;
        if (!(flags & O_PATH))
                flags |= O_NOCTTY | O_NONBLOCK;
        if (root->made_up)
                return open_in_root(root->fd, path, flags, mode);
        fd = openat(root->fd, path, flags, mode);
        return fd < 0 ? -errno : fd;
}

ssize_t read_whole(int fd, char *buf, size_t size)
{
        size_t len = 0;

        for (;;) {
                ssize_t n = pread(fd, buf + len, size - len, (off_t)len);

                if (n < 0) {
                        if (errno == EINTR)
                                continue;
                        return -errno;
                }
                if (n == 0)
                        break;
                len += (size_t)n;
                if (len == size)
                        return -EFBIG;
        }
        buf[len] = '\0';
        return (ssize_t)len;
}

ssize_t sysroot_read(const struct sysroot *root, const char *path, char *buf, size_t size)
{
        CLEANUP_FD int fd = -1;

        fd = sysroot_openat(root, path, O_RDONLY, 0);
        if (fd < 0)
                return fd;
        return read_whole(fd, buf, size);
}

ssize_t sysroot_reread(const struct sysroot *root, int *fd, const char *path, char *buf,
                       size_t size)
{
        ssize_t n;

        if (root->made_up)
                return sysroot_read(root, path, buf, size);
        if (*fd < 0) {
                int opened = sysroot_openat(root, path, O_RDONLY, 0);

                if (opened < 0)
                        return opened;
                *fd = opened;
        }
        do
                n = pread(*fd, buf, size, 0);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        if ((size_t)n == size)
                return -EFBIG;
        buf[n] = '\0';
        return n;
}

ssize_t sysroot_readlink(const struct sysroot *root, const char *path, char *buf, size_t size)
{
        CLEANUP_FD int fd = -1;
        ssize_t n;

        if (root->made_up) {
                fd = sysroot_openat(root, path, O_PATH | O_NOFOLLOW, 0);
                if (fd < 0)
                        return fd;
                n = readlinkat(fd, "", buf, size);
        } else {
                n = readlinkat(root->fd, path, buf, size);
        }
        if (n < 0)
                return -errno;
        if ((size_t)n == size)
                return -EFBIG;
        buf[n] = '\0';
        return n;
}

/* One write() that takes everything, or an error. */
static int write_once(int fd, const char *text, size_t len)
{
        ssize_t n;

        do
                n = write(fd, text, len);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        return (size_t)n == len ? 0 : -EIO;
}

int sysroot_write(const struct sysroot *root, const char *path, const char *text)
{
        CLEANUP_FD int fd = -1;

        /* sysfs ignores O_TRUNC; on a made-up root a shorter value must leave nothing behind. */
        fd = sysroot_openat(root, path, O_WRONLY | O_TRUNC, 0);
        if (fd < 0)
                return fd;
        return write_once(fd, text, strlen(text));
}

/* Splits "/run/ksmtuned/state" into a descriptor of its folder and the name in it. */
static int open_folder(const struct sysroot *root, const char *path, bool make,
                       const char **ret_name)
{
        char folder[PATH_MAX];
        const char *slash = strrchr(path, '/');
        int fd;

        if (!slash || slash[1] == '\0')
                return -EINVAL;
        if ((size_t)(slash - path) >= sizeof(folder))
                return -ENAMETOOLONG;
        memcpy(folder, path, (size_t)(slash - path));
        folder[slash - path] = '\0';

        fd = sysroot_openat(root, slash == path ? "/" : folder, O_PATH | O_DIRECTORY, 0);
        if (fd == -ENOENT && make) {
                CLEANUP_FD int parent = -1;
                const char *name = "";

                parent = open_folder(root, folder, false, &name);
                if (parent < 0)
                        return parent;
                if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
                        return -errno;
                fd = sysroot_openat(root, folder, O_PATH | O_DIRECTORY, 0);
        }
        if (fd >= 0)
                *ret_name = slash + 1;
        return fd;
}

/* O_EXCL keeps us from following a link. What a crash left behind goes first. */
static int create_new(int folder, const char *name)
{
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
        int fd = openat(folder, name, flags, 0644);

        if (fd < 0 && errno == EEXIST) {
                (void)unlinkat(folder, name, 0);
                fd = openat(folder, name, flags, 0644);
        }
        return fd < 0 ? -errno : fd;
}

int sysroot_replace(const struct sysroot *root, const char *path, const char *text, size_t len)
{
        CLEANUP_FD int folder = -1, fd = -1;
        char temporary[NAME_MAX + 1];
        const char *name = "";
        int r;

        folder = open_folder(root, path, true, &name);
        if (folder < 0)
                return folder;
        r = snprintf(temporary, sizeof(temporary), ".%s.new", name);
        if (r < 0 || (size_t)r >= sizeof(temporary))
                return -ENAMETOOLONG;

        fd = create_new(folder, temporary);
        if (fd < 0)
                return fd;
        /* Readable by everyone whatever the umask says. */
        r = fchmod(fd, 0644) < 0 ? -errno : write_once(fd, text, len);
        if (r >= 0 && renameat(folder, temporary, folder, name) < 0)
                r = -errno;
        if (r < 0)
                (void)unlinkat(folder, temporary, 0);
        return r;
}

int sysroot_unlink(const struct sysroot *root, const char *path)
{
        CLEANUP_FD int folder = -1;
        const char *name = "";

        folder = open_folder(root, path, false, &name);
        if (folder < 0)
                return folder;
        return unlinkat(folder, name, 0) < 0 ? -errno : 0;
}

int sysroot_exists(const struct sysroot *root, const char *path)
{
        CLEANUP_FD int fd = -1;

        fd = sysroot_openat(root, path, O_PATH, 0);
        if (fd >= 0)
                return 1;
        return fd == -ENOENT || fd == -ENOTDIR ? 0 : fd;
}
