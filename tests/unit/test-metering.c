/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The file of metrics and the daemon: whom it asks at a decision, when the file comes and goes, and
 * what is said where it cannot. Memory fails on demand, and the clock is the test's.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "guests-help.h"
#include "ksmtuned/cleanup.h"
#include "src/daemon/manager.h"

#define PATH   "/run/metrics/ksm.prom"
#define N_MANY 150

static int64_t monotonic_sec;
static unsigned fail_after; /* the n-th allocation from now on fails; 0: none */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
char *__real_strdup(const char *text);
int __real_clock_gettime(clockid_t clock, struct timespec *ts);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
char *__wrap_strdup(const char *text);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ts);

static bool must_fail(void)
{
        return fail_after > 0 && --fail_after == 0;
}

void *__wrap_calloc(size_t n, size_t size)
{
        return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
        return must_fail() ? NULL : __real_malloc(size);
}

char *__wrap_strdup(const char *text)
{
        return must_fail() ? NULL : __real_strdup(text);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ts)
{
        if (clock != CLOCK_MONOTONIC)
                return __real_clock_gettime(clock, ts);
        *ts = (struct timespec){.tv_sec = monotonic_sec};
        return 0;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static const struct options options = {.root = "/"};

struct fixture {
        const struct made_up_root *host;
        struct settings settings;
        struct manager manager;
        struct sample sample;
        char file[32], text[METRICS_SIZE_MAX];
};

static struct fixture *new_fixture(const struct made_up_root *host)
{
        struct fixture *fixture = calloc(1, sizeof(*fixture));

        assert_non_null(fixture);
        monotonic_sec = 1000;
        if (sysroot_exists(&host->root, "/run") == 0)
                put_folder(host, "/run");
        if (sysroot_exists(&host->root, "/proc") == 0)
                put_folder(host, "/proc");
        fixture->host = host;
        (void)strcpy(fixture->file, PATH);
        fixture->settings.metrics_file = fixture->file;
        fixture->settings.metrics_guests = 50;
        fixture->manager = (struct manager){
                .options = &options,
                .root = &host->root,
                .settings = &fixture->settings,
                .publish_state = true,
                .guests = new_guests(host, GUEST_METRIC_RSS),
        };
        fixture->sample.ksm.page_bytes = 4096;
        return fixture;
}

static void free_fixture(struct fixture *fixture)
{
        metering_release(&fixture->manager.metering);
        (void)guests_free(fixture->manager.guests);
        free(fixture);
}

static void put_merged(const struct made_up_root *host, unsigned pid, unsigned pages)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/ksm_stat", pid);
        put_format(host, path, "ksm_rmap_items 9\nksm_zero_pages 1\nksm_merging_pages %u\n", pages);
}

/* A decision a minute later. @fixture->text: the file, "" where there is none. */
static void decide(struct fixture *fixture)
{
        ssize_t len;

        monotonic_sec += 60;
        assert_int_equal(guests_scan(fixture->manager.guests, &fixture->sample.guests, NULL), 0);
        metering_publish(&fixture->manager, TRIGGER_TIMER, &fixture->sample);
        len = sysroot_read(&fixture->host->root, PATH, fixture->text, sizeof(fixture->text));
        if (len < 0)
                fixture->text[0] = '\0';
}

static void assert_has(const struct fixture *fixture, const char *line)
{
        if (!strstr(fixture->text, line))
                fail_msg("\"%s\" is not in\n%s", line, fixture->text);
}

static unsigned count(const char *text, const char *part)
{
        unsigned n = 0;

        for (; (text = strstr(text, part)); text++)
                n++;
        return n;
}

static void test_guests_come_and_go(void **state)
{
        const struct made_up_root *host = *state;
        struct fixture *fixture = new_fixture(host);

        put_process(host, 10, "qemu-kvm", NULL, 7);
        put_process(host, 20, "qemu-kvm", NULL, 7);
        put_merged(host, 10, 3);
        decide(fixture);
        /* Those that are there at first have not come. */
        assert_has(fixture, "ksmtuned_guest_starts_total 0\n");
        /* Zero pages are merged, too. */
        assert_has(fixture, "{guest=\"qemu-kvm\",pid=\"10\"} 16384\n");
        assert_has(fixture, "ksmtuned_guests{mergeable=\"yes\"} 1\n");
        assert_has(fixture, "ksmtuned_guests{mergeable=\"unknown\"} 1\n");
        /* Who does not tell has no line. */
        assert_null(strstr(fixture->text, "pid=\"20\""));

        /* Another one of the same PID, and one before it. */
        put_away(host, "/proc/10");
        put_process(host, 10, "qemu-kvm", NULL, 7);
        put_stat(host, 10, "qemu-kvm", 'S', 77777, 7);
        put_process(host, 5, "qemu-kvm", NULL, 7);
        decide(fixture);
        assert_has(fixture, "ksmtuned_guest_starts_total 2\n");
        assert_has(fixture, "ksmtuned_guest_ends_total 1\n");
        assert_null(strstr(fixture->text, "pid=\"10\""));

        put_away(host, "/proc/5");
        put_away(host, "/proc/10");
        put_away(host, "/proc/20");
        decide(fixture);
        assert_has(fixture, "ksmtuned_guest_ends_total 4\n");
        assert_has(fixture, "ksmtuned_decisions_total{trigger=\"timer\"} 3\n");
        free_fixture(fixture);
}

