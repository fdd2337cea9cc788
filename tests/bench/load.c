/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A fleet of guests' memory, by a schedule, so that every policy sees exactly the same:
 *
 *      load SCHEDULE PROGRAM
 *
 * PROGRAM is a copy of this file under a name that counts as a guest's. The schedule has a line for
 * each thing that happens; guests and regions are numbers, times are milliseconds from the start:
 *
 *      guest G START END               a process; END 0: as long as the load
 *      map G R PAGES                   a region of mergeable memory, at region_address(R)
 *      write G R AT OVER SEED          all its pages are written, evenly over a time. Pages with
 *                                      the same index and SEED are equal; with SEED 0 they are zero
 *      churn G R AT PAGES_PER_SEC      from then on pages are changed in turn, each like no other
 *      huge                            transparent huge pages as the host has them; else none
 *
 * It ends when its standard input does, and all guests with it.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/number.h"

#define MAX_GUESTS  64
#define MAX_REGIONS 16
#define MAX_TASKS   64
#define SLICE_MSEC  20 /* of a write that takes its time */
#define CHURN_MSEC  100
#define FOREVER     UINT64_MAX

struct guest {
        bool used;
        unsigned start_msec, end_msec;
        pid_t pid;
};

/* Something that a guest does to a region. */
struct task {
        bool churn;
        unsigned region, at_msec, over_msec, per_sec, seed;
        uint64_t done; /* pages */
};

static struct guest guests[MAX_GUESTS];
static struct task tasks[MAX_TASKS];
static unsigned n_tasks;
static unsigned region_pages[MAX_REGIONS];
static bool huge;
static uint64_t origin_msec;
static size_t page_size;

