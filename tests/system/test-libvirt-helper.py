#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Whatever the helper process does that listens to libvirt, the daemon starts, decides, stays quiet and
cheap, and leaves nothing behind. Helpers that misbehave are made up; no libvirtd is needed.
"""

import contextlib
import functools
import pathlib
import socket
import sys
import tempfile
import time

import namespace
from common import Tap, arguments
from trouble import Checks
from virt import Use, state_of, told

FAKE = pathlib.Path(__file__).resolve().with_name('fake-helper.py')


class Starts:
    """The lines that fake helpers leave at their starts, through a socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.seen = []

    def lines(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.seen.append(self.socket.recv(100).decode())
        return self.seen

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


class Suite(Checks):
    def silent(self):
        self.fake('silent', 24, 1, 'a helper that says nothing, for 24 s')

    def misbehaves(self, way, lines):
        """In the same way each time."""
        self.fake(way, 8, lines, f'a helper of the kind "{way}"')

    def fake(self, way, seconds, lines, name):
        log = self.folder / f'{way}.log'
        with Starts(log) as starts, self.daemon(name, f'fake://{way}', FAKE, log=log) as running:
            self.fine(running, name, seconds)
            count = len(starts.lines())
            # The pauses are 1, 2, 4 … s and a quarter more or less.
            least, most = (2, 3) if way == 'silent' else (3, 5)
            self.tap.ok(least <= count <= most,
                        f'{name}: started {count} times in {seconds} s, {least} to {most}',
                        '\n'.join(starts.lines()))
            said = [line for line in told(running) if 'events come' not in line]
            connects = len(told(running)) - len(said)
            # One that says that it is connected is believed, and the next trouble is a new one.
            limit = lines if not connects else connects * 2 + 1
            self.tap.ok(1 <= len(said) <= limit, f'{name}: told in {len(said)} lines, at most '
                        f'{limit}', '\n'.join(told(running)))
            self.tap.diag(said[0] if said else '-')
            helper = [int(line.split()[1]) for line in starts.lines()]
        self.tap.equal([pid for pid in helper if state_of(pid)], [], f'{name}: none stays behind')

    def no_helper(self):
        name = 'no helper installed'
        with self.daemon(name, 'qemu:///system', '/nonexistent/ksmtuned-libvirt',
                         interval='0.5') as running:
            self.fine(running, name, 2, 1)
            self.tap.ok(running.said_lines('not installed'), f'{name}: says so once', running.said)
            self.quiet(running, name)

    def flooding(self):
        name = '20,000 events a second'
        # flood() writes packs; this is the same without its pauses.
        with self.daemon(name, 'fake://storm', FAKE) as running:
            self.fine_in_flood(running, name)

    def fine_in_flood(self, running, name):
        use, n, begin = Use(running.pid), running.decisions(), time.monotonic()
        times = []
        for _ in range(10):
            time.sleep(0.3)
            times.append(self.asked(running))
        took = time.monotonic() - begin
        n = running.decisions() - n - 10
        self.in_time(times, name, running.said)
        self.tap.ok(n <= took * 2 + 2, f'{name}: {n} decisions for them in {took:.1f} s')
        self.tap.ok(use.cpu_msec() < took * 500,
                    f'{name}: {use.cpu_msec() / took / 10:.0f} % of a CPU')

    def run(self):
        kinds = {'rubbish': 2, 'megabyte': 1, 'ends': 1, 'unconfined': 1, 'crashes': 1, 'closed': 2}
        self.beside(Suite.silent, *(functools.partial(Suite.misbehaves, way=way, lines=lines)
                                    for way, lines in kinds.items()), Suite.no_helper)
        self.flooding()


def main():
    args = arguments(__doc__)
    namespace.enter()
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
