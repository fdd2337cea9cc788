/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "excerpt.h"
#include "keys.h"
#include "ksmtuned/cleanup.h"
#include "ksmtuned/nearest.h"
#include "values.h"

#define USEC_PER_SEC INT64_C(1000000)
#define USEC_PER_DAY (USEC_PER_SEC * 24 * 60 * 60)
#define KB_PER_PIB   (INT64_C(1) << 40)

/* The folder that Debian's node exporter looks into. */
#define METRICS_FILE_EXAMPLE "/var/lib/prometheus/node-exporter/ksmtuned.prom"
/* As many as the file of metrics has room for, if their names are short. */
#define METRICS_GUESTS_MAX INT64_C(500)

/* pages_to_scan and sleep_millisecs are unsigned 32-bit numbers in the kernel. */
#define KNOB_MAX INT64_C(4294967295)

#define INTEGER(name_, default_, member_, min_, max_, unit_)                                \
        {                                                                                   \
                .name = (name_), .default_text = (default_), .type = KEY_TYPE_INTEGER,      \
                .offset = offsetof(struct settings, member_), .min = (min_), .max = (max_), \
                .unit = (unit_),                                                            \
        }
#define OPTIONAL(name_, setting_, min_, max_)                                               \
        {                                                                                   \
                .name = (name_), .default_text = "", .type = KEY_TYPE_OPTIONAL,             \
                .offset = offsetof(struct settings, kernel.value[setting_]), .min = (min_), \
                .max = (max_),                                                              \
        }
#define DECIMAL(name_, default_, member_, scale_, min_, max_, unit_)                            \
        {                                                                                       \
                .name = (name_), .default_text = (default_), .type = KEY_TYPE_DECIMAL,          \
                .offset = offsetof(struct settings, member_), .scale = (scale_), .min = (min_), \
                .max = (max_), .unit = (unit_),                                                 \
        }
#define OTHER(name_, default_, type_, member_)                                \
        {                                                                     \
                .name = (name_), .default_text = (default_), .type = (type_), \
                .offset = offsetof(struct settings, member_),                 \
        }

#define VM_MATCH_DEFAULT \
        "qemu-kvm, qemu-system-*, qemu:*, kvm, cloud-hypervisor, firecracker, crosvm"

