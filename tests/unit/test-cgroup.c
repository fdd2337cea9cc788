/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Control groups and systemd's units. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/cgroup.h"
#include "made-up-root.h"

static void test_parse(void **state)
{
        static const struct {
                const char *text, *path, *unit; /* NULL: none */
        } cases[] = {
                {"0::/system.slice/a.service\n", "/system.slice/a.service", "a.service"},
                {"0::/machine.slice/m\\x2dq.scope/libvirt/emulator\n",
                 "/machine.slice/m\\x2dq.scope/libvirt/emulator", "m\\x2dq.scope"},
                {"0::/user.slice/user@1.service/app.slice/b.service\n",
                 "/user.slice/user@1.service/app.slice/b.service", "b.service"},
                {"0::/\n", "/", ""},
                {"0::/a/b", "/a/b", ""},
                {"0::/.service\n", "/.service", ""},
                {"0::/a.slice\n", "/a.slice", ""},
                /* Version 1 of control groups, and both. */
                {"3:cpu,cpuacct:/x\n1:name=systemd:/a.service\n", "/a.service", "a.service"},
                {"1:name=systemd:/a.service\n0::/b.scope\n", "/a.service", "a.service"},
                {"3:cpu:/x\n", NULL, NULL},
                {"0::x\n", NULL, NULL},
                {"rubbish\n", NULL, NULL},
                {"", NULL, NULL},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct cgroup cgroup = {.path = "as it was"};
                int r = cgroup_parse(cases[i].text, &cgroup);

                if (r != (cases[i].path ? 0 : -ENOENT))
                        fail_msg("case %zu: %d", i, r);
                assert_string_equal(cgroup.path, cases[i].path ? cases[i].path : "as it was");
                assert_string_equal(cgroup.unit, cases[i].unit ? cases[i].unit : "");
        }
}

static void test_long_path(void **state)
{
        char text[2 * CGROUP_SIZE] = "0::/";
        struct cgroup cgroup;

        memset(text + 4, 'x', sizeof(text) - 5);
        assert_int_equal(cgroup_parse(text, &cgroup), 0);
        assert_int_equal(strlen(cgroup.path), CGROUP_SIZE - 1);
        assert_string_equal(cgroup.unit, "");
}

static void test_read(void **state)
{
        struct made_up_root *host = *state;
        struct cgroup cgroup;

        assert_int_equal(cgroup_read(&host->root, 7, &cgroup), -ESRCH);
        put(host, "/proc/7/cgroup", "0::/a.service\n");
        assert_int_equal(cgroup_read(&host->root, 7, &cgroup), 0);
        assert_string_equal(cgroup.unit, "a.service");
        put(host, "/proc/7/cgroup", "");
        assert_int_equal(cgroup_read(&host->root, 7, &cgroup), -ENOENT);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_parse),
                cmocka_unit_test(test_long_path),
                cmocka_unit_test_setup_teardown(test_read, made_up_root_setup,
                                                made_up_root_teardown),
        };

        return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
