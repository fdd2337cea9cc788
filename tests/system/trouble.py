# SPDX-License-Identifier: GPL-2.0-or-later
"""What holds for the daemon whatever its helper process and libvirtd do."""

import contextlib
import copy
import math
import os
import pathlib
import signal
import socket
import tempfile
import time

from common import kept_msec, stolen_msec, together, wait_for
from virt import Use, children, daemon, decided, latency_msec, state_of, told

# What the host holds up is not the daemon's; a disk that others write to may do so once in a while.
DECIDE_MSEC, RARELY_MSEC, RARELY = 50, 500, 1 / 8
READY_SEC = 1


class Ready:
    """Where the daemon says that it is ready."""

    def __init__(self, folder):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.path = pathlib.Path(tempfile.mkdtemp(dir=folder)) / 'notify'
        self.socket.bind(str(self.path))
        self.socket.settimeout(10)
        self.begin, self.stolen = time.monotonic(), stolen_msec()

    def after(self, pid):
        """
        Seconds from then to READY=1, without those that the host kept the daemon from a CPU; None
        where it does not come.
        """
        # A queue that nobody empties would hold the daemon up; without the socket it goes on.
        with contextlib.closing(self.socket), contextlib.suppress(TimeoutError):
            while True:
                if b'READY=1' in self.socket.recv(4096):
                    took = time.monotonic() - self.begin
                    return max(0.0, took - (kept_msec(pid) - self.stolen) / 1e3)
        return None


class Checks:
    """@folder: for what the tests leave."""

    def __init__(self, args, tap, folder):
        self.args, self.tap, self.folder = args, tap, pathlib.Path(folder)

    def beside(self, *parts):
        """Runs parts at the same time: few, for it is measured how soon the daemons decide."""
        def with_own(part):
            def run(tap):
                own = copy.copy(self)
                own.tap = tap
                part(own)
            return run
        together(self.tap, list(map(with_own, parts)), 3)

    @contextlib.contextmanager
    def daemon(self, name, *more, **options):
        """One that is ready in time."""
        ready = Ready(self.folder)
        env = {'NOTIFY_SOCKET': str(ready.path)}
        with daemon(self.args, *more, env=env, beside=True, **options) as running:
            after = ready.after(running.pid)
            self.tap.ok(after is not None and after <= READY_SEC,
                        f'{name}: READY after {99999 if after is None else after * 1000:.0f} ms', running.said)
            yield running

    def asked(self, running):
        """SIGUSR1. Returns ms until the decision, without what the host kept the daemon for."""
        n, kept = running.decisions(), kept_msec(running.pid)
        os.kill(running.pid, signal.SIGUSR1)
        begin = time.time()
        state = decided(running, lambda s: int(s['DECISIONS']) > n
                        and s['TRIGGER'] == 'signal')
        if not state:
            return 9999.0
        return max(0.0, latency_msec(state, begin) - (kept_msec(running.pid) - kept))

    def in_time(self, times, name, said):
        """All but one in eight (rounded up) within DECIDE_MSEC, and those within RARELY_MSEC."""
        late = sum(msec > DECIDE_MSEC for msec in times)
        self.tap.ok(late <= math.ceil(len(times) * RARELY) and max(times) <= RARELY_MSEC,
                    f'{name}: {len(times)} times SIGUSR1, decided within {max(times):.1f} ms, '
                    f'{late} times in more than {DECIDE_MSEC}', said)

    def fine(self, running, name, seconds=0.0, lines=None):
        """For a time: SIGUSR1 decides, nothing spins, no zombies, no flood of words."""
        use, times = Use(running.pid), []
        end = time.monotonic() + seconds
        while len(times) < 3 or time.monotonic() < end:
            times.append(self.asked(running))
            time.sleep(0.5 if seconds else 0.1)
        self.in_time(times, name, running.said)
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

    def becomes_connected(self, running, name, times, seconds=20):
        self.tap.ok(wait_for(lambda: len(running.said_lines('events come from libvirt')) >= times,
                             seconds), f'{name}: it connects', running.said)
