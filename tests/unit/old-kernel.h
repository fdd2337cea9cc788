/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Every test twice: as it is, and as on a kernel without openat2(). syscall() is intercepted for
 * that (--wrap=syscall). Include cmocka.h before; one file of a program.
 */

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "made-up-root.h"

static bool old_kernel;
static unsigned n_refused;

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d);

/* openat2() has four arguments, and is the only one that comes this way. */
long __wrap_syscall(long number, long a, long b, long c, long d)
{
        long r = -1;

        assert_int_equal(number, SYS_openat2);
        if (old_kernel)
                errno = ENOSYS;
        else
                r = __real_syscall(number, a, b, c, d);
        /* valgrind 3.19 does not know it either. */
        if (r < 0 && errno == ENOSYS)
                n_refused++;
        return r;
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int old_kernel_setup(void **state)
{
        old_kernel = true;
        return made_up_root_setup(state);
}

/* It was asked for once, and not again. */
static void test_asked_once(void **state)
{
        assert_int_equal(n_refused, 1);
}

#define NOW(test)                                                            \
        {                                                                    \
#test, test, made_up_root_setup, made_up_root_teardown, NULL \
        }
#define ON_OLD_KERNEL(test)                                                     \
        {                                                                       \
#test " on a kernel without openat2()", test, old_kernel_setup, \
                        made_up_root_teardown, NULL                             \
        }
