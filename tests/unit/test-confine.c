/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child that confines itself: what it may do no more, and what becomes of a refusal. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "src/daemon/confine.h"

/* What a child exits with. */
enum { FINE = 0, NOT_CONFINED, CAPABILITIES, GAINS, WRITES, MAKES, REMOVES, PIPE };

static int refused; /* the option of prctl() that fails; 0: none */

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int __real_prctl(int option, ...);

int __wrap_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
        if (option == refused) {
                errno = EPERM;
                return -1;
        }
        return __real_prctl(option, a, b, c, d);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static bool has_capabilities(void)
{
        static const char *const sets[] = {"CapPrm:\t", "CapEff:\t", "CapAmb:\t"};
        char line[256];
        size_t none = 0;
        FILE *file = fopen("/proc/self/status", "re");

        while (file && fgets(line, sizeof(line), file))
                for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++)
                        if (strncmp(line, sets[i], strlen(sets[i])) == 0 &&
                            strcmp(line + strlen(sets[i]), "0000000000000000\n") == 0)
                                none++;
        return !file || fclose(file) != 0 || none != sizeof(sets) / sizeof(sets[0]);
}

/* Landlock is in the kernel, and no filter of a container's keeps it from us. */
static bool landlock(void)
{
        return syscall(444, NULL, 0, 1) > 0;
}

static int child(const char *path, const char *other, int pipe)
{
        if (confine_self() < 0)
                return NOT_CONFINED;
        if (has_capabilities())
                return CAPABILITIES;
        if (__real_prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
                return GAINS;
        if (write(pipe, "x", 1) != 1 || open(path, O_RDONLY | O_CLOEXEC) < 0)
                return PIPE;
        if (!landlock())
                return FINE;
        if (open(path, O_WRONLY | O_CLOEXEC) >= 0 || errno != EACCES)
                return WRITES;
        if (open(other, O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0 || errno != EACCES)
                return MAKES;
        return unlink(path) == 0 || errno != EACCES ? REMOVES : FINE;
}

static int status_of_child(void)
{
        char path[] = "/tmp/ksmtuned-confine-XXXXXX", other[64];
        int fd = mkstemp(path), fds[2];
        unsigned char last = UINT8_MAX;
        pid_t pid;

        assert_true(fd >= 0);
        assert_int_equal(close(fd), 0);
        (void)snprintf(other, sizeof(other), "%s.new", path);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                unsigned char answer = (unsigned char)child(path, other, fds[1]);

                /* Through the pipe: valgrind has its own idea of the status of those that end. */
                _exit(write(fds[1], &answer, 1) != 1);
        }
        (void)close(fds[1]);
        while (read(fds[0], &last, 1) == 1)
                ;
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        (void)close(fds[0]);
        assert_int_equal(unlink(path), 0);
        return last;
}

static void test_confined(void **state)
{
        if (!landlock())
                print_message("# without Landlock here, files are not looked at\n");
        refused = 0;
        assert_int_equal(status_of_child(), FINE);
}

static void test_no_new_privs_refused(void **state)
{
        refused = PR_SET_NO_NEW_PRIVS;
        assert_int_equal(status_of_child(), NOT_CONFINED);
}

static void test_ambient_refused(void **state)
{
        refused = PR_CAP_AMBIENT;
        assert_int_equal(status_of_child(), NOT_CONFINED);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_confined),
                cmocka_unit_test(test_no_new_privs_refused),
                cmocka_unit_test(test_ambient_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
