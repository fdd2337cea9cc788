/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "draft.h"
#include "keys.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/settings.h"
#include "values.h"

#define DROPIN_SUFFIX ".conf"

static void cleanup_settings(struct settings **settings)
{
        *settings = settings_free(*settings);
}

static void cleanup_paths(char ***paths)
{
        for (char **path = *paths; path && *path; path++)
                free(*path);
        free(*paths);
}

static void cleanup_dir(DIR **dir)
{
        if (*dir)
                (void)closedir(*dir);
}

int settings_new(struct settings **ret_settings)
{
        CLEANUP(cleanup_settings) struct settings *settings = calloc(1, sizeof(*settings));
        char text[256];

        if (!settings)
                return -ENOMEM;
        for (int key = 0; key < KEY_COUNT; key++) {
                int r = key_set((enum key)key, settings, key_infos[key].default_text, text,
                                sizeof(text));

                if (r < 0)
                        return r;
        }

        *ret_settings = TAKE_PTR(settings);
        return 0;
}

struct settings *settings_free(struct settings *settings)
{
        if (!settings)
                return NULL;
        free(settings->vm_match);
        free(settings->log_file);
        free(settings->pid_file);
        free(settings->libvirt_uri);
        free(settings->metrics_file);
        free(settings);

        return NULL;
}

/* With @root NULL: as this process sees it. Never blocks. Return: a descriptor or -errno. */
static int open_path(const struct sysroot *root, const char *path, int flags)
{
        int fd;

        if (root)
                return sysroot_openat(root, path, flags, 0);
        fd = open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

        return fd < 0 ? -errno : fd;
}

/* Reads a whole file into new memory. Return: its length; -EFBIG; what reading said. */
static ssize_t read_text(int fd, off_t expected_bytes, char **ret_text)
{
        /* Files of /proc say 0 and hold something, and a file may grow while it is read. */
        size_t size = expected_bytes < 4096 ? 4096 : (size_t)expected_bytes + 1;

        for (;;) {
                CLEANUP_FREE char *text = malloc(size);
                ssize_t len;

                if (!text)
                        return -ENOMEM;
                len = read_whole(fd, text, size);
                if (len >= 0 && len <= SETTINGS_MAX_BYTES) {
                        *ret_text = TAKE_PTR(text);
                        return len;
                }
                if (len >= 0 || (len == -EFBIG && size > SETTINGS_MAX_BYTES))
                        return -EFBIG;
                if (len != -EFBIG)
                        return len;
                size *= 2;
        }
}

/* Return: 0, also where the file is bad and the draft knows; -ENOMEM. */
static int read_regular(struct draft *draft, int fd, off_t expected_bytes, const char *path)
{
        CLEANUP_FREE char *text = NULL;
        ssize_t len;

        len = expected_bytes > SETTINGS_MAX_BYTES ? -EFBIG : read_text(fd, expected_bytes, &text);
        if (len == -ENOMEM)
                return -ENOMEM;
        if (len == -EFBIG)
                return draft_file_problem(draft, true, path, "is larger than 1 MiB");
        if (len < 0)
                return draft_file_problem(draft, true, path, "cannot be read: %s",
                                          strerror((int)-len));

        return draft_read(draft, path, text, (size_t)len);
}

/* Return: as above; -ENOENT where there is none. */
static int read_file(struct draft *draft, const struct sysroot *root, const char *path)
{
        CLEANUP_FD int fd = open_path(root, path, O_RDONLY);
        struct stat st;

        if (fd == -ENOENT)
                return fd;
        /* What opening a socket says. */
        if (fd == -ENXIO)
                return draft_file_problem(draft, true, path, "is not a regular file");
        if (fd < 0)
                return draft_file_problem(draft, true, path, "cannot be opened: %s", strerror(-fd));
        if (fstat(fd, &st) < 0)
                return draft_file_problem(draft, true, path, "cannot be looked at: %s",
                                          strerror(errno));
        if (S_ISDIR(st.st_mode))
                return draft_file_problem(draft, true, path, "is a folder, not a file");
        if (!S_ISREG(st.st_mode))
                return draft_file_problem(draft, true, path, "is not a regular file");

        return read_regular(draft, fd, st.st_size, path);
}

