/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Resolves @path inside the folder @root_fd as if that were "/": symbolic links, absolute ones too,
 * and ".." stay inside. For kernels before 5.6, which have no openat2(); unlike that, somebody who
 * moves folders about meanwhile can lead it astray, so it is no protection from an attacker.
 *
 * @ret_path: without links, relative to @root_fd ("." for the folder itself); the last part may not
 * exist, and is left a link where not @follow.
 * Return: 0; -ELOOP after 40 links; -ENAMETOOLONG; what readlinkat() said.
 */
int resolve_in_root(int root_fd, const char *path, bool follow, char *ret_path, size_t size);
