#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Bad input and faults, each really made to happen: nothing of it ends the daemon, wedges it or makes
it spin, and each is told once.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

from common import (Tap, arguments, cpu_nsec, for_everyone, need_root, read, together,
                    wait_for)
from host import Daemon, Host

NOBODY = 65534
BINARY = bytes(range(256)) * 8
PLENTY, SHORT = 12000000, 1000000  # kB free of 16 GiB


@contextlib.contextmanager
def made_up_host(**figures):
    host = Host(**figures)
    try:
        yield host
    finally:
        host.remove()


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = folder

    @contextlib.contextmanager
    def daemon(self, host, config='KSM_MONITOR_INTERVAL=60\n', **more):
        host.config(config)
        with Daemon(self.args, host.path, **more) as daemon:
            yield daemon

    def lives(self, daemon, name, seconds=1.0, cpu_share=0.2):
        """It is there, and does not spin."""
        before = cpu_nsec(daemon.pid)
        time.sleep(seconds)
        alive = daemon.alive()
        used = (cpu_nsec(daemon.pid) - before) / 1e9 if alive else 0
        self.tap.ok(alive and used < seconds * cpu_share,
                    f'{name}: the daemon lives and does not spin ({used * 1000:.0f} ms of CPU in '
                    f'{seconds:g} s)', daemon.said)

    def says_once(self, daemon, pattern, name, at_most=1):
        lines = daemon.said_lines(pattern)
        self.tap.ok(1 <= len(lines) <= at_most, f'{name}: says {"once" if at_most == 1 else "so"}'
                    f' what is wrong ({len(lines)} line{"s" * (len(lines) != 1)})', daemon.said)
        if lines:
            self.tap.diag(lines[0])

    # --- configuration ----------------------------------------------------------------------

    def bad_files(self):
        """Name, how the file comes to be, what is said of it."""
        def text(value):
            return lambda path: path.write_bytes(value if isinstance(value, bytes)
                                                 else value.encode())
        return (('a binary file', text(BINARY), 12),
                ('interval 0', text('DEBUG=0\nKSM_MONITOR_INTERVAL=0\n'), 1),
                ('interval abc', text('DEBUG=0\nKSM_MONITOR_INTERVAL=abc\n'), 1),
                ('a folder for a file', lambda path: path.mkdir(), 1),
                ('a line of 5 KiB', text('DEBUG=' + 'x' * 5000 + '\n'), 1))

    @staticmethod
    def place(host, make):
        path = host.path / 'etc/ksmtuned.conf'
        if path.is_dir():
            path.rmdir()
        path.unlink(missing_ok=True)
        make(path)

    def bad_file_at_start(self):
        for name, make, at_most in self.bad_files():
            with made_up_host(free_kb=SHORT) as host:
                self.place(host, make)
                daemon = Daemon(self.args, host.path, wait=False)
                status = daemon.process.wait(10)
                self.tap.equal(status, 78, f'{name} at start: ends with 78')
                self.says_once(daemon, r'ksmtuned\.conf', f'{name} at start', at_most)
                self.tap.equal(host.knob('run'), '0', f'{name} at start: no knob is written')

    def unreadable_file_at_start(self):
        with made_up_host() as host:
            (host.path / 'etc/ksmtuned.conf').chmod(0)
            subprocess.run(['chown', '-R', str(NOBODY), host.path / 'run'], check=True)
            daemon = Daemon(self.nobodys_args(), host.path, user=NOBODY, wait=False)
            self.tap.equal(daemon.process.wait(10), 78, 'an unreadable file at start: ends with 78')
            self.says_once(daemon, r'ksmtuned\.conf', 'an unreadable file at start')

    def nobodys_args(self):
        class Args:
            ksmtuned = for_everyone(self.args.ksmtuned, self.folder)
        return Args

    def bad_file_at_reload(self):
        good = 'KSM_MONITOR_INTERVAL=0.1\nKSM_THRES_COEF={}\n'
        with made_up_host() as host, self.daemon(host, good.format(30)) as daemon:
            def threshold():
                return daemon.number('THRESHOLD_KB') * 100 // host.total_kb + 1

            for name, make, at_most in self.bad_files():
                self.place(host, make)
                said = len(daemon.said_lines(r'ksmtuned\.conf'))
                os.kill(daemon.pid, signal.SIGHUP)
                wait_for(lambda: len(daemon.said_lines(r'ksmtuned\.conf')) > said, 5)
                decided = daemon.wait_decisions(5)
                lines = len(daemon.said_lines(r'ksmtuned\.conf')) - said
                self.tap.ok(decided and threshold() == 30,
                            f'{name} at reload: the old configuration stays', daemon.state())
                self.tap.ok(1 <= lines <= at_most + 1, f'{name} at reload: told once',
                            f'{lines} lines\n{daemon.said()}')
            self.lives(daemon, 'after bad files')
            self.place(host, lambda path: path.write_text(good.format(40)))
            os.kill(daemon.pid, signal.SIGHUP)
            self.tap.ok(wait_for(lambda: threshold() == 40, 5), 'a good file is taken up again')
            self.place(host, lambda path: None)
            os.kill(daemon.pid, signal.SIGHUP)
            self.tap.ok(wait_for(lambda: threshold() == 20, 5),
                        'a file that is gone at reload: the defaults', daemon.state())

    def odd_files(self):
        """What is applied as written, with a warning, or is nothing to complain of."""
        quick = 'KSM_MONITOR_INTERVAL=0.1\n'
        for name, text, pattern, run in (
                ('an empty file', '', None, '0'),
                ('no file', None, None, '0'),
                ('MIN above MAX', quick + 'KSM_NPAGES_MIN=5000\nKSM_NPAGES_MAX=100\n',
                 'KSM_NPAGES_M', '0'),
                ('COEF 0', quick + 'KSM_THRES_COEF=0\n', 'KSM_THRES_COEF', '0'),
                ('COEF 101', quick + 'KSM_THRES_COEF=101\n', 'KSM_THRES_COEF', '1'),
                ('a threshold over the total', quick + 'KSM_THRES_CONST=99999999\n', 'threshold',
                 '1'),
                ('an unknown key', quick + 'KSM_THRESH_COEF=3\n', 'KSM_THRES_COEF', '0')):
            with made_up_host(free_kb=PLENTY) as host:
                path = host.path / 'etc/ksmtuned.conf'
                path.unlink()
                if text is not None:
                    path.write_text(text)
                with Daemon(self.args, host.path) as daemon:
                    if text:
                        daemon.wait_decisions(10)
                    else:
                        daemon.retune()
                    self.tap.equal(host.knob('run'), run, f'{name}: decides, run={run}')
                    if pattern:
                        # The lines that tell what KSM does now are none that complain.
                        lines = [line for line in daemon.said_lines(pattern)
                                 if 'ksmtuned.conf' in line or 'MemTotal' in line]
                        self.tap.equal(len(lines), 1,
                                       f'{name}: says once what is wrong')
                        self.tap.diag('\n'.join(lines) or daemon.said())
                    else:
                        self.tap.equal(daemon.said_lines(r'ksmtuned\.conf'), [],
                                       f'{name}: no word of it')
                    self.lives(daemon, name, 0.5)
                    self.tap.equal(daemon.stop(), 0, f'{name}: ends with 0')

    # --- the host ---------------------------------------------------------------------------

    def bad_memory(self):
        zero = 'MemTotal:  0 kB\nMemFree:  0 kB\nBuffers: 0 kB\nCached: 0 kB\n'
        for name, text in (('a total of 0', zero), ('an empty meminfo', ''), ('no meminfo', None),
                           ('a meminfo of rubbish', BINARY.decode('latin-1')),
                           ('a negative total', zero.replace('0', '-5', 1)),
                           ('a total of 30 digits', zero.replace('0', '9' * 30, 1))):
            with made_up_host() as host, \
                    self.daemon(host, 'KSM_MONITOR_INTERVAL=0.1\n') as daemon:
                path = host.path / 'proc/meminfo'
                path.unlink()
                if text is not None:
                    path.write_text(text, encoding='latin-1')
                knobs = host.knob('pages_to_scan'), host.knob('run')
                said = len(daemon.said().splitlines())
                self.lives(daemon, f'{name} under way')
                lines = daemon.said().splitlines()[said:]
                self.tap.ok(len(lines) == 1, f'{name} under way: says once what is wrong',
                            '\n'.join(lines))
                self.tap.equal((host.knob('pages_to_scan'), host.knob('run')), knobs,
                               f'{name} under way: no knob is written')
                host.memory(SHORT)
                self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5),
                            f'{name} under way: afterwards it decides again', daemon.said)
        with made_up_host() as host:
            (host.path / 'proc/meminfo').write_text(zero)
            host.config('KSM_MONITOR_INTERVAL=0.1\n')
            with Daemon(self.args, host.path, wait=False) as daemon:
                self.lives(daemon, 'a total of 0 at start')
                host.memory(SHORT)
                self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5),
                            'a total of 0 at start: afterwards it decides', daemon.said)

    def no_ksm(self):
        with made_up_host() as host:
            subprocess.run(['rm', '-r', host.path / 'sys/kernel/mm/ksm'], check=True)
            daemon = Daemon(self.args, host.path, wait=False)
            self.tap.equal(daemon.process.wait(5), 1, 'a kernel without KSM: ends with 1')
            self.tap.equal(len(daemon.said().splitlines()), 1, 'a kernel without KSM: in one line')
            self.tap.diag(daemon.said())

    def bad_knobs(self):
        def gone(path):
            path.unlink()

        def folder(path):
            path.unlink()
            path.mkdir()

        def rubbish(path):
            path.write_bytes(BINARY)

        for knob in ('pages_to_scan', 'sleep_millisecs', 'run'):
            for name, spoil in (('gone', gone), ('a folder', folder), ('rubbish', rubbish)):
                with made_up_host() as host, \
                        self.daemon(host, 'KSM_MONITOR_INTERVAL=0.1\n') as daemon:
                    spoil(host.knob_path(knob))
                    host.memory(SHORT)
                    self.knob_checks(host, daemon, f'{knob} is {name}', knob)
                    path = host.knob_path(knob)
                    if path.is_dir():
                        path.rmdir()
                    host.set_knob(knob, 0)
                    self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5),
                                f'{knob} is {name}: back again, it is written', daemon.said)

    def knob_checks(self, host, daemon, name, knob):
        self.lives(daemon, name)
        self.says_once(daemon, knob, name)
        if knob != 'run':
            self.tap.equal(host.knob('run'), '0', f'{name}: a start that fails starts nothing')

    def somebody_unmerges(self):
        """run is 2 and pages are shared: the kernel would let every write wait."""
        tap = self.tap
        for policy in ('classic', 'adaptive'):
            with made_up_host(free_kb=SHORT) as host:
                host.set_knob('run', 2)
                host.set_knob('pages_shared', 7)
                config = f'KSM_MONITOR_INTERVAL=0.1\nKSM_POLICY={policy}\nKSM_THRES_COEF=100\n'
                with self.daemon(host, config) as daemon:
                    daemon.wait_decisions(5)
                    tap.equal((host.knob('run'), host.knob('pages_to_scan')), ('2', '100'),
                              f'{policy}: while somebody unmerges no knob is written')
                    self.says_once(daemon, 'somebody unmerges', f'{policy}: somebody unmerges')
                    host.set_knob('pages_shared', 0)
                    tap.ok(wait_for(lambda: host.knob('run') == '1', 10),
                           f'{policy}: and when it is over they are', host.knob('run'))
                    self.says_once(daemon, 'the unmerge is over', f'{policy}: it is over')
                    tap.equal(daemon.said_lines('somebody else'), [],
                              f'{policy}: and that was no foreign hand')

    def forbidden_knobs(self):
        def forbid(path):
            os.chown(path, 0, 0)
            path.chmod(0o644)

        args = self.nobodys_args()
        for knob in ('pages_to_scan', 'sleep_millisecs', 'run'):
            name = f'{knob} may not be written'
            with self.nobodys_host() as host:
                with Daemon(args, host.path, user=NOBODY) as daemon:
                    forbid(host.knob_path(knob))
                    host.memory(SHORT)
                    self.knob_checks(host, daemon, name, knob)
                    # Each decision tries again, and may be met in the midst of it.
                    knobs = ('pages_to_scan', 'sleep_millisecs', 'run')
                    wait_for(lambda: [host.knob(k) for k in knobs] == ['100', '20', '0'], 1, 0.001)
                    self.tap.equal([host.knob(k) for k in knobs], ['100', '20', '0'],
                                   f'{name}: the others are put back')
        with self.nobodys_host() as host:
            forbid(host.knob_path('run'))
            daemon = Daemon(args, host.path, user=NOBODY, wait=False)
            self.tap.equal(daemon.process.wait(5), 1, 'without rights: ends with 1')
            self.tap.equal(len(daemon.said().splitlines()), 1, 'without rights: in one line')
            self.tap.diag(daemon.said())

    @contextlib.contextmanager
    def nobodys_host(self):
        with made_up_host() as host:
            host.config('KSM_MONITOR_INTERVAL=0.1\n')
            subprocess.run(['chown', '-R', str(NOBODY), host.path], check=True)
            yield host

    # --- disks -------------------------------------------------------------------------------

    @staticmethod
    def decided(host):
        return read(host.log, '').count('committed ')

    def state_folder(self):
        for name, mount in (
                ('read-only', 'mount -t tmpfs none "$d"; mount -o remount,ro "$d"'),
                ('full', 'mount -t tmpfs -o size=8k none "$d"; cat /dev/zero > "$d/x" || true')):
            with made_up_host() as host:
                (host.path / 'run/ksmtuned').mkdir()
                host.config('KSM_MONITOR_INTERVAL=0.1\nDEBUG=1\nPIDFILE=/var/run/pid\n')
                with Daemon(self.args, host.path, wait=False,
                            mounts=f'd={host.path}/run/ksmtuned; ({mount}) 2>&-') as daemon:
                    wait_for(lambda: self.decided(host) > 2, 5)
                    host.memory(SHORT)
                    self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5),
                                f'a {name} state folder: tuning goes on', daemon.said)
                    self.lives(daemon, f'a {name} state folder')
                    self.says_once(daemon, 'ksmtuned/state', f'a {name} state folder')
                    self.says_once(daemon, 'ksmtuned/guests', f'a {name} folder for the guests')
                    self.tap.equal(daemon.stop(), 0, f'a {name} state folder: ends with 0')

    def log_disk(self):
        full = 'mount -t tmpfs -o size=8k none "$d"; cat /dev/zero > "$d/x" || true'
        for name, mount in (('full', full),
                            ('read-only', 'mount -t tmpfs none "$d"; mount -o remount,ro "$d"'),
                            ('missing', 'rmdir "$d"')):
            with made_up_host() as host:
                host.config('KSM_MONITOR_INTERVAL=0.1\nDEBUG=1\n')
                with Daemon(self.args, host.path,
                            mounts=f'd={host.path}/var/log; ({mount}) 2>&-') as daemon:
                    daemon.wait_decisions(5)
                    host.memory(SHORT)
                    self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5),
                                f'a {name} log disk: tuning goes on', daemon.said)
                    self.lives(daemon, f'a {name} log disk')
                    self.says_once(daemon, '/var/log', f'a {name} log disk')
                    if name == 'full':
                        os.unlink(f'/proc/{daemon.pid}/root{host.path}/var/log/x')
                        os.kill(daemon.pid, signal.SIGHUP)
                        log = f'/proc/{daemon.pid}/root{host.log}'
                        self.tap.ok(wait_for(lambda: 'committed ' in read(log, ''), 5),
                                    'a full log disk: with space again the log goes on')
                    self.tap.equal(daemon.stop(), 0, f'a {name} log disk: ends with 0')

    # --- signals -----------------------------------------------------------------------------

    def signal_storm(self):
        with made_up_host() as host, self.daemon(host) as daemon:
            decisions, cpu = daemon.decisions(), cpu_nsec(daemon.pid)
            begin = time.monotonic()
            for i in range(1000):
                if i == 999:
                    host.memory(PLENTY - 4321)
                os.kill(daemon.pid, signal.SIGUSR1)
                time.sleep(max(0, begin + (i + 1) / 1000 - time.monotonic()))
            took = time.monotonic() - begin
            last = wait_for(lambda: daemon.number('FREE_KB') == PLENTY - 4321, 2)
            decisions, cpu = daemon.decisions() - decisions, cpu_nsec(daemon.pid) - cpu
            self.tap.ok(last, 'SIGUSR1 a thousand times: what was last is decided on', daemon.state)
            self.tap.ok(0 < decisions <= took / 0.05 + 3,
                        f'SIGUSR1 a thousand times in {took:.2f} s: {decisions} decisions')
            self.tap.ok(cpu < 0.2e9, f'SIGUSR1 a thousand times: {cpu / 1e6:.0f} ms of CPU')
            self.lives(daemon, 'SIGUSR1 a thousand times')

    def reload_during_decisions(self):
        """Decisions take long on a made-up host with many processes: each is looked into."""
        with made_up_host() as host:
            for pid in range(20000, 22000):
                host.process(pid, 'idle', 4)
            with self.daemon(host, 'KSM_THRES_COEF=20\n') as daemon:
                before = cpu_nsec(daemon.pid)
                daemon.retune()
                self.tap.diag(f'a decision takes {(cpu_nsec(daemon.pid) - before) / 1e6:.1f} ms')
                for i in range(60):
                    host.config(f'KSM_THRES_COEF={20 + i}\n')
                    os.kill(daemon.pid, signal.SIGUSR1)
                    time.sleep(0.001 * (i % 12))
                    os.kill(daemon.pid, signal.SIGHUP)
                    if i % 5 == 0:
                        time.sleep(0.06)
                want = host.total_kb * 79 // 100
                self.tap.ok(wait_for(lambda: daemon.number('THRESHOLD_KB') == want, 5),
                            'SIGHUP during decisions: the last file counts', daemon.state)
                self.tap.equal(daemon.said_lines('error|fail|cannot'), [],
                               'SIGHUP during decisions: nothing to complain of')
                self.lives(daemon, 'SIGHUP during decisions')
                self.tap.equal(daemon.stop(), 0, 'SIGHUP during decisions: then ends with 0')

    # --- the clock ---------------------------------------------------------------------------

    def clock(self):
        real = time.CLOCK_REALTIME
        offset = time.clock_gettime(real) - time.monotonic()
        with made_up_host() as host, self.daemon(host, 'KSM_MONITOR_INTERVAL=0.1\n') as daemon:
            try:
                time.clock_settime(real, offset + time.monotonic())
            except PermissionError:
                self.tap.skip('the clock set back an hour', 'the clock cannot be set here')
                return
            for name, seconds in (('back', -3600), ('forward', 3600)):
                cpu, begin = cpu_nsec(daemon.pid), time.monotonic()
                decisions = daemon.decisions()
                try:
                    time.clock_settime(real, offset + time.monotonic() + seconds)
                    time.sleep(1)
                    stamp = daemon.number('TIME_USEC') / 1e6 - time.time()
                finally:
                    time.clock_settime(real, offset + time.monotonic())
                took = time.monotonic() - begin
                decisions = daemon.decisions() - decisions
                cpu = cpu_nsec(daemon.pid) - cpu
                # A host that keeps the CPUs to itself lets some of them come late.
                self.tap.ok(took / 0.1 / 2 <= decisions <= took / 0.1 + 2 and cpu < took * 0.2e9,
                            f'the clock set {name} an hour: {decisions} decisions in {took:.1f} s '
                            f'at an interval of 0.1 s, {cpu / 1e6:.0f} ms of CPU')
                self.tap.ok(abs(stamp) < 1, f'the clock set {name} an hour: TIME_USEC follows')
                self.lives(daemon, f'the clock set {name} an hour and put right')

    def beside(self, *parts):
        """Runs parts at the same time: on hosts of their own, and mostly waiting."""
        together(self.tap, [lambda tap, part=part: part(Suite(self.args, tap, self.folder))
                            for part in parts])

    def run(self):
        # Made before others fork: a child that has not yet executed would hold it open for writing.
        self.nobodys_args()
        self.beside(Suite.bad_file_at_start, Suite.unreadable_file_at_start,
                    Suite.bad_file_at_reload, Suite.odd_files, Suite.bad_memory, Suite.no_ksm,
                    Suite.bad_knobs, Suite.somebody_unmerges, Suite.forbidden_knobs,
                    Suite.state_folder, Suite.log_disk)
        self.signal_storm()
        self.reload_during_decisions()
        self.clock()


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with tempfile.TemporaryDirectory() as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
