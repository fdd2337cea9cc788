/* SPDX-License-Identifier: GPL-2.0-or-later */

/* /proc/meminfo and /proc/pressure/memory, whole and broken. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ksmtuned/memory.h"
#include "made-up-root.h"

static void assert_memory(const char *text, const struct memory_sample *expected)
{
        struct memory_sample memory = {.total_kb = -77};

        if (memory_parse(text, &memory) != 0)
                fail_msg("refused: %s", text);
        assert_memory_equal(&memory, expected, sizeof(memory));
}

static void test_meminfo(void **state)
{
        /* The beginning of a Linux 6.18 host's, with the fields in other places than here. */
        static const char text[] = "MemTotal:       25232244 kB\n"
                                   "MemFree:        10452580 kB\n"
                                   "MemAvailable:   23232332 kB\n"
                                   "Buffers:          231516 kB\n"
                                   "Cached:         12288460 kB\n"
                                   "SwapCached:            7 kB\n"
                                   "SwapTotal:       1048572 kB\n"
                                   "SwapFree:        1048570 kB\n"
                                   "AnonPages:        912340 kB\n"
                                   "HugePages_Total:       0\n"
                                   "DirectMap4k:      122880 kB\n";

        assert_memory(text, &(struct memory_sample){25232244, 10452580, 231516, 12288460, 23232332,
                                                    1048570, 912340});
}

static void test_meminfo_good(void **state)
{
        static const struct {
                const char *text;
                struct memory_sample memory;
        } cases[] = {
                /* Only what must be there: Buffers and Cached count as 0, the others are absent. */
                {"MemTotal: 5 kB\nMemFree: 3 kB\n", {5, 3, 0, 0, -1, -1, -1}},
                {"MemFree: 3 kB\nMemTotal: 5 kB\n", {5, 3, 0, 0, -1, -1, -1}},
                {"MemTotal: 0 kB\nMemFree: 0 kB\n", {0, 0, 0, 0, -1, -1, -1}},
                {"MemTotal:5 kB\nMemFree:\t3 kB\n", {5, 3, 0, 0, -1, -1, -1}},
                {"MemTotal: 9223372036854775807 kB\nMemFree: 007 kB\n",
                 {INT64_MAX, 7, 0, 0, -1, -1, -1}},
                /* More free than there is: what to make of it is policy. */
                {"MemTotal: 5 kB\nMemFree: 6 kB\n", {5, 6, 0, 0, -1, -1, -1}},
                /* The first of a name wins. */
                {"MemTotal: 5 kB\nMemTotal: 6 kB\nMemFree: 1 kB\nMemFree: x\nCached: 2 kB\n"
                 "Cached: 3 kB\n",
                 {5, 1, 0, 2, -1, -1, -1}},
                /* Names that only begin or end alike, and lines that are none. */
                {"\n\nMemTotalX: 9 kB\nXMemTotal: 9 kB\nMem: 9 kB\n: 9 kB\nMemTotal 9 kB\n"
                 "MemTotal: 5 kB\nMemFree: 3 kB\nCached2: x\n",
                 {5, 3, 0, 0, -1, -1, -1}},
                /* A last line without its end may be half a number: it does not count. */
                {"MemTotal: 5 kB\nMemFree: 3 kB\nCached: 12", {5, 3, 0, 0, -1, -1, -1}},
                {"MemTotal: 5 kB\nMemFree: 3 kB\nCached: 123 kB", {5, 3, 0, 0, -1, -1, -1}},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++)
                assert_memory(cases[i].text, &cases[i].memory);
}

