/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What the command lines of VMs tell of their RAM. The cases of QEMU were seen to be so with QEMU
 * 7.2, by the flag mg of the RAM in smaps. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "made-up-root.h"
#include "src/host/vm-cmdline.h"
#include "src/host/vm-properties.h"

/* Words with blanks between them. */
static void parse(const char *words, struct vm_cmdline *ret)
{
        char text[1024];
        size_t len = strlen(words) + 1;

        assert_true(len <= sizeof(text));
        memcpy(text, words, len);
        for (char *p = text; *p; p++)
                if (*p == ' ')
                        *p = '\0';
        vm_cmdline_parse(text, len, ret);
}

enum { ASKS = 1, MACHINE = 2, BACKEND = 4, SHARED = 8, HUGETLB = 16 };

static int flags_of(const struct vm_cmdline *c)
{
        return c->asks_merge * ASKS | c->machine_off * MACHINE | c->backend_off * BACKEND |
               c->shared * SHARED | c->hugetlb * HUGETLB;
}

static const struct {
        const char *words;
        int flags;
        const char *path;
} qemus[] = {
        {"-m 64", 0, ""},
        {"-machine pc,mem-merge=off", MACHINE, ""},
        {"--machine pc,mem-merge=no", MACHINE, ""},
        {"-M mem-merge=false", MACHINE, ""},
        {"-machine pc,mem-merge=off -M mem-merge=on", 0, ""},
        {"-machine pc,mem-merge=off,mem-merge=on", 0, ""},
        {"-machine pc,mem-merge", 0, ""},
        {"-machine pc,mem-merge=perhaps", 0, ""},
        {"-machine pc,not-mem-merge=off", 0, ""},
        {"-machine pc,x=a,,mem-merge=off", 0, ""},
        {"-name mem-merge=off", 0, ""},
        {"-mem-path /dev/shm", 0, "/dev/shm"},
        {"-machine", 0, ""},
        /* A backend that is no RAM of the machine's. */
        {"-object memory-backend-memfd,id=m,size=32M", 0, ""},
        {"-machine memory-backend=m -object memory-backend-memfd,id=m,size=32M", SHARED, ""},
        {"-machine memory-backend=m -object memory-backend-memfd,id=m,size=32M,share=off", 0, ""},
        {"-machine memory-backend=m -object memory-backend-memfd,id=m,share=off,merge=off", BACKEND,
         ""},
        {"-machine memory-backend=m -object memory-backend-memfd,id=m,share=off,hugetlb=on",
         HUGETLB, ""},
        {"-machine memory-backend=m -object memory-backend-file,id=m,mem-path=/a,,b,size=1M", 0,
         "/a,b"},
        {"-machine memory-backend=m -object memory-backend-file,id=m,mem-path=/f,share", SHARED,
         "/f"},
        {"-machine memory-backend=m -object memory-backend-ram,id=m,merge=off", 0, ""},
        {"-machine memory-backend=m -object memory-backend-ram,id=m,share=on", SHARED, ""},
        {"-numa node,memdev=a -object memory-backend-ram,id=a,size=1G "
         "-object memory-backend-file,id=b,share=on,mem-path=/pmem,size=64M",
         0, ""},
        {"-numa node,memdev=a -object memory-backend-ram,id=a,size=1000M "
         "-object memory-backend-memfd,id=b,size=1G",
         SHARED, ""},
        {"-M memory-backend=m -object {\"qom-type\":\"memory-backend-file\",\"id\":\"m\","
         "\"mem-path\":\"/dev/hugepages/1\",\"host-nodes\":[0,1],\"share\":true,\"size\":1}",
         SHARED, "/dev/hugepages/1"},
        {"-M memory-backend=m -object {\"qom-type\":\"memory-backend-memfd\",\"share\":false,"
         "\"x\":{\"hugetlb\":true},\"merge\":false}",
         BACKEND, ""},
        {"-object iothread,id=x -M memory-backend=x", 0, ""},
};

static void test_qemu(void **state)
{
        for (size_t i = 0; i < ELEMENTS(qemus); i++) {
                char words[1024];
                struct vm_cmdline c;

                (void)snprintf(words, sizeof(words), "/usr/bin/qemu-system-x86_64 %s",
                               qemus[i].words);
                parse(words, &c);
                assert_int_equal(c.vmm, VMM_QEMU);
                if (flags_of(&c) != (qemus[i].flags | ASKS) || strcmp(c.path, qemus[i].path) != 0)
                        fail_msg("%s: %d, '%s'", qemus[i].words, flags_of(&c), c.path);
        }
}

