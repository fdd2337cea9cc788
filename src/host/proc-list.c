/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proc-list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ksmtuned/guests.h"

/* Some 500 processes a call at the most; the kernel fills whatever it is given. */
#define BUFFER_SIZE  16384
#define ENTRY_SIZE   32
#define SPARE        8
#define LOADAVG_SIZE 128

/* "1234" and nothing else. Return: whether it is a PID. */
static bool parse_pid(const char *name, uint32_t *ret_pid)
{
        uint32_t pid = 0;

        if (*name < '1' || *name > '9')
                return false;
        for (; *name >= '0' && *name <= '9'; name++)
                if (__builtin_mul_overflow(pid, 10U, &pid) ||
                    __builtin_add_overflow(pid, (uint32_t)(*name - '0'), &pid))
                        return false;
        if (*name != '\0' || pid > INT32_MAX)
                return false;
        *ret_pid = pid;
        return true;
}

struct listing {
        uint32_t from, to;
        size_t expected;
        uint32_t last;    /* the PID listed last; 0 before the first */
        int64_t position; /* directory offset of the next entry; -1: not known */
        int64_t offset;   /* that of a PID minus the PID; -1: not known */
        bool ordered;     /* seen before: PIDs ascend, so one above the range is its end */
        bool regular;     /* so far every PID stood in order and at its offset */
        bool done;
        proc_list_fn fn;
        void *userdata;
};

static int take_entry(struct listing *listing, const struct dirent64 *entry)
{
        int64_t position = listing->position;
        uint32_t pid;

        /* An entry tells where the next one stands. */
        listing->position = entry->d_off;
        if (!parse_pid(entry->d_name, &pid))
                return 0;
        if (position >= 0) {
                if (listing->offset < 0)
                        listing->offset = position - pid;
                if (position - pid != listing->offset || listing->offset < 0)
                        listing->regular = false;
        }
        if (pid <= listing->last)
                listing->regular = false;
        listing->last = pid;
        if (pid > listing->to && listing->ordered && listing->regular)
                listing->done = true;
        if (pid < listing->from || pid > listing->to)
                return 0;
        return listing->fn(listing->userdata, pid);
}

static int list_entries(struct listing *listing, int fd)
{
        union {
                struct dirent64 entry; /* for its alignment */
                char bytes[BUFFER_SIZE];
        } buffer;
        size_t size = sizeof(buffer);

        if (listing->expected < size / ENTRY_SIZE - SPARE)
                size = (listing->expected + SPARE) * ENTRY_SIZE;
        while (!listing->done) {
                ssize_t n = getdents64(fd, &buffer, size);

                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                for (ssize_t at = 0; at < n && !listing->done;) {
                        const struct dirent64 *entry = (const void *)(buffer.bytes + at);
                        int r = take_entry(listing, entry);

                        if (r < 0)
                                return r;
                        at += entry->d_reclen;
                }
        }
        return 0;
}

int proc_list(struct proc_lister *lister, int fd, uint32_t from, uint32_t to, size_t expected,
              proc_list_fn fn, void *userdata)
{
        bool seek = lister->can_seek && from > 0;
        struct listing listing = {
                .from = from,
                .to = to,
                .expected = expected,
                .position = -1,
                .offset = seek ? lister->offset : -1,
                .ordered = lister->can_seek,
                .regular = true,
                .fn = fn,
                .userdata = userdata,
        };
        int r;

        if (lseek(fd, seek ? (int64_t)from + lister->offset : 0, SEEK_SET) < 0)
                return -errno;
        r = list_entries(&listing, fd);
        if (r < 0)
                return r;
        /* Only a listing from the start shows whether offsets follow the PIDs; any can deny it. */
        if (!seek)
                lister->offset = listing.offset;
        lister->can_seek = listing.regular && (seek || listing.offset >= 0);
        return 0;
}

int proc_last_pid(const struct sysroot *proc, int *fd, uint32_t *ret_pid)
{
        char text[LOADAVG_SIZE], *end, *space;
        ssize_t n;

        n = sysroot_reread(proc, fd, "loadavg", text, sizeof(text));
        if (n < 0)
                return (int)n;
        end = strchr(text, '\n');
        if (!end)
                return -EBADMSG;
        *end = '\0';
        space = strrchr(text, ' ');
        return space && parse_pid(space + 1, ret_pid) ? 0 : -EBADMSG;
}
