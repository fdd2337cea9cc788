/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/cgroup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT_SIZE 16384

/* The path in the line of a hierarchy, "0::/a/b" or "1:name=systemd:/a/b", or NULL. */
static const char *find_hierarchy(const char *text, const char *controllers)
{
        size_t n = strlen(controllers);

        for (const char *line = text; line && *line;) {
                const char *colon = strchr(line, ':');

                if (!colon)
                        return NULL;
                if (strncmp(colon, controllers, n) == 0)
                        return colon + n;
                line = strchr(line, '\n');
                line = line ? line + 1 : NULL;
        }
        return NULL;
}

static bool ends_with(const char *name, size_t len, const char *suffix)
{
        size_t n = strlen(suffix);

        return len > n && strncmp(name + len - n, suffix, n) == 0;
}

/* The innermost folder that bears the name of a service or a scope. */
static void find_unit(struct cgroup *cgroup)
{
        size_t end = strlen(cgroup->path);

        while (end > 0) {
                size_t begin = end;

                while (begin > 0 && cgroup->path[begin - 1] != '/')
                        begin--;
                if (ends_with(cgroup->path + begin, end - begin, ".service") ||
                    ends_with(cgroup->path + begin, end - begin, ".scope")) {
                        memcpy(cgroup->unit, cgroup->path + begin, end - begin);
                        cgroup->unit[end - begin] = '\0';
                        return;
                }
                end = begin > 0 ? begin - 1 : 0;
        }
}

int cgroup_parse(const char *text, struct cgroup *ret_cgroup)
{
        struct cgroup cgroup = {.path = ""};
        const char *path = find_hierarchy(text, ":name=systemd:");
        size_t n;

        if (!path)
                path = find_hierarchy(text, "::");
        if (!path || *path != '/')
                return -ENOENT;
        n = strcspn(path, "\n");
        if (n >= sizeof(cgroup.path))
                n = sizeof(cgroup.path) - 1;
        memcpy(cgroup.path, path, n);
        find_unit(&cgroup);
        *ret_cgroup = cgroup;
        return 0;
}

int cgroup_read(const struct sysroot *root, pid_t pid, struct cgroup *ret_cgroup)
{
        char path[64], text[TEXT_SIZE];
        ssize_t n;

        (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
        n = sysroot_read(root, path, text, sizeof(text));
        if (n < 0)
                return n == -ENOENT ? -ESRCH : (int)n;
        return cgroup_parse(text, ret_cgroup);
}
