/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who else might write the knobs. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ksm-help.h"
#include "ksmtuned/rivals.h"

static const struct {
        const char *comm, *name;
        bool on_request;
} known[] = {
        {"ksmtuned", "another ksmtuned", false},
        {"tuned", "tuned", true},
        {"momd", "oVirt MOM", false},
        {"vdsmd", "oVirt vdsm", false},
        {"virt-handler", "KubeVirt virt-handler", false},
        {"ksm-throttler", "Kata ksm-throttler", false},
        {"uksmd", "uksmd", false},
        {"libvirtd", "libvirt (virsh node-memory-tune)", true},
        {"virtqemud", "libvirt (virsh node-memory-tune)", true},
};

static void put_comm(const struct made_up_root *host, unsigned pid, const char *comm)
{
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%u/comm", pid);
        put_format(host, path, "%s\n", comm);
}

static void test_each(void **state)
{
        const struct made_up_root *host = *state;
        struct rival rival;

        put_folder(host, "/proc");
        for (size_t i = 0; i < ELEMENTS(known); i++) {
                put_comm(host, 812, known[i].comm);
                assert_int_equal(rivals_find(&host->root, 1, &rival, 1), 1);
                assert_string_equal(rival.name, known[i].name);
                assert_int_equal(rival.pid, 812);
                assert_int_equal(rival.on_request, known[i].on_request);
                /* Ourselves are none. */
                assert_int_equal(rivals_find(&host->root, 812, &rival, 1), 0);
        }
}

static void test_others(void **state)
{
        static const char *const others[] = {"tuned2", "atuned",
                                             "",       "tuned\n",
                                             "TUNED",  "a name longer than any process has one"};
        const struct made_up_root *host = *state;
        struct rival rivals[8];

        for (unsigned i = 0; i < ELEMENTS(others); i++)
                put_comm(host, 100 + i, others[i]);
        /* The second line is the name's own newline. */
        put(host, "/proc/200/comm", "\n");
        put_fifo(host, "/proc/201/comm");
        put(host, "/proc/202", "tuned\n");
        put_folder(host, "/proc/203");
        put(host, "/proc/self/comm", "tuned\n");
        put(host, "/proc/99999999999/comm", "tuned\n");
        assert_int_equal(rivals_find(&host->root, 1, rivals, ELEMENTS(rivals)), 1);
        /* "tuned\n\n" cannot be told from "tuned", for one who names himself so. */
        assert_int_equal(rivals[0].pid, 103);
}

static void test_many(void **state)
{
        const struct made_up_root *host = *state;
        struct rival rivals[ELEMENTS(known) + 1];
        const struct rival untouched = {"untouched", 7, false};

        for (unsigned i = 0; i < ELEMENTS(known); i++)
                put_comm(host, 100 + i, known[i].comm);
        assert_int_equal(rivals_find(&host->root, 1, rivals, ELEMENTS(rivals)), ELEMENTS(known));

        /* No more than there is room for. */
        rivals[2] = untouched;
        assert_int_equal(rivals_find(&host->root, 1, rivals, 2), 2);
        assert_string_equal(rivals[2].name, "untouched");
        assert_int_equal(rivals_find(&host->root, 1, NULL, 0), 0);
}

static void test_advisor(void **state)
{
        const struct made_up_root *host = *state;
        struct rival rivals[2];

        put_comm(host, 100, "tuned");
        put_ksm(host, KSM_ADVISOR_MODE, "[none] scan-time\n");
        assert_int_equal(rivals_find(&host->root, 1, rivals, 2), 1);
        put_ksm(host, KSM_ADVISOR_MODE, "rubbish\n");
        assert_int_equal(rivals_find(&host->root, 1, rivals, 2), 1);
        put_ksm(host, KSM_ADVISOR_MODE, "none [scan-time]\n");
        assert_int_equal(rivals_find(&host->root, 1, rivals, 2), 2);
        assert_string_equal(rivals[0].name, "the kernel's advisor");
        assert_int_equal(rivals[0].pid, 0);
        assert_string_equal(rivals[1].name, "tuned");
        assert_int_equal(rivals_find(&host->root, 1, rivals, 1), 1);
        assert_int_equal(rivals[0].pid, 0);
        assert_int_equal(rivals_find(&host->root, 1, NULL, 0), 0);
}

static void test_no_proc(void **state)
{
        const struct made_up_root *host = *state;
        struct rival rival;

        assert_int_equal(rivals_find(&host->root, 1, &rival, 1), -ENOENT);
        put(host, "/proc", "");
        assert_int_equal(rivals_find(&host->root, 1, &rival, 1), -ENOTDIR);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
#define ON_A_HOST(test) \
        cmocka_unit_test_setup_teardown(test, made_up_root_setup, made_up_root_teardown)
                ON_A_HOST(test_each),    ON_A_HOST(test_others),  ON_A_HOST(test_many),
                ON_A_HOST(test_advisor), ON_A_HOST(test_no_proc),
        };

        return cmocka_run_group_tests_name("rivals", tests, NULL, NULL);
}
