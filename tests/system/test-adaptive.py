#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The daemon with KSM_POLICY=adaptive on the kernel's own KSM: passes are driven and end, the CPU share
is held, batches are short, rest is rest, and what was taken is given back however it ends.
"""

import contextlib
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from common import (KSM, Mergeable, Tap, arguments, cpu_nsec, kept_msec, knob, knob_number, live_ksm,
                    need_root, processes_named, read, switches, wait_for, write)
from host import Daemon

SETTINGS = '''KSM_POLICY=adaptive
KSM_MONITOR_INTERVAL=3600
KSM_THRES_COEF=99
KSM_LIBVIRT_URI=
'''
WAKEUPS_MAX, STEP_MSEC_MAX = 15, 0.5
BATCH_MSEC_MAX = 25         # 20, by what a page costs, which two spans do not agree on
LANDING_SLEEP_MSEC, LAST_MSEC_MAX = 50, 50  # behind the last batches of a pass; up to 40
TAKEN = ('pages_to_scan', 'sleep_millisecs', 'smart_scan')
CGROUP = pathlib.Path('/sys/fs/cgroup/memory/ksmtuned-tests')


def taken():
    return tuple(knob(name) for name in TAKEN)


def ksmd_nsec():
    return cpu_nsec(processes_named('ksmd')[0])


class Suite:
    def __init__(self, args, tap, folder):
        self.args, self.tap, self.folder = args, tap, pathlib.Path(folder)

    def configure(self, extra=''):
        config = self.folder / 'ksmtuned.conf'
        config.write_text(SETTINGS + f'PIDFILE={self.folder}/pid\n' + extra)
        return ['--config', str(config)]

    def daemon(self, extra=''):
        return Daemon(self.args, options=self.configure(extra))

    @contextlib.contextmanager
    def guests(self, *mib, common_percent=25):
        guests = [Mergeable(self.args, common_percent) for _ in mib]
        try:
            for guest, size in zip(guests, mib):
                guest.grow(size)
            yield guests
        finally:
            for guest in guests:
                guest.end()

    @staticmethod
    def phase(daemon, *names, seconds=60.0):
        return wait_for(lambda: daemon.state().get('PHASE') in names, seconds, 0.02)

    # --- passes ---------------------------------------------------------------------------------

    def passes(self):
        tap, common = self.tap, 64 * 256 // 4
        with self.guests(64, 64, 64, 64) as guests, self.daemon() as daemon:
            tap.ok(self.phase(daemon, 'burst'), 'memory is short: a burst begins', daemon.said)
            # One of four keeps its page.
            tap.ok(wait_for(lambda: knob_number('pages_sharing') >= 3 * common * 0.95, 60, 0.05),
                   'it merges what the guests have in common',
                   lambda: f'{knob("pages_sharing")} of {3 * common}\n{daemon.said()}')
            tap.ok(self.phase(daemon, 'rest'), 'then it rests', daemon.state)
            state = daemon.state()
            tap.equal((knob('run'), state['RUN'], state['POLICY']), ('0', '0', 'adaptive'),
                      'at rest ksmd stands still')
            due = (int(state['PASS_DUE_USEC']) - int(state['TIME_USEC'])) / 1e6
            tap.ok(1 < due <= 3600, 'the next pass has its time', state)
            tap.ok(int(state['TIME_USEC']) < int(state['NEXT_USEC'])
                   <= int(state['PASS_DUE_USEC']) + 1e6, 'and so has the next decision', state)
            self.rest(daemon)
            self.new_guest(daemon, guests)
            tap.equal(daemon.stop(), 0, 'SIGTERM ends it with 0')
        tap.equal(taken(), ('100', '20', '1'), 'at the end the knobs read as before')

    def rest(self, daemon):
        # A guest's start is followed by some looks at the memory.
        before, cpu, ksmd = switches(daemon.pid), cpu_nsec(daemon.pid), ksmd_nsec()
        time.sleep(5)
        wakeups = switches(daemon.pid) - before
        self.tap.ok(wakeups <= 10, f'at rest: {wakeups} wakeups in 5 s, at most 10')
        # The last batch may end behind the write that stops it.
        used = (ksmd_nsec() - ksmd) / 1e6
        self.tap.ok(used < 1, f'at rest: {used:.2f} ms of CPU in ksmd')
        self.tap.diag(f'{(cpu_nsec(daemon.pid) - cpu) / 1e3:.0f} µs of CPU in the daemon')

    def new_guest(self, daemon, guests):
        # So much is worth a second pass at once, however dear a page is here. The others have no
        # more to share than 16 MiB.
        before = knob_number('pages_sharing')
        guests.append(Mergeable(self.args))
        guests[-1].grow(256)
        self.tap.ok(wait_for(lambda: knob_number('pages_sharing') >= before + 64 * 256 // 4 * 0.95,
                             60, 0.05), 'a guest that comes is merged, too',
                    lambda: f'{before} → {knob("pages_sharing")}\n{daemon.said()}\n{daemon.state()}')
        self.phase(daemon, 'rest')

    def growth(self):
        """A guest that grows is looked at each second, and what goes on so is told every 5 s."""
        with self.guests(256) as guests, self.daemon('KSM_CPU_MAX=5\n') as daemon:
            awake, begin = switches(daemon.pid), time.monotonic()
            told, phases, mib = [], [], 256
            while time.monotonic() - begin < 9:
                mib += 16
                guests[0].grow(mib)
                state = daemon.state()
                if state['DECISIONS'] not in told:
                    told.append(state['DECISIONS'])
                    phases.append(state['PHASE'])
                time.sleep(0.2)
            awake = switches(daemon.pid) - awake
            changes = sum(a != b for a, b in zip(phases, phases[1:]))
            self.tap.ok(awake >= 7 and len(told) <= changes + 3,
                        f'a guest grows: {awake} wakeups in 9 s, {len(told)} of them told',
                        lambda: f'{phases}\n{daemon.said()}')

    # --- how hard -------------------------------------------------------------------------------

    def shares(self):
        """Pages that have no equal are the dearest: a long burst."""
        tap = self.tap
        for percent, mib in ((20, 512), (50, 512), (80, 768), (100, 1024)):
            with self.guests(mib, mib, common_percent=2), \
                    self.daemon(f'KSM_CPU_MAX={percent}\n') as daemon:
                self.phase(daemon, 'burst')
                awake = switches(daemon.pid), cpu_nsec(daemon.pid), time.monotonic()
                share, left, waits, batches, last = self.measure(daemon)
                self.own(daemon, percent, *awake)
                self.held(daemon, percent, share, left)
                tap.ok(batches and max(batches) <= BATCH_MSEC_MAX,
                       f'KSM_CPU_MAX={percent}: a batch takes {max(batches or [99]):.1f} ms of CPU at '
                       f'most, at most {BATCH_MSEC_MAX}', batches)
                tap.ok(max(last or [0]) <= LAST_MSEC_MAX,
                       f'KSM_CPU_MAX={percent}: the last one of a pass {max(last or [0]):.1f} ms, at '
                       f'most {LAST_MSEC_MAX}', last)
                self.waits(percent, waits)
                daemon.stop()
            write(KSM / 'run', 2)
            write(KSM / 'run', 0)

    def held(self, daemon, percent, share, left):
        name = f'KSM_CPU_MAX={percent}: ksmd takes {share or -1:.1f} % of a CPU'
        if left is None and share and share <= percent * 1.2:
            self.tap.skip(name, 'the host kept it from a CPU half of the time')
            return
        self.tap.ok(share and share <= percent * 1.2 and (left or 0) >= percent * 0.8,
                    f'{name}, {left or -1:.1f} % of what the host leaves it', daemon.said)

    def waits(self, percent, waits):
        """
        Without a sleep between its batches ksmd takes the lock again before who waits for it wakes:
        the kernel hands it over after some batches, which depends on what else runs.
        """
        text = (f'KSM_CPU_MAX={percent}: a write to run waits for {max(waits or [0]):.0f} ms at most, '
                f'{statistics.median(waits or [99]):.0f} ms in the median')
        if percent == 100:
            self.tap.diag(text)
        else:
            self.tap.ok(waits and statistics.median(waits) <= 25, f'{text}, of which at most 25', waits)

    def own(self, daemon, percent, wakeups, nsec, begin):
        """What driving ksmd costs. Noise is no more than a few times the 0.1 ms of a step."""
        wakeups, took = switches(daemon.pid) - wakeups, time.monotonic() - begin
        msec = (cpu_nsec(daemon.pid) - nsec) / 1e6
        self.tap.ok(wakeups <= WAKEUPS_MAX * took + 10,
                    f'KSM_CPU_MAX={percent}: {wakeups} wakeups of the daemon in {took:.1f} s, at '
                    f'most {WAKEUPS_MAX} a second')
        self.tap.ok(msec <= STEP_MSEC_MAX * wakeups + 2,
                    f'KSM_CPU_MAX={percent}: {msec:.2f} ms of CPU in the daemon, '
                    f'{msec * 1000 / max(wakeups, 1):.0f} µs a wakeup, at most '
                    f'{STEP_MSEC_MAX * 1000:.0f}')

    @staticmethod
    def measure(daemon):
        """
        The share, and that of the time in which the host does not keep ksmd from a CPU (None where
        that is less than half of it), from a second after the burst's begin until ksmd is slowed down to stop where the pass ends; ms that writes waited; ms of CPU of the batches, by what a page has cost.
        """
        waits, batches, last, share, left = [], [], [], None, None
        time.sleep(0.5)
        ksmd, = processes_named('ksmd')
        kept = kept_msec(ksmd)
        begin, cpu, pages = time.monotonic(), ksmd_nsec(), knob_number('pages_scanned')
        while knob('run') == '1' and time.monotonic() - begin < 12:
            batch, sleep = knob_number('pages_to_scan'), knob_number('sleep_millisecs')
            now, used, scanned = time.monotonic(), ksmd_nsec(), knob_number('pages_scanned')
            # The accounts of CPU time and pages are not written at the same moments.
            if scanned > pages and now - begin > 0.05:
                (last if sleep == LANDING_SLEEP_MSEC else batches).append(
                    batch * (used - cpu) / 1e6 / (scanned - pages))
            if sleep == LANDING_SLEEP_MSEC:
                time.sleep(0.02)
                continue
            if now - begin > 1:
                share = (used - cpu) / 1e7 / (now - begin)
                lets = now - begin - (kept_msec(ksmd) - kept) / 1e3
                left = (used - cpu) / 1e7 / lets if lets > (now - begin) / 2 else None
            # A value that stands there already waits for the batch as any other, and changes
            # nothing.
            at = time.monotonic()
            if knob('run') == '1':
                write(KSM / 'run', 1)
            waits.append((time.monotonic() - at) * 1000)
            time.sleep(0.1)
        return share, left, waits, batches, last

    # --- words from outside -----------------------------------------------------------------------

    def asked(self):
        with self.guests(32, 32), self.daemon() as daemon:
            self.phase(daemon, 'rest')
            daemon.retune()
            self.tap.equal(daemon.state().get('TRIGGER'), 'signal', 'SIGUSR1 decides')
            with contextlib.suppress(OSError):
                self.pressure(daemon)

    def pressure(self, daemon):
        name = 'tasks that wait for memory make it decide'
        if not os.path.exists('/proc/pressure/memory'):
            self.tap.skip(name, 'this kernel has no PSI')
            return
        if not CGROUP.parent.is_dir():
            self.tap.skip(name, 'no memory cgroup of the first version, to make pressure in')
            return
        CGROUP.mkdir(exist_ok=True)
        try:
            (CGROUP / 'memory.limit_in_bytes').write_text('32M')
            stalled = read('/proc/pressure/memory')
            with tempfile.TemporaryDirectory(dir='/var/tmp') as folder:
                process = subprocess.Popen(
                    ['sh', '-c', f'echo $$ >{CGROUP}/cgroup.procs; while :; do '
                     f'dd if=/dev/zero of={folder}/file bs=1M count=300 2>/dev/null; done'],
                    start_new_session=True)
                try:
                    came = wait_for(lambda: daemon.state().get('TRIGGER') == 'pressure', 20)
                finally:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            if not came and not self.stalled(stalled):
                self.tap.skip(name, 'no pressure could be made')
            else:
                self.tap.ok(came, name, lambda: f'{stalled}\n{read("/proc/pressure/memory")}\n'
                            f'{daemon.said()}')
        finally:
            wait_for(lambda: not (CGROUP / 'cgroup.procs').read_text().strip(), 5)
            CGROUP.rmdir()

    @staticmethod
    def stalled(before):
        def total(text):
            return int(text.split('total=')[1].split()[0])
        return total(read('/proc/pressure/memory')) - total(before) > 2000000

    # --- giving back ------------------------------------------------------------------------------

    def give_back(self):
        tap = self.tap
        write(KSM / 'sleep_millisecs', 33)
        write(KSM / 'pages_to_scan', 123)
        with self.guests(256, 256, common_percent=2):
            with self.daemon() as daemon:
                self.phase(daemon, 'burst')
                tap.ok(taken() != ('123', '33', '1'), 'in a burst the knobs are its own')
                daemon.process.kill()
                daemon.process.wait()
            tap.equal(self.daemon_gives_back(), (0, ''), 'killed: --give-back succeeds')
            tap.equal(taken(), ('123', '33', '1'), 'and the knobs read as before')
            write(KSM / 'pages_to_scan', 321)
            self.daemon_gives_back()
            tap.equal(knob('pages_to_scan'), '321', 'once: a second time it leaves all alone')

            with self.daemon() as daemon:
                self.phase(daemon, 'burst')
                status, said = self.daemon_gives_back()
                tap.ok(status == 1 and f'runs as PID {daemon.pid}' in said,
                       'while it runs nothing is given back behind its back', said)
                daemon.process.kill()
                daemon.process.wait()
            # No --give-back in between: the next one inherits it.
            with self.daemon() as daemon:
                self.phase(daemon, 'burst', 'rest')
                daemon.stop()
            tap.equal(taken(), ('321', '33', '1'), 'killed and started again: as before the first')

            with self.daemon() as daemon:
                self.phase(daemon, 'burst')
                self.configure('KSM_POLICY=classic\n')
                daemon.process.send_signal(signal.SIGHUP)
                wait_for(lambda: daemon.state().get('POLICY') == 'classic', 5)
                tap.equal((daemon.state().get('POLICY'), knob('smart_scan'), knob('run')),
                          ('classic', '1', '1'), 'reloaded as classic: smart_scan is given back, '
                          'classic decides')
                daemon.stop()

    def daemon_gives_back(self):
        answer = subprocess.run([self.args.ksmtuned, '--give-back'], capture_output=True, text=True,
                                check=False)
        return answer.returncode, answer.stderr

    def advisor(self):
        tap = self.tap
        write(KSM / 'run', 0)
        if not (KSM / 'advisor_mode').exists():
            tap.skip('the advisor is given back', 'this kernel has no advisor')
            return
        write(KSM / 'advisor_mode', 'scan-time')
        with self.guests(64, 64), self.daemon() as daemon:
            self.phase(daemon, 'burst', 'rest')
            tap.ok(knob('advisor_mode').startswith('[none]'), 'the advisor is switched off',
                   daemon.said)
            daemon.process.kill()
            daemon.process.wait()
            self.daemon_gives_back()
            tap.ok('[scan-time]' in knob('advisor_mode'), 'killed: the advisor is given back')


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix='ksmtuned-adaptive-') as folder, live_ksm():
        suite = Suite(args, tap, folder)
        for part in (suite.passes, suite.growth, suite.shares, suite.asked, suite.give_back,
                     suite.advisor):
            part()
            write(KSM / 'run', 2)
            write(KSM / 'run', 0)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
