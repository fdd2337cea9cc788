#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Plain QEMU guests, without libvirt, are noticed the moment that they come and go."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import namespace
from common import Tap, arguments, helper, kept_msec, read, skip_all, wait_for, write
from virt import QEMU, Use, daemon, decided, guest, latency_msec, settle

START_MSEC, EXIT_MSEC = 1000, 50
INSTANCES = pathlib.Path('/proc/sys/fs/inotify/max_user_instances')


class Suite:
    def __init__(self, args, tap):
        self.args, self.tap = args, tap

    @contextlib.contextmanager
    def daemon(self, **more):
        with daemon(self.args, '', **more) as running:
            yield running

    def reaches(self, running, want, since, bound, name, trigger='guest', seconds=3):
        """A decision that counts @want guests comes within @bound ms of a moment."""
        kept = kept_msec(running.pid)
        state = decided(running, lambda s: s['GUESTS'] == str(want), seconds)
        kept = kept_msec(running.pid) - kept
        late = max(0.0, latency_msec(state, since) - kept) if state else 9999
        self.tap.ok(state and late <= bound and state['TRIGGER'] == trigger,
                    f'{name}: noticed after {late:.0f} ms, at most {bound}; TRIGGER={trigger}',
                    running.state)

    def ends(self, running, process, name, end=signal.SIGKILL):
        settle()
        want = running.number('GUESTS') - 1
        process.send_signal(end)
        process.wait()
        self.reaches(running, want, time.time(), EXIT_MSEC, name)

    def come_and_go(self):
        with self.daemon() as running:
            for name, end in (('SIGTERM', signal.SIGTERM), ('SIGKILL', signal.SIGKILL)):
                for number in range(1, 6):
                    settle()
                    want, begin = running.number('GUESTS') + 1, time.time()
                    process = guest()
                    self.reaches(running, want, begin, START_MSEC,
                                 f'a plain QEMU guest starts ({number} of 5)')
                    self.ends(running, process, f'a guest ends by {name} ({number} of 5)', end)

    def several(self):
        with self.daemon() as running:
            time.sleep(1.1)
            begin, first = time.time(), running.number('GUESTS')
            processes = [guest() for _ in range(5)]
            self.reaches(running, first + 5, begin, 2000, 'five guests start at once')
            settle()
            n, begin = running.decisions(), time.time()
            for process in processes:
                process.kill()
            for process in processes:
                process.wait()
            self.reaches(running, first, begin, 1300, 'five guests end at once')
            time.sleep(1.2)
            self.tap.ok(1 <= running.decisions() - n <= 3,
                        f'five guests end at once: {running.decisions() - n} decisions')

    def late_exec(self):
        """A process that has been something else for long."""
        with self.daemon() as running:
            want = running.number('GUESTS') + 1
            command = f'sleep 3; exec {QEMU} -S -m 64 -display none -nodefaults -accel tcg'
            process = subprocess.Popen(['sh', '-c', command], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            wait_for(lambda: read(f'/proc/{process.pid}/comm').startswith('qemu-sys'), 6, 0.001)
            self.reaches(running, want, time.time(), START_MSEC,
                         'a script that becomes QEMU after three seconds')
            self.ends(running, process, 'it ends')

    def new_program(self):
        """Installed while the daemon runs: by writing it in place, and by renaming, as dpkg does."""
        source = helper(self.args, 'mergeable')
        folder = pathlib.Path('/usr/local/bin')
        # Over the host's own folder, so that nothing of this is left there.
        subprocess.run(['mount', '-t', 'tmpfs', 'none', folder], check=True)
        try:
            with self.daemon() as running:
                for name in ('qemu-system-written', 'qemu-system-renamed'):
                    path = folder / name
                    if name.endswith('written'):
                        shutil.copy(source, path)
                    else:
                        shutil.copy(source, folder / 'package.new')
                        (folder / 'package.new').rename(path)
                    settle()
                    want, begin = running.number('GUESTS') + 1, time.time()
                    # It takes a name that says nothing: the executable's tells.
                    process = subprocess.Popen([path, 'something', '0'], stdin=subprocess.PIPE,
                                               stdout=subprocess.DEVNULL)
                    self.reaches(running, want, begin, START_MSEC,
                                 f'{name}, installed a moment ago, starts')
                    self.ends(running, process, f'{name} ends')
                    process.stdin.close()
        finally:
            subprocess.run(['umount', folder], check=True)

    def versions(self):
        """Programs that are asked for their version, as libvirt and monitoring do, are no guests."""
        with self.daemon() as running:
            time.sleep(1)
            use, n, begin = Use(running.pid), running.decisions(), time.monotonic()
            for i in range(30):
                subprocess.run([QEMU, '--version'], check=True, stdout=subprocess.DEVNULL)
            for i in range(300):
                pathlib.Path(QEMU).open('rb').close()
                time.sleep(0.003)
            took = time.monotonic() - begin
            time.sleep(1)
            # One may be met alive by a look at the processes; then its end is noticed, too.
            self.tap.ok(running.decisions() - n <= 4,
                        f'{QEMU} --version 30 times, and opened 300 times: '
                        f'{running.decisions() - n} decisions')
            self.tap.ok(use.cpu_msec() <= took * 50,
                        f'that takes {use.cpu_msec():.1f} ms of CPU in {took:.1f} s')

    def no_inotify(self):
        """Where the instances are used up, the interval counts what has come."""
        before = read(INSTANCES).strip()
        try:
            write(INSTANCES, 0)
        except OSError as error:
            self.tap.skip('inotify instances used up', f'{INSTANCES}: {error.strerror}')
            return
        try:
            with self.daemon(interval='2') as running:
                want, begin = running.number('GUESTS') + 1, time.time()
                process = guest()
                self.reaches(running, want, begin, 2500, 'no inotify to be had: a start', 'timer',
                             5)
                self.tap.equal(running.said_lines('error|inotify'), [],
                               'no inotify to be had: nothing that anybody needs to do')
                self.ends(running, process, 'no inotify to be had: an end')
        finally:
            write(INSTANCES, before)

    def hook(self):
        """What libvirt's hooks and people's scripts did with the original."""
        with self.daemon() as running:
            n, kept = running.decisions(), kept_msec(running.pid)
            subprocess.run(['sh', '-c', 'kill -USR1 $(cat /run/ksmtune.pid)'], check=True)
            returned = time.time()
            state = decided(running, lambda s: int(s['DECISIONS']) > n)
            self.tap.ok(state and state['TRIGGER'] == 'signal'
                        and latency_msec(state, returned) <= 50 + kept_msec(running.pid) - kept,
                        'kill -USR1 $(cat /run/ksmtune.pid): a decision within 50 ms', state)

    def at_rest(self):
        with self.daemon(interval='0.5') as running:
            process = guest()
            time.sleep(3)
            use, n = Use(running.pid), running.decisions()
            running.wait_decisions(6)
            time.sleep(0.1)
            n = running.decisions() - n
            self.tap.equal(use.wakeups(), n, f'at rest, with a guest that stays: one wakeup for '
                           f'each of {n} intervals')
            descriptors = len(os.listdir(f'/proc/{running.pid}/fd'))
            for _ in range(3):
                process.kill()
                process.wait()
                process = guest()
                time.sleep(1.2)
            self.tap.equal(len(os.listdir(f'/proc/{running.pid}/fd')), descriptors,
                           'guests that come and go leave no descriptor behind')
            process.kill()
            process.wait()

    def run(self):
        self.hook()
        self.come_and_go()
        self.several()
        self.late_exec()
        self.new_program()
        self.versions()
        self.no_inotify()
        self.at_rest()


def main():
    args = arguments(__doc__)
    if not QEMU:
        skip_all('qemu-system-x86_64 is not here')
    namespace.enter()
    tap = Tap()
    Suite(args, tap).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