/* clang-format off */
const struct key_info key_infos[KEY_COUNT] = {
        [KEY_MONITOR_INTERVAL] = {
                .name = "KSM_MONITOR_INTERVAL", .default_text = "60", .type = KEY_TYPE_INTERVAL,
                .offset = offsetof(struct settings, monitor_interval_usec),
                .min = USEC_PER_SEC / 10, .max = USEC_PER_DAY,
        },
        [KEY_SLEEP_MSEC] =
                INTEGER("KSM_SLEEP_MSEC", "10", policy.classic.sleep_msec, 0, KNOB_MAX, "ms"),
        [KEY_NPAGES_BOOST] =
                INTEGER("KSM_NPAGES_BOOST", "300", policy.classic.npages_boost, 0, KNOB_MAX, NULL),
        [KEY_NPAGES_DECAY] =
                INTEGER("KSM_NPAGES_DECAY", "-50", policy.classic.npages_decay, -KNOB_MAX, KNOB_MAX, NULL),
        [KEY_NPAGES_MIN] =
                INTEGER("KSM_NPAGES_MIN", "64", policy.classic.npages_min, 0, KNOB_MAX, NULL),
        [KEY_NPAGES_MAX] =
                INTEGER("KSM_NPAGES_MAX", "1250", policy.classic.npages_max, 0, KNOB_MAX, NULL),
        [KEY_THRES_COEF] =
                INTEGER("KSM_THRES_COEF", "20", policy.classic.thres_coef, 0, KNOB_MAX, "%"),
        [KEY_THRES_CONST] =
                INTEGER("KSM_THRES_CONST", "2048", policy.classic.thres_const_kb, 0, KB_PER_PIB, "kB"),
        [KEY_DEBUG] = OTHER("DEBUG", "0", KEY_TYPE_FLAG, debug),
        [KEY_LOGFILE] = OTHER("LOGFILE", "/var/log/ksmtuned", KEY_TYPE_PATH, log_file),
        [KEY_PIDFILE] = OTHER("PIDFILE", "/run/ksmtune.pid", KEY_TYPE_PATH, pid_file),
        [KEY_POLICY] = OTHER("KSM_POLICY", "classic", KEY_TYPE_CHOICE, policy.kind),
        [KEY_CPU_MAX] =
                INTEGER("KSM_CPU_MAX", "100", policy.adaptive.cpu_max, 1, 100, "% of a CPU"),
        [KEY_CPU_BUDGET] =
                DECIMAL("KSM_CPU_BUDGET", "2", policy.adaptive.cpu_budget_milli, 1000, 10, 100000, "% of a CPU"),
        [KEY_MEMORY_PRICE] =
                DECIMAL("KSM_MEMORY_PRICE", "0.125", policy.adaptive.memory_price_micro, 1000000, 1000, INT64_C(1000000000), "CPU seconds"),
        [KEY_VM_MATCH] = OTHER("KSM_VM_MATCH", VM_MATCH_DEFAULT, KEY_TYPE_WORDS, vm_match),
        [KEY_PS_METRIC] = OTHER("KSM_PS_METRIC", "rss", KEY_TYPE_CHOICE, ps_metric),
        [KEY_LIBVIRT_URI] = OTHER("KSM_LIBVIRT_URI", "qemu:///system", KEY_TYPE_URI, libvirt_uri),
        [KEY_STOP_ACTION] = OTHER("KSM_STOP_ACTION", "keep", KEY_TYPE_CHOICE, stop_action),
        [KEY_METRICS_FILE] = OTHER("KSM_METRICS_FILE", "", KEY_TYPE_PATH, metrics_file),
        [KEY_METRICS_GUESTS] =
                INTEGER("KSM_METRICS_GUESTS", "50", metrics_guests, 0, METRICS_GUESTS_MAX, NULL),
        [KEY_MERGE_ACROSS_NODES] =
                OPTIONAL("KSM_MERGE_ACROSS_NODES", KERNEL_MERGE_ACROSS_NODES, 0, 1),
        [KEY_MAX_PAGE_SHARING] =
                OPTIONAL("KSM_MAX_PAGE_SHARING", KERNEL_MAX_PAGE_SHARING, 2, INT32_MAX),
        [KEY_USE_ZERO_PAGES] = OPTIONAL("KSM_USE_ZERO_PAGES", KERNEL_USE_ZERO_PAGES, 0, 1),
        [KEY_SMART_SCAN] = OPTIONAL("KSM_SMART_SCAN", KERNEL_SMART_SCAN, 0, 1),
};
/* clang-format on */

static const char *const policies[] = {
        [POLICY_CLASSIC] = "classic", [POLICY_ADAPTIVE] = "adaptive", NULL};
static const char *const stop_actions[] = {[STOP_ACTION_KEEP] = "keep",
                                           [STOP_ACTION_STOP] = "stop",
                                           [STOP_ACTION_UNMERGE] = "unmerge",
                                           NULL};
/* Behind the three come further names that ps(1) has for them: its words were the values of this
 * key where it was first in use. */
static const char *const metrics[] = {[GUEST_METRIC_RSS] = "rss",
                                      [GUEST_METRIC_PSS] = "pss",
                                      [GUEST_METRIC_VSZ] = "vsz",
                                      "rsz",
                                      "rssize",
                                      "vsize",
                                      NULL};
static const enum guest_metric metric_of_name[] = {GUEST_METRIC_RSS, GUEST_METRIC_PSS,
                                                   GUEST_METRIC_VSZ, GUEST_METRIC_RSS,
                                                   GUEST_METRIC_RSS, GUEST_METRIC_VSZ};

