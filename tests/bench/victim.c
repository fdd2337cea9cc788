/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A victim of whatever takes CPU: on each CPU a thread that wants to run every few milliseconds
 * for a tenth of one, and measures how long after the moment it is done.
 *
 *      victim PERIOD_USEC WORK_USEC
 *
 * Each line on standard input asks for the histogram so far, one line: `USEC:COUNT …`, USEC being
 * the upper end of a bucket. Ends with standard input.
 */

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/number.h"

/* Buckets grow by an eighth of a power of two: a figure is right within 9 %. */
#define PER_OCTAVE 8
#define N_BUCKETS  (PER_OCTAVE * 24)
#define MAX_CPUS   256

static atomic_uint buckets[N_BUCKETS];
static unsigned period_usec, work_usec;
static uint64_t rounds_of_work;

static uint64_t now_nsec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static volatile uint64_t sink;

static void spin(uint64_t rounds)
{
        uint64_t x = rounds;

        for (uint64_t i = 0; i < rounds; i++)
                x = x * UINT64_C(6364136223846793005) + 1442695040888963407U;
        sink = x;
}

/* The upper end of a bucket in µs: 2^(i / 8), the fractions as whole numbers. */
static uint64_t bucket_usec(unsigned i)
{
        static const unsigned fraction[PER_OCTAVE] = {1000, 1091, 1189, 1297,
                                                      1414, 1542, 1682, 1834};

        return ((uint64_t)fraction[i % PER_OCTAVE] << (i / PER_OCTAVE)) / 1000;
}

static void count(uint64_t usec)
{
        unsigned i = 0;

        while (i < N_BUCKETS - 1 && bucket_usec(i) < usec)
                i++;
        atomic_fetch_add_explicit(&buckets[i], 1, memory_order_relaxed);
}

static void *watch_cpu(void *argument)
{
        unsigned cpu = (unsigned)(uintptr_t)argument;
        uint64_t period = (uint64_t)period_usec * 1000, next;
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set) != 0)
                return NULL; /* a CPU that is not ours to use */
        next = now_nsec() + period * (cpu + 1) / 7;
        for (;;) {
                struct timespec at = {.tv_sec = (time_t)(next / UINT64_C(1000000000)),
                                      .tv_nsec = (long)(next % UINT64_C(1000000000))};
                uint64_t done;

                (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
                spin(rounds_of_work);
                done = now_nsec();
                count((done - next) / 1000);
                /* What was missed meanwhile is one long wait and counted as that. */
                while (next <= done)
                        next += period;
        }
}

/* How much work takes the time: the best of several, as nothing else may run in one of them. */
static void calibrate(void)
{
        const uint64_t rounds = 100000;
        uint64_t best = UINT64_MAX;

        for (unsigned i = 0; i < 20; i++) {
                uint64_t begin = now_nsec(), took;

                spin(rounds);
                took = now_nsec() - begin;
                best = took < best ? took : best;
        }
        rounds_of_work = rounds * work_usec * 1000 / (best > 0 ? best : 1);
}

int main(int argc, char **argv)
{
        char line[16];
        long cpus = sysconf(_SC_NPROCESSORS_CONF);

        if (argc != 3 || !parse_number(argv[1], 1000000, &period_usec) ||
            !parse_number(argv[2], 1000000, &work_usec) || period_usec == 0) {
                fputs("usage: victim PERIOD_USEC WORK_USEC\n", stderr);
                return 2;
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        calibrate();
        for (long i = 0; i < cpus && i < MAX_CPUS; i++) {
                pthread_t thread;

                if (pthread_create(&thread, NULL, watch_cpu, (void *)(uintptr_t)i) != 0)
                        return 1;
        }
        while (fgets(line, sizeof(line), stdin)) {
                for (unsigned i = 0; i < N_BUCKETS; i++) {
                        unsigned n = atomic_load_explicit(&buckets[i], memory_order_relaxed);

                        if (n > 0)
                                printf("%llu:%u ", (unsigned long long)bucket_usec(i), n);
                }
                puts("");
                (void)fflush(stdout);
        }
        return 0;
}
