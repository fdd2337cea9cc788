/* SPDX-License-Identifier: GPL-2.0-or-later */

/* To be preloaded: once the file LOOP_FAILS_IF is there, no timer of the event loop can be set. */

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

int sd_event_source_set_time(void *source, uint64_t usec);

int sd_event_source_set_time(void *source, uint64_t usec)
{
        const char *path = getenv("LOOP_FAILS_IF");
        int (*real)(void *, uint64_t);

        if (path && access(path, F_OK) == 0)
                return -ENOMEM;
        *(void **)&real = dlsym(RTLD_NEXT, "sd_event_source_set_time");
        return real ? real(source, usec) : -ENOSYS;
}
