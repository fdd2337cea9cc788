/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ksmtuned/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ksmtuned/sample.h"

#define STATE_SIZE 4096

#define STALE_SLACK_USEC (5 * INT64_C(1000000))

enum field_type { TEXT, NUMBER, PID };

struct field {
        const char *key;
        enum field_type type;
        size_t offset, size;
};

#define FIELD(key, type, member)                                                               \
        {                                                                                      \
                key, type, offsetof(struct state, member), sizeof(((struct state *)0)->member) \
        }

static const struct field fields[] = {
        FIELD("VERSION", TEXT, version),
        FIELD("PID", PID, pid),
        FIELD("POLICY", TEXT, policy),
        FIELD("PHASE", TEXT, phase),
        FIELD("RUN", NUMBER, run),
        FIELD("PAGES_TO_SCAN", NUMBER, pages_to_scan),
        FIELD("SLEEP_MSEC", NUMBER, sleep_msec),
        FIELD("TOTAL_KB", NUMBER, total_kb),
        FIELD("FREE_KB", NUMBER, free_kb),
        FIELD("COMMITTED_KB", NUMBER, committed_kb),
        FIELD("THRESHOLD_KB", NUMBER, threshold_kb),
        FIELD("GUESTS", NUMBER, guests),
        FIELD("SAVED_BYTES", NUMBER, saved_bytes),
        FIELD("KSMD_CPU_NSEC", NUMBER, ksmd_cpu_nsec),
        FIELD("DECISIONS", NUMBER, decisions),
        FIELD("TRIGGER", TEXT, trigger),
        FIELD("REASON", TEXT, reason),
        FIELD("TIME_USEC", NUMBER, time_usec),
        FIELD("INTERVAL_USEC", NUMBER, interval_usec),
        FIELD("NEXT_USEC", NUMBER, next_usec),
        FIELD("PASS_DUE_USEC", NUMBER, pass_due_usec),
        FIELD("SETTINGS_OWED", TEXT, settings_owed),
        FIELD("ADVISOR_MODE_BEFORE", NUMBER, advisor_before),
        FIELD("SMART_SCAN_BEFORE", NUMBER, smart_scan_before),
        FIELD("PAGES_TO_SCAN_BEFORE", NUMBER, pages_to_scan_before),
        FIELD("SLEEP_MSEC_BEFORE", NUMBER, sleep_msec_before),
};
#define N_FIELDS (sizeof(fields) / sizeof(fields[0]))

static void *member(struct state *state, const struct field *field)
{
        return (char *)state + field->offset;
}

void state_init(struct state *state)
{
        memset(state, 0, sizeof(*state));
        for (size_t i = 0; i < N_FIELDS; i++)
                if (fields[i].type == NUMBER)
                        *(int64_t *)member(state, &fields[i]) = SAMPLE_ABSENT;
}

int state_write(const struct sysroot *root, const struct state *state)
{
        struct state copy = *state;
        char text[STATE_SIZE];
        size_t len = 0;

        for (size_t i = 0; i < N_FIELDS; i++) {
                char *value = member(&copy, &fields[i]);
                int n = 0;

                switch (fields[i].type) {
                case TEXT:
                        for (char *p = value; *p; p++)
                                if (*p == '\n' || *p == '\r')
                                        *p = ' ';
                        n = snprintf(text + len, sizeof(text) - len, "%s=%s\n", fields[i].key,
                                     value);
                        break;
                case NUMBER:
                        n = snprintf(text + len, sizeof(text) - len, "%s=%" PRId64 "\n",
                                     fields[i].key, *(int64_t *)(void *)value);
                        break;
                case PID:
                        n = snprintf(text + len, sizeof(text) - len, "%s=%d\n", fields[i].key,
                                     *(pid_t *)(void *)value);
                        break;
                }
                if (n < 0 || (size_t)n >= sizeof(text) - len)
                        return -EFBIG;
                len += (size_t)n;
        }
        return sysroot_replace(root, STATE_PATH, text, len);
}

static int parse_number(const char *text, size_t len, int64_t *ret_value)
{
        char copy[32], *rest;
        long long value;

        if (len == 0 || len >= sizeof(copy) || text[0] == ' ' || text[0] == '+')
                return -EBADMSG;
        memcpy(copy, text, len);
        copy[len] = '\0';
        errno = 0;
        value = strtoll(copy, &rest, 10);
        if (errno != 0 || *rest != '\0')
                return -EBADMSG;
        *ret_value = value;
        return 0;
}

static int parse_field(struct state *state, const struct field *field, const char *text, size_t len)
{
        char *value = member(state, field);
        int64_t number;

        if (field->type == TEXT) {
                if (len >= field->size)
                        return -EBADMSG;
                memcpy(value, text, len);
                value[len] = '\0';
                return 0;
        }
        if (parse_number(text, len, &number) < 0)
                return -EBADMSG;
        if (field->type == PID) {
                if (number < 0 || number > INT32_MAX)
                        return -EBADMSG;
                *(pid_t *)(void *)value = (pid_t)number;
        } else {
                *(int64_t *)(void *)value = number;
        }
        return 0;
}

int state_parse(const char *text, struct state *ret_state)
{
        struct state state;
        const char *line, *end;

        state_init(&state);
        for (line = text; *line; line = end + 1) {
                const char *equals;

                end = strchr(line, '\n');
                equals = end ? memchr(line, '=', (size_t)(end - line)) : NULL;
                if (!equals)
                        return -EBADMSG;
                for (size_t i = 0; i < N_FIELDS; i++)
                        if (strlen(fields[i].key) == (size_t)(equals - line) &&
                            memcmp(fields[i].key, line, (size_t)(equals - line)) == 0 &&
                            parse_field(&state, &fields[i], equals + 1,
                                        (size_t)(end - equals - 1)) < 0)
                                return -EBADMSG;
        }
        *ret_state = state;
        return 0;
}

int state_read(const struct sysroot *root, struct state *ret_state)
{
        char text[STATE_SIZE];
        ssize_t n;

        n = sysroot_read(root, STATE_PATH, text, sizeof(text));
        if (n == -EFBIG)
                return -EBADMSG;
        if (n < 0)
                return (int)n;
        if (strlen(text) != (size_t)n)
                return -EBADMSG;
        return state_parse(text, ret_state);
}

int state_remove(const struct sysroot *root)
{
        int r = sysroot_unlink(root, STATE_PATH);

        return r == -ENOENT ? 0 : r;
}

int state_daemon_alive(const struct sysroot *root, const struct state *state)
{
        char path[32], comm[32];
        ssize_t n;

        if (state->pid <= 0)
                return 0;
        (void)snprintf(path, sizeof(path), "/proc/%d/comm", state->pid);
        n = sysroot_read(root, path, comm, sizeof(comm));
        if (n == -ENOENT || n == -ESRCH)
                return 0;
        if (n < 0)
                return (int)n;
        return strcmp(comm, "ksmtuned\n") == 0;
}

bool state_is_stale(const struct state *state, int64_t now_usec)
{
        int64_t latest_usec = saturating_add(
                state->time_usec,
                saturating_add(saturating_mul(state->interval_usec, 2), STALE_SLACK_USEC));

        return state->time_usec >= 0 && state->interval_usec >= 0 && now_usec > latest_usec;
}
