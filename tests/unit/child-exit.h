/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The end of a child that calls _exit() in the code under test (--wrap=_exit): who looks for leaks
 * would put his own status in the place of its. One file of a program includes it.
 */

#include <stdio.h>
#include <unistd.h>

/* NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the linker's names */
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
        char text[16];

        (void)snprintf(text, sizeof(text), "%d", status);
        (void)execl("/bin/sh", "sh", "-c", "exit \"$0\"", text, (char *)NULL);
        __real__exit(127);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
