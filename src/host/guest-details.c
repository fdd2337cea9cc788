/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-details.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest-memory.h"
#include "ksmtuned/cleanup.h"

/* libvirt puts -name first; what is further behind is not worth more. */
#define CMDLINE_SIZE  4096
#define KSM_STAT_SIZE 512

const char *guest_mergeable_name(enum guest_mergeable mergeable)
{
        switch (mergeable) {
        case GUEST_MERGEABLE_NO:
                return "no";
        case GUEST_MERGEABLE_YES:
                return "yes";
        case GUEST_MERGEABLE_UNKNOWN:
                break;
        }
        return "unknown";
}

/* The word behind the first of the options given, or NULL. */
static const char *find_value(const char *cmdline, size_t len, const char *option)
{
        for (size_t at = 0; at < len;) {
                size_t next = at + strnlen(cmdline + at, len - at) + 1;

                if (next < len && strcmp(cmdline + at, option) == 0)
                        return cmdline + next;
                at = next;
        }
        return NULL;
}

/* QEMU's options: "guest=NAME,debug-threads=on" in any order, or a bare NAME first. */
static const char *find_guest(const char *value)
{
        static const char key[] = "guest=";
        const char *p = value;

        while (p && strncmp(p, key, strlen(key)) != 0) {
                p = strchr(p, ',');
                p = p ? p + 1 : NULL;
        }
        if (p)
                return p + strlen(key);
        return memchr(value, '=', strcspn(value, ",")) ? NULL : value;
}

int guest_name_parse(const char *cmdline, size_t len, char ret_name[GUEST_NAME_SIZE])
{
        const char *name = find_value(cmdline, len, "-name");
        size_t n = 0;

        name = name ? find_guest(name) : find_value(cmdline, len, "--id");
        if (!name || *name == '\0' || *name == ',')
                return -ENOENT;
        /* A comma within a name is written twice. */
        for (; *name && (*name != ',' || name[1] == ',') && n < GUEST_NAME_SIZE - 1; name++) {
                if (*name == ',')
                        name++;
                ret_name[n++] = *name < ' ' || *name > '~' ? '?' : *name;
        }
        ret_name[n] = '\0';
        return 0;
}

enum guest_mergeable guest_mergeable_parse(const char *text)
{
        if (strstr(text, "ksm_mergeable: yes") || strstr(text, "ksm_merge_any: yes"))
                return GUEST_MERGEABLE_YES;
        if (strstr(text, "ksm_mergeable: no"))
                return GUEST_MERGEABLE_NO;
        /* Before 6.14: what ksmd has looked at is mergeable; where it has not, who knows. */
        if (strstr(text, "ksm_rmap_items ") && !strstr(text, "ksm_rmap_items 0\n"))
                return GUEST_MERGEABLE_YES;
        return GUEST_MERGEABLE_UNKNOWN;
}

static int read_name(const struct sysroot *proc, struct guest *guest)
{
        CLEANUP_FD int fd = -1;
        char path[PROC_PATH_SIZE], cmdline[CMDLINE_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "%d/cmdline", guest->pid);
        fd = sysroot_openat(proc, path, O_RDONLY, 0);
        if (fd < 0)
                return fd;
        n = read(fd, cmdline, sizeof(cmdline) - 1);
        if (n < 0)
                return -errno;
        cmdline[n] = '\0';
        return guest_name_parse(cmdline, (size_t)n, guest->name);
}

void guest_details_read(const struct sysroot *proc, struct guest *guest)
{
        char path[PROC_PATH_SIZE], text[KSM_STAT_SIZE];

        if (read_name(proc, guest) < 0)
                (void)snprintf(guest->name, sizeof(guest->name), "%s", guest->comm);
        (void)snprintf(path, sizeof(path), "%d/ksm_stat", guest->pid);
        guest->mergeable = sysroot_read(proc, path, text, sizeof(text)) > 0
                                   ? guest_mergeable_parse(text)
                                   : GUEST_MERGEABLE_UNKNOWN;
}
