/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is written to the knobs, in which order, and what is put back. write() is intercepted
 * (--wrap=write): writes to the made-up KSM are recorded, and fail on demand.
 */

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksm-help.h"

#define N_WRITES_MAX 16

struct recorded {
        char name[32], text[32];
        bool failed;
};

/* The write @at (from 0) of @name fails with @error; @from_then_on: all later ones, too. */
struct plan {
        const char *name;
        unsigned at;
        int error;
        bool from_then_on;
};

static struct {
        struct recorded writes[N_WRITES_MAX];
        size_t n;
        struct plan plan;
        unsigned n_of_name;
        bool on;
} record;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
ssize_t __real_write(int fd, const void *buf, size_t n);
ssize_t __wrap_write(int fd, const void *buf, size_t n);

/* The attribute's name if @fd is an attribute, else NULL. */
static const char *attribute_name(int fd, char path[PATH_MAX])
{
        char link[64];
        const char *folder;
        ssize_t len;

        (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, path, PATH_MAX - 1);
        if (len < 0)
                return NULL;
        path[len] = '\0';
        folder = strstr(path, KSM_FOLDER "/");
        return folder ? folder + strlen(KSM_FOLDER "/") : NULL;
}

static bool must_fail(const char *name)
{
        const struct plan *plan = &record.plan;
        unsigned at;

        if (!plan->name || strcmp(plan->name, name) != 0)
                return false;
        at = record.n_of_name++;
        return at == plan->at || (plan->from_then_on && at > plan->at);
}

