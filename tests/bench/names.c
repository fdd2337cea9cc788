/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Reads the two names of every process, its comm and its executable's, and does nothing else:
 * nobody who asks but once can find the guests for less.
 */

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
        DIR *proc = opendir("/proc");
        const struct dirent *entry;
        size_t bytes = 0;

        if (!proc)
                return 1;
        while ((entry = readdir(proc))) {
                char path[300], text[4096];
                ssize_t n;
                int fd;

                if (!isdigit((unsigned char)entry->d_name[0]))
                        continue;
                (void)snprintf(path, sizeof(path), "%s/comm", entry->d_name);
                fd = openat(dirfd(proc), path, O_RDONLY | O_CLOEXEC);
                if (fd < 0)
                        continue;
                n = read(fd, text, sizeof(text));
                bytes += n > 0 ? (size_t)n : 0;
                (void)close(fd);
                memcpy(strrchr(path, '/'), "/exe", sizeof("/exe"));
                n = readlinkat(dirfd(proc), path, text, sizeof(text));
                bytes += n > 0 ? (size_t)n : 0;
        }
        (void)closedir(proc);
        printf("%zu\n", bytes);
        return 0;
}
