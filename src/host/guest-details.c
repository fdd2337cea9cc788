/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "guest-details.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest-memory.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/ksm-process.h"
#include "vm-cmdline.h"

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
        const char *word;
        size_t at = 0;

        while ((word = cmdline_next(cmdline, len, &at)))
                if (strcmp(word, option) == 0)
                        return cmdline_next(cmdline, len, &at);
        return NULL;
}

/* QEMU's options: "guest=NAME,debug-threads=on" in any order, or a bare NAME first. */
static const char *find_guest(const char *value)
{
        static const char key[] = "guest=";

        for (const char *p = value;; p++) {
                if (strncmp(p, key, strlen(key)) == 0)
                        return p + strlen(key);
                p = strchr(p, ',');
                if (!p)
                        break;
        }
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
                ret_name[n] = '?';
                if (*name >= ' ' && *name <= '~')
                        ret_name[n] = *name;
                n++;
        }
        ret_name[n] = '\0';
        return 0;
}

enum guest_mergeable guest_mergeable_of(const struct ksm_process *process)
{
        if (process->mergeable == KSM_ANSWER_YES || process->merge_any == KSM_ANSWER_YES)
                return GUEST_MERGEABLE_YES;
        if (process->mergeable == KSM_ANSWER_NO)
                return GUEST_MERGEABLE_NO;
        /* Before 6.14: what ksmd has looked at is mergeable; where it has not, who knows. */
        return process->rmap_items > 0 ? GUEST_MERGEABLE_YES : GUEST_MERGEABLE_UNKNOWN;
}

enum guest_mergeable guest_mergeable_parse(const char *text)
{
        struct ksm_process process;

        ksm_process_init(&process);
        return ksm_stat_parse(text, &process) < 0 ? GUEST_MERGEABLE_UNKNOWN
                                                  : guest_mergeable_of(&process);
}

const char *guest_name(const struct guest *guest)
{
        return guest->own_name ? guest->own_name : guest->comm;
}

static int read_name(const struct sysroot *proc, const struct guest *guest,
                     char ret_name[GUEST_NAME_SIZE])
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
        return guest_name_parse(cmdline, (size_t)n, ret_name);
}

void guest_details_read(const struct sysroot *proc, struct guest *guest)
{
        char path[PROC_PATH_SIZE], text[KSM_STAT_SIZE], name[GUEST_NAME_SIZE];

        if (read_name(proc, guest, name) < 0) {
                free(guest->own_name);
                guest->own_name = NULL;
        } else if (strcmp(name, guest_name(guest)) != 0) {
                free(guest->own_name);
                guest->own_name = strdup(name); /* without memory it is called by its comm */
        }
        (void)snprintf(path, sizeof(path), "%d/ksm_stat", guest->pid);
        guest->mergeable = sysroot_read(proc, path, text, sizeof(text)) > 0
                                   ? guest_mergeable_parse(text)
                                   : GUEST_MERGEABLE_UNKNOWN;
}
