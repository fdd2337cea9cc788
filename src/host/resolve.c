/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "resolve.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINKS_MAX 40

struct walk {
        char done[PATH_MAX]; /* without links; "" is the root */
        char path[PATH_MAX];
        char *rest; /* in path: still to be walked */
        unsigned links;
};

static void step_up(char *done)
{
        char *slash = strrchr(done, '/');

        *(slash ? slash : done) = '\0';
}

/* The link's target takes its place before the rest of the way. */
static int follow_link(struct walk *walk, const char *target, const char *behind)
{
        char path[PATH_MAX];
        int n;

        if (++walk->links > LINKS_MAX)
                return -ELOOP;
        n = snprintf(path, sizeof(path), "%s/%s", target, behind);
        if (n < 0 || (size_t)n >= sizeof(path))
                return -ENAMETOOLONG;
        memcpy(walk->path, path, (size_t)n + 1);
        walk->rest = walk->path;
        if (*target == '/')
                walk->done[0] = '\0';
        else
                step_up(walk->done);
        return 0;
}

/* Takes the first part off the rest. Return: 1; 0 at the end of the way; a negative errno. */
static int step(int root_fd, struct walk *walk, bool follow)
{
        char target[PATH_MAX], *part = walk->rest + strspn(walk->rest, "/"), *end;
        size_t len = strlen(walk->done);
        bool last;
        ssize_t n;

        if (*part == '\0')
                return 0;
        end = part + strcspn(part, "/");
        last = end[strspn(end, "/")] == '\0';
        if (*end)
                *end++ = '\0';
        if (strcmp(part, "..") == 0)
                step_up(walk->done);
        if (strcmp(part, "..") != 0 && strcmp(part, ".") != 0) {
                n = snprintf(walk->done + len, sizeof(walk->done) - len, "%s%s", len ? "/" : "",
                             part);
                if (n < 0 || (size_t)n >= sizeof(walk->done) - len)
                        return -ENAMETOOLONG;
                n = last && !follow ? -1
                                    : readlinkat(root_fd, walk->done, target, sizeof(target) - 1);
                if (n >= 0) {
                        int r;

                        target[n] = '\0';
                        r = follow_link(walk, target, end);
                        return r < 0 ? r : 1;
                }
        }
        walk->rest = end;
        return 1;
}

int resolve_in_root(int root_fd, const char *path, bool follow, char *ret_path, size_t size)
{
        struct walk walk = {.done = "", .links = 0};
        int r;

        if (strlen(path) >= sizeof(walk.path))
                return -ENAMETOOLONG;
        memcpy(walk.path, path, strlen(path) + 1);
        walk.rest = walk.path;
        do
                r = step(root_fd, &walk, follow);
        while (r > 0);
        if (r < 0)
                return r;
        if (strlen(walk.done) >= size)
                return -ENAMETOOLONG;
        (void)snprintf(ret_path, size, "%s", walk.done[0] ? walk.done : ".");
        return 0;
}