static void test_meminfo_bad(void **state)
{
        static const char *const texts[] = {
                "",
                "\n",
                "MemTotal: 5 kB\n",
                "MemFree: 5 kB\n",
                "MemTotal: 5 kB\nMemFree: 3 kB",
                "MemTotal: 5 kB\nMemFree:",
                "MemTotal: 5 kB\nMemFree:\n",
                "MemTotal: 5 kB\nMemFree: kB\n",
                "MemTotal: 5 kB\nMemFree: 3\n",
                "MemTotal: 5 kB\nMemFree: 3kB\n",
                "MemTotal: 5 kB\nMemFree: 3  kB\n",
                "MemTotal: 5 kB\nMemFree: 3 kB \n",
                "MemTotal: 5 kB\r\nMemFree: 3 kB\r\n",
                "MemTotal: 5 kB\nMemFree: 3 MB\n",
                "MemTotal: 5 kB\nMemFree: 0x3 kB\n",
                "MemTotal: 5 kB\nMemFree: +3 kB\n",
                "MemTotal: -5 kB\nMemFree: 3 kB\n",
                "MemTotal: 5 kB\nMemFree: -3 kB\n",
                "MemTotal: 5 kB\nMemFree: 3 kB\nBuffers: -1 kB\n",
                "MemTotal: 5 kB\nMemFree: 3 kB\nCached: 1.5 kB\n",
                "MemTotal: 5 kB\nMemFree: 3 kB\nMemAvailable: rubbish\n",
                "MemTotal: 5 kB\nMemFree: 3 kB\nSwapFree: \n",
                "MemTotal: 9223372036854775808 kB\nMemFree: 3 kB\n",
                "MemTotal: 92233720368547758070 kB\nMemFree: 3 kB\n",
                "MemTotal: 99999999999999999999999999 kB\nMemFree: 3 kB\n",
                "MemTotal: x\nMemTotal: 5 kB\nMemFree: 3 kB\n",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                const struct memory_sample before = {1, 2, 3, 4, 5, 6, -1};
                struct memory_sample memory = before;

                if (memory_parse(texts[i], &memory) != -EBADMSG)
                        fail_msg("taken: %s", texts[i]);
                assert_memory_equal(&memory, &before, sizeof(memory));
        }
}

/* Cut off anywhere, it is refused or has no field wrong. */
static void test_meminfo_truncated(void **state)
{
        static const char text[] = "MemTotal: 1234 kB\nMemFree: 567 kB\nMemAvailable: 890 kB\n"
                                   "Buffers: 12 kB\nCached: 345 kB\nSwapFree: 678 kB\n";
        const size_t whole = strlen("MemTotal: 1234 kB\nMemFree: 567 kB\n");

        for (size_t len = 0; len < sizeof(text); len++) {
                struct memory_sample memory;
                char *cut = strndup(text, len);
                int r;

                assert_non_null(cut);
                r = memory_parse(cut, &memory);
                free(cut);
                assert_int_equal(r, len < whole ? -EBADMSG : 0);
                if (r < 0)
                        continue;
                assert_int_equal(memory.total_kb, 1234);
                assert_int_equal(memory.free_kb, 567);
                assert_true(memory.available_kb == 890 || memory.available_kb == -1);
                assert_true(memory.buffers_kb == 12 || memory.buffers_kb == 0);
                assert_true(memory.cached_kb == 345 || memory.cached_kb == 0);
                assert_true(memory.swap_free_kb == 678 || memory.swap_free_kb == -1);
        }
}

static void test_meminfo_file(void **state)
{
        const struct made_up_root *host = *state;
        const struct memory_sample before = {1, 2, 3, 4, 5, 6, -1};
        struct memory_sample memory = before;
        char big[20000];

        assert_int_equal(memory_read(&host->root, &memory), -ENOENT);
        put(host, "/proc/meminfo", "");
        assert_int_equal(memory_read(&host->root, &memory), -EBADMSG);
        put_bytes(host, "/proc/meminfo", "MemTotal: 5 kB\n\0MemFree: 3 kB\n", 31);
        assert_int_equal(memory_read(&host->root, &memory), -EBADMSG);
        memset(big, 'x', sizeof(big));
        put_bytes(host, "/proc/meminfo", big, sizeof(big));
        assert_int_equal(memory_read(&host->root, &memory), -EFBIG);
        put_away(host, "/proc/meminfo");
        put_folder(host, "/proc/meminfo");
        assert_int_equal(memory_read(&host->root, &memory), -EISDIR);
        put_away(host, "/proc/meminfo");
        put_fifo(host, "/proc/meminfo");
        assert_int_equal(memory_read(&host->root, &memory), -ESPIPE);
        assert_memory_equal(&memory, &before, sizeof(memory));

        put_away(host, "/proc/meminfo");
        put(host, "/proc/meminfo", "MemTotal: 5 kB\nMemFree: 3 kB\n");
        assert_int_equal(memory_read(&host->root, &memory), 0);
        assert_int_equal(memory.total_kb, 5);
        put_mode(host, "/proc/meminfo", 0);
        become_ordinary();
        assert_int_equal(memory_read(&host->root, &memory), -EACCES);
}

