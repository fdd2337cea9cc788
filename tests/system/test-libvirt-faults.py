#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Whatever becomes of libvirtd and of the helper process, the daemon starts, decides, stays quiet and
cheap, and leaves nothing behind. Real libvirtd and QEMU; helpers that misbehave are made up.

A libvirtd that hangs does so for 20 s here; KSMTUNED_TESTS_HANG_SEC=60 takes longer.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time

import namespace
from common import Tap, arguments, read, wait_for
from virt import (SOCKET, Libvirtd, Use, children, connected, daemon, decided, guest,
                  latency_msec, listener, settle, start_and_stop, state_of, told, virsh, why_not)

DECIDE_MSEC, READY_SEC = 50, 1
HANG_SEC = int(os.environ.get('KSMTUNED_TESTS_HANG_SEC', '20'))
FAKE = pathlib.Path(__file__).resolve().with_name('fake-helper.py')


class Ready:
    """Where the daemon says that it is ready."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = pathlib.Path(folder) / 'notify'
        self.path.unlink(missing_ok=True)
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)
        self.begin = time.monotonic()

    def after(self):
        """Seconds from then to READY=1; None where it does not come."""
        # A queue that nobody empties would hold the daemon up; without the socket it goes on.
        with contextlib.closing(self.socket), contextlib.suppress(TimeoutError):
            while True:
                if b'READY=1' in self.socket.recv(4096):
                    return time.monotonic() - self.begin
        return None


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


class Suite:
    def __init__(self, args, tap, folder, libvirtd):
        self.args, self.tap, self.folder = args, tap, pathlib.Path(folder)
        self.libvirtd = libvirtd

    # --- what holds in every state ----------------------------------------------------------

    @contextlib.contextmanager
    def daemon(self, name, *more, **options):
        """One that is ready in time."""
        ready = Ready(self.folder)
        env = {'NOTIFY_SOCKET': str(ready.path)}
        with daemon(self.args, *more, env=env, **options) as running:
            after = ready.after()
            self.tap.ok(after is not None and after <= READY_SEC,
                        f'{name}: READY after {(after or 99) * 1000:.0f} ms', running.said)
            yield running

    def fine(self, running, name, seconds=0.0, lines=None):
        """For a time: SIGUSR1 decides, nothing spins, no zombies, no flood of words."""
        use, worst, times = Use(running.pid), 0.0, 0
        end = time.monotonic() + seconds
        while times < 3 or time.monotonic() < end:
            n, begin = running.decisions(), time.time()
            os.kill(running.pid, signal.SIGUSR1)
            state = decided(running, lambda s, n=n: int(s['DECISIONS']) > n)
            worst = max(worst, latency_msec(state, begin) if state else 9999)
            times += 1
            time.sleep(0.5 if seconds else 0.1)
        self.tap.ok(worst <= DECIDE_MSEC, f'{name}: {times} times SIGUSR1, decided within '
                    f'{worst:.1f} ms, at most {DECIDE_MSEC}', running.said)
        zombies = [pid for pid in children(running.pid) if state_of(pid) == 'Z']
        took = time.monotonic() - end + seconds
        self.tap.ok(not zombies and use.cpu_msec() <= took * 50 + 20,
                    f'{name}: no zombie, {use.cpu_msec():.0f} ms of CPU in {took:.0f} s', zombies)
        if lines is not None:
            said = [line for line in told(running) if 'no events' in line]
            self.tap.ok(len(said) <= lines and len(said) == len(set(said)),
                        f'{name}: tells it in {len(said)} lines, at most {lines}, none twice',
                        '\n'.join(told(running)))

    def quiet(self, running, name, intervals=6):
        """One wakeup an interval of 0.5 s."""
        running.wait_decisions(1)
        time.sleep(0.1)
        use, n = Use(running.pid), running.decisions()
        running.wait_decisions(intervals)
        time.sleep(0.1)
        n = running.decisions() - n
        self.tap.equal(use.wakeups(), n, f'{name}: one wakeup for each of {n} intervals')

    def events_come(self, running, name):
        found = start_and_stop(running, self.libvirtd.domain(), 'vm1', 1)
        late = max(msec for figures in found.values() for msec, _ in figures)
        self.tap.ok(late <= 100, f'{name}: a domain that comes and goes is noticed at once', found)

    def becomes_connected(self, running, name, times, seconds=20):
        self.tap.ok(wait_for(lambda: len(running.said_lines('events come from libvirt')) >= times,
                             seconds), f'{name}: it connects', running.said)

    # --- libvirtd -----------------------------------------------------------------------------

    def absent(self):
        name = 'libvirtd absent at start'
        with self.daemon(name) as running:
            wait_for(lambda: told(running), 5)
            self.fine(running, name, 2, 1)
            self.libvirtd.start()
            self.becomes_connected(running, 'libvirtd started later', 1, 60)
            self.events_come(running, 'libvirtd started later')
            name = 'libvirtd killed'
            self.libvirtd.kill()
            self.fine(running, name, 3)
            self.libvirtd.start()
            self.becomes_connected(running, 'and started again', 2, 60)
            self.events_come(running, 'and started again')
            self.fine(running, 'and started again')
            # Absent, there, gone, refused, there.
            said = [line for line in told(running) if 'events' in line]
            self.tap.ok(len(said) <= 6, f'{name} and started: told in {len(said)} lines',
                        '\n'.join(said))

    def resting(self):
        with daemon(self.args, interval='0.5') as running:
            connected(running)
            # The watch over the helper's start ends 10 s after it.
            time.sleep(11)
            self.quiet(running, 'connected, at rest')
            self.libvirtd.kill()
            wait_for(lambda: len(told(running)) > 1, 5)
            time.sleep(3)
            self.quiet(running, 'libvirtd absent, at rest')
            self.libvirtd.start()

    def stopped(self):
        name = f'libvirtd stopped before the daemon starts, for {HANG_SEC} s'
        self.libvirtd.pause()
        with self.daemon(name) as running:
            self.fine(running, name, HANG_SEC, 1)
            self.libvirtd.go_on()
            self.becomes_connected(running, f'{name}: when it goes on', 1)
            self.events_come(running, f'{name}: when it goes on')

            name = f'libvirtd stopped while connected, for {HANG_SEC + 10} s'
            self.libvirtd.pause()
            # Keepalive takes 20 s to call it lost.
            self.fine(running, name, HANG_SEC + 10, 3)
            self.libvirtd.go_on()
            self.becomes_connected(running, f'{name}: when it goes on', 2, 30)
            self.events_come(running, f'{name}: when it goes on')

        name = 'libvirtd stopped, the daemon ended by SIGTERM'
        with self.daemon(name) as running:
            connected(running)
            self.libvirtd.pause()
            begin, helper = time.monotonic(), children(running.pid)[0]
            status = running.stop()
            self.tap.ok(status == 0 and time.monotonic() - begin < 1 and not state_of(helper),
                        f'{name}: ends with 0 at once, its helper too')
        name = 'libvirtd stopped, the daemon killed'
        with self.daemon(name) as running:
            time.sleep(0.5)
            helper = children(running.pid)[0]
            running.process.kill()
            running.process.wait()
            self.tap.ok(wait_for(lambda: state_of(helper) is None, 2),
                        f'{name}: no helper stays behind', state_of(helper))
        self.libvirtd.go_on()

    def stopped_in_the_midst(self):
        """During the connect: again and again, at different moments of it."""
        name = 'libvirtd stopped during the connect'
        for msec in (2, 10, 20, 40, 80, 100, 120, 140, 180):
            with daemon(self.args) as running:
                time.sleep(msec / 1000)
                self.libvirtd.pause()
                n, begin = running.decisions(), time.time()
                os.kill(running.pid, signal.SIGUSR1)
                state = decided(running, lambda s, n=n: int(s['DECISIONS']) > n)
                late = latency_msec(state, begin) if state else 9999
                had = bool(running.said_lines('events come from libvirt'))
                time.sleep(0.5)
                self.libvirtd.go_on()
                there = connected(running, 10)
                self.tap.ok(late <= DECIDE_MSEC and there, f'{name}, {msec} ms behind the first '
                            f'decision ({"connected" if had else "connecting"} then): decided in '
                            f'{late:.1f} ms, connected later', running.said)
        with self.daemon(name) as running:
            self.libvirtd.pause()
            self.fine(running, name, 5, 1)
            self.libvirtd.go_on()

    def sockets(self):
        """Before libvirtd is there."""
        name = 'a socket that refuses'
        SOCKET.parent.mkdir(parents=True, exist_ok=True)
        for path in (SOCKET, SOCKET.with_name('libvirt-sock')):
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(str(path))
        with self.daemon(name) as running:
            wait_for(lambda: told(running), 5)
            self.fine(running, name, 3, 1)
            self.tap.diag(told(running))
        SOCKET.unlink()
        name = 'a socket with wrong permissions'
        with socket.socket(socket.AF_UNIX) as server, self.ordinary_root() as args:
            server.bind(str(SOCKET))
            server.listen()
            SOCKET.chmod(0)
            os.chown(SOCKET, 65534, 65534)
            with daemon(args) as running:
                wait_for(lambda: told(running), 5)
                self.fine(running, name, 3, 1)
                self.tap.ok(running.said_lines('permission|denied|not permitted'),
                            f'{name}: says so', running.said)
                self.tap.diag(told(running))
        SOCKET.unlink()
        name = 'a socket that accepts and says nothing'
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(SOCKET))
            server.listen()
            with self.daemon(name) as running:
                self.fine(running, name, 3, 1)
                helper = children(running.pid)
            self.tap.ok(helper and not state_of(helper[0]), f'{name}: no helper stays behind')
        SOCKET.unlink()
        SOCKET.with_name('libvirt-sock').unlink()

    @contextlib.contextmanager
    def ordinary_root(self):
        """A ksmtuned of a root for whom permissions count."""
        class Args:
            build = self.args.build
            ksmtuned = str(self.folder / 'ksmtuned-without')
        pathlib.Path(Args.ksmtuned).write_text(
            '#!/bin/sh\nexec setpriv --bounding-set=-dac_override,-dac_read_search '
            f'{self.args.ksmtuned} "$@"\n')
        os.chmod(Args.ksmtuned, 0o755)
        yield Args

    def uris(self):
        for uri in ('nonsense://x', 'qemu+unix:///system?socket=/nonexistent', 'qemu:///nowhere',
                    'qemu+unix://[::/%zz'):
            with self.daemon(f'the URI {uri}', uri) as running:
                wait_for(lambda: told(running), 5)
                self.fine(running, f'the URI {uri}', 2, 1)
                self.tap.ok(told(running), f'the URI {uri}: says what is wrong')
                self.tap.diag(told(running))

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

    # --- the helper -----------------------------------------------------------------------------

    def helper_ends(self):
        for word, end in (('killed', signal.SIGKILL), ('stopped', signal.SIGSTOP),
                          ('ended by SIGTERM', signal.SIGTERM)):
            name = f'the helper {word}'
            with self.daemon(name) as running:
                connected(running)
                first = children(running.pid)[0]
                os.kill(first, end)
                self.becomes_connected(running, f'{name}: another takes its place', 2, 10)
                self.tap.ok(state_of(first) is None, f'{name}: it has gone')
                self.fine(running, name, 0, 1)
                self.events_come(running, name)

    def fakes(self):
        """Helpers that misbehave in the same way each time."""
        for way, seconds, lines in (('rubbish', 8, 2), ('megabyte', 8, 1), ('ends', 8, 1), ('unconfined', 8, 1),
                                    ('crashes', 8, 1), ('closed', 8, 2)):
            self.fake(way, seconds, lines, f'a helper of the kind "{way}"')
        self.fake('silent', 24, 1, 'a helper that says nothing, for 24 s')

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
        worst = 0.0
        for _ in range(10):
            time.sleep(0.3)
            seen, moment = running.decisions(), time.time()
            os.kill(running.pid, signal.SIGUSR1)
            state = decided(running, lambda s, seen=seen: int(s['DECISIONS']) > seen
                            and s['TRIGGER'] == 'signal')
            worst = max(worst, latency_msec(state, moment) if state else 9999)
        took = time.monotonic() - begin
        n = running.decisions() - n - 10
        self.tap.ok(worst <= DECIDE_MSEC, f'{name}: SIGUSR1 decides within {worst:.1f} ms')
        self.tap.ok(n <= took * 2 + 2, f'{name}: {n} decisions for them in {took:.1f} s')
        self.tap.ok(use.cpu_msec() < took * 500,
                    f'{name}: {use.cpu_msec() / took / 10:.0f} % of a CPU')

    def run_without(self):
        self.no_helper()
        self.fakes()
        self.flooding()

    def run_with(self):
        self.sockets()
        self.absent()
        self.helper_ends()
        self.resting()
        self.stopped()
        self.stopped_in_the_midst()
        self.uris()
        self.counted_while_destroyed()


def main():
    args = arguments(__doc__)
    namespace.enter()
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        Suite(args, tap, folder, None).run_without()
        why = why_not() or ('' if listener(args) else 'ksmtuned-libvirt is not built')
        if why:
            tap.skip('libvirtd absent, killed, stopped; sockets; helpers killed and stopped', why)
        else:
            libvirtd = stack.enter_context(Libvirtd(folder))
            Suite(args, tap, folder, libvirtd).run_with()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
