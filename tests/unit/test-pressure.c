/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who listens to memory pressure, and what is told where the kernel does not let him. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "ksmtuned/memory.h"
#include "src/daemon/pressure.h"

#define HINT  " (Linux before 6.4 asks for a capability: see ksmtuned(8))"
#define AGAIN "ksmtuned: memory pressure can be listened to again\n"
#define TOLD(error)                                          \
        "ksmtuned: cannot listen to memory pressure: " error \
        "; decisions come at the interval, also when processes wait for memory"

static int answer; /* of the kernel */
static unsigned n_asked;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __wrap_pressure_watch(const struct sysroot *root, uint64_t stall_usec, uint64_t window_usec);

int __wrap_pressure_watch(const struct sysroot *root, uint64_t stall_usec, uint64_t window_usec)
{
        n_asked++;
        return answer;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int nothing(void *userdata)
{
        return 0;
}

static int decide(void *userdata, enum trigger trigger)
{
        return 0;
}

static struct settings settings;

static void begin(struct manager *manager, enum policy_kind kind)
{
        const struct events_handler handler = {
                .decide = decide, .step = nothing, .reload = nothing, .stop = nothing};

        settings = (struct settings){.policy.kind = kind};
        *manager = (struct manager){.settings = &settings};
        n_asked = 0;
        assert_int_equal(events_block_signals(), 0);
        assert_int_equal(events_new(&manager->events, &handler), 0);
}

static void end(struct manager *manager)
{
        sd_event_source_disable_unref(manager->pressure);
        (void)events_free(manager->events);
}

/* Listens anew, the kernel answering so. What is then told is @expected. */
static void check(struct manager *manager, int kernel, const char *expected)
{
        struct capture capture;
        char text[1024];
        int r;

        answer = kernel;
        capture_begin(&capture, stderr);
        r = pressure_listen(manager);
        (void)capture_end(&capture, text, sizeof(text));
        assert_int_equal(r, 0);
        assert_string_equal(text, expected);
        assert_int_equal(manager->pressure != NULL, kernel >= 0);
}

/* Each trouble once, however often the configuration is read again. */
static void test_denied(void **state)
{
        struct manager manager;

        begin(&manager, POLICY_ADAPTIVE);
        check(&manager, -EPERM, TOLD("Operation not permitted") HINT "\n");
        check(&manager, -EPERM, "");
        check(&manager, -EACCES, TOLD("Permission denied") HINT "\n");
        check(&manager, -EROFS, TOLD("Read-only file system") "\n");
        check(&manager, eventfd(0, EFD_CLOEXEC), AGAIN);
        check(&manager, eventfd(0, EFD_CLOEXEC), "");
        assert_int_equal(n_asked, 6);
        end(&manager);
}

/* Nothing to listen to, and nobody who wants to. */
static void test_silent(void **state)
{
        struct manager manager;

        begin(&manager, POLICY_ADAPTIVE);
        check(&manager, -EOPNOTSUPP, "");
        check(&manager, eventfd(0, EFD_CLOEXEC), "");
        /* A reload has chosen the other policy. */
        settings.policy.kind = POLICY_CLASSIC;
        check(&manager, -EPERM, "");
        assert_int_equal(n_asked, 2);
        end(&manager);
}

/* What the loop does not take is the caller's trouble: epoll refuses a file of a disk. */
static void test_loop_fails(void **state)
{
        struct manager manager;
        int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_true(fd >= 0);
        begin(&manager, POLICY_ADAPTIVE);
        answer = fd;
        assert_int_equal(pressure_listen(&manager), -EPERM);
        assert_null(manager.pressure);
        /* And it is closed. */
        assert_int_equal(fcntl(fd, F_GETFD), -1);
        end(&manager);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_denied),
                cmocka_unit_test(test_silent),
                cmocka_unit_test(test_loop_fails),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
