/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The command lines of VMs, their words ended by NUL bytes. */

#include "fuzz.h"
#include "ksmtuned/ksm-process.h"
#include "src/host/guest-details.h"
#include "src/host/vm-cmdline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* Of just its size and without a NUL byte of ours. */
        char *text = malloc(size > 0 ? size : 1), name[GUEST_NAME_SIZE];
        struct ksm_process process;
        struct vm_cmdline cmdline;
        size_t at = 0, words = 0;

        CHECK(text);
        if (size > 0)
                memcpy(text, data, size);
        while (cmdline_next(text, size, &at))
                words++;
        CHECK(at <= size && words <= size);

        vm_cmdline_parse(text, size, &cmdline);
        CHECK(memchr(cmdline.path, '\0', sizeof(cmdline.path)));
        CHECK(words > 0 || cmdline.vmm == VMM_OTHER);
        CHECK(cmdline.vmm == VMM_QEMU || (!cmdline.machine_off && !cmdline.backend_off));
        ksm_process_init(&process);
        CHECK(ksm_process_judge(&process, &cmdline, false) < KSM_PROCESS_VERDICT_COUNT);
        if (guest_name_parse(text, size, name) == 0)
                CHECK(strlen(name) > 0 && strlen(name) < GUEST_NAME_SIZE);
        free(text);

        return 0;
}
