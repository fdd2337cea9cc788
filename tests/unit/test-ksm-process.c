/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What KSM does for a process, and whether its memory can be merged. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/ksm-process.h"
#include "made-up-root.h"
#include "src/host/vm-cmdline.h"

#define STAT_YES                                                                               \
        "ksm_rmap_items 100\nksm_zero_pages 7\nksm_merging_pages 40\nksm_process_profit -64\n" \
        "ksm_merge_any: no\nksm_mergeable: yes\n"
#define STATUS                                                                    \
        "Name:\tqemu\nVmHWM:\t9 kB\nVmRSS:\t   36804 kB\nRssAnon:\t   14760 kB\n" \
        "RssFile:\t   22044 kB\nRssShmem:\t       0 kB\nHugetlbPages:\t       8 kB\n"

static void test_stat(void **state)
{
        static const char *const bad[] = {
                "",
                "rubbish\n",
                "ksm_mergeable: yes\n",
                "ksm_rmap_items\n",
                "ksm_rmap_items x\n",
                "ksm_rmap_items -1\n",
                "ksm_rmap_items 5",
                "ksm_rmap_items 5 \n",
                "ksm_rmap_items 9223372036854775808\n",
                "ksm_rmap_items 1\nksm_merging_pages \n",
        };
        struct ksm_process p, before;

        ksm_process_init(&p);
        assert_int_equal(ksm_stat_parse(STAT_YES, &p), 0);
        assert_int_equal(p.rmap_items, 100);
        assert_int_equal(p.zero_pages, 7);
        assert_int_equal(p.merging_pages, 40);
        assert_int_equal(p.profit_bytes, -64);
        assert_int_equal(p.merge_any, KSM_ANSWER_NO);
        assert_int_equal(p.mergeable, KSM_ANSWER_YES);

        /* Linux 6.1 */
        ksm_process_init(&p);
        assert_int_equal(ksm_stat_parse("ksm_rmap_items 3\n", &p), 0);
        assert_int_equal(p.rmap_items, 3);
        assert_int_equal(p.merging_pages, SAMPLE_ABSENT);
        assert_int_equal(p.profit_bytes, SAMPLE_ABSENT);
        assert_int_equal(p.mergeable, KSM_ANSWER_UNKNOWN);

        for (size_t i = 0; i < ELEMENTS(bad); i++) {
                ksm_process_init(&p);
                /* With the padding, which is compared, too. */
                memcpy(&before, &p, sizeof(p));
                if (ksm_stat_parse(bad[i], &p) != -EBADMSG)
                        fail_msg("case %zu", i);
                assert_memory_equal(&p, &before, sizeof(p));
        }
}

static void test_status(void **state)
{
        struct ksm_process p;

        ksm_process_init(&p);
        ksm_process_status_parse(STATUS, &p);
        assert_int_equal(p.rss_kb, 36804);
        assert_int_equal(p.rss_anon_kb, 14760);
        assert_int_equal(p.rss_file_kb, 22044);
        assert_int_equal(p.rss_shmem_kb, 0);
        assert_int_equal(p.hugetlb_kb, 8);

        /* Linux 4.3; a name that lies; rubbish. */
        ksm_process_init(&p);
        ksm_process_status_parse("Name:\tVmRSS: 5 kB\nVmRSS:\t 17 kB\n", &p);
        assert_int_equal(p.rss_kb, 17);
        assert_int_equal(p.rss_anon_kb, SAMPLE_ABSENT);
        ksm_process_init(&p);
        ksm_process_status_parse("Name:\tx\nVmRSS:\t -17 kB\nRssAnon:\t1 MB\nRssFile:\t2", &p);
        assert_int_equal(p.rss_kb, SAMPLE_ABSENT);
        assert_int_equal(p.rss_anon_kb, SAMPLE_ABSENT);
        assert_int_equal(p.rss_file_kb, SAMPLE_ABSENT);
}

/* Of a guest of 1 GiB. */
static struct ksm_process ordinary(void)
{
        struct ksm_process p;

