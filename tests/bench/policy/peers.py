# SPDX-License-Identifier: GPL-2.0-or-later
"""The policies that are measured: ours, the original script, fixed knobs, the kernel's advisor."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import fleet
from machine import KSM, read, wait_for, write
from common import Mergeable, unpacked_package  # noqa: E402 (machine has set the path)
from host import Daemon  # noqa: E402

# The original decides for the first time an interval after its start. A fleet that starts at any
# moment of the interval waits half of it, in the mean: so it is asked once at this moment, and
# goes on by its interval from there.
ORIGINAL_FIRST_SEC = 30

# What its pages_to_scan grows to where memory stays short.
ORIGINAL_MOST_PAGES = 1250
WARM_ASKS = 20

# «Forced on»: memory is short whenever less than so much of it is free, in per cent.
FORCED = 'KSM_THRES_COEF=99\n'


class Peer:
    """
    A policy. It is started LEAD_SEC before the load, on a host at rest: what it learns or works its
    way up to on a host that is full it has not, unless its start() sees to that.
    """

    def __init__(self, name, title):
        self.name, self.title = name, title
        self.kind = 'mixed'  # of the load

    def why_not(self, bench):
        """Why it cannot be measured here, or ''."""
        return ''

    def start(self, bench):
        raise NotImplementedError

    def tick(self, seconds):
        """Called at each sample."""

    def alive(self):
        return True

    def stop(self):
        pass


class Fixed(Peer):
    def __init__(self, name, title, pages_to_scan, sleep_msec, smart_scan=1):
        super().__init__(name, title)
        self.knobs = {'pages_to_scan': pages_to_scan, 'sleep_millisecs': sleep_msec,
                      'smart_scan': smart_scan, 'run': 1}

    def start(self, bench):
        for name, value in self.knobs.items():
            write(KSM / name, value)


class Advisor(Peer):
    """
    Turned on, it forgets its last scan; the CPU time that its first scan seems to have cost is then
    all that ksmd has ever used, and so it scans next to nothing in the scan behind that one. One
    scan later it knows. Primed: it has scanned a guest of 1 MiB five times, and is at its maximum.
    """

    def __init__(self, primed):
        super().__init__('advisor-primed' if primed else 'advisor-fresh',
                         f'kernel\'s advisor, {"primed" if primed else "just turned on"}')
        self.primed = primed

    def why_not(self, bench):
        return '' if (KSM / 'advisor_mode').exists() else 'this kernel\'s KSM has no advisor'

    def start(self, bench):
        write(KSM / 'advisor_mode', 'scan-time')
        write(KSM / 'run', 1)
        if not self.primed:
            return
        guest = Mergeable(bench.args)
        try:
            guest.grow(1)
            start = int(read(KSM / 'full_scans'))
            wait_for(lambda: int(read(KSM / 'full_scans')) >= start + 5, 30, 0.1)
        finally:
            guest.end()

    def stop(self):
        write(KSM / 'advisor_mode', 'none')


class Original(Peer):
    """
    The script as Debian ships it, with its configuration and pidfile in a folder of ours. Warm, it
    is at its maximum before the load starts, as where memory has been short for minutes. Full, it
    is what the kernels before smart_scan make of it: every pass looks at every page.
    """

    def __init__(self, forced, warm=False, full=False):
        super().__init__(('original-warm' if warm else fleet.FULL if full else
                          'original-forced' if forced else 'original'),
                         ('original, forced on, warm' if warm else
                          'original, forced on, smart_scan=0' if full else
                          f'original, {"forced on" if forced else "its thresholds"}'))
        self.config, self.warm, self.full = FORCED if forced else '', warm, full
        self.pid, self.asked, self.first = None, False, ORIGINAL_FIRST_SEC

    def why_not(self, bench):
        for program in ('bash', 'pgrep', 'ps', 'awk'):
            if not shutil.which(program):
                return f'{program} is not here'
        package, why = unpacked_package('ksmtuned')
        if package and not read(package / 'usr/sbin/ksmtuned', '').startswith('#!/bin/bash'):
            why = f'{package} does not hold the original script'
        return why

    def start(self, bench):
        package, _ = unpacked_package('ksmtuned')
        folder = bench.folder
        if self.full:
            write(KSM / 'smart_scan', 0)
        (folder / 'original.conf').write_text(self.config + f'PIDFILE={folder}/original.pid\n')
        (folder / 'original').write_text(read(package / 'usr/sbin/ksmtuned').replace(
            '/etc/ksmtuned.conf', f'{folder}/original.conf'))
        with contextlib.suppress(FileNotFoundError):
            (folder / 'original.pid').unlink()
        bench.machine.policy.spawn('bash', folder / 'original').wait()
        self.pid = int(wait_for(lambda: read(folder / 'original.pid', '').strip(), 5))
        # The smoke run is over before the first decision would be due.
        self.first = min(ORIGINAL_FIRST_SEC, bench.form.event / 8)
        self.asked = self.warm
        if self.warm:
            # Before it first sleeps, a signal would end it.
            wait_for(lambda: read(f'/proc/{self.pid}/task/{self.pid}/children', '').strip(), 1)
            warm_up(self._ask, lambda: int(read(KSM / 'pages_to_scan')))

    def _ask(self):
        os.kill(self.pid, signal.SIGUSR1)

    def tick(self, seconds):
        if not self.asked and seconds >= self.first:
            self.asked = True
            self._ask()

    def alive(self):
        return os.path.exists(f'/proc/{self.pid}')


def warm_up(ask, rate, seconds=1.0):
    """
    The original decides as often as it takes to get to its maximum. Each decision is waited for, as
    a signal that comes in the midst of one is lost.
    """
    for _ in range(WARM_ASKS):
        before = rate()
        if before == ORIGINAL_MOST_PAGES:
            return
        ask()
        wait_for(lambda: rate() != before, seconds)
        time.sleep(seconds / 10)
    raise RuntimeError(f'the original is at {rate()} pages, and not at {ORIGINAL_MOST_PAGES}')


class Ours(Peer):
    def __init__(self, name, title, policy, config='', kind='mixed'):
        super().__init__(name, title)
        self.kind = kind
        self.config = (f'KSM_POLICY={policy}\nPIDFILE=\nLOGFILE=\nDEBUG=0\nKSM_LIBVIRT_URI=\n'
                       f'{config}')
        self.daemon = None

    def config_path(self, bench):
        lines = self.config
        if 'KSM_THRES_COEF' not in lines and not bench.form.ballast:
            # Without ballast memory is never short by the shipped threshold.
            lines += FORCED
        path = bench.folder / f'{self.name}.conf'
        path.write_text(lines)
        return str(path)

    def why_not(self, bench):
        answer = subprocess.run([bench.args.ksmtuned, '--check-config', '--config',
                                 self.config_path(bench)], capture_output=True, text=True,
                                check=False)
        return '' if answer.returncode == 0 else (answer.stderr or answer.stdout).strip()

    def start(self, bench):
        # In its own view of the host the load's program is installed where such programs are, so
        # that its starts are noticed like any guest's; and its state is nobody else's.
        mounts = '\n'.join(['mount -t tmpfs none /run',
                            f'mount --bind {bench.programs} /usr/local/sbin',
                            f'echo 0 > {bench.machine.policy.path}/cgroup.procs'])
        self.daemon = Daemon(bench.args, options=['--config', self.config_path(bench)],
                             mounts=mounts)
        time.sleep(0.1)

    def alive(self):
        return self.daemon.alive()

    def stop(self):
        if self.daemon:
            self.daemon.stop()


def all_peers():
    """By name, in the order in which tables have them."""
    peers = [
        Fixed('oracle', 'all that can be had (smart_scan=0, no rest)', 4000, 0, smart_scan=0),
        Original(False), Original(True), Original(True, warm=True), Original(True, full=True),
        Ours('classic', 'ours, classic', 'classic'),
        Ours('classic-forced', 'ours, classic, forced on', 'classic', FORCED),
        Fixed('fixed-100-20', 'fixed 100/20', 100, 20),
        Fixed('fixed-1250-10', 'fixed 1250/10', 1250, 10),
        Fixed('fixed-9000-20', 'fixed 9000/20', 9000, 20),
        Advisor(False), Advisor(True),
        Ours('adaptive', 'ours, adaptive', 'adaptive'),
        Ours('adaptive-cpu25', 'ours, adaptive, KSM_CPU_MAX=25', 'adaptive', 'KSM_CPU_MAX=25\n'),
        Ours('adaptive-plenty', 'ours, adaptive, memory plentiful', 'adaptive',
             'KSM_THRES_COEF=1\n'),
        Ours(fleet.UNMERGEABLE, 'ours, adaptive, nothing merges', 'adaptive', kind='unique'),
    ]
    return {peer.name: peer for peer in peers}