/* Of many guests 64 are asked at a decision, the others at the next ones, then again. */
static void test_in_turn(void **state)
{
        const struct made_up_root *host = *state;
        struct fixture *fixture = new_fixture(host);

        fixture->settings.metrics_guests = 500;
        for (unsigned i = 0; i < N_MANY; i++) {
                put_process(host, 100 + i, "qemu-kvm", NULL, 7);
                put_merged(host, 100 + i, 1);
        }
        decide(fixture);
        assert_int_equal(count(fixture->text, "ksmtuned_guest_merged_bytes{"), METERING_READS);
        decide(fixture);
        assert_int_equal(count(fixture->text, "ksmtuned_guest_merged_bytes{"), 2 * METERING_READS);
        decide(fixture);
        assert_int_equal(count(fixture->text, "ksmtuned_guest_merged_bytes{"), N_MANY);
        /* In three decisions all of them are asked again. */
        for (unsigned i = 0; i < N_MANY; i++)
                put_merged(host, 100 + i, 2);
        for (unsigned i = 0; i < 3; i++)
                decide(fixture);
        assert_int_equal(count(fixture->text, "} 12288\n"), N_MANY);

        /* Not again within a second: once all have been asked at one time, nobody is. */
        for (unsigned i = 0; i < 6; i++) {
                if (i == 3)
                        for (unsigned k = 0; k < N_MANY; k++)
                                put_merged(host, 100 + k, 9);
                monotonic_sec -= 60;
                decide(fixture);
        }
        assert_int_equal(count(fixture->text, "} 12288\n"), N_MANY);

        /* Nobody is asked if nobody is told. */
        fixture->settings.metrics_guests = 0;
        decide(fixture);
        assert_int_equal(fixture->manager.metering.guests[0].merged_bytes, 3 * 4096);
        assert_has(fixture, "ksmtuned_guests_untold 150\n");
        free_fixture(fixture);
}

/* A file of its own at each time; and none that is not wanted. */
static void test_file(void **state)
{
        const struct made_up_root *host = *state;
        struct fixture *fixture = new_fixture(host);
        const struct options once = {.root = "/", .once = true};
        char other[] = "/run/other.prom", none[] = "";

        fixture->manager.options = &once;
        decide(fixture);
        fixture->manager.options = &options;
        fixture->manager.publish_state = false;
        decide(fixture);
        assert_string_equal(fixture->text, "");
        metering_remove(&fixture->manager);

        fixture->manager.publish_state = true;
        decide(fixture);
        assert_has(fixture, "ksmtuned_decisions_total{trigger=\"timer\"} 3\n");
        fixture->settings.metrics_file = other;
        decide(fixture);
        assert_string_equal(fixture->text, "");
        assert_int_equal(sysroot_exists(&host->root, other), 1);
        fixture->settings.metrics_file = none;
        decide(fixture);
        assert_int_equal(sysroot_exists(&host->root, other), 0);

        /* Somebody else has removed it. */
        fixture->settings.metrics_file = other;
        decide(fixture);
        put_away(host, other);
        metering_remove(&fixture->manager);
        metering_remove(&fixture->manager);
        free_fixture(fixture);
}

/* Every allocation fails once: that is told once, and the next decision is as good as any. */
static void test_no_memory(void **state)
{
        const struct made_up_root *host = *state;
        unsigned n_failed = 0;

        put_process(host, 10, "qemu-kvm", NULL, 7);
        put_merged(host, 10, 3);
        for (unsigned n = 1; n < 20; n++) {
                struct fixture *fixture = new_fixture(host);
                struct capture capture;
                char said[1024];
                bool failed;

                assert_int_equal(
                        guests_scan(fixture->manager.guests, &fixture->sample.guests, NULL), 0);
                capture_begin(&capture, stderr);
                fail_after = n;
                metering_publish(&fixture->manager, TRIGGER_TIMER, &fixture->sample);
                failed = fail_after == 0;
                fail_after = 0;
                decide(fixture);
                (void)capture_end(&capture, said, sizeof(said));
                assert_has(fixture, "ksmtuned_decisions_total{trigger=\"timer\"} 2\n");
                assert_has(fixture, "{guest=\"qemu-kvm\",pid=\"10\"} 16384\n");
                assert_has(fixture, "ksmtuned_guest_starts_total 0\n");
                if (failed)
                        assert_string_equal(said,
                                            "ksmtuned: cannot write the file of metrics " PATH
                                            ": Cannot allocate memory; deciding goes on\n"
                                            "ksmtuned: the file of metrics can be written again\n");
                else
                        assert_string_equal(said, "");
                n_failed += failed;
                free_fixture(fixture);
        }
        /* The path, the guests, those that are told, the text. */
        assert_in_range(n_failed, 4, 10);
}

static void test_cannot_remove(void **state)
{
        const struct made_up_root *host = *state;
        struct fixture *fixture = new_fixture(host);
        struct capture capture;
        char said[1024];

        decide(fixture);
        put_away(host, PATH);
        put_folder(host, PATH "/in");
        capture_begin(&capture, stderr);
        decide(fixture);
        metering_remove(&fixture->manager);
        (void)capture_end(&capture, said, sizeof(said));
        assert_string_equal(said, "ksmtuned: cannot write the file of metrics " PATH
                                  ": Is a directory; deciding goes on\n"
                                  "ksmtuned: cannot remove the file of metrics " PATH
                                  ": Is a directory\n");
        free_fixture(fixture);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_guests_come_and_go),
                ON_A_HOST(test_in_turn),
                ON_A_HOST(test_file),
                ON_A_HOST(test_no_memory),
                ON_A_HOST(test_cannot_remove),
        };

        return cmocka_run_group_tests_name("metering", tests, NULL, NULL);
}
