# SPDX-License-Identifier: GPL-2.0-or-later
"""What a decision costs: ours, the original's, and the least that it could."""

import contextlib
import os
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'system'))

from common import alone, cpu_nsec, helper, read, switches, unpacked_package  # noqa: E402,F401
from host import Daemon  # noqa: E402

# All is the real host, but for where the daemon would leave its state; no knob is written.
MOUNTS = 'mount -t tmpfs none /run'

# A tenth of all PIDs in turn is looked at in each decision, so measure whole cycles.
CYCLE = 10

# Longer than the time over which requests to decide are gathered to one.
PAUSE_SEC = 0.06


@contextlib.contextmanager
def crowd(args, processes, guests, awake_msec=0):
    """PROCESSES that are idle, or wake up that often, and GUESTS; gives the guests' PIDs."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-crowd-') as folder:
        for name in ('idle', 'qemu-system-x86_64'):
            shutil.copy(helper(args, 'crowd'), f'{folder}/{name}')
        process = subprocess.Popen(
            [helper(args, 'crowd'), f'{folder}/idle', str(processes), str(awake_msec),
             f'{folder}/qemu-system-x86_64', str(guests)], stdout=subprocess.PIPE, text=True)
        try:
            pids = []
            while line := process.stdout.readline().strip():
                pids.append(int(line))
            if len(pids) != guests or process.poll() is not None:
                raise RuntimeError(f'{processes} processes and {guests} guests could not be started')
            # Let them become idle.
            time.sleep(1)
            yield pids
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
            deadline = time.monotonic() + 60
            while any(os.path.exists(f'/proc/{pid}') for pid in pids) \
                    and time.monotonic() < deadline:
                time.sleep(0.05)


@contextlib.contextmanager
def daemon(args, interval='86400', more=''):
    """@more: further lines of its configuration."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-bench-') as folder:
        config = pathlib.Path(folder) / 'ksmtuned.conf'
        config.write_text(f'KSM_MONITOR_INTERVAL={interval}\nPIDFILE=\n{more}')
        with Daemon(args, options=['--dry-run', '--config', str(config)], mounts=MOUNTS) as running:
            yield running


def decide(running, times, pause=PAUSE_SEC):
    """Drives decisions; returns the CPU time of one, in µs."""
    before, decisions = cpu_nsec(running.pid), running.decisions()
    for _ in range(times):
        running.retune()
        time.sleep(pause)
    return (cpu_nsec(running.pid) - before) / (running.decisions() - decisions) / 1000


def floor(args, pids, times, pause=PAUSE_SEC):
    """CPU time in µs of listing /proc once and reading one file of each guest."""
    answer = subprocess.run([helper(args, 'floor'), str(times), str(round(pause * 1000))],
                            input='\n'.join(map(str, pids)), capture_output=True, text=True,
                            check=True)
    return int(answer.stdout) / 1000


class Original:
    """The original's own function `adjust`, with the knobs left alone."""

    def __init__(self, folder):
        package, why = unpacked_package('ksmtuned')
        if package and not shutil.which('pgrep'):
            package, why = None, 'pgrep is not here'
        self.why = why
        self.script = None
        if package:
            text = read(package / 'usr/sbin/ksmtuned')
            functions = text[:text.index('PIDFILE=')].replace('/etc/ksmtuned.conf', '/nonexistent')
            self.script = pathlib.Path(folder) / 'original.sh'
            self.script.write_text(functions + '\nKSMCTL () { :; }\n'
                                   'for ((i = 0; i < $1; i++)); do adjust; done\ntrue\n')

    def _cpu(self, times):
        def used():
            usage = resource.getrusage(resource.RUSAGE_CHILDREN)
            return usage.ru_utime + usage.ru_stime
        before = used()
        subprocess.run(['bash', self.script, str(times)], check=True, stdin=subprocess.DEVNULL)
        return used() - before

    def decide(self, times):
        """CPU time of one decision in µs, its children's included, its start not."""
        return (self._cpu(times) - self._cpu(0)) / times * 1e6


class Figures:
    """Repeated figures of one thing: median and range."""

    def __init__(self):
        self.values = []

    def add(self, value):
        self.values.append(value)

    @property
    def median(self):
        return statistics.median(self.values)

    def __str__(self):
        if not self.values:
            return '-'
        return f'{self.median:.0f} ({min(self.values):.0f}–{max(self.values):.0f})'


def memory_kb(pid):
    """RssAnon and Pss."""
    anonymous = re.search(r'^RssAnon:\s+(\d+)', read(f'/proc/{pid}/status'), re.M)
    shared = re.search(r'^Pss:\s+(\d+)', read(f'/proc/{pid}/smaps_rollup'), re.M)
    return int(anonymous[1]), int(shared[1])


def wakeups_per_interval(args, intervals=20, interval=0.5):
    """How often the daemon goes to sleep again for each interval; and its CPU time each, in µs."""
    with daemon(args, str(interval)) as running:
        def rest():
            # From behind a decision to behind a later one.
            running.wait_decisions(1)
            time.sleep(interval / 4)
            return switches(running.pid), running.decisions(), cpu_nsec(running.pid)
        running.wait_decisions(2)
        first = rest()
        running.wait_decisions(intervals - 1, intervals * interval * 2)
        last = rest()
    n = last[1] - first[1]
    return (last[0] - first[0]) / n, (last[2] - first[2]) / n / 1000, n
