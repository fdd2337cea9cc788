/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ksmtuned/cleanup.h"

/* Of <linux/landlock.h>, which the headers of older systems lack; the numbers are the kernel's. */
#define LANDLOCK_CREATE_RULESET 444
#define LANDLOCK_RESTRICT_SELF  446
/* LANDLOCK_ACCESS_FS_WRITE_FILE, and REMOVE_DIR to MAKE_SYM: the first version has all of them. */
#define LANDLOCK_WRITING ((UINT64_C(1) << 1) | (UINT64_C(0x1ff) << 4))

struct landlock_ruleset {
        uint64_t handled_access_fs;
};

/*
 * Root's exec gets all capabilities of the bounding set, unless the secure bits say otherwise (as
 * in our unit) or no_new_privs limits it to those that the process has. The former makes capset()
 * needless, which the unit's filter of system calls does not let through.
 */
static int drop_capabilities(void)
{
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0, 0, 0}, {0, 0, 0}};
        int bits = prctl(PR_GET_SECUREBITS);

        /* EINVAL: a kernel before 4.3 has no ambient capabilities, and so nothing to clear. */
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return -errno;
        if (bits >= 0 && (bits & SECBIT_NOROOT))
                return 0;
        return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int forbid_writing(void)
{
        const struct landlock_ruleset all = {.handled_access_fs = LANDLOCK_WRITING};
        CLEANUP_FD int fd = -1;

        /* Without a rule that allows it somewhere, it is forbidden everywhere. */
        fd = (int)syscall(LANDLOCK_CREATE_RULESET, &all, sizeof(all), 0);
        if (fd < 0)
                return 0; /* no such kernel, switched off, or filtered out by a container */
        return syscall(LANDLOCK_RESTRICT_SELF, fd, 0) < 0 ? -errno : 0;
}

int confine_self(void)
{
        int r;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        r = drop_capabilities();
        return r < 0 ? r : forbid_writing();
}
