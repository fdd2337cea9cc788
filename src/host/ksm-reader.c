/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ksm-private.h"

#define PATH_SIZE 128

/* Of what is open no path is made: this runs many times a second. */

struct ksm_reader {
        const struct sysroot *root;
        int fds[KSM_ATTRIBUTE_COUNT]; /* -1: not opened yet */
        bool missing[KSM_ATTRIBUTE_COUNT];
        int schedstat_fd;
};

int ksm_reader_new(struct ksm_reader **ret_reader, const struct sysroot *root)
{
        struct ksm_reader *reader = calloc(1, sizeof(*reader));

        if (!reader)
                return -ENOMEM;
        reader->root = root;
        reader->schedstat_fd = -1;
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                reader->fds[i] = -1;
        *ret_reader = reader;
        return 0;
}

struct ksm_reader *ksm_reader_free(struct ksm_reader *reader)
{
        if (!reader)
                return NULL;
        for (int i = 0; i < KSM_ATTRIBUTE_COUNT; i++)
                if (reader->fds[i] >= 0)
                        (void)close(reader->fds[i]);
        if (reader->schedstat_fd >= 0)
                (void)close(reader->schedstat_fd);
        free(reader);
        return NULL;
}

int ksm_reader_get(struct ksm_reader *reader, enum ksm_attribute attribute, int64_t *ret_value)
{
        char text[KSM_TEXT_SIZE], path[PATH_SIZE];
        ssize_t n;

        if (reader->missing[attribute])
                return -EOPNOTSUPP;
        path[0] = '\0';
        if (reader->fds[attribute] < 0)
                (void)snprintf(path, sizeof(path), KSM_FOLDER "/%s",
                               ksm_attribute_info(attribute)->name);
        n = sysroot_reread(reader->root, &reader->fds[attribute], path, text, sizeof(text));
        /* The kernel's attributes do not come later; a made-up root's may. */
        if (n == -ENOENT)
                reader->missing[attribute] = !reader->root->made_up;
        if (n < 0)
                return n == -ENOENT ? -EOPNOTSUPP : n == -EFBIG ? -EBADMSG : (int)n;
        return ksm_parse(attribute, text, ret_value);
}

static int get(void *userdata, enum ksm_attribute attribute, int64_t *ret_value)
{
        return ksm_reader_get(userdata, attribute, ret_value);
}

static int read_ksmd(struct ksm_reader *reader, struct ksmd *ksmd, int64_t *ret_nsec)
{
        char text[KSM_TEXT_SIZE * 2], path[PATH_SIZE];

        if (ksmd->pid > 0) {
                path[0] = '\0';
                if (reader->schedstat_fd < 0)
                        (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", ksmd->pid);
                if (sysroot_reread(reader->root, &reader->schedstat_fd, path, text, sizeof(text)) >
                            0 &&
                    ksm_schedstat_parse(text, ret_nsec) == 0)
                        return 0;
        }
        return ksmd_cpu_nsec(ksmd, reader->root, ret_nsec);
}

int ksm_reader_sample(struct ksm_reader *reader, struct ksmd *ksmd, struct ksm_sample *ret_sample)
{
        int r;

        r = ksm_sample_by(get, reader, ret_sample);
        if (r < 0)
                return r;
        if (read_ksmd(reader, ksmd, &ret_sample->ksmd_cpu_nsec) < 0)
                ret_sample->ksmd_cpu_nsec = SAMPLE_ABSENT;
        return 0;
}
