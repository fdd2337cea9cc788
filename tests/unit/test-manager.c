/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Decisions and steps on a made-up host: what reaches the policy. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ksm-help.h"
#include "ksmtuned/journal.h"
#include "src/daemon/guest-log.h"
#include "src/daemon/manager.h"

static struct {
        unsigned n_calls;
        unsigned events; /* of the last call */
} asked;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void __real_policy_decide(const struct policy_settings *settings, struct policy_state *state,
                          const struct sample *sample, uint64_t now_usec,
                          struct decision *ret_decision);
void __wrap_policy_decide(const struct policy_settings *settings, struct policy_state *state,
                          const struct sample *sample, uint64_t now_usec,
                          struct decision *ret_decision);

void __wrap_policy_decide(const struct policy_settings *settings, struct policy_state *state,
                          const struct sample *sample, uint64_t now_usec,
                          struct decision *ret_decision)
{
        asked.n_calls++;
        asked.events = sample->events;
        __real_policy_decide(settings, state, sample, now_usec, ret_decision);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

/* Memory is short, so that the adaptive policy begins a pass at once. */
static void put_host(const struct made_up_root *host)
{
        static const enum ksm_attribute counters[] = {KSM_PAGES_SHARED, KSM_PAGES_SHARING,
                                                      KSM_PAGES_UNSHARED, KSM_PAGES_VOLATILE,
                                                      KSM_FULL_SCANS};

        put_ksm(host, KSM_RUN, "0\n");
        put_ksm(host, KSM_PAGES_TO_SCAN, "100\n");
        put_ksm(host, KSM_SLEEP_MILLISECS, "20\n");
        for (size_t i = 0; i < ELEMENTS(counters); i++)
                put_ksm(host, counters[i], "0\n");
        put(host, "/proc/meminfo",
            "MemTotal: 16777216 kB\nMemFree: 1000000 kB\nMemAvailable: 1000000 kB\n");
        put_folder(host, "/run");
        put(host, "/etc/ksmtuned.conf", "KSM_POLICY=adaptive\n");
}

/* As after a scan that has found it; on a made-up host all processes are new at each. */
static void guest_starts(struct manager *manager, pid_t pid)
{
        const struct guest guest = {.pid = pid};

        guest_log(manager, &guest, GUEST_CAME);
        assert_true(events_request(manager->events, TRIGGER_GUEST) >= 0);
}

static void start(struct manager *manager, const struct options *options,
                  const struct made_up_root *host)
{
        struct settings_problems problems = {.n = 0};
        struct settings *settings = NULL;

        put_host(host);
        assert_int_equal(settings_load(&settings, &host->root, NULL, &problems), 0);
        settings_problems_clear(&problems);
        assert_int_equal(manager_init(manager, options, &host->root, settings), 0);
        asked.n_calls = 0;
}

/*
 * Two guests start in a pass, the second one in the gap behind the first one's decision. The next
 * step comes before its own, and takes nothing away from that.
 */
static void test_events_in_a_pass(void **state)
{
        const struct made_up_root *host = *state;
        const struct options options = {.root = host->path};
        struct manager manager;

        start(&manager, &options, host);
        assert_int_equal(manager_decide(&manager, TRIGGER_START), 0);
        assert_int_equal(asked.events, 0);
        assert_true(manager.last_decision.light_next);
        assert_ksm(host, KSM_RUN, "1\n");

        guest_starts(&manager, 1000);
        assert_int_equal(asked.n_calls, 2);
        assert_int_equal(asked.events, EVENT_GUEST_STARTED);

        guest_starts(&manager, 2000);
        assert_int_equal(asked.n_calls, 2);
        assert_int_equal(manager_step(&manager), 0);
        assert_int_equal(asked.n_calls, 3);
        assert_int_equal(asked.events, 0);
        assert_int_equal(manager_decide(&manager, TRIGGER_GUEST), 0);
        assert_int_equal(asked.n_calls, 4);
        assert_int_equal(asked.events, EVENT_GUEST_STARTED);

        /* Once. */
        assert_int_equal(manager_decide(&manager, TRIGGER_TIMER), 0);
        assert_int_equal(asked.events, 0);
        manager_release(&manager);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_events_in_a_pass),
        };

        journal_open(JOURNAL_NONE);
        if (unsetenv("NOTIFY_SOCKET") < 0 || events_block_signals() < 0)
                return 1;
        return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
