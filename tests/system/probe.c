/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * probe [PID]: tries what a sandbox should forbid or allow, and tells on standard error what came
 * of it: a line each, "probe: NAME: ok" or the name of the error. PID is a process of another user.
 * Whatever it makes or opens, it puts back or leaves unused.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static void tell(const char *name, long r)
{
        const char *error = r < 0 ? strerrorname_np(errno) : "ok";

        (void)fprintf(stderr, "probe: %s: %s\n", name, error ? error : "?");
}

static void try_open(const char *path, int flags, const char *how)
{
        char name[256];
        int fd = open(path, flags | O_CLOEXEC);

        (void)snprintf(name, sizeof(name), "%s %s", how, path);
        tell(name, fd);
        if (fd >= 0)
                (void)close(fd);
}

static void try_make(const char *folder)
{
        char path[256], name[300];
        int fd;

        (void)snprintf(path, sizeof(path), "%s/ksmtuned-probe", folder);
        (void)snprintf(name, sizeof(name), "make a file in %s", folder);
        fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        tell(name, fd);
        if (fd >= 0) {
                (void)close(fd);
                (void)unlink(path);
        }
}

static void files(const char *pid)
{
        static const char *const folders[] = {
                "/etc",
                "/run",
                "/run/systemd/system",
                "/usr",
                "/var/lib",
                "/run/ksmtuned",
                "/var/log",
                "/var/lib/prometheus/node-exporter",
        };
        char path[64];

        for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
                try_make(folders[i]);
        try_open("/sys/kernel/mm/ksm/sleep_millisecs", O_WRONLY, "write");
        try_open("/sys/kernel/mm/ksm/sleep_millisecs", O_RDONLY, "read");
        try_open("/sys/kernel/mm/transparent_hugepage/defrag", O_WRONLY, "write");
        try_open("/proc/sys/vm/swappiness", O_WRONLY, "write");
        try_open("/proc/meminfo", O_RDONLY, "read");
        try_open("/proc/pressure/memory", O_RDWR, "write");
        try_open("/dev/kmsg", O_WRONLY, "write");
        try_open("/dev/kvm", O_RDWR, "write");
        try_open("/root/secret", O_RDONLY, "read");
        try_open("/tmp/secret", O_RDONLY, "read");
        try_open("/etc/ksmtuned-secret", O_RDONLY, "read");
        try_open("/run/ksmtune.pid", O_RDWR, "write");
        (void)snprintf(path, sizeof(path), "/proc/%s/mem", pid);
        tell("write a guest's memory", open(path, O_RDWR | O_CLOEXEC));
        (void)snprintf(path, sizeof(path), "/proc/%s/smaps_rollup", pid);
        tell("read a guest's smaps_rollup", open(path, O_RDONLY | O_CLOEXEC));
        (void)snprintf(path, sizeof(path), "/proc/%s/ksm_stat", pid);
        tell("read a guest's ksm_stat", open(path, O_RDONLY | O_CLOEXEC));
        (void)snprintf(path, sizeof(path), "/proc/%s/stat", pid);
        tell("read a guest's stat", open(path, O_RDONLY | O_CLOEXEC));
}

static void calls(pid_t pid)
{
        const struct sched_param fifo = {.sched_priority = 1};
        const struct timeval now = {.tv_sec = time(NULL)};
        struct iovec here = {.iov_base = &(char){0}, .iov_len = 1};
        void *memory;

        tell("socket AF_UNIX", socket(AF_UNIX, SOCK_STREAM, 0));
        tell("socket AF_INET", socket(AF_INET, SOCK_STREAM, 0));
        tell("socket AF_INET6", socket(AF_INET6, SOCK_DGRAM, 0));
        tell("socket AF_NETLINK", socket(AF_NETLINK, SOCK_RAW, 0));
        memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
        tell("memory that is written and run", memory == MAP_FAILED ? -1 : 0);
        tell("unshare a user namespace", unshare(CLONE_NEWUSER));
        tell("unshare a mount namespace", unshare(CLONE_NEWNS));
        tell("mount", mount("none", "/mnt", "tmpfs", 0, NULL));
        tell("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
        tell("process_vm_readv", process_vm_readv(pid, &here, 1, &here, 1, 0));
        tell("process_vm_writev", process_vm_writev(pid, &here, 1, &here, 1, 0));
        tell("signal a guest", kill(pid, 0));
        tell("setuid", setuid(65534));
        tell("chown", chown("/run/ksmtuned", 0, 0));
        tell("chroot", chroot("/"));
        tell("realtime", sched_setscheduler(0, SCHED_FIFO, &fifo));
        tell("nice", syscall(SYS_setpriority, 0, 0, -1));
        tell("another personality", personality(ADDR_NO_RANDOMIZE));
        tell("settimeofday", settimeofday(&now, NULL));
        tell("sethostname", sethostname("probe", 5));
        tell("init_module", syscall(SYS_init_module, NULL, 0UL, ""));
        tell("bpf", syscall(SYS_bpf, 0, NULL, 0));
        tell("swapoff", syscall(SYS_swapoff, "/nonexistent"));
        tell("make a program setuid", chmod("/run/ksmtuned", 04755));
}

static void rights(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

        memset(sets, 0, sizeof(sets));
        if (syscall(SYS_capget, &header, sets) == 0)
                (void)fprintf(stderr, "probe: capabilities: %x\n",
                              sets[0].effective | sets[0].permitted);
}

/* A line of /proc/self/status. */
static void status(const char *key)
{
        FILE *file = fopen("/proc/self/status", "re");
        char line[256];

        while (file && fgets(line, sizeof(line), file))
                if (strncmp(line, key, strlen(key)) == 0)
                        (void)fprintf(stderr, "probe: %.*s: %s", (int)strlen(key), key,
                                      line + strlen(key) + 2);
        if (file)
                (void)fclose(file);
}

int main(int argc, char **argv)
{
        /* As ksmtuned's helper it gets a URI: the process is in the environment then. */
        const char *pid = getenv("PROBE_PID") ? getenv("PROBE_PID") : argc > 1 ? argv[1] : "1";

        rights();
        status("NoNewPrivs");
        status("Seccomp");
        files(pid);
        calls((pid_t)atoi(pid));
        (void)fprintf(stderr, "probe: end\n");
        return 0;
}
