/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The only program of a test's guest, its /init: fills some memory, says so on the console, and
 * sleeps. Linked statically.
 */

#include <stddef.h>
#include <unistd.h>

static volatile char memory[64 * 1024 * 1024];

int main(void)
{
        static const char up[] = "guest is up\n";

        for (size_t i = 0; i < sizeof(memory); i++)
                memory[i] = 'k';
        if (write(STDOUT_FILENO, up, sizeof(up) - 1) < 0)
                return 1;
        for (;;)
                (void)pause();
}