        ksm_process_init(&p);
        p.rmap_items = p.merging_pages = 0;
        p.mergeable = KSM_ANSWER_YES;
        p.merge_any = KSM_ANSWER_NO;
        p.rss_kb = 1100000;
        p.rss_anon_kb = 1070000;
        p.rss_file_kb = 30000;
        p.rss_shmem_kb = p.hugetlb_kb = 0;
        return p;
}

static void test_verdicts_of_a_kernel_that_tells(void **state)
{
        struct ksm_process p = ordinary(), q;
        const struct vm_cmdline qemu = {.vmm = VMM_QEMU, .asks_merge = true};
        struct vm_cmdline off = qemu, backend_off = qemu, shared = qemu, huge = qemu;

        off.machine_off = backend_off.backend_off = shared.shared = huge.hugetlb = true;
        assert_int_equal(ksm_process_judge(&p, NULL, false), KSM_PROCESS_MERGEABLE);
        assert_int_equal(ksm_process_judge(&p, &qemu, false), KSM_PROCESS_MERGEABLE);
        assert_int_equal(ksm_process_judge(&p, &shared, false), KSM_PROCESS_SHARED);
        assert_int_equal(ksm_process_judge(&p, &huge, false), KSM_PROCESS_HUGETLBFS);
        assert_int_equal(ksm_process_judge(&p, &qemu, true), KSM_PROCESS_HUGETLBFS);
        assert_int_equal(ksm_process_judge(&p, &backend_off, false), KSM_PROCESS_MERGE_OFF);
        /* Switched on since, through QMP. */
        assert_int_equal(ksm_process_judge(&p, &off, false), KSM_PROCESS_MERGEABLE);
        q = p;
        q.rmap_items = 1000000 / (sysconf(_SC_PAGESIZE) / 1024);
        assert_int_equal(ksm_process_judge(&q, &backend_off, false), KSM_PROCESS_MERGEABLE);

        q = p;
        q.mergeable = KSM_ANSWER_NO;
        assert_int_equal(ksm_process_judge(&q, &off, false), KSM_PROCESS_MEM_MERGE_OFF);
        assert_int_equal(ksm_process_judge(&q, &qemu, false), KSM_PROCESS_NOT_ASKED);
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_NOT_ASKED);
        q.merge_any = KSM_ANSWER_YES;
        assert_int_equal(ksm_process_judge(&q, &off, false), KSM_PROCESS_MERGEABLE);
        assert_int_equal(ksm_process_judge(&q, &shared, false), KSM_PROCESS_SHARED);

        /* By what is resident. */
        q = p;
        q.rss_anon_kb = 50000;
        q.rss_shmem_kb = 1000000;
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_SHARED);
        q.rss_shmem_kb = 0;
        q.rss_file_kb = 1000000;
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_SHARED);
        q.rss_file_kb = 64 * 1024;
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_MERGEABLE);
        q.hugetlb_kb = 1000000;
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_HUGETLBFS);
}