const char *stop_action_name(enum stop_action action)
{
        return stop_actions[action];
}

const char *guest_metric_name(enum guest_metric metric)
{
        return metrics[metric];
}

enum guest_metric settings_guest_metric(const struct settings *settings)
{
        return settings->policy.kind == POLICY_ADAPTIVE ? GUEST_METRIC_RSS : settings->ps_metric;
}

enum key key_find(const char *name)
{
        for (int key = 0; key < KEY_COUNT; key++)
                if (strcmp(key_infos[key].name, name) == 0)
                        return (enum key)key;

        return KEY_COUNT;
}

static const char *key_name(size_t index)
{
        return key_infos[index].name;
}

enum key key_nearest(const char *name)
{
        return (enum key)nearest_word(name, key_name, KEY_COUNT);
}

__attribute__((format(printf, 5, 6))) static int refuse(enum key key, const char *value, char *text,
                                                        size_t size, const char *format, ...)
{
        char wanted[160], given[EXCERPT_SIZE];
        va_list ap;

        va_start(ap, format);
        (void)vsnprintf(wanted, sizeof(wanted), format, ap);
        va_end(ap);
        (void)snprintf(text, size, "%s: '%s' is %s", key_infos[key].name,
                       excerpt(given, value, strlen(value)), wanted);

        return -EBADMSG;
}

static int set_integer(enum key key, int64_t *member, const char *value, char *text, size_t size)
{
        const struct key_info *info = &key_infos[key];

        if (value_integer(value, info->min, info->max, member) == 0)
                return 0;

        return refuse(key, value, text, size,
                      "not a whole number from %" PRId64 " to %" PRId64 "%s%s%s", info->min,
                      info->max, info->unit ? " (" : "", info->unit ? info->unit : "",
                      info->unit ? ")" : "");
}

static int set_optional(enum key key, int64_t *member, const char *value, char *text, size_t size)
{
        const struct key_info *info = &key_infos[key];

        if (!*value) {
                *member = KERNEL_SETTING_UNSET;
                return 0;
        }
        if (value_integer(value, info->min, info->max, member) == 0)
                return 0;
        if (info->max == 1)
                return refuse(key, value, text, size, "neither 0 nor 1, nor empty");
        return refuse(key, value, text, size,
                      "not a whole number from %" PRId64 " to %" PRId64 ", nor empty", info->min,
                      info->max);
}

/* A number of parts as it would stand in the file. */
static const char *show_parts(char *buf, size_t size, int64_t parts, int64_t scale)
{
        int n = snprintf(buf, size, "%" PRId64, parts / scale);

        parts %= scale;
        if (parts > 0 && n > 0 && (size_t)n + 1 < size)
                buf[n++] = '.';
        for (; parts > 0 && (size_t)n + 1 < size; parts %= scale) {
                scale /= 10;
                buf[n++] = (char)('0' + parts / scale);
        }
        buf[n] = '\0';
        return buf;
}

static int set_decimal(enum key key, int64_t *member, const char *value, char *text, size_t size)
{
        const struct key_info *info = &key_infos[key];
        char min[32], max[32];

        if (value_decimal(value, info->scale, info->min, info->max, member) == 0)
                return 0;

        return refuse(key, value, text, size, "not a number from %s to %s (%s), such as %s",
                      show_parts(min, sizeof(min), info->min, info->scale),
                      show_parts(max, sizeof(max), info->max, info->scale), info->unit,
                      info->default_text);
}

static int set_interval(enum key key, uint64_t *member, const char *value, char *text, size_t size)
{
        const struct key_info *info = &key_infos[key];
        int r = value_interval(value, (uint64_t)info->min, (uint64_t)info->max, member);

        if (r == -EBADMSG || r == -ERANGE)
                return refuse(key, value, text, size,
                              "not a time from 0.1 s to 1 day, such as 60, 0.5, 2m or '1m 30s'");

        return r;
}

