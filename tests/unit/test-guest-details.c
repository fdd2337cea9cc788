/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Names and mergeability of guests, as command lines and ksm_stat tell them. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "made-up-root.h"
#include "src/host/guest-details.h"

/* A command line with its NUL bytes, the last word's included. */
#define WORDS(literal) literal, sizeof(literal)

static const struct {
        const char *cmdline;
        size_t len;
        const char *name; /* NULL: none */
} names[] = {
        {WORDS("qemu\0-name\0guest=vm1,debug-threads=on"), "vm1"},
        {WORDS("qemu\0-name\0debug-threads=on,guest=vm1"), "vm1"},
        {WORDS("qemu\0-name\0vm1"), "vm1"},
        {WORDS("qemu\0-name\0vm1,process=x"), "vm1"},
        {WORDS("/usr/bin/kvm\0-id\0"
               "100\0-name\0web,debug-threads=on\0-m\0"
               "64"),
         "web"},
        {WORDS("qemu\0-name\0guest=a,,b,x=y"), "a,b"},
        {WORDS("qemu\0-name\0guest=with space"), "with space"},
        {WORDS("qemu\0-name\0guest=a\nb\tc\x7f\xc3\xa9"), "a?b?c???"},
        {WORDS("cloud-hypervisor\0--kernel\0x\0--id\0ch1"), "ch1"},
        {WORDS("firecracker\0--id\0fc-7\0--api-sock\0/x"), "fc-7"},
        {WORDS("qemu\0-name\0first\0-name\0second"), "first"},
        {WORDS("qemu\0-name\0x=y"), NULL},
        {WORDS("qemu\0-name\0guest="), NULL},
        {WORDS("qemu\0-name\0guest=,x=y"), NULL},
        {WORDS("qemu\0-name\0"), NULL},
        {WORDS("qemu\0-name"), NULL},
        {WORDS("qemu\0-m\0-name"), NULL},
        {WORDS("qemu"), NULL},
        {WORDS(""), NULL},
        {"", 0, NULL},
        {WORDS("qemu\0-named\0vm1"), NULL},
        {WORDS("qemu\0x-name\0vm1"), NULL},
};

static void test_names(void **state)
{
        for (size_t i = 0; i < ELEMENTS(names); i++) {
                char name[GUEST_NAME_SIZE] = "as it was";
                int r = guest_name_parse(names[i].cmdline, names[i].len, name);

                if (r != (names[i].name ? 0 : -ENOENT))
                        fail_msg("case %zu: %d", i, r);
                assert_string_equal(name, names[i].name ? names[i].name : "as it was");
        }
}

/* One that is cut off in the midst is no reason to read behind it. */
static void test_cut_off(void **state)
{
        static const char whole[] = "qemu\0-name\0guest=vm1,debug-threads=on";

        for (size_t len = 0; len < sizeof(whole); len++) {
                char *cut = malloc(len + 1), name[GUEST_NAME_SIZE];

                assert_non_null(cut);
                memcpy(cut, whole, len);
                cut[len] = '\0';
                (void)guest_name_parse(cut, len, name);
                free(cut);
        }
}

static void test_long_name(void **state)
{
        char cmdline[300] = "qemu\0-name\0guest=", name[GUEST_NAME_SIZE];

        memset(cmdline + 17, 'x', sizeof(cmdline) - 18);
        assert_int_equal(guest_name_parse(cmdline, sizeof(cmdline), name), 0);
        assert_int_equal(strlen(name), GUEST_NAME_SIZE - 1);
        assert_int_equal(strspn(name, "x"), GUEST_NAME_SIZE - 1);
        memset(cmdline + 17, ',', sizeof(cmdline) - 18);
        memset(cmdline + 17, 'x', 3);
        assert_int_equal(guest_name_parse(cmdline, sizeof(cmdline), name), 0);
        assert_memory_equal(name, "xxx,,,", 6);
        assert_true(strlen(name) < GUEST_NAME_SIZE);
}

static void test_mergeable(void **state)
{
        static const struct {
                const char *text;
                enum guest_mergeable mergeable;
        } cases[] = {
                {"ksm_rmap_items 0\nksm_zero_pages 0\nksm_merging_pages 0\nksm_process_profit 0\n"
                 "ksm_merge_any: no\nksm_mergeable: no\n",
                 GUEST_MERGEABLE_NO},
                {"ksm_rmap_items 0\nksm_merge_any: no\nksm_mergeable: yes\n", GUEST_MERGEABLE_YES},
                {"ksm_rmap_items 0\nksm_merge_any: yes\nksm_mergeable: no\n", GUEST_MERGEABLE_YES},
                {"ksm_rmap_items 512\nksm_merge_any: no\nksm_mergeable: no\n", GUEST_MERGEABLE_NO},
                {"ksm_rmap_items 512\nksm_merging_pages 3\n", GUEST_MERGEABLE_YES},
                {"ksm_rmap_items 0\nksm_merging_pages 0\n", GUEST_MERGEABLE_UNKNOWN},
                {"", GUEST_MERGEABLE_UNKNOWN},
                {"rubbish", GUEST_MERGEABLE_UNKNOWN},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                if (guest_mergeable_parse(cases[i].text) != cases[i].mergeable)
                        fail_msg("case %zu", i);
        assert_string_equal(guest_mergeable_name(GUEST_MERGEABLE_NO), "no");
        assert_string_equal(guest_mergeable_name(GUEST_MERGEABLE_YES), "yes");
        assert_string_equal(guest_mergeable_name(GUEST_MERGEABLE_UNKNOWN), "unknown");
}

/* From the files of a process; what is not there is its comm, and not known. */
static void test_read(void **state)
{
        struct made_up_root *host = *state;
        struct sysroot proc = SYSROOT_INIT;
        struct guest guest = {.pid = 7, .comm = "qemu-system-x86"};
        char path[600];

        put_bytes(host, "/proc/7/cmdline", WORDS("qemu\0-name\0guest=vm7,x=y"));
        put(host, "/proc/7/ksm_stat", "ksm_rmap_items 0\nksm_merge_any: no\nksm_mergeable: yes\n");
        put_bytes(host, "/proc/8/cmdline",
                  WORDS("qemu\0-m\0"
                        "64"));
        (void)snprintf(path, sizeof(path), "%s/proc", host->path);
        assert_int_equal(sysroot_open(&proc, path), 0);
        guest_details_read(&proc, &guest);
        assert_string_equal(guest_name(&guest), "vm7");
        assert_int_equal(guest.mergeable, GUEST_MERGEABLE_YES);

        guest.pid = 8;
        guest_details_read(&proc, &guest);
        assert_string_equal(guest_name(&guest), "qemu-system-x86");
        assert_int_equal(guest.mergeable, GUEST_MERGEABLE_UNKNOWN);

        guest.pid = 9;
        guest_details_read(&proc, &guest);
        assert_string_equal(guest_name(&guest), "qemu-system-x86");
        assert_int_equal(guest.mergeable, GUEST_MERGEABLE_UNKNOWN);
        sysroot_close(&proc);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_cut_off),
                cmocka_unit_test(test_long_name),
                cmocka_unit_test(test_mergeable),
                cmocka_unit_test_setup_teardown(test_read, made_up_root_setup,
                                                made_up_root_teardown),
        };

        return cmocka_run_group_tests_name("guest-details", tests, NULL, NULL);
}