static void test_verdicts_of_older_kernels(void **state)
{
        struct ksm_process p = ordinary(), q;
        const struct vm_cmdline qemu = {.vmm = VMM_QEMU, .asks_merge = true};
        const struct vm_cmdline off = {.vmm = VMM_QEMU, .asks_merge = true, .machine_off = true};
        const struct vm_cmdline cloud = {.vmm = VMM_CLOUD_HYPERVISOR};
        const struct vm_cmdline fire = {.vmm = VMM_FIRECRACKER};

        p.mergeable = p.merge_any = KSM_ANSWER_UNKNOWN;
        assert_int_equal(ksm_process_judge(&p, NULL, false), KSM_PROCESS_TOO_OLD);
        assert_int_equal(ksm_process_judge(&p, &qemu, false), KSM_PROCESS_MERGEABLE);
        assert_int_equal(ksm_process_judge(&p, &off, false), KSM_PROCESS_MEM_MERGE_OFF);
        assert_int_equal(ksm_process_judge(&p, &cloud, false), KSM_PROCESS_NOT_ASKED);
        assert_int_equal(ksm_process_judge(&p, &fire, false), KSM_PROCESS_NOT_ASKED);
        q = p;
        q.rmap_items = 1;
        assert_int_equal(ksm_process_judge(&q, &fire, false), KSM_PROCESS_MERGEABLE);
        q.rmap_items = SAMPLE_ABSENT;
        q.merging_pages = 1;
        assert_int_equal(ksm_process_judge(&q, NULL, false), KSM_PROCESS_MERGEABLE);

        /* Who may not read it knows as little, and the command line as much. */
        p.error = -EACCES;
        p.rmap_items = p.merging_pages = SAMPLE_ABSENT;
        assert_int_equal(ksm_process_judge(&p, &qemu, false), KSM_PROCESS_MERGEABLE);
        assert_int_equal(ksm_process_judge(&p, &off, false), KSM_PROCESS_MEM_MERGE_OFF);
        assert_int_equal(ksm_process_judge(&p, &fire, false), KSM_PROCESS_NO_PERMISSION);
        assert_int_equal(ksm_process_judge(&p, NULL, false), KSM_PROCESS_NO_PERMISSION);

        /* Nothing is known at all. */
        ksm_process_init(&p);
        assert_int_equal(ksm_process_judge(&p, NULL, false), KSM_PROCESS_TOO_OLD);
}

static void test_read(void **state)
{
        struct made_up_root *host = *state;
        static const char cmdline[] = "qemu\0-machine\0mem-merge=off";
        struct ksm_process p;

        put(host, "/proc/7/ksm_stat", STAT_YES);
        put(host, "/proc/7/status", STATUS);
        assert_int_equal(ksm_process_read(&host->root, 7, &p), 0);
        assert_int_equal(p.error, 0);
        assert_int_equal(p.merging_pages, 40);
        assert_int_equal(p.rss_kb, 36804);
        assert_int_equal(p.verdict, KSM_PROCESS_MERGEABLE);

        put(host, "/proc/7/ksm_stat",
            "ksm_rmap_items 0\nksm_merging_pages 0\nksm_merge_any: no\nksm_mergeable: no\n");
        put_bytes(host, "/proc/7/cmdline", cmdline, sizeof(cmdline));
        assert_int_equal(ksm_process_read(&host->root, 7, &p), 0);
        assert_int_equal(p.verdict, KSM_PROCESS_MEM_MERGE_OFF);
}

static void test_hugetlbfs_by_its_mount(void **state)
{
        struct made_up_root *host = *state;
        static const struct {
                const char *path;
                enum ksm_process_verdict verdict;
        } cases[] = {
                {"/dev/hugepages", KSM_PROCESS_HUGETLBFS},
                {"/dev/hugepages/libvirt/1", KSM_PROCESS_HUGETLBFS},
                {"/mnt/with space/1", KSM_PROCESS_HUGETLBFS},
                {"/dev/hugepages2", KSM_PROCESS_MERGEABLE},
                {"/dev/shm", KSM_PROCESS_MERGEABLE},
                {"dev/hugepages", KSM_PROCESS_MERGEABLE},
        };

        put(host, "/proc/7/ksm_stat", STAT_YES);
        put(host, "/proc/7/status", STATUS);
        put(host, "/proc/7/mounts",
            "proc /proc proc rw 0 0\nhugetlbfs /dev/hugepages hugetlbfs rw 0 0\n"
            "x /mnt/with\\040space hugetlbfs rw 0 0\ntmpfs /dev/shm tmpfs rw 0 0\n");
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                struct ksm_process p;
                char cmdline[128];
                int n = snprintf(cmdline, sizeof(cmdline), "qemu%c-mem-path%c%s", '\0', '\0',
                                 cases[i].path);

                put_bytes(host, "/proc/7/cmdline", cmdline, (size_t)n + 1);
                assert_int_equal(ksm_process_read(&host->root, 7, &p), 0);
                if (p.verdict != cases[i].verdict)
                        fail_msg("%s: %s", cases[i].path, ksm_verdict_word(p.verdict));
        }
        put_away(host, "/proc/7/mounts");
        assert_int_equal(ksm_process_read(&host->root, 7, &(struct ksm_process){0}), 0);
}

