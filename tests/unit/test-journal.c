/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Entries for the journal, and lines for people. What would leave the process is intercepted:
 * sd_journal_sendv(), syslog() and the look whether there is a journald (--wrap=access).
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "ksmtuned/journal.h"

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))

static struct {
        bool no_journald;
        int send_result;
        char sent[8192]; /* an entry's fields, a line each */
        unsigned n_sent;
        char logged[2048];
        int logged_priority;
        unsigned n_logged;
} outside;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __wrap_access(const char *path, int mode);
int __wrap_sd_journal_sendv(const struct iovec *iov, int n);
void __wrap_syslog(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));
void __wrap___syslog_chk(int priority, int flag, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

int __wrap_access(const char *path, int mode)
{
        assert_string_equal(path, "/run/systemd/journal/socket");
        errno = ENOENT;
        return outside.no_journald ? -1 : 0;
}

int __wrap_sd_journal_sendv(const struct iovec *iov, int n)
{
        size_t len = 0;

        for (int i = 0; i < n; i++) {
                assert_true(len + iov[i].iov_len + 2 < sizeof(outside.sent));
                memcpy(outside.sent + len, iov[i].iov_base, iov[i].iov_len);
                len += iov[i].iov_len;
                outside.sent[len++] = '\n';
        }
        outside.sent[len] = '\0';
        outside.n_sent++;
        return outside.send_result;
}

static void take_syslog(int priority, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void take_syslog(int priority, const char *format, va_list args)
{
        (void)vsnprintf(outside.logged, sizeof(outside.logged), format, args);
        outside.logged_priority = priority;
        outside.n_logged++;
}

void __wrap_syslog(int priority, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        take_syslog(priority, format, args);
        va_end(args);
}

void __wrap___syslog_chk(int priority, int flag, const char *format, ...)
{
        va_list args;

        va_start(args, format);
        take_syslog(priority, format, args);
        va_end(args);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int reset(void **state)
{
        memset(&outside, 0, sizeof(outside));
        journal_open(JOURNAL_JOURNALD);
        return 0;
}

static const struct journal_field two_fields[] = {{.name = "KSM_RUN", .value = 1},
                                                  {.name = "KSM_FREE_KB", .value = INT64_MIN}};

static void test_ids(void **state)
{
        assert_null(journal_message_id(JOURNAL_PLAIN));
        for (unsigned i = JOURNAL_PLAIN + 1; i < JOURNAL_MESSAGE_COUNT; i++) {
                const char *id = journal_message_id(i);

                assert_non_null(id);
                assert_int_equal(strlen(id), 32);
                assert_int_equal(strspn(id, "0123456789abcdef"), 32);
                for (unsigned j = JOURNAL_PLAIN + 1; j < i; j++)
                        assert_string_not_equal(id, journal_message_id(j));
        }
}

static void test_entry(void **state)
{
        char expected[256];

        journal_event(LOG_NOTICE, JOURNAL_CHANGED, two_fields, ELEMENTS(two_fields), "%s is %d",
                      "run", 1);
        (void)snprintf(expected, sizeof(expected),
                       "MESSAGE=run is 1\nPRIORITY=5\nMESSAGE_ID=%s\nKSM_RUN=1\n"
                       "KSM_FREE_KB=-9223372036854775808\n",
                       journal_message_id(JOURNAL_CHANGED));
        assert_string_equal(outside.sent, expected);
        assert_int_equal(outside.n_sent, 1);
        assert_int_equal(outside.n_logged, 0);
}

static void test_text_field(void **state)
{
        const struct journal_field fields[] = {{.name = "KSM_GUEST", .text = "vm 1"},
                                               {.name = "KSM_GUEST_PID", .value = 7}};

        journal_event(LOG_INFO, JOURNAL_PLAIN, fields, ELEMENTS(fields), "a guest");
        assert_string_equal(outside.sent,
                            "MESSAGE=a guest\nPRIORITY=6\nKSM_GUEST=vm 1\nKSM_GUEST_PID=7\n");
}

static void test_plain(void **state)
{
        journal_print(LOG_ERR, "100%% of %s", "it");
        assert_string_equal(outside.sent, "MESSAGE=100% of it\nPRIORITY=3\n");
        journal_event(LOG_INFO, JOURNAL_PLAIN, NULL, 0, "%s", "nothing beside");
        assert_string_equal(outside.sent, "MESSAGE=nothing beside\nPRIORITY=6\n");
}

static void test_much(void **state)
{
        struct journal_field fields[40];
        char text[3000];
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTS(fields); i++)
                fields[i] = (struct journal_field){.name = "KSM_FIELD", .value = (int64_t)i};
        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        journal_event(LOG_NOTICE, JOURNAL_STARTED, fields, ELEMENTS(fields), "%s", text);
        assert_int_equal(strcspn(outside.sent, "\n"), strlen("MESSAGE=") + 1023);
        for (const char *p = outside.sent; (p = strstr(p, "KSM_FIELD=")) != NULL; p++)
                n++;
        assert_int_equal(n, 16);

        fields[0].name = "KSM_A_NAME_THAT_LEAVES_NO_ROOM_FOR_ITS_VALUE_AND_IS_CUT_SHORT_ITSELF";
        journal_event(LOG_NOTICE, JOURNAL_STARTED, fields, 1, "short");
        assert_non_null(strstr(outside.sent, "KSM_A_NAME_THAT"));
}

/* Without journald, or where it refuses: syslog has it. */
static void test_no_journald(void **state)
{
        outside.no_journald = true;
        journal_event(LOG_WARNING, JOURNAL_FOREIGN, two_fields, ELEMENTS(two_fields), "a %s",
                      "100% word");
        assert_int_equal(outside.n_sent, 0);
        assert_int_equal(outside.n_logged, 1);
        assert_string_equal(outside.logged, "a 100% word");
        assert_int_equal(outside.logged_priority, LOG_WARNING);

        outside.no_journald = false;
        outside.send_result = -ENOBUFS;
        journal_print(LOG_ERR, "again");
        assert_int_equal(outside.n_sent, 1);
        assert_int_equal(outside.n_logged, 2);
        assert_string_equal(outside.logged, "again");
}

static void test_stderr(void **state)
{
        struct capture capture;
        char text[4096], big[2000];

        journal_open(JOURNAL_STDERR);
        capture_begin(&capture, stderr);
        journal_print(LOG_DEBUG, "for the journal alone");
        journal_print(LOG_INFO, "100%% of %s", "it");
        journal_event(LOG_ERR, JOURNAL_STOPPED, two_fields, ELEMENTS(two_fields), "ended");
        (void)capture_end(&capture, text, sizeof(text));
        assert_string_equal(text, "ksmtuned: 100% of it\nksmtuned: ended\n");

        memset(big, 'x', sizeof(big) - 1);
        big[sizeof(big) - 1] = '\0';
        capture_begin(&capture, stderr);
        journal_print(LOG_INFO, "%s", big);
        (void)capture_end(&capture, text, sizeof(text));
        assert_int_equal(strlen(text), strlen("ksmtuned: ") + 1023 + 1);
        assert_int_equal(outside.n_sent + outside.n_logged, 0);
}

static void test_nowhere(void **state)
{
        struct capture capture;
        char text[64];

        journal_open(JOURNAL_NONE);
        capture_begin(&capture, stderr);
        journal_print(LOG_ERR, "lost");
        journal_event(LOG_ERR, JOURNAL_STOPPED, two_fields, ELEMENTS(two_fields), "lost");
        (void)capture_end(&capture, text, sizeof(text));
        assert_string_equal(text, "");
        assert_int_equal(outside.n_sent + outside.n_logged, 0);
}

/* JOURNAL_STREAM says where the journal listens; it is inherited further than the stream. */
static void test_target(void **state)
{
        static const char *const others[] = {"", ":", "1:1", "rubbish"};
        char stream[64];
        struct stat st;

        assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
        assert_int_equal(journal_target_auto(), JOURNAL_STDERR);
        for (size_t i = 0; i < ELEMENTS(others); i++) {
                assert_int_equal(setenv("JOURNAL_STREAM", others[i], 1), 0);
                assert_int_equal(journal_target_auto(), JOURNAL_STDERR);
        }
        assert_int_equal(fstat(STDERR_FILENO, &st), 0);
        (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)st.st_dev,
                       (uintmax_t)st.st_ino);
        assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
        assert_int_equal(journal_target_auto(), JOURNAL_JOURNALD);
        (void)snprintf(stream, sizeof(stream), "%ju:%ju0", (uintmax_t)st.st_dev,
                       (uintmax_t)st.st_ino);
        assert_int_equal(setenv("JOURNAL_STREAM", stream, 1), 0);
        assert_int_equal(journal_target_auto(), JOURNAL_STDERR);
        assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup(test_ids, reset),
                cmocka_unit_test_setup(test_entry, reset),
                cmocka_unit_test_setup(test_text_field, reset),
                cmocka_unit_test_setup(test_plain, reset),
                cmocka_unit_test_setup(test_much, reset),
                cmocka_unit_test_setup(test_no_journald, reset),
                cmocka_unit_test_setup(test_stderr, reset),
                cmocka_unit_test_setup(test_nowhere, reset),
                cmocka_unit_test_setup(test_target, reset),
        };

        return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