static uint64_t now_msec(void)
{
        struct timespec now;

        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t elapsed_msec(void)
{
        uint64_t now = now_msec();

        return now > origin_msec ? now - origin_msec : 0;
}

static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

/* Known without asking, so that whoever looks into a guest's smaps finds its regions. */
static char *region_address(unsigned region)
{
        return (char *)(UINT64_C(0x100000000000) + ((uint64_t)region << 36)); /* 64 GiB each */
}

/* --- The schedule ----------------------------------------------------------------------------- */

/* Takes what concerns @wanted (and all guests' lives). Return: whether the line is right. */
static bool parse_line(char *line, unsigned wanted)
{
        char *words[8] = {NULL}, *rest = NULL;
        unsigned n = 0, v[8] = {0};

        for (char *word = strtok_r(line, " \n", &rest); word && n < 8;
             word = strtok_r(NULL, " \n", &rest))
                words[n++] = word;
        if (!words[0] || words[0][0] == '#')
                return true;
        for (unsigned i = 1; i < n; i++)
                if (!parse_number(words[i], UINT32_MAX, &v[i]))
                        return false;
        if (n == 1 && strcmp(words[0], "huge") == 0) {
                huge = true;
                return true;
        }
        if (n < 4 || v[1] >= MAX_GUESTS)
                return false;

        if (n == 4 && strcmp(words[0], "guest") == 0) {
                guests[v[1]] = (struct guest){.used = true, .start_msec = v[2], .end_msec = v[3]};
                return true;
        }
        if (v[2] >= MAX_REGIONS || !guests[v[1]].used)
                return false;
        if (n == 4 && strcmp(words[0], "map") == 0) {
                if (v[1] == wanted)
                        region_pages[v[2]] = v[3];
                return v[3] > 0 && v[3] < 1U << 24;
        }
        if (v[1] == wanted && (n_tasks == MAX_TASKS || region_pages[v[2]] == 0))
                return false;
        if (n == 6 && strcmp(words[0], "write") == 0) {
                if (v[1] == wanted)
                        tasks[n_tasks++] = (struct task){
                                .region = v[2], .at_msec = v[3], .over_msec = v[4], .seed = v[5]};
                return true;
        }
        if (n == 5 && strcmp(words[0], "churn") == 0) {
                if (v[1] == wanted)
                        tasks[n_tasks++] = (struct task){
                                .churn = true, .region = v[2], .at_msec = v[3], .per_sec = v[4]};
                return true;
        }
        return false;
}

static int read_schedule(const char *path, unsigned wanted)
{
        FILE *file = fopen(path, "re");
        char line[128];
        unsigned number = 0;

        if (!file) {
                fprintf(stderr, "load: %s: %s\n", path, strerror(errno));
                return -1;
        }
        while (fgets(line, sizeof(line), file)) {
                number++;
                if (!parse_line(line, wanted)) {
                        fprintf(stderr,
                                "load: %s:%u: no line of a schedule (the head of load.c "
                                "has them)\n",
                                path, number);
                        (void)fclose(file);
                        return -1;
                }
        }
        (void)fclose(file);
        return 0;
}

/* --- A guest ---------------------------------------------------------------------------------- */

static int map_region(unsigned region)
{
        size_t size = (size_t)region_pages[region] * page_size;
        char *want = region_address(region);

        if (mmap(want, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0) != want)
                return -1;
        if (!huge)
                (void)madvise(want, size, MADV_NOHUGEPAGE);
        return madvise(want, size, MADV_MERGEABLE);
}

static void write_page(const struct task *task, uint64_t page)
{
        uint64_t *words = (uint64_t *)(void *)(region_address(task->region) + page * page_size);
        uint64_t x = mix((uint64_t)task->seed << 32 | page);

        if (task->seed == 0) {
                memset(words, 0, page_size);
                return;
        }
        for (size_t w = 0; w < page_size / sizeof(*words); w++)
                words[w] = x + w * UINT64_C(0x9e3779b97f4a7c15);
}

/* One word makes a page another; the counter makes it like no other. */
static void change_page(const struct task *task, uint64_t count)
{
        uint64_t page = count % region_pages[task->region];
        uint64_t *words = (uint64_t *)(void *)(region_address(task->region) + page * page_size);

        words[1] = mix((uint64_t)getpid() << 40 | count);
}

/* Does what is due. Return: when the task wants to go on, in ms from the start. */
static uint64_t work(struct task *task, uint64_t now)
{
        uint64_t pages = region_pages[task->region], due;

        if (now < task->at_msec)
                return task->at_msec;
        now -= task->at_msec;
        if (task->churn) {
                for (due = now * task->per_sec / 1000; task->done < due; task->done++)
                        change_page(task, task->done);
                return task->at_msec + now + CHURN_MSEC;
        }
        due = now >= task->over_msec ? pages : pages * now / task->over_msec;
        for (; task->done < due; task->done++)
                write_page(task, task->done);
        return task->done == pages ? FOREVER : task->at_msec + now + SLICE_MSEC;
}

static int be_guest(const char *schedule, const char *number, const char *origin)
{
        unsigned id;

        if (!parse_number(number, MAX_GUESTS - 1, &id) || read_schedule(schedule, id) < 0)
                return 2;
        origin_msec = strtoull(origin, NULL, 10);
        for (unsigned i = 0; i < MAX_REGIONS; i++)
                if (region_pages[i] > 0 && map_region(i) < 0) {
                        fprintf(stderr, "load: guest %u, region %u: %s\n", id, i, strerror(errno));
                        return 1;
                }
        for (;;) {
                uint64_t next = FOREVER, now = elapsed_msec();

                for (unsigned i = 0; i < n_tasks; i++) {
                        uint64_t at = work(&tasks[i], now);

                        next = at < next ? at : next;
                }
                now = elapsed_msec();
                if (next == FOREVER)
                        (void)pause();
                else if (next > now)
                        (void)poll(NULL, 0, (int)(next - now));
        }
}

/* --- The load --------------------------------------------------------------------------------- */

static int start(const char *schedule, const char *program, unsigned id)
{
        /* argv as the original's pattern wants it: ^qemu-system.*-enable-kvm */
        char argv0[] = "qemu-system-x86_64", kvm[] = "-enable-kvm", name[] = "-name", label[24];
        char number[16], origin[24];
        char *argv[] = {argv0, kvm, name, label, NULL};
        pid_t pid = fork();

        if (pid != 0) {
                guests[id].pid = pid;
                return pid < 0 ? -1 : 0;
        }
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* stays over exec */
        (void)snprintf(label, sizeof(label), "load-%u", id);
        (void)snprintf(number, sizeof(number), "%u", id);
        (void)snprintf(origin, sizeof(origin), "%llu", (unsigned long long)origin_msec);
        if (setenv("LOAD_SCHEDULE", schedule, 1) == 0 && setenv("LOAD_GUEST", number, 1) == 0 &&
            setenv("LOAD_ORIGIN", origin, 1) == 0)
                execv(program, argv);
        fprintf(stderr, "load: %s: %s\n", program, strerror(errno));
        _exit(1);
}

/* Starts and ends whom it is time for. Return: when the next is, in ms from the start. */
static int step(const char *schedule, const char *program, uint64_t *ret_next)
{
        uint64_t now = elapsed_msec(), next = FOREVER;

        for (unsigned i = 0; i < MAX_GUESTS; i++) {
                struct guest *guest = &guests[i];
                uint64_t at;

                if (!guest->used)
                        continue;
                if (guest->pid == 0 && guest->start_msec <= now && start(schedule, program, i) < 0)
                        return -1;
                if (guest->pid > 0 && guest->end_msec > 0 && guest->end_msec <= now) {
                        (void)kill(guest->pid, SIGKILL);
                        (void)waitpid(guest->pid, NULL, 0);
                        guest->used = false;
                        continue;
                }
                at = guest->pid == 0 ? guest->start_msec : guest->end_msec;
                if (at > 0 && at < next)
                        next = at;
        }
        *ret_next = next;
        return 0;
}

static int run(const char *schedule, const char *program)
{
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

        for (;;) {
                uint64_t next, now;
                int timeout = -1, status;
                pid_t pid;

                if (step(schedule, program, &next) < 0)
                        return 1;
                now = elapsed_msec();
                if (next != FOREVER)
                        timeout = next > now ? (int)(next - now) : 0;
                /* A guest that ends by itself has not found what it needs, and has said so. */
                if (timeout < 0 || timeout > 1000)
                        timeout = 1000;
                pid = waitpid(-1, &status, WNOHANG);
                if (pid > 0)
                        return 1;
                if (poll(&input, 1, timeout) > 0)
                        return 0;
        }
}

int main(int argc, char **argv)
{
        const char *guest = getenv("LOAD_GUEST"), *schedule = getenv("LOAD_SCHEDULE");
        const char *origin = getenv("LOAD_ORIGIN");
        int r;

        page_size = (size_t)sysconf(_SC_PAGESIZE);
        if (guest && schedule && origin)
                return be_guest(schedule, guest, origin);
        if (argc != 3) {
                fputs("usage: load SCHEDULE PROGRAM\n", stderr);
                return 2;
        }
        if (read_schedule(argv[1], MAX_GUESTS) < 0)
                return 2;
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        origin_msec = now_msec();
        printf("started\n");
        (void)fflush(stdout);
        r = run(argv[1], argv[2]);
        for (unsigned i = 0; i < MAX_GUESTS; i++)
                if (guests[i].pid > 0 && guests[i].used)
                        (void)kill(guests[i].pid, SIGKILL);
        while (wait(NULL) > 0)
                ;
        return r;
}