static void test_older_files(void **state)
{
        struct made_up_root *host = *state;
        struct ksm_process p;

        /* Linux 5.19; 6.1, which has both; before. */
        put(host, "/proc/7/ksm_merging_pages", "12\n");
        assert_int_equal(ksm_process_read_stat(&host->root, 7, &p), 0);
        assert_int_equal(p.error, 0);
        assert_int_equal(p.merging_pages, 12);
        assert_int_equal(p.rmap_items, SAMPLE_ABSENT);
        put(host, "/proc/7/ksm_stat", "ksm_rmap_items 3\n");
        assert_int_equal(ksm_process_read_stat(&host->root, 7, &p), 0);
        assert_int_equal(p.merging_pages, 12);
        assert_int_equal(p.rmap_items, 3);
        put_away(host, "/proc/7/ksm_merging_pages");
        assert_int_equal(ksm_process_read_stat(&host->root, 7, &p), 0);
        assert_int_equal(p.error, 0);
        assert_int_equal(p.merging_pages, SAMPLE_ABSENT);
        put_away(host, "/proc/7/ksm_stat");
        assert_int_equal(ksm_process_read_stat(&host->root, 7, &p), 0);
        assert_int_equal(p.error, -EOPNOTSUPP);
        assert_int_equal(p.merging_pages, SAMPLE_ABSENT);
}

static void test_what_goes_wrong(void **state)
{
        struct made_up_root *host = *state;
        struct ksm_process p;

        assert_int_equal(ksm_process_read(&host->root, 7, &p), -ESRCH);
        /* A kernel thread, or a zombie. */
        put(host, "/proc/7/ksm_stat", "");
        assert_int_equal(ksm_process_read(&host->root, 7, &p), -ESRCH);
        /* It ends after the first file. */
        put(host, "/proc/7/ksm_stat", STAT_YES);
        assert_int_equal(ksm_process_read(&host->root, 7, &p), -ESRCH);
        assert_int_equal(ksm_process_read_stat(&host->root, 7, &p), 0);

        put(host, "/proc/7/status", STATUS);
        put(host, "/proc/7/ksm_stat", "rubbish\n");
        assert_int_equal(ksm_process_read(&host->root, 7, &p), 0);
        assert_int_equal(p.error, -EBADMSG);
        put_mode(host, "/proc/7/ksm_stat", 0);
        become_ordinary();
        assert_int_equal(ksm_process_read(&host->root, 7, &p), 0);
        become_self();
        assert_int_equal(p.error, -EACCES);
        assert_int_equal(p.merging_pages, SAMPLE_ABSENT);
        assert_int_equal(p.rss_kb, 36804);
        assert_int_equal(p.verdict, KSM_PROCESS_NO_PERMISSION);
}

static void test_words(void **state)
{
        for (int i = 0; i < KSM_PROCESS_VERDICT_COUNT; i++) {
                const char *word = ksm_verdict_word((enum ksm_process_verdict)i);
                const char *sentence = ksm_verdict_sentence((enum ksm_process_verdict)i);

                assert_in_range(strlen(word), 1, 14);
                assert_true(strlen(sentence) > 20);
                assert_int_not_equal(sentence[strlen(sentence) - 1], '.');
        }
        assert_false(ksm_verdict_is_no(KSM_PROCESS_MERGEABLE));
        assert_false(ksm_verdict_is_no(KSM_PROCESS_TOO_OLD));
        assert_false(ksm_verdict_is_no(KSM_PROCESS_NO_PERMISSION));
        assert_true(ksm_verdict_is_no(KSM_PROCESS_SHARED));
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stat),
                cmocka_unit_test(test_status),
                cmocka_unit_test(test_verdicts_of_a_kernel_that_tells),
                cmocka_unit_test(test_verdicts_of_older_kernels),
                cmocka_unit_test_setup_teardown(test_read, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_hugetlbfs_by_its_mount, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_older_files, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_what_goes_wrong, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test(test_words),
        };

        return cmocka_run_group_tests_name("ksm-process", tests, NULL, NULL);
}
