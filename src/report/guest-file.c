/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/guest-file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Who changes the lines changes the number: a reader that does not know it looks for itself. */
#define HEADER "# ksmtuned-guests 1 "

ssize_t guest_file_format(char *buf, size_t size, pid_t daemon, const struct guest_file_entry *list,
                          size_t n)
{
        int added = snprintf(buf, size, HEADER "%d %zu\n", daemon, n);
        size_t len = 0;

        for (size_t i = 0;; i++) {
                if (added < 0 || (size_t)added >= size - len)
                        return -EFBIG;
                len += (size_t)added;
                if (i == n)
                        return (ssize_t)len;
                added = snprintf(buf + len, size - len, "%d %" PRIu64 "\n", list[i].pid,
                                 list[i].start_time);
        }
}

/* Digits alone, from @min to @max, and @behind them; @p moves behind that. */
static bool take_number(const char **p, uint64_t min, uint64_t max, char behind, uint64_t *ret)
{
        uint64_t value = 0;
        const char *at = *p;

        for (; *at >= '0' && *at <= '9'; at++)
                if (__builtin_mul_overflow(value, UINT64_C(10), &value) ||
                    __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
                        return false;
        if (at == *p || *at != behind || value < min || value > max)
                return false;
        *p = at + 1;
        *ret = value;
        return true;
}

int guest_file_parse(const char *text, struct guest_file_entry *list, size_t max, pid_t *ret_daemon,
                     size_t *ret_n)
{
        uint64_t daemon, n, pid = 0, start_time;
        const char *p = text;

        if (strncmp(p, HEADER, strlen(HEADER)) != 0)
                return -EBADMSG;
        p += strlen(HEADER);
        if (!take_number(&p, 1, INT32_MAX, ' ', &daemon) || !take_number(&p, 0, max, '\n', &n))
                return -EBADMSG;
        for (size_t i = 0; i < n; i++) {
                if (!take_number(&p, pid + 1, INT32_MAX, ' ', &pid) ||
                    !take_number(&p, 0, UINT64_MAX, '\n', &start_time))
                        return -EBADMSG;
                list[i] = (struct guest_file_entry){(pid_t)pid, start_time};
        }
        if (*p != '\0')
                return -EBADMSG;
        *ret_daemon = (pid_t)daemon;
        *ret_n = (size_t)n;
        return 0;
}

int guest_file_write(const struct sysroot *root, pid_t daemon, const struct guest_file_entry *list,
                     size_t n)
{
        ssize_t len;
        char *text;

        if (n > GUEST_FILE_MAX)
                return -EFBIG;
        text = malloc(GUEST_FILE_SIZE(n));
        if (!text)
                return -ENOMEM;
        len = guest_file_format(text, GUEST_FILE_SIZE(n), daemon, list, n);
        if (len >= 0)
                len = sysroot_replace(root, GUEST_FILE_PATH, text, (size_t)len);
        free(text);
        return (int)len;
}

/* Into @text, of which what is not touched takes no memory. Return: 0; -EBADMSG; errors of reading.
 */
static int read_text(const struct sysroot *root, char *text, size_t size)
{
        ssize_t n = sysroot_read(root, GUEST_FILE_PATH, text, size);

        if (n == -EFBIG || (n >= 0 && strlen(text) != (size_t)n))
                return -EBADMSG;
        return n < 0 ? (int)n : 0;
}

int guest_file_read(const struct sysroot *root, pid_t *ret_daemon,
                    struct guest_file_entry **ret_list, size_t *ret_n)
{
        size_t size = GUEST_FILE_SIZE(GUEST_FILE_MAX);
        struct guest_file_entry *list = calloc(GUEST_FILE_MAX, sizeof(*list));
        char *text = malloc(size);
        int r = list && text ? read_text(root, text, size) : -ENOMEM;

        if (r == 0)
                r = guest_file_parse(text, list, GUEST_FILE_MAX, ret_daemon, ret_n);
        free(text);
        if (r == 0)
                *ret_list = list;
        else
                free(list);
        return r;
}

int guest_file_remove(const struct sysroot *root)
{
        int r = sysroot_unlink(root, GUEST_FILE_PATH);

        return r == -ENOENT ? 0 : r;
}
