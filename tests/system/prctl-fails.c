/* SPDX-License-Identifier: GPL-2.0-or-later */

/* To be preloaded: PR_SET_MEMORY_MERGE fails with the number in PRCTL_ERRNO. */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/number.h"

#define SET_MEMORY_MERGE 67

int prctl(int option, ...)
{
        const char *text = getenv("PRCTL_ERRNO");
        unsigned long argument[4];
        unsigned number;
        va_list args;

        if (option == SET_MEMORY_MERGE && text && parse_number(text, 4095, &number)) {
                errno = (int)number;
                return -1;
        }
        va_start(args, option);
        for (int i = 0; i < 4; i++)
                argument[i] = va_arg(args, unsigned long);
        va_end(args);
        return (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}
