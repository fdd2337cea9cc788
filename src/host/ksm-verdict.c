/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The verdicts on a process in words. */

#include "ksmtuned/ksm-process.h"

static const struct {
        const char *word, *sentence;
} verdicts[KSM_PROCESS_VERDICT_COUNT] = {
        [KSM_PROCESS_MERGEABLE] = {"yes", "ksmd may merge its memory"},
        [KSM_PROCESS_MEM_MERGE_OFF] =
                {"mem-merge=off",
                 "QEMU was told not to offer the guest's memory: -machine mem-merge=off, which "
                 "libvirt writes for <nosharepages/>. Take that away and start the guest anew"},
        [KSM_PROCESS_MERGE_OFF] =
                {"merge=off", "QEMU was told not to offer the guest's memory: merge=off of its "
                              "memory-backend object. Take that away and start the guest anew"},
        [KSM_PROCESS_HUGETLBFS] =
                {"hugetlbfs", "its memory consists of reserved huge pages (hugetlbfs), which KSM "
                              "cannot merge. Transparent huge pages have no such limit"},
        [KSM_PROCESS_SHARED] =
                {"shared", "its memory is shared with other processes or a file, which KSM cannot "
                           "merge. vhost-user devices and virtiofs need it so"},
        [KSM_PROCESS_NOT_ASKED] =
                {"not asked", "nobody has asked for its memory to be merged. cloud-hypervisor does "
                              "with --memory mergeable=on; for others there is MemoryKSM=yes of "
                              "their systemd unit (Linux 6.4, systemd 254)"},
        [KSM_PROCESS_NO_PERMISSION] = {"not permitted",
                                       "only root and the owner of the process may know"},
        [KSM_PROCESS_TOO_OLD] =
                {"unknown",
                 "this kernel does not tell it (Linux 6.14 does), and ksmd has looked at "
                 "nothing of it"},
};

const char *ksm_verdict_word(enum ksm_process_verdict verdict)
{
        return verdicts[verdict].word;
}

const char *ksm_verdict_sentence(enum ksm_process_verdict verdict)
{
        return verdicts[verdict].sentence;
}

bool ksm_verdict_is_no(enum ksm_process_verdict verdict)
{
        return verdict != KSM_PROCESS_MERGEABLE && verdict != KSM_PROCESS_NO_PERMISSION &&
               verdict != KSM_PROCESS_TOO_OLD;
}
