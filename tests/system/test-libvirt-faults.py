#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Whatever becomes of libvirtd, the daemon starts, decides, stays quiet and cheap, and leaves nothing
behind. Real libvirtd and QEMU.

A libvirtd that hangs does so for 20 s here; KSMTUNED_TESTS_HANG_SEC=60 takes longer.
"""

import contextlib
import functools
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import namespace
from common import Tap, arguments, wait_for
from trouble import DECIDE_MSEC, Checks
from virt import (SOCKET, Libvirtd, children, connected, daemon, guest, listener, noticed, settle,
                  state_of, told, virsh, why_not)

HANG_SEC = int(os.environ.get('KSMTUNED_TESTS_HANG_SEC', '20'))
# The daemon's watch over its helper's start, in which it wakes by itself, ends 10 s after it.
WATCH_SEC = 11


class Suite(Checks):
    def __init__(self, args, tap, folder, libvirtd):
        super().__init__(args, tap, folder)
        self.libvirtd = libvirtd
        # Made before others fork: a child that has not yet executed would hold it open for writing.
        self.ordinary = self.ordinary_root()

    def events_come(self, *listening):
        """@listening: (daemon, what it went through) of all that are asked for the same domain."""
        daemons = [running for running, _ in listening]
        found = [noticed(daemons, 1, 'create', self.libvirtd.domain()),
                 noticed(daemons, -1, 'destroy', 'vm1')]
        for (_, name), *figures in zip(listening, *found):
            self.tap.ok(max(msec for msec, _ in figures) <= 100,
                        f'{name}: a domain that comes and goes is noticed at once', figures)

    # --- sockets without a libvirtd, each in a /run/libvirt of its own ------------------------

    @contextlib.contextmanager
    def made_up(self, listens):
        """Yields a folder's socket, and how it becomes a daemon's /run/libvirt."""
        folder = pathlib.Path(tempfile.mkdtemp(dir=self.folder))
        folder.chmod(0o755)
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(folder / SOCKET.name))
            if listens:
                server.listen()
            yield (folder / SOCKET.name,
                   f'mkdir -p {SOCKET.parent}; mount --bind {folder} {SOCKET.parent}')

    def refuses(self):
        name = 'a socket that refuses'
        with self.made_up(False) as (path, mounts):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path.with_name('libvirt-sock')))
            with self.daemon(name, mounts=mounts) as running:
                wait_for(lambda: told(running), 5)
                self.fine(running, name, 3, 1)
                self.tap.diag(told(running))

    def forbidden(self):
        name = 'a socket with wrong permissions'
        with self.made_up(True) as (path, mounts):
            path.chmod(0)
            os.chown(path, 65534, 65534)
            with daemon(self.ordinary, beside=True, mounts=mounts) as running:
                wait_for(lambda: told(running), 5)
                self.fine(running, name, 3, 1)
                self.tap.ok(running.said_lines('permission|denied|not permitted'),
                            f'{name}: says so', running.said)
                self.tap.diag(told(running))

    def says_nothing(self):
        name = 'a socket that accepts and says nothing'
        with self.made_up(True) as (_, mounts):
            with self.daemon(name, mounts=mounts) as running:
                self.fine(running, name, 3, 1)
                helper = children(running.pid)
            self.tap.ok(helper and not state_of(helper[0]), f'{name}: no helper stays behind')

    def ordinary_root(self):
        """A ksmtuned of a root for whom permissions count."""
        class Args:
            build = self.args.build
            ksmtuned = str(self.folder / 'ksmtuned-without')
        pathlib.Path(Args.ksmtuned).write_text(
            '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search '
            f'{self.args.ksmtuned} "$@"\n')
        os.chmod(Args.ksmtuned, 0o755)
        return Args

    # --- libvirtd comes and goes ----------------------------------------------------------------

    def comes_and_goes(self):
        """Two daemons: one that is asked, and one that rests."""
        name = 'libvirtd absent at start'
        with self.daemon(name) as running:
            wait_for(lambda: told(running), 5)
            self.fine(running, name, 2, 1)
            self.libvirtd.start()
            self.becomes_connected(running, 'libvirtd started later', 1, 60)
            with daemon(self.args, interval='0.5', beside=True) as resting:
                begin = time.monotonic()
                connected(resting)
                self.events_come((running, 'libvirtd started later'))
                self.helper_ends()
                self.uris()
                time.sleep(max(0, begin + WATCH_SEC - time.monotonic()))
                self.quiet(resting, 'connected, at rest')

                self.libvirtd.kill()
                wait_for(lambda: len(told(resting)) > 1, 5)
                self.fine(running, 'libvirtd killed', 3)
                self.quiet(resting, 'libvirtd absent, at rest')
            name = 'and started again'
            self.libvirtd.start()
            self.becomes_connected(running, name, 2, 60)
            self.events_come((running, name))
            self.fine(running, name)
            # Absent, there, gone, refused, there.
            said = [line for line in told(running) if 'events' in line]
            self.tap.ok(len(said) <= 6, f'libvirtd killed and started: told in {len(said)} lines',
                        '\n'.join(said))

    def helper_ends(self):
        with contextlib.ExitStack() as stack:
            listening = []
            for word, end in (('killed', signal.SIGKILL), ('stopped', signal.SIGSTOP),
                              ('ended by SIGTERM', signal.SIGTERM)):
                name = f'the helper {word}'
                running = stack.enter_context(self.daemon(name))
                connected(running)
                first = children(running.pid)[0]
                os.kill(first, end)
                listening.append((running, name, first))
            for running, name, first in listening:
                self.becomes_connected(running, f'{name}: another takes its place', 2, 10)
                self.tap.ok(state_of(first) is None, f'{name}: it has gone')
                self.fine(running, name, 0, 1)
            self.events_come(*((running, name) for running, name, _ in listening))

    def uris(self):
        self.beside(*(functools.partial(Suite.uri, uri=uri) for uri in (
            'nonsense://x', 'qemu+unix:///system?socket=/nonexistent', 'qemu:///nowhere',
            'qemu+unix://[::/%zz')))

    def uri(self, uri):
        with self.daemon(f'the URI {uri}', uri) as running:
            wait_for(lambda: told(running), 5)
            self.fine(running, f'the URI {uri}', 2, 1)
            self.tap.ok(told(running), f'the URI {uri}: says what is wrong')
            self.tap.diag(told(running))

    # --- libvirtd hangs ---------------------------------------------------------------------------

    def stopped(self):
        """Once, with daemons in different states."""
        before = f'libvirtd stopped before the daemon starts, for {HANG_SEC} s'
        meanwhile = f'libvirtd stopped while connected, for {HANG_SEC + 10} s'
        connecting = 'libvirtd stopped during the connect'
        ended = 'libvirtd stopped, the daemon ended by SIGTERM'
        with self.daemon(meanwhile) as linked, self.daemon(ended) as ending:
            connected(linked)
            connected(ending)
            with self.daemon(connecting) as midst:
                self.libvirtd.pause()
                self.ends(ending, ended)
                self.killed()
                with self.daemon(before) as late:
                    # Keepalive takes 20 s to call it lost.
                    self.beside(lambda own: own.fine(late, before, HANG_SEC, 1),
                                lambda own: own.fine(linked, meanwhile, HANG_SEC + 10, 3),
                                lambda own: own.fine(midst, connecting, 5, 1))
                    self.libvirtd.go_on()
                    on = 'when it goes on'
                    self.becomes_connected(late, f'{before}: {on}', 1)
                    self.becomes_connected(linked, f'{meanwhile}: {on}', 2, 30)
                    self.events_come((late, f'{before}: {on}'), (linked, f'{meanwhile}: {on}'))

    def ends(self, running, name):
        begin, helper = time.monotonic(), children(running.pid)[0]
        status = running.stop()
        self.tap.ok(status == 0 and time.monotonic() - begin < 1 and not state_of(helper),
                    f'{name}: ends with 0 at once, its helper too')

    def killed(self):
        name = 'libvirtd stopped, the daemon killed'
        with self.daemon(name) as running:
            time.sleep(0.5)
            helper = children(running.pid)[0]
            running.process.kill()
            running.process.wait()
            self.tap.ok(wait_for(lambda: state_of(helper) is None, 2),
                        f'{name}: no helper stays behind', state_of(helper))

    def stopped_in_the_midst(self):
        """During the connect: again and again, at different moments of it."""
        name = 'libvirtd stopped during the connect'
        for msec in (2, 10, 20, 40, 80, 100, 120, 140, 180):
            with daemon(self.args) as running:
                time.sleep(msec / 1000)
                self.libvirtd.pause()
                late = self.asked(running)
                had = bool(running.said_lines('events come from libvirt'))
                time.sleep(0.5)
                self.libvirtd.go_on()
                there = connected(running, 10)
                self.tap.ok(late <= DECIDE_MSEC and there, f'{name}, {msec} ms behind the first '
                            f'decision ({"connected" if had else "connecting"} then): decided in '
                            f'{late:.1f} ms, connected later', running.said)

    def counted_while_destroyed(self):
        name = 'domains destroyed while they are counted'
        with self.daemon(name) as running:
            connected(running)
            description = self.libvirtd.domain()
            for _ in range(5):
                virsh('create', description)
                killer = subprocess.Popen(['virsh', '-q', '-c', 'qemu:///system', 'destroy', 'vm1'],
                                          stdout=subprocess.DEVNULL)
                while killer.poll() is None:
                    os.kill(running.pid, signal.SIGUSR1)
                    time.sleep(0.002)
            # Without libvirt's pauses between.
            for _ in range(40):
                process = guest()
                time.sleep(0.02)
                os.kill(running.pid, signal.SIGUSR1)
                process.kill()
                os.kill(running.pid, signal.SIGUSR1)
                process.wait()
            settle()
            self.tap.ok(wait_for(lambda: running.number('GUESTS') == 0, 3),
                        f'{name}: none is left in the count', running.state)
            self.fine(running, name, 0, 1)

    def run(self):
        self.beside(Suite.refuses, Suite.forbidden, Suite.says_nothing)
        self.comes_and_goes()
        self.stopped()
        self.stopped_in_the_midst()
        self.counted_while_destroyed()


def main():
    args = arguments(__doc__)
    namespace.enter()
    tap = Tap()
    why = why_not() or ('' if listener(args) else 'ksmtuned-libvirt is not built')
    if why:
        tap.skip('libvirtd absent, killed, stopped; sockets; helpers killed and stopped', why)
        return tap.done()
    with tempfile.TemporaryDirectory() as folder, Libvirtd(folder) as libvirtd:
        Suite(args, tap, folder, libvirtd).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
