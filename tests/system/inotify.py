# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts the writes to files; works on kernel attributes too, as the VFS tells of each write()."""

import ctypes
import os
import struct

IN_MODIFY = 0x2
_EVENT = struct.Struct('iIII')


class Writes:
    def __init__(self, paths):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self.names = {}
        for path in paths:
            watch = libc.inotify_add_watch(self.fd, os.fsencode(path), IN_MODIFY)
            if self.fd < 0 or watch < 0:
                raise OSError(ctypes.get_errno(), f'inotify on {path}')
            self.names[watch] = os.path.basename(path)

    def take(self):
        """The names of the files written since the last call, in order."""
        names = []
        while True:
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return names
            while data:
                watch, _, _, length = _EVENT.unpack_from(data)
                names.append(self.names[watch])
                data = data[_EVENT.size + length:]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.fd)