/* Anything but nothing and 0 has always switched it on. */
static int set_flag(bool *member, const char *value)
{
        static const char *const off[] = {"", "0", NULL};

        *member = value_choice(value, off) < 0;
        return 0;
}

static int set_path(enum key key, char **member, const char *value, char *text, size_t size)
{
        char *path;
        int r;

        r = value_path(value, &path);
        if (r == -EBADMSG)
                return refuse(key, value, text, size,
                              "not the absolute path of a file, such as %s, nor empty",
                              *key_infos[key].default_text ? key_infos[key].default_text
                                                           : METRICS_FILE_EXAMPLE);
        if (r < 0)
                return r;
        free(*member);
        *member = path;

        return 0;
}

/* libvirt alone knows which URIs it has a driver for; what is none at all is refused here. */
static int set_uri(enum key key, char **member, const char *value, char *text, size_t size)
{
        char *uri;
        int r;

        r = value_uri(value, &uri);
        if (r == -EBADMSG)
                return refuse(key, value, text, size,
                              "not a libvirt URI, such as %s, nor empty for no libvirt",
                              key_infos[key].default_text);
        if (r < 0)
                return r;
        free(*member);
        *member = uri;

        return 0;
}

static int set_words(enum key key, char ***member, const char *value, char *text, size_t size)
{
        char **words;
        int n;

        n = value_words(value, &words);
        if (n < 0)
                return n;
        if (n == 0) {
                free(words);
                return refuse(key, value, text, size,
                              "not a list of names or patterns, such as 'qemu-kvm, qemu-system-*'");
        }
        free(*member);
        *member = words;

        return 0;
}

static int set_choice(enum key key, struct settings *settings, const char *value, char *text,
                      size_t size)
{
        int i;

        switch (key) {
        case KEY_POLICY:
                i = value_choice(value, policies);
                if (i < 0)
                        return refuse(key, value, text, size, "none of %s and %s", policies[0],
                                      policies[1]);
                settings->policy.kind = (enum policy_kind)i;
                return 0;
        case KEY_PS_METRIC:
                i = value_choice(value, metrics);
                if (i < 0)
                        return refuse(key, value, text, size, "none of %s, %s and %s", metrics[0],
                                      metrics[1], metrics[2]);
                settings->ps_metric = metric_of_name[i];
                return 0;
        case KEY_STOP_ACTION:
                i = value_choice(value, stop_actions);
                if (i < 0)
                        return refuse(key, value, text, size, "none of %s, %s and %s",
                                      stop_actions[0], stop_actions[1], stop_actions[2]);
                settings->stop_action = (enum stop_action)i;
                return 0;
        default:
                return -EINVAL;
        }
}

int key_set(enum key key, struct settings *settings, const char *value, char *text, size_t size)
{
        const struct key_info *info = &key_infos[key];
        void *member = (char *)settings + info->offset;

        if (!*value && info->type != KEY_TYPE_FLAG && info->type != KEY_TYPE_PATH &&
            info->type != KEY_TYPE_URI)
                value = info->default_text;

        switch (info->type) {
        case KEY_TYPE_INTEGER:
                return set_integer(key, member, value, text, size);
        case KEY_TYPE_OPTIONAL:
                return set_optional(key, member, value, text, size);
        case KEY_TYPE_DECIMAL:
                return set_decimal(key, member, value, text, size);
        case KEY_TYPE_INTERVAL:
                return set_interval(key, member, value, text, size);
        case KEY_TYPE_FLAG:
                return set_flag(member, value);
        case KEY_TYPE_PATH:
                return set_path(key, member, value, text, size);
        case KEY_TYPE_URI:
                return set_uri(key, member, value, text, size);
        case KEY_TYPE_WORDS:
                return set_words(key, member, value, text, size);
        case KEY_TYPE_CHOICE:
                return set_choice(key, settings, value, text, size);
        }

        return -EINVAL;
}
