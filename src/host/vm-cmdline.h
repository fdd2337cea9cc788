/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a VM's command line tells of its RAM: QEMU's -machine, -object memory-backend-… (also in
 * JSON, as libvirt writes it) and -mem-path, cloud-hypervisor's --memory. A command line is words
 * that end with a NUL byte each. Pure.
 */

#include <stdbool.h>
#include <stddef.h>

#define VM_PATH_SIZE 256

enum vmm {
        VMM_OTHER,
        VMM_QEMU,
        VMM_CLOUD_HYPERVISOR,
        VMM_FIRECRACKER,
};

/* What is said of the guest's RAM; of several backends, of the largest. */
struct vm_cmdline {
        enum vmm vmm;
        bool asks_merge;  /* it calls madvise(MADV_MERGEABLE), unless one of the below is set */
        bool machine_off; /* mem-merge=off */
        bool backend_off; /* merge=off, of a backend that it has a bearing on */
        bool shared;
        bool hugetlb;
        char path[VM_PATH_SIZE]; /* the file or folder that holds it; "": none, or too long */
};

/* A last word without its NUL byte was cut off, and is not looked at. */
void vm_cmdline_parse(const char *text, size_t len, struct vm_cmdline *ret);

/* The word at *@at, or NULL behind the last; *@at moves on to the next. */
const char *cmdline_next(const char *text, size_t len, size_t *at);
