/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A process of mergeable memory, under a name of choice:
 *
 *      mergeable NAME PER_CENT
 *
 * Each line on standard input is a number of MiB to grow to; a line on standard output says that
 * it is done. PER_CENT of the pages are the same in every such process, the rest are like no
 * other. Ends with standard input.
 */

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/number.h"

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

static int grow(size_t from, size_t n_pages, unsigned per_cent)
{
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *memory = mmap(NULL, n_pages * page, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (memory == MAP_FAILED)
                return -errno;
        (void)madvise(memory, n_pages * page, MADV_NOHUGEPAGE);
        if (madvise(memory, n_pages * page, MADV_MERGEABLE) < 0)
                return -errno;

        for (size_t i = 0; i < n_pages; i++) {
                uint64_t seed = from + i;
                uint64_t *words = (uint64_t *)(void *)(memory + i * page);

                if (seed % 100 >= per_cent)
                        seed |= (uint64_t)getpid() << 32;
                for (size_t w = 0; w < page / sizeof(*words); w++)
                        words[w] = mix(seed + ((uint64_t)w << 52));
        }
        return 0;
}

int main(int argc, char **argv)
{
        size_t pages_per_mib = 1024 * 1024 / (size_t)sysconf(_SC_PAGESIZE);
        unsigned per_cent, now_mib = 0;
        char line[32];

        if (argc != 3 || !parse_number(argv[2], 100, &per_cent)) {
                fputs("usage: mergeable NAME PER_CENT\n", stderr);
                return 2;
        }
        /* Not to outlive a test that was killed. */
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)prctl(PR_SET_NAME, argv[1]);
        puts("ready");
        fflush(stdout);

        while (fgets(line, sizeof(line), stdin)) {
                unsigned mib;
                int r;

                if (!parse_number(line, 1 << 20, &mib) || mib < now_mib)
                        return 2;
                r = grow(now_mib * pages_per_mib, (mib - now_mib) * pages_per_mib, per_cent);
                if (r < 0) {
                        fprintf(stderr, "mergeable: %s\n", strerror(-r));
                        return 1;
                }
                now_mib = mib;
                puts("grown");
                fflush(stdout);
        }
        return 0;
}
