/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "vm-cmdline.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vm-properties.h"

/* The RAM that a guest's backends make up: the largest decides. */
struct backends {
        bool used; /* -machine memory-backend= or -numa memdev=: RAM is there and not beside it */
        bool any;
        uint64_t largest;
        struct vm_cmdline of_largest;
};

const char *cmdline_next(const char *text, size_t len, size_t *at)
{
        const char *word = text + *at;

        if (*at >= len || !memchr(word, '\0', len - *at))
                return NULL;
        *at += strlen(word) + 1;
        return word;
}

static enum vmm vmm_of(const char *program)
{
        const char *slash = strrchr(program, '/');
        const char *name = slash ? slash + 1 : program;

        if (strcmp(name, "cloud-hypervisor") == 0)
                return VMM_CLOUD_HYPERVISOR;
        if (strcmp(name, "firecracker") == 0)
                return VMM_FIRECRACKER;
        return strstr(name, "qemu") || strcmp(name, "kvm") == 0 ? VMM_QEMU : VMM_OTHER;
}

static void parse_machine(const char *value, struct vm_cmdline *cmdline, struct backends *backends)
{
        char name[VM_PATH_SIZE];
        bool merge;

        if (property_boolean(value, "mem-merge", &merge))
                cmdline->machine_off = !merge;
        if (property_text(value, "memory-backend", name, sizeof(name)))
                backends->used = true;
}

static void parse_object(const char *value, struct backends *backends)
{
        static const char prefix[] = "memory-backend-";
        struct vm_cmdline backend = {0};
        char type[VM_PATH_SIZE];
        uint64_t size = 0;
        bool merge;

        if (!property_type(value, type, sizeof(type)) || strncmp(type, prefix, strlen(prefix)) != 0)
                return;
        /* A memfd is shared unless told otherwise; the other kinds are private. */
        backend.shared = strcmp(type, "memory-backend-memfd") == 0 ||
                         strcmp(type, "memory-backend-shm") == 0;
        (void)property_boolean(value, "share", &backend.shared);
        (void)property_boolean(value, "hugetlb", &backend.hugetlb);
        (void)property_text(value, "mem-path", backend.path, sizeof(backend.path));
        /*
         * Of anonymous memory QEMU asks for merging as soon as it has it, whatever this says
         * (checked with 7.2: the flag mg in smaps); only mem-merge=off keeps it from that.
         */
        if (strcmp(type, "memory-backend-ram") != 0 && property_boolean(value, "merge", &merge))
                backend.backend_off = !merge;
        (void)property_size(value, "size", &size);
        if (backends->any && size <= backends->largest)
                return;
        backends->any = true;
        backends->largest = size;
        backends->of_largest = backend;
}

static void parse_qemu(const char *text, size_t len, size_t at, struct vm_cmdline *cmdline)
{
        struct backends backends = {0};
        const char *word, *value;
        char name[VM_PATH_SIZE];

        while ((word = cmdline_next(text, len, &at))) {
                size_t behind = at;

                if (*word != '-')
                        continue;
                word += word[1] == '-' ? 2 : 1;
                value = cmdline_next(text, len, &behind);
                if (!value)
                        break;
                if (strcmp(word, "machine") == 0 || strcmp(word, "M") == 0)
                        parse_machine(value, cmdline, &backends);
                else if (strcmp(word, "object") == 0)
                        parse_object(value, &backends);
                else if (strcmp(word, "numa") == 0)
                        backends.used |= property_text(value, "memdev", name, sizeof(name));
                else if (strcmp(word, "mem-path") == 0 && strlen(value) < VM_PATH_SIZE)
                        memcpy(cmdline->path, value, strlen(value) + 1);
                else
                        continue;
                at = behind;
        }
        cmdline->asks_merge = true;
        if (!backends.used || !backends.any)
                return;
        cmdline->backend_off = backends.of_largest.backend_off;
        cmdline->shared = backends.of_largest.shared;
        cmdline->hugetlb = backends.of_largest.hugetlb;
        memcpy(cmdline->path, backends.of_largest.path, sizeof(cmdline->path));
}

static void parse_cloud_hypervisor(const char *text, size_t len, size_t at,
                                   struct vm_cmdline *cmdline)
{
        bool memory = false;
        const char *word;

        while ((word = cmdline_next(text, len, &at))) {
                const char *equals = strchr(word, '=');
                size_t n = equals ? (size_t)(equals - word) : strlen(word);

                if (*word == '-') {
                        memory = (n == 8 && strncmp(word, "--memory", n) == 0) ||
                                 (n == 13 && strncmp(word, "--memory-zone", n) == 0);
                        if (!memory || !equals)
                                continue;
                        word = equals + 1;
                } else if (!memory) {
                        continue;
                }
                /* A zone has what the whole has not, so none takes anything back. */
                cmdline->asks_merge |= property_is_true(word, "mergeable");
                cmdline->shared |= property_is_true(word, "shared");
                cmdline->hugetlb |= property_is_true(word, "hugepages");
        }
}

void vm_cmdline_parse(const char *text, size_t len, struct vm_cmdline *ret)
{
        struct vm_cmdline cmdline = {.vmm = VMM_OTHER};
        size_t at = 0;
        const char *program = cmdline_next(text, len, &at);

        if (program)
                cmdline.vmm = vmm_of(program);
        if (cmdline.vmm == VMM_QEMU)
                parse_qemu(text, len, at, &cmdline);
        if (cmdline.vmm == VMM_CLOUD_HYPERVISOR)
                parse_cloud_hypervisor(text, len, at, &cmdline);
        *ret = cmdline;
}