static int is_dropin(const struct dirent *entry)
{
        const size_t suffix = strlen(DROPIN_SUFFIX);
        size_t len = strlen(entry->d_name);

        return len > suffix && entry->d_name[0] != '.' &&
               strcmp(entry->d_name + len - suffix, DROPIN_SUFFIX) == 0;
}

static int compare_paths(const void *a, const void *b)
{
        return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Appends a copy of SETTINGS_DROPIN_PATH/name to a list that ends with NULL. */
static int append_dropin(char ***list, size_t *n, const char *name)
{
        char **longer = reallocarray(*list, *n + 2, sizeof(*longer));

        if (!longer)
                return -ENOMEM;
        *list = longer;
        longer[*n] = longer[*n + 1] = NULL;
        if (asprintf(&longer[*n], SETTINGS_DROPIN_PATH "/%s", name) < 0) {
                longer[*n] = NULL;
                return -ENOMEM;
        }
        (*n)++;

        return 0;
}

/* The paths of the drop-ins in their order. Return: how many; what listing them said. */
static int list_dropins(const struct sysroot *root, char ***ret_paths)
{
        CLEANUP(cleanup_paths) char **paths = NULL;
        CLEANUP(cleanup_dir) DIR *dir = NULL;
        struct dirent *entry;
        size_t n = 0;
        CLEANUP_FD int fd = open_path(root, SETTINGS_DROPIN_PATH, O_RDONLY | O_DIRECTORY);

        if (fd == -ENOENT) {
                *ret_paths = NULL;
                return 0;
        }
        if (fd < 0)
                return fd;
        dir = fdopendir(fd);
        if (!dir)
                return -errno;
        (void)TAKE_FD(fd);

        while (errno = 0, (entry = readdir(dir)) != NULL) {
                int r = is_dropin(entry) ? append_dropin(&paths, &n, entry->d_name) : 0;

                if (r < 0)
                        return r;
        }
        if (errno != 0)
                return -errno;
        if (n > 0)
                qsort(paths, n, sizeof(*paths), compare_paths);

        *ret_paths = TAKE_PTR(paths);
        return (int)n;
}

static int read_host_files(struct draft *draft, const struct sysroot *root, char *const *dropins)
{
        int r;

        r = read_file(draft, root, SETTINGS_PATH);
        if (r == -ENOENT)
                r = 0;
        for (; dropins && *dropins && r >= 0; dropins++) {
                r = read_file(draft, root, *dropins);
                /* It was listed: it is a link to nothing, or it went this moment. */
                if (r == -ENOENT)
                        r = draft_file_problem(draft, false, *dropins,
                                               "cannot be opened and is passed over: %s",
                                               strerror(ENOENT));
        }

        return r;
}

int settings_load(struct settings **ret_settings, const struct sysroot *root, const char *file,
                  struct settings_problems *problems)
{
        CLEANUP(cleanup_settings) struct settings *settings = NULL;
        CLEANUP(cleanup_paths) char **dropins = NULL;
        struct draft draft;
        int r;

        r = settings_new(&settings);
        if (r < 0)
                return r;
        draft_init(&draft, settings, problems);

        if (file) {
                r = read_file(&draft, NULL, file);
                if (r == -ENOENT)
                        r = draft_file_problem(&draft, true, file, "cannot be opened: %s",
                                               strerror(ENOENT));
        } else {
                r = list_dropins(root, &dropins);
                if (r < 0 && r != -ENOMEM)
                        r = draft_file_problem(&draft, true, SETTINGS_DROPIN_PATH,
                                               "cannot be listed: %s", strerror(-r));
                if (r >= 0)
                        r = read_host_files(&draft, root, dropins);
        }
        if (r >= 0)
                r = draft_finish(&draft);
        if (r < 0)
                return r;
        if (draft.failed)
                return -EBADMSG;

        *ret_settings = TAKE_PTR(settings);
        return 0;
}

int settings_interval(const char *text, uint64_t *ret_usec)
{
        return value_interval(text, SETTINGS_INTERVAL_MIN_USEC, SETTINGS_INTERVAL_MAX_USEC,
                              ret_usec);
}
