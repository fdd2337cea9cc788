#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Where nobody stays to decide: --once, an event loop that fails, a crash, the end. The adaptive policy
leaves no pass behind then, and none of the knobs that it took; and what cannot be given back is not
forgotten.
"""

import contextlib
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time

from common import (KSM, Mergeable, Tap, arguments, cpu_nsec, for_everyone, helper, knob, live_ksm,
                    need_root, processes_named, read, wait_for, write)
from host import Daemon, Host

NOBODY = 65534
KNOBS = ('run', 'pages_to_scan', 'sleep_millisecs', 'smart_scan')
BEFORE = ('0', '123', '33', '1')
SETTINGS = 'KSM_POLICY=adaptive\nKSM_MONITOR_INTERVAL=3600\nKSM_THRES_COEF=99\n'
WORD = 'only a running daemon can end: nothing is left running'


class MadeUp:
    """Memory is short, and KSM at rest, with knobs of its own."""

    def __init__(self, args, tap, folder):
        self.args, self.tap = args, tap

        class Everyone:
            ksmtuned = for_everyone(args.ksmtuned, folder)
        self.everyone = Everyone
        self.preload = for_everyone(helper(args, 'loop-fails.so'), folder)

    @contextlib.contextmanager
    def host(self):
        host = Host(free_kb=1000000)
        try:
            for name, value in zip(KNOBS, BEFORE):
                host.set_knob(name, value)
            host.config(SETTINGS)
            subprocess.run(['chown', '-R', str(NOBODY), host.path], check=True)
            yield host
        finally:
            host.remove()

    @staticmethod
    def knobs(host):
        return tuple(host.knob(name) for name in KNOBS)

    @staticmethod
    def state(host):
        text = read(host.path / 'run/ksmtuned/state', '')
        return dict(re.findall(r'^([A-Z_]+)=(.*)$', text, re.M))

    def call(self, host, *options):
        answer = subprocess.run([self.args.ksmtuned, '--root', host.path, *options],
                                capture_output=True, text=True, check=False)
        return answer.returncode, answer.stderr

    def start(self, host, **more):
        """As an ordinary user, to whom a knob can be forbidden."""
        return Daemon(self.everyone, host.path, user=NOBODY,
                      env={'LD_PRELOAD': self.preload, 'LOOP_FAILS_IF': str(host.path / 'fail')},
                      **more)

    def in_a_pass(self, host, name):
        daemon = self.start(host)
        self.tap.ok(wait_for(lambda: host.knob('run') == '1', 5) and self.knobs(host)[1:3] != BEFORE[1:3],
                    f'{name}: a pass goes on', self.knobs(host))
        return daemon

    @staticmethod
    def forbid(host, name):
        os.chown(host.knob_path(name), 0, 0)
        host.knob_path(name).chmod(0o644)

    def crash(self, host, name):
        with self.in_a_pass(host, name) as daemon:
            daemon.process.kill()
            daemon.process.wait()

    # --- --once -----------------------------------------------------------------------------------

    def once(self):
        tap = self.tap
        with self.host() as host:
            status, said = self.call(host, '--once')
            tap.ok(status == 0 and said.count(WORD) == 1, 'once: says in a line that no pass is begun',
                   said)
            tap.equal(self.knobs(host), BEFORE, 'once: no knob is written')
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), '-1', 'once: nothing is owed')
            status, said = self.call(host, '--once', '--dry-run')
            tap.ok(status == 0 and WORD not in said, 'once, as a dry run: no word of it', said)
            host.set_knob('run', 1)
            status, said = self.call(host, '--once')
            tap.equal((status, *self.knobs(host)), (0, *BEFORE), 'once: a ksmd that ran is stopped')
            host.memory(16700000)
            status, said = self.call(host, '--once')
            tap.ok(status == 0 and WORD not in said, 'once, with plenty of memory: no word of it',
                   said)
            host.config(SETTINGS.replace('adaptive', 'classic'))
            host.memory(1000000)
            status, said = self.call(host, '--once')
            tap.ok(host.knob('run') == '1' and WORD not in said, 'once, classic: KSM is started', said)
        with self.host() as host:
            self.crash(host, 'once behind a crash')
            status, said = self.call(host, '--once')
            tap.equal((status, *self.knobs(host)), (0, *BEFORE),
                      'once behind a crash: the pass is ended, the knobs are given back')
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), '-1',
                      'once behind a crash: nothing is owed any more')

    # --- a loop that fails ------------------------------------------------------------------------

    def fails_in_a_pass(self):
        tap, name = self.tap, 'the loop fails in a pass'
        with self.host() as host, self.in_a_pass(host, name) as daemon:
            (host.path / 'fail').touch()
            tap.equal(daemon.process.wait(10), 1, f'{name}: ends with 1')
            tap.ok(daemon.said_lines('the event loop failed'), f'{name}: says so', daemon.said)
            tap.equal(self.knobs(host), BEFORE, f'{name}: the knobs read as before')
            tap.equal(self.state(host), {}, f'{name}: no state is left')

        name = 'run may not be written then'
        with self.host() as host, self.in_a_pass(host, name) as daemon:
            self.forbid(host, 'run')
            (host.path / 'fail').touch()
            tap.equal(daemon.process.wait(10), 1, f'{name}: ends with 1')
            tap.ok(len(daemon.said_lines('cannot end the pass')) == 1, f'{name}: says so', daemon.said)
            tap.equal(self.knobs(host), ('1', *BEFORE[1:]), f'{name}: the others read as before')
            tap.equal(self.state(host).get('RUN'), '1', f'{name}: the state stays')
            tap.equal((self.call(host, '--give-back')[0], *self.knobs(host)), (0, *BEFORE),
                      f'{name}: --give-back ends the pass')

    def fails_at_start(self):
        tap, name = self.tap, 'the loop fails before the first decision'
        with self.host() as host:
            self.crash(host, name)
            (host.path / 'fail').touch()
            tap.equal(self.start(host, wait=False).process.wait(10), 1, f'{name}: ends with 1')
            tap.equal(self.knobs(host), BEFORE, f'{name}: what was inherited is given back')
            tap.equal(self.state(host), {}, f'{name}: no state is left')
        with self.host() as host:
            self.crash(host, name)
            self.forbid(host, 'pages_to_scan')
            (host.path / 'fail').touch()
            tap.equal(self.start(host, wait=False).process.wait(10), 1, f'{name}: ends with 1')
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), BEFORE[1],
                      f'{name}: what may not be given back stays owed')
            tap.equal((self.call(host, '--give-back')[0], *self.knobs(host)), (0, *BEFORE),
                      f'{name}: and --give-back gives it back')

    # --- killed among the knobs -------------------------------------------------------------------

    def killed_behind(self, written):
        """The state file tells what is owed before the first knob is touched."""
        tap, name = self.tap, f'killed behind its write of {written}'
        with self.host() as host:
            host.set_knob('advisor_mode', 'none [scan-time]')
            path = host.knob_path(written)
            before = path.read_text()
            answer = subprocess.run(
                [self.args.ksmtuned, '--foreground', '--root', host.path], capture_output=True, text=True,
                timeout=20, check=False,
                env={**os.environ, 'LD_PRELOAD': helper(self.args, 'write-fails.so'), 'WRITE_FAILS_TEXT': '',
                     'WRITE_FAILS_PATH': str(path), 'WRITE_FAILS_ERRNO': '0'})
            tap.ok(answer.returncode == -signal.SIGKILL and path.read_text() != before,
                   f'{name}: it was', (answer.returncode, answer.stderr))
            tap.equal(tuple(self.state(host).get(key) for key in (
                'ADVISOR_MODE_BEFORE', 'PAGES_TO_SCAN_BEFORE', 'SLEEP_MSEC_BEFORE', 'SMART_SCAN_BEFORE')),
                      ('1', *BEFORE[1:]), f'{name}: what is owed is known')
            tap.equal((self.call(host, '--give-back')[0], *self.knobs(host), host.knob('advisor_mode')),
                      (0, *BEFORE, 'scan-time'), f'{name}: and given back')

    def killed(self):
        for written in ('advisor_mode', 'pages_to_scan', 'sleep_millisecs', 'run'):
            self.killed_behind(written)

    # --- an end, and who comes after it -----------------------------------------------------------

    def forbidden_at_the_end(self):
        tap, name = self.tap, 'a knob may not be written at the end'
        with self.host() as host, self.in_a_pass(host, name) as daemon:
            self.forbid(host, 'pages_to_scan')
            tap.equal(daemon.stop(), 0, f'{name}: ends with 0')
            tap.equal(len(daemon.said_lines('cannot set pages_to_scan back to 123')), 1,
                      f'{name}: says so')
            driven = host.knob('pages_to_scan')
            tap.equal(self.knobs(host), (BEFORE[0], driven, *BEFORE[2:]),
                      f'{name}: the others read as before')
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), BEFORE[1], f'{name}: it stays owed')
            tap.ok(self.call(host, '--give-back')[0] == 0 and self.knobs(host) == BEFORE,
                   f'{name}: --give-back gives it back', self.knobs(host))

    def give_back_fails(self):
        tap, name = self.tap, '--give-back may not write a knob'
        with self.host() as host:
            self.crash(host, name)
            path = host.knob_path('pages_to_scan')
            path.unlink()
            path.mkdir()
            status, said = self.call(host, '--give-back')
            tap.ok(status == 1 and 'cannot set pages_to_scan back to 123' in said, f'{name}: says so', said)
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), BEFORE[1], f'{name}: it stays owed')
            path.rmdir()
            host.set_knob('pages_to_scan', 4444)
            tap.ok(self.call(host, '--give-back')[0] == 0 and self.knobs(host) == BEFORE,
                   f'{name}: the next one gives it back', self.knobs(host))
            tap.equal(self.state(host).get('PAGES_TO_SCAN_BEFORE'), '-1', f'{name}: nothing is owed now')

    def dry_run(self):
        tap, name = self.tap, 'a dry run behind a crash'
        with self.host() as host:
            self.crash(host, name)
            left = self.knobs(host)
            for options in (['--dry-run', '--once'], ['--dry-run']):
                with self.start(host, options=options, wait=False) as daemon:
                    wait_for(lambda: daemon.decisions() or daemon.process.poll() is not None, 5)
                    daemon.stop()
                tap.equal((self.knobs(host), self.state(host).get('PAGES_TO_SCAN_BEFORE')),
                          (left, BEFORE[1]),
                          f'{name}, {" ".join(options)}: writes no knob, and forgets nothing')
            tap.equal((self.call(host, '--give-back')[0], *self.knobs(host)), (0, *BEFORE),
                      f'{name}: --give-back ends the pass')

    def classic(self):
        tap, name = self.tap, 'classic behind a crash'
        with self.host() as host:
            self.crash(host, name)
            host.config(SETTINGS.replace('adaptive', 'classic').replace('=99', '=1'))
            host.memory(16700000)
            with self.start(host) as daemon:
                tap.equal(self.knobs(host), BEFORE, f'{name}: the knobs are given back at once')
                tap.equal(daemon.state().get('PAGES_TO_SCAN_BEFORE'), '-1',
                          f'{name}: nothing is owed any more')

    def run(self):
        self.once()
        self.fails_in_a_pass()
        self.fails_at_start()
        self.killed()
        self.forbidden_at_the_end()
        self.give_back_fails()
        self.dry_run()
        self.classic()


class Live:
    """On the kernel's own KSM."""

    def __init__(self, args, tap, folder):
        self.args, self.tap, self.folder = args, tap, pathlib.Path(folder)

    @staticmethod
    def knobs():
        return tuple(knob(name) for name in KNOBS)

    def configure(self, extra):
        config = self.folder / 'ksmtuned.conf'
        config.write_text(f'{SETTINGS}PIDFILE={self.folder}/pid\n{extra}')
        return ['--config', str(config)]

    def once(self):
        tap = self.tap
        answer = subprocess.run([self.args.ksmtuned, '--once', *self.configure('KSM_LIBVIRT_URI=\n')],
                                capture_output=True, text=True, check=False)
        tap.ok(answer.returncode == 0 and WORD in answer.stderr, 'once: says that no pass is begun',
               answer.stderr)
        tap.equal(self.knobs(), BEFORE, 'once: the knobs read as before')
        ksmd = processes_named('ksmd')[0]
        before = cpu_nsec(ksmd)
        time.sleep(1)
        used = (cpu_nsec(ksmd) - before) / 1e6
        tap.ok(used < 1, f'once: ksmd stands still behind it ({used:.2f} ms of CPU in 1 s)')

    def no_descriptors(self):
        """Two are enough for the pipe of the next ksmtuned-libvirt; there is none for its pidfd."""
        tap, name = self.tap, 'no descriptor for a child'
        program = self.folder / 'helper'
        program.write_text('#!/bin/sh\nexec sleep 1000\n')
        program.chmod(0o755)
        with Daemon(self.args, options=self.configure('KSM_LIBVIRT_URI=test:///default\n'
                                                         'KSM_CPU_MAX=2\n'),
                    env={'KSMTUNED_LIBVIRT': str(program)}) as daemon:
            def children():
                return read(f'/proc/{daemon.pid}/task/{daemon.pid}/children', '').split()

            tap.ok(wait_for(lambda: daemon.state().get('PHASE') == 'burst' and children(), 5),
                   f'{name}: a pass goes on', daemon.said)
            # What stays open is opened by then.
            time.sleep(2)
            os.kill(int(children()[0]), signal.SIGKILL)
            wait_for(lambda: not children(), 5)
            time.sleep(0.1)
            taken = {int(fd) for fd in os.listdir(f'/proc/{daemon.pid}/fd')}
            limit = [fd for fd in range(max(taken) + 4) if fd not in taken][2]
            resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (limit, limit))
            tap.equal((knob('run'), knob('pages_to_scan') != BEFORE[1]), ('1', True),
                      f'{name}: and it still does')
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.process.wait(15)
            tap.equal(daemon.process.poll(), 1, f'{name}: ends with 1')
            tap.ok(daemon.said_lines('the event loop failed: Too many open files'),
                   f'{name}: says so', daemon.said)
            tap.equal(self.knobs(), BEFORE, f'{name}: the knobs read as before')

    def run(self):
        for name, value in zip(KNOBS, BEFORE):
            write(KSM / name, value)
        guests = [Mergeable(self.args, 2) for _ in range(2)]
        try:
            for guest in guests:
                guest.grow(512)
            self.once()
            self.no_descriptors()
        finally:
            for guest in guests:
                guest.end()


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix='ksmtuned-leaving-') as folder:
        MadeUp(args, tap, folder).run()
        with live_ksm():
            Live(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