/* This kernel's own. */
static void test_meminfo_real(void **state)
{
        struct memory_sample memory, again;
        struct sysroot root;
        int fd = -1;

        assert_int_equal(sysroot_open(&root, "/"), 0);
        assert_int_equal(memory_read(&root, &memory), 0);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(memory_reread(&root, &fd, &again), 0);
                assert_int_equal(again.total_kb, memory.total_kb);
                assert_true(again.free_kb > 0 && again.available_kb > 0);
        }
        (void)close(fd);
        sysroot_close(&root);
        assert_true(memory.total_kb > 0 && memory.free_kb > 0);
        assert_true(memory.available_kb > 0 && memory.available_kb <= memory.total_kb);
        assert_true(memory.swap_free_kb >= 0);
}

#define SOME "some avg10=1.02 avg60=30.40 avg300=100.00 total=123456\n"
#define FULL "full avg10=0.00 avg60=0.10 avg300=9.99 total=0\n"

static void test_pressure(void **state)
{
        const struct pressure_sample absent = PRESSURE_ABSENT;
        struct pressure_sample pressure;

        assert_int_equal(pressure_parse(SOME FULL, &pressure), 0);
        assert_int_equal(pressure.some.avg10_centi, 102);
        assert_int_equal(pressure.some.avg60_centi, 3040);
        assert_int_equal(pressure.some.avg300_centi, 10000);
        assert_int_equal(pressure.some.total_usec, 123456);
        assert_int_equal(pressure.full.avg10_centi, 0);
        assert_int_equal(pressure.full.avg60_centi, 10);
        assert_int_equal(pressure.full.avg300_centi, 999);
        assert_int_equal(pressure.full.total_usec, 0);

        /* cpu's had no second line for years. */
        assert_int_equal(pressure_parse(SOME, &pressure), 0);
        assert_int_equal(pressure.some.total_usec, 123456);
        assert_memory_equal(&pressure.full, &absent.full, sizeof(pressure.full));

        /* Lines to come, and a last one that was cut off. */
        assert_int_equal(pressure_parse("new 1\n" SOME "full avg10=0.0", &pressure), 0);
        assert_memory_equal(&pressure.full, &absent.full, sizeof(pressure.full));
        assert_int_equal(
                pressure_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=9223372036854775807\n",
                               &pressure),
                0);
        assert_true(pressure.some.total_usec == INT64_MAX);
}

static void test_pressure_bad(void **state)
{
        static const char *const texts[] = {
                "",
                "\n",
                FULL,
                "some",
                "some\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=-1\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total= 1\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1 \n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=9223372036854775808\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00\n",
                "some avg10=0.00 avg60=0.00 avg300=.00 total=1\n",
                "some avg10=0.00 avg60=0 avg300=0.00 total=1\n",
                "some avg10=0.00 avg60=0. avg300=0.00 total=1\n",
                "some avg10=0.00 avg60=0.0 avg300=0.00 total=1\n",
                "some avg10=0.00 avg60=0.000 avg300=0.00 total=1\n",
                "some avg10=0.0.0 avg60=0.00 avg300=0.00 total=1\n",
                "some avg10=-1.00 avg60=0.00 avg300=0.00 total=1\n",
                "some avg10=nan avg60=0.00 avg300=0.00 total=1\n",
                "some avg10=92233720368547758.08 avg60=0.00 avg300=0.00 total=1\n",
                "some avg10=99999999999999999999.00 avg60=0.00 avg300=0.00 total=1\n",
                "some avg60=0.00 avg10=0.00 avg300=0.00 total=1\n",
                "some  avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
                "somewhat avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
                "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\nfull avg10=x\n",
        };

        for (size_t i = 0; i < ELEMENTS(texts); i++) {
                const struct pressure_sample before = {{1, 2, 3, 4}, {5, 6, 7, 8}};
                struct pressure_sample pressure = before;

                if (pressure_parse(texts[i], &pressure) != -EBADMSG)
                        fail_msg("taken: %s", texts[i]);
                assert_memory_equal(&pressure, &before, sizeof(pressure));
        }
}

