/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who is a guest by its names, and what the texts about its memory say. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ksmtuned/guests.h"
#include "made-up-root.h"
#include "src/host/guest-memory.h"

/* The default of KSM_VM_MATCH. */
static const char *const globs[] = {"qemu-kvm",         "qemu-system-*", "qemu:*", "kvm",
                                    "cloud-hypervisor", "firecracker",   "crosvm", NULL};

static void test_match(void **state)
{
        static const struct {
                const char *comm, *exe;
                bool guest;
        } cases[] = {
                /* By comm, by the executable, by both. */
                {"qemu-kvm", NULL, true},
                {"qemu-system-x86", NULL, true},
                {"qemu-system-x86", "qemu-system-x86_64", true},
                {"qemu-system-", NULL, true},
                {"kvm", "qemu-system-x86_64", true},
                {"firecracker", "firecracker", true},
                {"crosvm", NULL, true},
                /* -name process=…: libvirt and people choose it. */
                {"qemu:web-1", "whatever", true},
                {"web-1", "qemu-system-aarch64", true},
                {"CPU 0/KVM", "qemu-kvm", true},
                /* Cut at 15 bytes. */
                {"cloud-hyperviso", NULL, true},
                {"cloud-hyperviso", "cloud-hypervisor", true},
                {"cloud-hyperviso", "cloud-hypervisor-static", false},
                {"cloud-hypervis", NULL, false},
                {"cloud-hypervisr", NULL, false},
                /* Near misses. */
                {"", NULL, false},
                {"", "", false},
                {"bash", "bash", false},
                {"kvm-nx-lpage-re", NULL, false},
                {"xkvm", "xkvm", false},
                {"KVM", NULL, false},
                {"qemu", "qemu", false},
                {"qemu-system", NULL, false},
                {"qemu-kvm ", NULL, false},
                {"qemu-kvm\n", NULL, false},
                {"a) S (qemu-kvm", NULL, false},
                {"firecracker2", NULL, false},
                {"libvirtd", "libvirtd", false},
                /* They come with VMs and are none. */
                {"qemu-img", "qemu-img", false},
                {"qemu-nbd", NULL, false},
                {"qemu-io", NULL, false},
                {"qemu-ga", NULL, false},
                {"qemu-edid", NULL, false},
                {"qemu-storage-da", NULL, false},
                {"qemu-storage-da", "qemu-storage-daemon", false},
                {"kvm", "qemu-storage-daemon", false},
                {"qemu:disk", "qemu-nbd", false},
                {"qemu-img", "qemu-system-x86_64", false},
                {"virtiofsd", NULL, false},
                {"qemu-pr-helper", NULL, false},
                {"qemu-bridge-hel", NULL, false},
        };
        static const char *const everything[] = {"*", NULL}, *const nothing[] = {NULL};

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (guest_match(globs, cases[i].comm, cases[i].exe) != cases[i].guest)
                        fail_msg("comm '%s', exe '%s'", cases[i].comm,
                                 cases[i].exe ? cases[i].exe : "(unknown)");

        assert_true(guest_match(everything, "bash", NULL));
        assert_true(guest_match(everything, "", NULL));
        assert_false(guest_match(everything, "qemu-img", NULL));
        assert_false(guest_match(everything, "qemu-storage-da", "qemu-storage-daemon"));
        assert_false(guest_match(nothing, "qemu-kvm", "qemu-kvm"));
}

static void test_globs(void **state)
{
        static const char *const own[] = {"vm-[0-9]*", "?x", "\\*", "[", NULL};

        assert_true(guest_match(own, "vm-1", NULL));
        assert_true(guest_match(own, "vm-1/a", NULL));
        assert_true(guest_match(own, "sh", "vm-22"));
        assert_true(guest_match(own, "ax", NULL));
        assert_true(guest_match(own, "*", NULL));
        assert_false(guest_match(own, "vm-x", NULL));
        assert_false(guest_match(own, "x", NULL));
        assert_false(guest_match(own, "star", NULL));
}

static void test_statm(void **state)
{
        static const struct {
                const char *text;
                int64_t size, resident;
        } good[] = {
                {"1024 77 50 1 0 900 0\n", 1024, 77},
                {"0 0 0 0 0 0 0\n", 0, 0},
                {"9223372036854775807 9223372036854775807 0", INT64_MAX, INT64_MAX},
                {"1 2 ", 1, 2},
        };
        static const char *const bad[] = {
                "",
                "\n",
                "1024",
                "1024 ",
                "1024 77",
                "x 1 1",
                "1 x 1",
                "-1 1 1",
                "1 -1 1",
                "1  1 1",
                " 1 1 1",
                "+1 1 1",
                "1.5 1 1",
                "1\n1 1",
                "1 1\n",
                "9223372036854775808 1 1",
                "1 99999999999999999999 1",
        };

        for (size_t i = 0; i < ELEMENTS(good); i++) {
                int64_t size = -7, resident = -7;

                assert_int_equal(guest_statm_parse(good[i].text, &size, &resident), 0);
                assert_true(size == good[i].size && resident == good[i].resident);
        }
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                int64_t size = -7, resident = -7;

                if (guest_statm_parse(bad[i], &size, &resident) != -EBADMSG)
                        fail_msg("taken: %s", bad[i]);
                assert_true(size == -7 && resident == -7);
        }
}

#define ROLLUP_HEAD "55a0c0000000-7ffd00000000 ---p 00000000 00:00 0    [rollup]\nRss:   2000 kB\n"

static void test_pss(void **state)
{
        static const struct {
                const char *text;
                int64_t kb;
        } good[] = {
                {ROLLUP_HEAD "Pss:                1234 kB\nPss_Dirty:  5 kB\n", 1234},
                {ROLLUP_HEAD "Pss_Anon: 7 kB\nPss:0 kB\n", 0},
                {"\nPss: 9223372036854775807 kB\n", INT64_MAX},
                {"\nPss: 1 kB\nPss: 2 kB\n", 1},
        };
        static const char *const bad[] = {
                "",
                "Pss: 1 kB\n",
                ROLLUP_HEAD,
                ROLLUP_HEAD "SwapPss: 1 kB\n",
                ROLLUP_HEAD "Pss:\n",
                ROLLUP_HEAD "Pss: kB\n",
                ROLLUP_HEAD "Pss: 12",
                ROLLUP_HEAD "Pss: 12 kB",
                ROLLUP_HEAD "Pss: 12\n",
                ROLLUP_HEAD "Pss: 12 MB\n",
                ROLLUP_HEAD "Pss: -12 kB\n",
                ROLLUP_HEAD "Pss: +12 kB\n",
                ROLLUP_HEAD "Pss: 0x12 kB\n",
                ROLLUP_HEAD "Pss: 9223372036854775808 kB\n",
        };

        for (size_t i = 0; i < ELEMENTS(good); i++) {
                int64_t kb = -7;

                assert_int_equal(guest_pss_parse(good[i].text, &kb), 0);
                assert_true(kb == good[i].kb);
        }
        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                int64_t kb = -7;

                if (guest_pss_parse(bad[i], &kb) != -EBADMSG)
                        fail_msg("taken: %s", bad[i]);
                assert_true(kb == -7);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_match),
                cmocka_unit_test(test_globs),
                cmocka_unit_test(test_statm),
                cmocka_unit_test(test_pss),
        };

        return cmocka_run_group_tests_name("guest-names", tests, NULL, NULL);
}
