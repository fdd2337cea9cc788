/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-match.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest-memory.h"
#include "ksmtuned/cleanup.h"

#define LINK_SIZE    4096
#define CMDLINE_SIZE 256

/* Programs that come with VMs and are none, whatever the globs say. */
static const char *const helpers[] = {
        "qemu-bridge-helper", "qemu-edid",      "qemu-ga",
        "qemu-img",           "qemu-io",        "qemu-keymap",
        "qemu-nbd",           "qemu-pr-helper", "qemu-storage-daemon",
        "qemu-vmsr-helper",   "virtiofsd",      "virtfs-proxy-helper",
};

#define COMM_LEN (PROCESS_COMM_SIZE - 1)

/* A comm is the name's first 15 bytes. */
static bool is_helper(const char *comm, const char *exe)
{
        for (size_t i = 0; i < sizeof(helpers) / sizeof(helpers[0]); i++)
                if (strncmp(helpers[i], comm, COMM_LEN) == 0 ||
                    (exe && strcmp(helpers[i], exe) == 0))
                        return true;
        return false;
}

/* fnmatch() for names of which hardly one begins as the glob does. */
static bool glob_matches(const char *glob, const char *name)
{
        if (*glob != *name && !strchr("*?[\\", *glob))
                return false;
        return fnmatch(glob, name, 0) == 0;
}

static bool matches_any(const char *const *globs, const char *comm, const char *exe)
{
        for (; *globs; globs++) {
                if (glob_matches(*globs, comm))
                        return true;
                if (exe && glob_matches(*globs, exe))
                        return true;
                /* A name without wildcards that was cut short and cannot be had in full. */
                if (!exe && strlen(comm) == COMM_LEN && strncmp(*globs, comm, COMM_LEN) == 0)
                        return true;
        }
        return false;
}

bool guest_match(const char *const *globs, const char *comm, const char *exe)
{
        return matches_any(globs, comm, exe) && !is_helper(comm, exe);
}

/* The beginning of a file, by one read(): that is what looking at thousands of processes costs. */
static ssize_t read_begin(const struct sysroot *proc, uint32_t pid, const char *name, char *buf,
                          size_t size)
{
        CLEANUP_FD int fd = -1;
        char path[PROC_PATH_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%u/%s", pid, name);
        fd = sysroot_openat(proc, path, O_RDONLY, 0);
        if (fd < 0)
                return fd;
        n = read(fd, buf, size - 1);
        if (n < 0)
                return -errno;
        buf[n] = '\0';
        return n;
}

/*
 * Return: 0; -ENOENT of a process that has no executable: a kernel thread, a zombie, one that is
 * gone; else @ret_name is NULL where there is no name to be had.
 */
static int read_exe_name(const struct sysroot *proc, uint32_t pid, char buf[LINK_SIZE],
                         const char **ret_name)
{
        static const char deleted[] = " (deleted)"; /* replaced on disk by an upgrade */
        const size_t suffix = sizeof(deleted) - 1;
        char path[PROC_PATH_SIZE];
        const char *slash;
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%u/exe", pid);
        *ret_name = NULL;
        n = sysroot_readlink(proc, path, buf, LINK_SIZE);
        if (n == -ENOENT && !proc->made_up)
                return -ENOENT;
        if (n > (ssize_t)suffix && strcmp(buf + n - suffix, deleted) == 0)
                buf[(size_t)n - suffix] = '\0';
        /* A recorded root may have no links. */
        if (n == -EACCES || n == -EPERM || (n < 0 && proc->made_up))
                n = read_begin(proc, pid, "cmdline", buf, CMDLINE_SIZE);
        if (n <= 0)
                return 0;
        slash = strrchr(buf, '/');
        *ret_name = slash ? slash + 1 : buf;
        return 0;
}

int guest_classify(const struct sysroot *proc, const char *const *globs, uint32_t pid,
                   char ret_comm[PROCESS_COMM_SIZE])
{
        char text[PROCESS_COMM_SIZE + 64], link[LINK_SIZE];
        const char *exe;
        ssize_t n;

        /* First, for most of a host's processes are kernel threads, and that settles them. */
        ret_comm[0] = '\0';
        if (read_exe_name(proc, pid, link, &exe) == -ENOENT)
                return 0;
        n = read_begin(proc, pid, "comm", text, sizeof(text));
        if (n == -EACCES || n == -EPERM)
                return -EACCES;
        if (n <= 0)
                return -ESRCH;
        /* Only the last newline is not the name's own. Kernel threads' names can be longer. */
        if (text[n - 1] == '\n')
                text[n - 1] = '\0';
        text[PROCESS_COMM_SIZE - 1] = '\0';
        memcpy(ret_comm, text, PROCESS_COMM_SIZE);
        return guest_match(globs, ret_comm, exe);
}
