# SPDX-License-Identifier: GPL-2.0-or-later
"""A program on a terminal of its own, and what stands on it."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time

ENTER, LEAVE = '\x1b[?1049h\x1b[?25l', '\x1b[0m\x1b[?25h\x1b[?1049l'


class Terminal:
    """@command on a pseudo terminal of @columns and @rows; with @keys also its standard input."""

    def __init__(self, command, columns=80, rows=24, env=None, keys=True, stderr=None):
        self.master, self.slave = pty.openpty()
        self.resize(columns, rows, signal=False)
        self.before = termios.tcgetattr(self.slave)
        self.text = ''
        self.process = subprocess.Popen(
            command, stdin=self.slave if keys else subprocess.DEVNULL, stdout=self.slave,
            stderr=stderr or self.slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
            env=os.environ | {'TERM': 'xterm', 'LC_ALL': 'C', 'TZ': 'UTC'} | (env or {}))

    def resize(self, columns, rows, signal=True):
        self.columns, self.rows = columns, rows
        fcntl.ioctl(self.master if signal else self.slave, termios.TIOCSWINSZ,
                    struct.pack('HHHH', rows, columns, 0, 0))

    def settings(self):
        return termios.tcgetattr(self.slave)

    def press(self, keys):
        os.write(self.master, keys.encode())

    def read(self, seconds=0.0):
        """Takes what comes within so many seconds."""
        end = time.monotonic() + seconds
        while select.select([self.master], [], [], max(0, end - time.monotonic()))[0]:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:
                break
            if not chunk:
                break
            self.text += chunk.decode('utf-8', 'surrogateescape')
        return self.text

    def wait_for(self, condition, seconds=10.0):
        """Reads until condition(lines on the screen) holds. Returns the lines, or None."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.read(0.05)
            lines = self.lines()
            if lines and condition(lines):
                return lines
        return None

    def wait_for_picture(self, seconds=10.0):
        """A picture that was drawn from now on."""
        self.text = self.text[-1:]
        return self.wait_for(lambda lines: True, seconds)

    def lines(self):
        """The last whole picture, without colours."""
        pictures = re.findall(r'\x1b\[H(.*?)\x1b\[J', self.text, re.S)
        if not pictures:
            return None
        return re.sub(r'\x1b\[[0-9;?]*[A-Za-z]', '', pictures[-1].replace('\r\r\n', '\r\n')).split('\r\n')

    def end(self, seconds=10.0):
        """Its exit status; all that it wrote is in text."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.02)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            return None
        self.read(0.05)
        return self.process.returncode

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for fd in self.master, self.slave:
            if fd >= 0:
                os.close(fd)
        self.master = self.slave = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