static void test_others(void **state)
{
        static const struct {
                const char *words;
                enum vmm vmm;
                int flags;
        } cases[] = {
                {"", VMM_OTHER, 0},
                {"bash -machine mem-merge=off", VMM_OTHER, 0},
                {"kvm -machine mem-merge=off", VMM_QEMU, ASKS | MACHINE},
                {"/opt/firecracker --id x", VMM_FIRECRACKER, 0},
                {"cloud-hypervisor --memory size=1G", VMM_CLOUD_HYPERVISOR, 0},
                {"cloud-hypervisor --memory size=1G,mergeable=on", VMM_CLOUD_HYPERVISOR, ASKS},
                {"cloud-hypervisor --memory=size=1G,mergeable=on,shared=on", VMM_CLOUD_HYPERVISOR,
                 ASKS | SHARED},
                {"cloud-hypervisor --memory size=0 --memory-zone id=a id=b,hugepages=on --cpus x",
                 VMM_CLOUD_HYPERVISOR, HUGETLB},
                {"cloud-hypervisor --disk shared=on,mergeable=on", VMM_CLOUD_HYPERVISOR, 0},
                {"cloud-hypervisor --mem shared=on", VMM_CLOUD_HYPERVISOR, 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct vm_cmdline c;

                parse(cases[i].words, &c);
                if (c.vmm != cases[i].vmm || flags_of(&c) != cases[i].flags)
                        fail_msg("%s: %d %d", cases[i].words, c.vmm, flags_of(&c));
        }
}

/* Whatever is missing at the end, nothing is read behind it, and no half word believed. */
static void test_cut_off(void **state)
{
        static const char whole[] = "qemu\0-machine\0pc,mem-merge=off";

        for (size_t len = 0; len <= sizeof(whole); len++) {
                size_t n = len < sizeof(whole) ? len : sizeof(whole);
                char *cut = malloc(n > 0 ? n : 1);
                struct vm_cmdline c;

                assert_non_null(cut);
                memcpy(cut, whole, n);
                vm_cmdline_parse(cut, n, &c);
                assert_int_equal(c.machine_off, n == sizeof(whole));
                free(cut);
        }
}

static void test_long_words(void **state)
{
        char words[1024] = "qemu -mem-path /";
        struct vm_cmdline c;

        memset(words + strlen(words), 'x', VM_PATH_SIZE);
        parse(words, &c);
        assert_string_equal(c.path, "");
        words[strlen("qemu -mem-path ") + VM_PATH_SIZE - 1] = '\0';
        parse(words, &c);
        assert_int_equal(strlen(c.path), VM_PATH_SIZE - 1);

        (void)snprintf(words, sizeof(words), "qemu -machine mem-merge=off%0200d", 0);
        parse(words, &c);
        assert_int_equal(flags_of(&c), ASKS);
}

static void test_sizes(void **state)
{
        static const struct {
                const char *value;
                bool is_size;
                uint64_t size;
        } cases[] = {
                {"size=1", true, 1},
                {"size=3k", true, 3072},
                {"size=2M", true, 2 << 20},
                {"x,size=1G,y", true, 1 << 30},
                {"size=1T", true, UINT64_C(1) << 40},
                {"size=0x10", true, 16},
                {"{\"size\":4096}", true, 4096},
                {"{ \"a\" : \"}\" , \"size\" : 5 }", true, 5},
                {"{\"a\":[1,{\"size\":7}],\"size\":6}", true, 6},
                {"size=99999999999999999999", true, UINT64_MAX},
                {"size=20E", true, UINT64_MAX},
                {"size=-1", false, 0},
                {"size=", false, 0},
                {"size=1Q", false, 0},
                {"sizes=1", false, 0},
                {"{\"size\"}", false, 0},
                {"{\"a\":{\"size\":1}}", false, 0},
                {"{", false, 0},
                {"", false, 0},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                uint64_t size = 4711;

                if (property_size(cases[i].value, "size", &size) != cases[i].is_size ||
                    size != (cases[i].is_size ? cases[i].size : 4711))
                        fail_msg("%s: %llu", cases[i].value, (unsigned long long)size);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_qemu),    cmocka_unit_test(test_others),
                cmocka_unit_test(test_cut_off), cmocka_unit_test(test_long_words),
                cmocka_unit_test(test_sizes),
        };

        return cmocka_run_group_tests_name("vm-cmdline", tests, NULL, NULL);
}