ssize_t __wrap_write(int fd, const void *buf, size_t n)
{
        char path[PATH_MAX];
        const char *name = record.on ? attribute_name(fd, path) : NULL;
        struct recorded *write;

        if (!name)
                return __real_write(fd, buf, n);
        assert_true(record.n < N_WRITES_MAX);
        write = &record.writes[record.n++];
        (void)snprintf(write->name, sizeof(write->name), "%s", name);
        (void)snprintf(write->text, sizeof(write->text), "%.*s", (int)n, (const char *)buf);
        write->failed = must_fail(name);
        if (write->failed) {
                errno = record.plan.error;
                return -1;
        }
        return __real_write(fd, buf, n);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const struct ksm_knobs stopped = {.run = 0, .pages_to_scan = 100, .sleep_millisecs = 20};
static const struct ksm_knobs started = {.run = 1, .pages_to_scan = 364, .sleep_millisecs = 10};

static void put_knobs(const struct made_up_root *host, const struct ksm_knobs *knobs)
{
        char text[32];

        (void)snprintf(text, sizeof(text), "%d\n", (int)knobs->run);
        put_ksm(host, KSM_RUN, text);
        (void)snprintf(text, sizeof(text), "%d\n", (int)knobs->pages_to_scan);
        put_ksm(host, KSM_PAGES_TO_SCAN, text);
        (void)snprintf(text, sizeof(text), "%d\n", (int)knobs->sleep_millisecs);
        put_ksm(host, KSM_SLEEP_MILLISECS, text);
}

static void assert_knobs(const struct made_up_root *host, const struct ksm_knobs *knobs)
{
        const struct {
                enum ksm_attribute attribute;
                int64_t value;
        } expected[] = {
                {KSM_RUN, knobs->run},
                {KSM_PAGES_TO_SCAN, knobs->pages_to_scan},
                {KSM_SLEEP_MILLISECS, knobs->sleep_millisecs},
        };

        for (size_t i = 0; i < ELEMENTS(expected); i++) {
                int64_t value = -1;

                assert_int_equal(ksm_get(&host->root, expected[i].attribute, &value), 0);
                assert_int_equal(value, expected[i].value);
        }
}

/* @expected: "pages_to_scan=364 run=1!", with a ! behind a write that failed. */
static void assert_writes(const char *expected)
{
        char all[512] = "";

        for (size_t i = 0; i < record.n; i++) {
                size_t len = strlen(all);
                const struct recorded *write = &record.writes[i];

                assert_non_null(strchr(write->text, '\n'));
                (void)snprintf(all + len, sizeof(all) - len, "%s%s=%.*s%s", i ? " " : "",
                               write->name, (int)strcspn(write->text, "\n"), write->text,
                               write->failed ? "!" : "");
        }
        assert_string_equal(all, expected);
}

static int apply(const struct made_up_root *host, const struct ksm_knobs *now,
                 const struct ksm_knobs *want, const struct plan *plan, struct ksm_applied *applied)
{
        int r;

        memset(&record, 0, sizeof(record));
        if (plan)
                record.plan = *plan;
        memset(applied, 0x5a, sizeof(*applied));
        record.on = true;
        r = ksm_apply(&host->root, now, want, applied);
        record.on = false;
        return r;
}

static void test_order(void **state)
{
        const struct made_up_root *host = *state;
        struct ksm_applied applied;

        put_knobs(host, &stopped);
        assert_int_equal(apply(host, &stopped, &started, NULL, &applied), 0);
        assert_writes("pages_to_scan=364 sleep_millisecs=10 run=1");
        assert_int_equal(applied.n_writes, 3);
        assert_int_equal(applied.failed, KSM_ATTRIBUTE_COUNT);
        assert_false(applied.rolled_back);
        assert_knobs(host, &started);
}

/* Of the three, each combination of those that differ: just these are written. */
static void test_nothing_redundant(void **state)
{
        const struct made_up_root *host = *state;

        for (unsigned differs = 0; differs < 8; differs++) {
                const struct ksm_knobs want = {
                        .run = differs & 4 ? started.run : stopped.run,
                        .pages_to_scan =
                                differs & 1 ? started.pages_to_scan : stopped.pages_to_scan,
                        .sleep_millisecs =
                                differs & 2 ? started.sleep_millisecs : stopped.sleep_millisecs,
                };
                static const char *const writes[] = {
                        "",
                        "pages_to_scan=364",
                        "sleep_millisecs=10",
                        "pages_to_scan=364 sleep_millisecs=10",
                        "run=1",
                        "pages_to_scan=364 run=1",
                        "sleep_millisecs=10 run=1",
                        "pages_to_scan=364 sleep_millisecs=10 run=1",
                };
                struct ksm_applied applied;

                put_knobs(host, &stopped);
                assert_int_equal(apply(host, &stopped, &want, NULL, &applied), 0);
                assert_writes(writes[differs]);
                assert_int_equal(applied.n_writes, __builtin_popcount(differs));
                assert_int_equal(applied.failed, KSM_ATTRIBUTE_COUNT);
                assert_knobs(host, &want);
        }
}

/* First of all, so that the first batch is already of the kind that is wanted; put back last. */
static void test_smart_scan(void **state)
{
        static const struct plan plan = {"run", 0, EACCES, false};
        const struct made_up_root *host = *state;
        struct ksm_knobs smart = stopped, whole = started;
        struct ksm_applied applied;

        smart.smart_scan = 1;
        put_knobs(host, &smart);
        put(host, KSM_FOLDER "/smart_scan", "1\n");
        assert_int_equal(apply(host, &smart, &whole, NULL, &applied), 0);
        assert_writes("smart_scan=0 pages_to_scan=364 sleep_millisecs=10 run=1");

        put_knobs(host, &smart);
        put(host, KSM_FOLDER "/smart_scan", "1\n");
        assert_int_equal(apply(host, &smart, &whole, &plan, &applied), -EACCES);
        assert_writes("smart_scan=0 pages_to_scan=364 sleep_millisecs=10 run=1! sleep_millisecs=20 "
                      "pages_to_scan=100 smart_scan=1");
        assert_true(applied.rolled_back);

        /* A kernel that has none is left alone. */
        smart.smart_scan = whole.smart_scan = SAMPLE_ABSENT;
        put_knobs(host, &smart);
        assert_int_equal(apply(host, &smart, &whole, NULL, &applied), 0);
        assert_writes("pages_to_scan=364 sleep_millisecs=10 run=1");
}

/* Every knob with every error that a kernel has for it: all is as before. */
static void test_each_failure(void **state)
{
        static const int errors[] = {EINVAL, EBUSY, EACCES, ENOENT, ENOSPC, EPERM, EIO};
        static const struct {
                enum ksm_attribute attribute;
                const char *writes;
        } knobs[] = {
                {KSM_PAGES_TO_SCAN, "pages_to_scan=364!"},
                {KSM_SLEEP_MILLISECS, "pages_to_scan=364 sleep_millisecs=10! pages_to_scan=100"},
                {KSM_RUN, "pages_to_scan=364 sleep_millisecs=10 run=1! sleep_millisecs=20 "
                          "pages_to_scan=100"},
        };
        const struct made_up_root *host = *state;

        for (size_t i = 0; i < ELEMENTS(knobs); i++)
                for (size_t j = 0; j < ELEMENTS(errors); j++) {
                        const struct plan plan = {ksm_attribute_info(knobs[i].attribute)->name, 0,
                                                  errors[j], false};
                        struct ksm_applied applied;
                        /* "The kernel does not have it" is an answer of its own. */
                        int r = errors[j] == ENOENT ? -EOPNOTSUPP : -errors[j];

                        put_knobs(host, &stopped);
                        assert_int_equal(apply(host, &stopped, &started, &plan, &applied), r);
                        assert_writes(knobs[i].writes);
                        assert_int_equal(applied.failed, knobs[i].attribute);
                        assert_int_equal(applied.n_writes, i);
                        assert_true(applied.rolled_back);
                        /* A regular file is emptied when it is opened; an attribute is not. */
                        put_ksm(host, knobs[i].attribute,
                                knobs[i].attribute == KSM_RUN             ? "0\n"
                                : knobs[i].attribute == KSM_PAGES_TO_SCAN ? "100\n"
                                                                          : "20\n");
                        assert_knobs(host, &stopped);
                }
}

/* What was not written is not put back either. */
static void test_roll_back_of_what_was_written(void **state)
{
        const struct made_up_root *host = *state;
        const struct ksm_knobs want = {
                .run = 1, .pages_to_scan = stopped.pages_to_scan, .sleep_millisecs = 10};
        const struct plan plan = {"run", 0, EBUSY, false};
        struct ksm_applied applied;

        put_knobs(host, &stopped);
        assert_int_equal(apply(host, &stopped, &want, &plan, &applied), -EBUSY);
        assert_writes("sleep_millisecs=10 run=1! sleep_millisecs=20");
        assert_true(applied.rolled_back);
        assert_int_equal(applied.n_writes, 1);
}

static void test_roll_back_fails(void **state)
{
        const struct made_up_root *host = *state;
        /* The second write of pages_to_scan is the one that puts it back. */
        const struct plan plan = {"pages_to_scan", 1, EINVAL, false};
        struct ksm_applied applied;

        put_knobs(host, &stopped);
        put_away(host, KSM_FOLDER "/run");
        assert_int_equal(apply(host, &stopped, &started, &plan, &applied), -EOPNOTSUPP);
        assert_writes("pages_to_scan=364 sleep_millisecs=10 sleep_millisecs=20 pages_to_scan=100!");
        assert_int_equal(applied.failed, KSM_RUN);
        assert_int_equal(applied.n_writes, 2);
        assert_false(applied.rolled_back);
}

/* Real failures, without the linker's help. */
static void test_real_failures(void **state)
{
        const struct made_up_root *host = *state;
        struct ksm_applied applied;
        char path[600];

        put_knobs(host, &stopped);
        put_mode(host, KSM_FOLDER "/run", 0444);
        (void)snprintf(path, sizeof(path), "%s" KSM_FOLDER "/pages_to_scan", host->path);
        assert_int_equal(chmod(path, 0666), 0);
        (void)snprintf(path, sizeof(path), "%s" KSM_FOLDER "/sleep_millisecs", host->path);
        assert_int_equal(chmod(path, 0666), 0);
        become_ordinary();
        assert_int_equal(apply(host, &stopped, &started, NULL, &applied), -EACCES);
        become_self();
        assert_int_equal(applied.failed, KSM_RUN);
        assert_true(applied.rolled_back);
        assert_knobs(host, &stopped);

        /* A value that the kernel would not take is not even tried. */
        assert_int_equal(apply(host, &stopped,
                               &(struct ksm_knobs){.run = 1,
                                                   .pages_to_scan = INT64_C(1) << 32,
                                                   .sleep_millisecs = 20},
                               NULL, &applied),
                         -ERANGE);
        assert_writes("");
        assert_int_equal(applied.failed, KSM_PAGES_TO_SCAN);
        assert_true(applied.rolled_back);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_order),
                ON_A_HOST(test_nothing_redundant),
                ON_A_HOST(test_smart_scan),
                ON_A_HOST(test_each_failure),
                ON_A_HOST(test_roll_back_of_what_was_written),
                ON_A_HOST(test_roll_back_fails),
                ON_A_HOST(test_real_failures),
        };

        return cmocka_run_group_tests_name("ksm-apply", tests, NULL, NULL);
}
