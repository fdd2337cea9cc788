/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /run/ksmtuned/state: what is written is read again, and nothing else is. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/sample.h"
#include "ksmtuned/state.h"
#include "made-up-root.h"

static struct state example(void)
{
        struct state state;

        state_init(&state);
        (void)strcpy(state.version, "0.1.0");
        state.pid = 812;
        (void)strcpy(state.policy, "classic");
        (void)strcpy(state.phase, "boost");
        state.run = 1;
        state.pages_to_scan = 364;
        state.sleep_msec = 10;
        state.total_kb = 16777216;
        state.free_kb = 1000000;
        state.committed_kb = INT64_MAX;
        state.threshold_kb = 3355443;
        state.guests = 3;
        state.saved_bytes = 4096;
        state.ksmd_cpu_nsec = INT64_C(123456789012);
        state.decisions = 17;
        (void)strcpy(state.trigger, "timer");
        (void)strcpy(state.reason, "976.6 MiB are free, below the threshold of 3.2 GiB");
        state.time_usec = INT64_C(1790000000000000);
        state.interval_usec = 60000000;
        state.next_usec = INT64_C(1790000060000000);
        state.pass_due_usec = SAMPLE_ABSENT;
        (void)strcpy(state.settings_owed, "max_page_sharing=1000");
        state.advisor_before = 1;
        state.smart_scan_before = 0;
        state.pages_to_scan_before = 123;
        state.sleep_msec_before = 33;
        return state;
}

static const char example_text[] =
        "VERSION=0.1.0\nPID=812\nPOLICY=classic\nPHASE=boost\nRUN=1\nPAGES_TO_SCAN=364\n"
        "SLEEP_MSEC=10\nTOTAL_KB=16777216\nFREE_KB=1000000\nCOMMITTED_KB=9223372036854775807\n"
        "THRESHOLD_KB=3355443\nGUESTS=3\nSAVED_BYTES=4096\nKSMD_CPU_NSEC=123456789012\n"
        "DECISIONS=17\nTRIGGER=timer\n"
        "REASON=976.6 MiB are free, below the threshold of 3.2 GiB\n"
        "TIME_USEC=1790000000000000\nINTERVAL_USEC=60000000\nNEXT_USEC=1790000060000000\n"
        "PASS_DUE_USEC=-1\nSETTINGS_OWED=max_page_sharing=1000\nADVISOR_MODE_BEFORE=1\nSMART_SCAN_"
        "BEFORE=0\n"
        "PAGES_TO_SCAN_BEFORE=123\nSLEEP_MSEC_BEFORE=33\n";

static void test_round_trip(void **test_state)
{
        const struct made_up_root *host = *test_state;
        const struct state written = example();
        struct state read;

        put_folder(host, "/run");
        memset(&read, 0x5a, sizeof(read));
        assert_int_equal(state_write(&host->root, &written), 0);
        assert_file(host, STATE_PATH, example_text);
        assert_int_equal(state_read(&host->root, &read), 0);
        assert_memory_equal(&read, &written, sizeof(read));
}

static void test_unknown(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct state unknown, read;

        state_init(&unknown);
        assert_int_equal(unknown.pid, 0);
        assert_string_equal(unknown.reason, "");
        assert_int_equal(unknown.run, SAMPLE_ABSENT);
        assert_int_equal(unknown.advisor_before, SAMPLE_ABSENT);
        put_folder(host, "/run");
        assert_int_equal(state_write(&host->root, &unknown), 0);
        assert_int_equal(state_read(&host->root, &read), 0);
        assert_memory_equal(&read, &unknown, sizeof(read));

        /* Without any key, or with keys that are to come. */
        assert_int_equal(state_parse("", &read), 0);
        assert_memory_equal(&read, &unknown, sizeof(read));
        assert_int_equal(state_parse("NEW=1\nREAS=x\nREASONS=y\n=z\nreason=w\n", &read), 0);
        assert_memory_equal(&read, &unknown, sizeof(read));
        assert_int_equal(state_parse("NEW=a=b\nRUN=1\nREASON=a=b\n", &read), 0);
        assert_int_equal(read.run, 1);
        assert_string_equal(read.reason, "a=b");
        assert_int_equal(read.guests, SAMPLE_ABSENT);
}

/* Texts are one line each, whatever is in them, and may fill their room. */
static void test_texts(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct state state = example(), read;

        put_folder(host, "/run");
        (void)strcpy(state.reason, "one\ntwo\r\nRUN=7\n");
        memset(state.version, 'v', sizeof(state.version) - 1);
        memset(state.trigger, 't', sizeof(state.trigger) - 1);
        state.trigger[sizeof(state.trigger) - 1] = '\0';
        assert_int_equal(state_write(&host->root, &state), 0);
        assert_int_equal(state_read(&host->root, &read), 0);
        assert_string_equal(read.reason, "one two  RUN=7 ");
        assert_int_equal(read.run, 1);
        assert_string_equal(read.version, state.version);
        assert_string_equal(read.trigger, state.trigger);
        assert_string_equal(state.reason, "one\ntwo\r\nRUN=7\n");

        memset(state.reason, 'r', sizeof(state.reason) - 1);
        state.reason[sizeof(state.reason) - 1] = '\0';
        assert_int_equal(state_write(&host->root, &state), 0);
        assert_int_equal(state_read(&host->root, &read), 0);
        assert_string_equal(read.reason, state.reason);
}

