/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Runs a fuzz target over every file of a corpus, where there is no libFuzzer. Prints TAP. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"
#include "ksmtuned/cleanup.h"

static int is_input(const struct dirent *entry)
{
        return entry->d_name[0] != '.';
}

static int run_file(int folder_fd, const char *name)
{
        CLEANUP_FD int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
        CLEANUP_FREE uint8_t *data = NULL;
        struct stat st;
        ssize_t n;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        /* One byte more, so that an empty file is no malloc(0), and a growing one is noticed. */
        data = malloc((size_t)st.st_size + 1);
        if (!data)
                return -ENOMEM;
        n = read(fd, data, (size_t)st.st_size + 1);
        if (n != st.st_size)
                return n < 0 ? -errno : -EIO;
        (void)LLVMFuzzerTestOneInput(data, (size_t)n);

        return 0;
}

int main(int argc, char **argv)
{
        struct dirent **entries;
        int folder_fd, n, failed = 0;

        if (argc != 2) {
                (void)fprintf(stderr, "Usage: %s FOLDER\n", argv[0]);
                return 2;
        }
        folder_fd = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        n = folder_fd < 0 ? -1 : scandir(argv[1], &entries, is_input, alphasort);
        if (n <= 0) {
                (void)printf("Bail out! %s: %s\n", argv[1], n < 0 ? strerror(errno) : "is empty");
                return 1;
        }

        (void)printf("1..%d\n", n);
        for (int i = 0; i < n; i++) {
                int r;

                /* A target that finds something wrong aborts; by then this has to be out. */
                (void)printf("# %s\n", entries[i]->d_name);
                (void)fflush(stdout);
                r = run_file(folder_fd, entries[i]->d_name);
                (void)printf("%s %d - %s%s%s\n", r < 0 ? "not ok" : "ok", i + 1, entries[i]->d_name,
                             r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
                failed += r < 0;
                free(entries[i]);
        }
        free(entries);
        (void)close(folder_fd);

        return failed > 0;
}
