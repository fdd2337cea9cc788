#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Processes that come, go, change and hide: who is a guest is remembered, and nothing may fool it.
The kernel's real /proc, made-up memory and knobs.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from common import (Mergeable, Tap, arguments, cpu_nsec, for_everyone, helper, need_root, read,
                    wait_for, write)
from host import PAGE_KB, Daemon, Host

NOBODY = 65534
CYCLE = 10  # GUESTS_CYCLE: decisions until every process has been looked at again
LAST_PID = '/proc/sys/kernel/ns_last_pid'

# Names that nothing else on the host bears.
GUEST, IDLE = 'ksmtest-guest', 'ksmtest-idle'
CONFIG = f'KSM_MONITOR_INTERVAL=0.1\nKSM_VM_MATCH="{GUEST}*"\n'


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = folder
        self.guest = self.program(GUEST)
        self.idle = self.program(IDLE)
        self.host = Host()
        self.host.config(CONFIG)
        self.mounts = f'mount --bind /proc {self.host.path}/proc'

    def program(self, name):
        path = os.path.join(self.folder, name)
        shutil.copy(helper(self.args, 'crowd'), path)
        return path

    def daemon(self, **more):
        return Daemon(self.args, self.host.path, **{'mounts': self.mounts, **more})

    def counts(self, daemon, n, decisions=CYCLE + 1):
        """Whether N guests are counted after that many decisions at the latest."""
        end = daemon.decisions() + decisions
        wait_for(lambda: daemon.number('GUESTS') == n or daemon.decisions() >= end, 20, 0.005)
        return daemon.number('GUESTS') == n

    # --- PIDs that come and go ----------------------------------------------------------------

    def fork_storm(self):
        tap = self.tap
        guests = [subprocess.Popen([self.guest]) for _ in range(3)]
        with self.daemon() as daemon:
            tap.ok(self.counts(daemon, 3), '3 guests are counted', daemon.state)
            descriptors = len(os.listdir(f'/proc/{daemon.pid}/fd'))
            lines = len(daemon.said().splitlines())
            decisions, cpu, begin = daemon.decisions(), cpu_nsec(daemon.pid), time.monotonic()
            storm = subprocess.Popen([helper(self.args, 'storm'), '10000', '300', GUEST])
            fewest = most = 3
            while storm.poll() is None:
                os.kill(daemon.pid, signal.SIGUSR1)
                time.sleep(0.02)
                fewest = min(fewest, daemon.number('GUESTS'))
                most = max(most, daemon.number('GUESTS'))
            took = time.monotonic() - begin
            decisions = daemon.decisions() - decisions
            cpu = cpu_nsec(daemon.pid) - cpu
            tap.equal(storm.returncode, 0, '10,000 processes came and went')
            tap.ok(fewest == 3, f'the 3 guests are counted all the while ({fewest} to {most})')
            tap.ok(decisions >= 3 and cpu < took * 0.5e9,
                   f'{decisions} decisions meanwhile, {cpu / 1e6:.0f} ms of CPU in {took:.1f} s')
            tap.ok(self.counts(daemon, 3), 'afterwards the 3 guests are counted', daemon.state)
            daemon.wait_decisions(CYCLE)
            tap.equal(len(os.listdir(f'/proc/{daemon.pid}/fd')), descriptors,
                      'no descriptor stays open')
            # A child of a guest's is a guest until it calls exec, and may be told of.
            said = [line for line in daemon.said().splitlines()[lines:]
                    if not line.startswith('ksmtuned: guest ')]
            tap.equal(said, [], 'nothing to complain of')
            self.end(guests)
            tap.ok(self.counts(daemon, 0, 2), 'guests that end are gone with the next decision',
                   daemon.state)

    @staticmethod
    def end(processes):
        for process in processes:
            process.kill()
            process.wait()

    def zombies(self):
        """A guest that ended and that nobody waited for holds no memory."""
        with self.daemon() as daemon:
            guest = subprocess.Popen([self.guest])
            self.counts(daemon, 1)
            guest.kill()
            self.tap.ok(wait_for(lambda: daemon.number('COMMITTED_KB') == 0, 5),
                        'a zombie has committed nothing', daemon.state)
            guest.wait()

    # --- a process that becomes a guest late ---------------------------------------------------

    def late_exec(self):
        tap = self.tap
        for name, threaded in (('a process', False), ('one after another process\'s end', True)):
            with self.daemon() as daemon:
                if threaded:
                    self.end([subprocess.Popen([self.idle])])
                start_read, start_write = os.pipe()
                pid = os.fork()
                if pid == 0:
                    os.read(start_read, 1)
                    os.execv(self.guest, [self.guest])
                daemon.wait_decisions(CYCLE + 2)
                tap.equal(daemon.number('GUESTS'), 0, f'{name}: no guest for {CYCLE + 2} decisions')
                before = daemon.decisions()
                os.write(start_write, b'x')
                counted = self.counts(daemon, 1)
                tap.ok(counted, f'{name}: a guest by exec is counted within {CYCLE} intervals',
                       daemon.state)
                tap.diag(f'after {daemon.decisions() - before} decisions')
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                os.close(start_read)
                os.close(start_write)
                tap.ok(self.counts(daemon, 0, 2), f'{name}: and gone with its end')

    # --- PIDs that are given out again -----------------------------------------------------------

    def at_pid(self, pid, start):
        """Starts a process that gets this PID, or returns None."""
        for _ in range(50):
            write(LAST_PID, pid - 1)
            process = start()
            if process.pid == pid:
                return process
            if isinstance(process, Mergeable):
                process.end()
            else:
                self.end([process])
            if os.path.exists(f'/proc/{pid}'):
                return None
        return None

    def reuse(self, name, first, second, before, after):
        """A process of a PID ends and another gets its PID between two decisions."""
        tap = self.tap
        with self.daemon() as daemon:
            old = first()
            tap.ok(self.counts(daemon, before), f'{name}: {before} counted before', daemon.state)
            daemon.wait_decisions(CYCLE + 2)
            os.kill(daemon.pid, signal.SIGSTOP)
            self.end([old])
            new = self.at_pid(old.pid, second)
            os.kill(daemon.pid, signal.SIGCONT)
            if not new:
                tap.skip(name, f'PID {old.pid} could not be had again')
                return
            # Its memory too: as long as nothing was decided, the state tells of the old one.
            def memory_kb():
                return int(read(f'/proc/{new.pid}/statm').split()[1]) * PAGE_KB if after else 0

            def found():
                return (daemon.number('GUESTS') == after
                        and abs(daemon.number('COMMITTED_KB') - memory_kb()) <= 64)
            end = daemon.decisions() + CYCLE + 1
            wait_for(lambda: found() or daemon.decisions() > end, 20, 0.005)
            tap.ok(found(), f'{name}: {after} counted within {CYCLE} intervals, with its own '
                   f'{memory_kb()} kB', daemon.state)
            if isinstance(new, Mergeable):
                new.end()
            else:
                self.end([new])

    def pid_reuse(self):
        if not os.access(LAST_PID, os.W_OK):
            self.tap.skip('PIDs that are given out again', f'{LAST_PID} is not to be written')
            return

        def idle():
            return subprocess.Popen([self.idle])

        def guest():
            return subprocess.Popen([self.guest])

        def big_guest():
            big = Mergeable(self.args, name=GUEST)
            big.grow(32)
            return big
        self.reuse('the PID of another process for a guest', idle, guest, 0, 1)
        self.reuse('the PID of a guest for another process', guest, idle, 1, 0)
        self.reuse('the PID of a guest for a bigger guest', guest, big_guest, 1, 1)
        self.reuse('the PID of another process for a big guest', idle, big_guest, 0, 1)

    # --- /proc mounted with hidepid ----------------------------------------------------------------

    def hidden(self):
        tap = self.tap
        file = self.host.path / 'run/ksmtuned/guests'
        others = subprocess.Popen([self.guest])
        own = subprocess.Popen(['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}',
                                '--clear-groups', self.guest])

        class Args:
            ksmtuned = for_everyone(self.args.ksmtuned, self.folder)
        subprocess.run(['chown', '-R', str(NOBODY), self.host.path], check=True)
        for hidepid in (1, 2):
            mounts = f'mount -t proc -o hidepid={hidepid} none {self.host.path}/proc'
            if subprocess.run(['unshare', '--mount', 'sh', '-c', mounts], check=False,
                              capture_output=True).returncode != 0:
                tap.skip(f'hidepid={hidepid}', 'such a /proc cannot be mounted here')
                continue
            name = f'hidepid={hidepid}'
            with Daemon(Args, self.host.path, mounts=mounts, user=NOBODY) as daemon:
                tap.ok(self.counts(daemon, 1), f'{name}, as nobody: the guest that may be seen is '
                       'counted', daemon.state)
                daemon.wait_decisions(2 * CYCLE)
                lines = daemon.said_lines('hidepid|hidden|may not be|permission|others')
                tap.equal(len(lines), 1, f'{name}, as nobody: says once that others are hidden')
                tap.diag('\n'.join(lines) or daemon.said())
                tap.ok(not file.exists(), f'{name}, as nobody: half a list of guests is not published')
                cpu, begin = cpu_nsec(daemon.pid), time.monotonic()
                time.sleep(0.5)
                tap.ok(daemon.alive() and cpu_nsec(daemon.pid) - cpu
                       < (time.monotonic() - begin) * 0.3e9, f'{name}: it lives and does not spin')
            with Daemon(self.args, self.host.path, mounts=mounts) as daemon:
                tap.ok(self.counts(daemon, 2), f'{name}, as root: both guests are counted',
                       daemon.state)
                tap.equal(daemon.said_lines('hidepid|hidden'), [], f'{name}, as root: no word')
                tap.equal(len(read(file, '').splitlines()), 3, f'{name}, as root: both are published')
        self.end([others, own])

    def other_namespace(self):
        """A /proc of another PID namespace, whose PIDs are none of the daemon's."""
        mounts = (f'unshare --pid --fork --kill-child sh -c "mount -t proc none {self.host.path}/proc; '
                  f'exec -a {GUEST} {self.guest}" & sleep 0.5')
        if not shutil.which('bash'):
            self.tap.skip('a /proc of another PID namespace', 'bash is not here')
            return
        mounts = mounts.replace('sh -c', 'bash -c')
        with self.daemon(mounts=mounts) as daemon:
            self.tap.ok(self.counts(daemon, 1), 'a /proc of another PID namespace: its guest is '
                        'counted', lambda: f'{daemon.state()}\n{daemon.said()}')
            # It was started by the shell that the daemon was.
            for pid in read(f'/proc/{daemon.pid}/task/{daemon.pid}/children').split():
                os.kill(int(pid), signal.SIGKILL)

    # --- the list of guests for others ---------------------------------------------------------

    def published(self):
        tap = self.tap
        file = self.host.path / 'run/ksmtuned/guests'

        def lines(guests, daemon):
            listed = sorted((guest.pid, int(read(f'/proc/{guest.pid}/stat').rsplit(')', 1)[1].split()[19]))
                            for guest in guests)
            return ''.join(f'{a} {b}\n' for a, b in
                           [(f'# ksmtuned-guests 1 {daemon.pid}', len(listed)), *listed])

        def holds(guests, daemon, name):
            want = lines(guests, daemon)
            tap.ok(wait_for(lambda: read(file, '') == want, 5, 0.005), f'the list of guests: {name}',
                   lambda: f'{read(file, "none")}\nwant:\n{want}')

        guests = [subprocess.Popen([self.guest]) for _ in range(2)]
        with self.daemon() as daemon:
            holds(guests, daemon, 'there with the first decision')
            tap.equal(oct(file.stat().st_mode & 0o7777), '0o644', 'the list of guests: for everyone')
            before = file.stat()
            daemon.wait_decisions(2 * CYCLE)
            tap.equal((file.stat().st_ino, file.stat().st_mtime_ns), (before.st_ino, before.st_mtime_ns),
                      'the list of guests: not written again while they stay the same')
            guests.append(subprocess.Popen([self.guest]))
            holds(guests, daemon, 'one that starts')
            self.end([guests.pop(0)])
            holds(guests, daemon, 'one that ends')
            beside = Daemon(self.args, self.host.path, ['--dry-run'], self.mounts, wait=False)
            wait_for(lambda: beside.said_lines('already runs'), 5)
            time.sleep(0.3)
            beside.stop()
            holds(guests, daemon, 'a dry run beside the daemon leaves it alone')
            self.host.config(CONFIG.replace(GUEST, 'ksmtest-nobody'))
            os.kill(daemon.pid, signal.SIGHUP)
            holds([], daemon, 'none by another KSM_VM_MATCH')
            self.host.config(CONFIG)
            os.kill(daemon.pid, signal.SIGHUP)
            holds(guests, daemon, 'and again by the one before')
            daemon.stop(with_signal=signal.SIGKILL)
        tap.ok(file.exists(), 'the list of guests: left behind by a daemon that was killed')
        with self.daemon() as daemon:
            holds(guests, daemon, 'the next daemon has its own')
            tap.equal(daemon.stop(), 0, 'the daemon ends')
            tap.ok(not file.exists(), 'the list of guests: gone with the daemon')
        subprocess.run([self.args.ksmtuned, '--once', '--root', str(self.host.path)], check=True,
                       capture_output=True)
        tap.ok(not file.exists(), 'the list of guests: none of a single decision')
        self.end(guests)

    def run(self):
        with contextlib.ExitStack() as stack:
            stack.callback(self.host.remove)
            self.fork_storm()
            self.zombies()
            self.late_exec()
            self.pid_reuse()
            self.other_namespace()
            self.published()
            self.hidden()


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with tempfile.TemporaryDirectory(prefix='ksmtuned-processes-') as folder:
        os.chmod(folder, 0o755)
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