static void test_field(void **state)
{
        static const char text[] = "MemTotal:       123 kB\nShmemHugePages: 7 kB\nShmem:  8 kB\n"
                                   "HugePages_Total:       0\nAnonPages: 5";
        int64_t kb = -77;

        assert_int_equal(memory_field(text, "Shmem", &kb), 0);
        assert_int_equal(kb, 8);
        assert_int_equal(memory_field(text, "Hugetlb", &kb), -ENOENT);
        assert_int_equal(memory_field(text, "HugePages_Total", &kb), -EBADMSG);
        /* Cut off: it may be half of a number. */
        assert_int_equal(memory_field(text, "AnonPages", &kb), -ENOENT);
        assert_int_equal(kb, 8);
}

static void test_pressure_file(void **state)
{
        const struct made_up_root *host = *state;
        struct pressure_sample pressure;

        assert_int_equal(pressure_read(&host->root, &pressure), -EOPNOTSUPP);
        put(host, "/proc/pressure/memory", SOME FULL);
        assert_int_equal(pressure_read(&host->root, &pressure), 0);
        assert_int_equal(pressure.some.avg10_centi, 102);
        put(host, "/proc/pressure/memory", "some\n");
        assert_int_equal(pressure_read(&host->root, &pressure), -EBADMSG);
        put_away(host, "/proc/pressure/memory");
        put_folder(host, "/proc/pressure/memory");
        assert_int_equal(pressure_read(&host->root, &pressure), -EISDIR);
}

/* The kernel's own file takes a trigger, and refuses one that makes no sense. */
static void test_pressure_watch(void **state)
{
        const struct made_up_root *host = *state;
        struct sysroot real = SYSROOT_INIT;
        struct pressure_sample pressure;
        int fd;

        /* Nothing is written to what is no kernel's. */
        put(host, "/proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n");
        assert_int_equal(pressure_watch(&host->root, 100000, 2000000), -EOPNOTSUPP);

        assert_int_equal(sysroot_open(&real, "/"), 0);
        fd = pressure_watch(&real, 100000, 2000000);
        if (pressure_read(&real, &pressure) == 0) {
                assert_true(fd >= 0);
                assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
                assert_int_equal(close(fd), 0);
                assert_int_equal(pressure_watch(&real, 2000001, 2000000), -EINVAL);
        } else {
                assert_true(fd < 0);
        }
        sysroot_close(&real);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_meminfo),
                cmocka_unit_test(test_meminfo_good),
                cmocka_unit_test(test_meminfo_bad),
                cmocka_unit_test(test_meminfo_truncated),
                cmocka_unit_test_setup_teardown(test_meminfo_file, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test(test_meminfo_real),
                cmocka_unit_test(test_field),
                cmocka_unit_test(test_pressure),
                cmocka_unit_test(test_pressure_bad),
                cmocka_unit_test_setup_teardown(test_pressure_file, made_up_root_setup,
                                                made_up_root_teardown),
                cmocka_unit_test_setup_teardown(test_pressure_watch, made_up_root_setup,
                                                made_up_root_teardown),
        };

        return cmocka_run_group_tests_name("memory", tests, NULL, NULL);
}
