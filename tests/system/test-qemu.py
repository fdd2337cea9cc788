#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A real QEMU guest under TCG is counted; QEMU's other programs beside it are not."""

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from boot import initramfs, kernel_image
from common import (Tap, alone, arguments, for_everyone, helper, need_root, processes_named, read,
                    skip_all, wait_for)
from host import Daemon

QEMU = shutil.which('qemu-system-x86_64')

# All that the daemon sees is real, but for what it would write.
MOUNTS = 'mount -t tmpfs none /run'


def settled(pid):
    """Waits until a process has got the memory that it begins with."""
    seen = []

    def same():
        seen.append(read(f'/proc/{pid}/statm'))
        return len(seen) > 5 and len(set(seen[-5:])) == 1
    wait_for(same, 10, 0.1)


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = pathlib.Path(folder)
        self.stack = contextlib.ExitStack()

    def spawn(self, *command, **more):
        process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                   **{'stdout': subprocess.DEVNULL, 'stderr': subprocess.STDOUT,
                                      **more})
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def boots(self):
        """A guest whose own program says that it runs. Returns its process, or None."""
        name = 'a Debian kernel boots in the guest'
        image, why = kernel_image()
        if not image:
            self.tap.skip(name, why)
            return self.spawn(QEMU, '-S', '-accel', 'tcg', '-m', 256, '-display', 'none')
        init = pathlib.Path(helper(self.args, 'guest-init')).read_bytes()
        initramfs(self.folder / 'initrd', {'init': init})
        console = self.folder / 'console'
        guest = self.spawn(QEMU, '-accel', 'tcg', '-m', 256, '-display', 'none', '-nodefaults',
                           '-no-user-config', '-no-reboot', '-kernel', image,
                           '-initrd', self.folder / 'initrd', '-serial', f'file:{console}',
                           '-append', 'console=ttyS0 panic=-1 quiet')
        self.tap.ok(wait_for(lambda: 'guest is up' in read(console, ''), 120, 0.1), name,
                    lambda: read(console, '')[-2000:])
        return guest

    def helpers(self):
        """QEMU's other programs, at work. Returns {name: PID}; skips those that are not here."""
        disk = self.folder / 'disk.img'
        with open(disk, 'wb') as file:
            file.truncate(1 << 30)
        commands = {
            'qemu-img': ['bench', '-f', 'raw', '-c', '2000000000', '-s', '4096', disk],
            'qemu-nbd': ['--persistent', '--read-only', '-f', 'raw', '-k', self.folder / 'nbd',
                         disk],
            'qemu-storage-daemon': ['--blockdev', f'driver=file,node-name=d,filename={disk}'],
        }
        running = {}
        for name, words in commands.items():
            if not (program := shutil.which(name)):
                self.tap.skip(f'{name} is not counted', f'{name} is not here')
                continue
            running[name] = self.spawn(program, *words).pid
        return running

    def counted(self, before):
        tap = self.tap
        guest = self.boots()
        running = self.helpers()
        with Daemon(self.args, options=['--dry-run', '--config', self.config()],
                    mounts=MOUNTS) as daemon:
            # Let all of them be what they are going to be.
            wait_for(lambda: all(read(f'/proc/{pid}/comm', '').strip() == name[:15]
                                 for name, pid in running.items()), 5)
            settled(guest.pid)
            daemon.retune()
            state = daemon.state()
            tap.equal(int(state['GUESTS']), before + 1, 'the guest is counted')
            for name, pid in running.items():
                tap.ok(os.path.exists(f'/proc/{pid}/statm')
                       and read(f'/proc/{pid}/comm').strip() == name[:15],
                       f'{name} runs beside it and is not counted')
            if before == 0:
                told = int(subprocess.run(['ps', '-o', 'rss=', '-p', str(guest.pid)], check=True,
                                          capture_output=True, text=True).stdout)
                committed = int(state['COMMITTED_KB'])
                tap.ok(abs(committed - told) <= max(told // 50, 1024) and committed > 30000,
                       f'COMMITTED_KB is what ps tells ({committed} and {told} kB)')
            else:
                tap.skip('COMMITTED_KB is what ps tells', 'other guests run on this host')
            guest.kill()
            guest.wait()
            daemon.retune()
            tap.equal(daemon.number('GUESTS'), before, 'killed, it is counted no more')

    def config(self, lines=''):
        path = self.folder / 'ksmtuned.conf'
        path.write_text('PIDFILE=\nLOGFILE=\nDEBUG=1\n' + lines)
        path.chmod(0o644)
        return str(path)

    def without_rights(self, before):
        """Nobody in particular counts guests too: --once tells in the debug log's lines."""
        guest = self.spawn(QEMU, '-S', '-accel', 'tcg', '-m', 64, '-display', 'none')
        wait_for(lambda: read(f'/proc/{guest.pid}/comm', '').startswith('qemu-system-x86'), 5)
        settled(guest.pid)
        for metric in ('rss', 'vsz'):
            answer = subprocess.run(
                ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                 for_everyone(self.args.ksmtuned, self.folder), '--foreground', '--dry-run',
                 '--once', '--config', self.config(f'KSM_PS_METRIC={metric}\n')],
                capture_output=True, text=True, check=False, timeout=30)
            said = answer.stdout + answer.stderr
            sums = re.search(r'committed (\d+) free', said)
            self.tap.ok(answer.returncode == 0 and sums and (int(sums[1]) > 10000 or before),
                        f'--dry-run --once as nobody counts a guest by {metric}',
                        f'{answer.returncode}\n{said}')
            fields = read(f'/proc/{guest.pid}/statm').split()
            kb = int(fields[1 if metric == 'rss' else 0]) * os.sysconf('SC_PAGE_SIZE') // 1024
            if sums and not before:
                self.tap.ok(abs(int(sums[1]) - kb) <= kb // 50 + 1024,
                            f'with its {metric} ({sums[1]} and {kb} kB)')

    def run(self):
        before = len(processes_named('qemu-system-x86'))
        with self.stack:
            self.counted(before)
        with self.stack:
            self.without_rights(before)


def main():
    args = arguments(__doc__)
    need_root()
    if not QEMU:
        skip_all('qemu-system-x86_64 is not here')
    if not os.path.isdir('/sys/kernel/mm/ksm'):
        skip_all('this kernel has no KSM')
    tap = Tap()
    with alone(), tempfile.TemporaryDirectory(prefix='ksmtuned-qemu-') as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