static void test_bad(void **test_state)
{
        static const char *const texts[] = {
                "RUN",
                "RUN\n",
                "RUN=1",
                "\n",
                "RUN=1\n\n",
                "RUN=\n",
                "RUN= 1\n",
                "RUN=1 \n",
                "RUN=+1\n",
                "RUN=0x1\n",
                "RUN=one\n",
                "RUN=1.5\n",
                "RUN=9223372036854775808\n",
                "RUN=-9223372036854775809\n",
                "RUN=00000000000000000000000000000001\n",
                "PID=-1\n",
                "PID=2147483648\n",
                "PID=\n",
                "POLICY=sixteen-letters-\n",
                "TRIGGER=a trigger that is longer than any\n",
        };
        char reason[300];

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                struct state before = example(), state = before;

                if (state_parse(texts[i], &state) != -EBADMSG)
                        fail_msg("taken: %s", texts[i]);
                assert_memory_equal(&state, &before, sizeof(state));
        }
        for (int len = 255; len <= 256; len++) {
                (void)snprintf(reason, sizeof(reason), "REASON=%0*d\n", len, 0);
                assert_int_equal(state_parse(reason, &(struct state){.pid = 0}),
                                 len < 256 ? 0 : -EBADMSG);
        }
}

static void test_truncated(void **test_state)
{
        for (size_t len = 0; len < sizeof(example_text); len++) {
                struct state state;
                char *cut = strndup(example_text, len);
                int r;

                assert_non_null(cut);
                r = state_parse(cut, &state);
                /* Only where a line ends can it be taken for a whole. */
                assert_int_equal(r, len == 0 || cut[len - 1] == '\n' ? 0 : -EBADMSG);
                free(cut);
        }
}

static void test_files(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct state before = example(), state = before;
        char big[5000];

        assert_int_equal(state_read(&host->root, &state), -ENOENT);
        assert_int_equal(state_remove(&host->root), 0);
        /* /run itself is not made. */
        assert_int_equal(state_write(&host->root, &state), -ENOENT);

        put_bytes(host, STATE_PATH, "RUN=1\n\0RUN=2\n", 13);
        assert_int_equal(state_read(&host->root, &state), -EBADMSG);
        memset(big, '\n', sizeof(big));
        put_bytes(host, STATE_PATH, big, sizeof(big));
        assert_int_equal(state_read(&host->root, &state), -EBADMSG);
        put_away(host, STATE_PATH);
        put_fifo(host, STATE_PATH);
        assert_int_equal(state_read(&host->root, &state), -ESPIPE);
        assert_memory_equal(&state, &before, sizeof(state));

        put_mode(host, "/run/ksmtuned", 0555);
        become_ordinary();
        assert_int_equal(state_write(&host->root, &state), -EACCES);
        assert_int_equal(state_remove(&host->root), -EACCES);
        become_self();
        put_mode(host, "/run/ksmtuned", 0755);
        assert_int_equal(state_remove(&host->root), 0);
        assert_int_equal(sysroot_exists(&host->root, STATE_PATH), 0);
        assert_int_equal(state_remove(&host->root), 0);
}

static void test_daemon_alive(void **test_state)
{
        const struct made_up_root *host = *test_state;
        struct state state;

        state_init(&state);
        assert_int_equal(state_daemon_alive(&host->root, &state), 0);
        state.pid = -5;
        assert_int_equal(state_daemon_alive(&host->root, &state), 0);
        state.pid = 812;
        assert_int_equal(state_daemon_alive(&host->root, &state), 0);
        put(host, "/proc/812/comm", "ksmtuned\n");
        assert_int_equal(state_daemon_alive(&host->root, &state), 1);
        put(host, "/proc/812/comm", "ksmtuned2\n");
        assert_int_equal(state_daemon_alive(&host->root, &state), 0);
        put(host, "/proc/812/comm", "");
        assert_int_equal(state_daemon_alive(&host->root, &state), 0);
        put(host, "/proc/812/comm", "ksmtuned\n");
        put_mode(host, "/proc/812", 0);
        become_ordinary();
        assert_int_equal(state_daemon_alive(&host->root, &state), -EACCES);
        become_self();
        put_mode(host, "/proc/812", 0755);
}

#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)

static void test_stale(void **unused)
{
        static const struct {
                int64_t time, interval, now;
                bool stale;
        } cases[] = {
                {1000, 60000000, 1000, false},
                {1000, 60000000, 125001000, false},
                {1000, 60000000, 125001001, true},
                {1000, 0, 5001001, true},
                {1000, 60000000, 0, false}, /* the clock was set back */
                {SAMPLE_ABSENT, 60000000, INT64_MAX, false},
                {1000, SAMPLE_ABSENT, INT64_MAX, false},
                {INT64_MAX, INT64_MAX, INT64_MAX, false},
                {1000, INT64_MAX, INT64_MAX, false},
                {0, 0, INT64_MAX, true},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct state state;

                state_init(&state);
                state.time_usec = cases[i].time;
                state.interval_usec = cases[i].interval;
                assert_int_equal(state_is_stale(&state, cases[i].now), cases[i].stale);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                ON_A_HOST(test_round_trip),
                ON_A_HOST(test_unknown),
                ON_A_HOST(test_texts),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_truncated),
                ON_A_HOST(test_files),
                ON_A_HOST(test_daemon_alive),
                cmocka_unit_test(test_stale),
        };

        return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
