#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
screenshots.py BUILD FOLDER: the screens of ksmctl in FOLDER, as SVGs. All in them is real: QEMU
guests that boot, the kernel's own KSM, and the daemon of BUILD with the adaptive policy. Only the
threshold is set so that this host's memory counts as short, as it is not worth filling for a picture.

It has a /run and an /etc of its own, and needs KSM for itself, for a minute and a half at most.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
import types

sys.dont_write_bytecode = True

from boot import SHELL_INIT, initramfs, kernel_image  # noqa: E402
from common import live_ksm, read, unpacked_package, wait_for  # noqa: E402
from host import Daemon  # noqa: E402
from terminal import Terminal  # noqa: E402
from terminal_svg import rows, svg  # noqa: E402

INSIDE = 'KSMTUNED_SCREENSHOTS_INSIDE'
COLUMNS = 92
# Beside their image each has memory that is like no other's.
GUESTS = {'web-1': [], 'web-2': [], 'web-3': [], 'mail-1': [], 'db-1': ['-machine', 'mem-merge=off']}
GUEST_MIB = 320
IMAGE_MIB = 48
OWN_MIB = {'web-1': 8, 'web-2': 10, 'web-3': 6, 'mail-1': 16, 'db-1': 20}
# From the first guest's start: until all are up, and until nothing more comes.
UP_SECONDS, REST_SECONDS, STILL_SECONDS = 60, 85, 4

INIT = SHELL_INIT + '''read -r words </proc/cmdline
$b dd if=/dev/urandom of=/tmp/own bs=1048576 count=${words##*own=} 2>/dev/null
$b echo 'guest is up'
while :; do $b sleep 3600; done
'''


class Fleet:
    """The guests. @folder: for their image and what they say."""

    def __init__(self, folder, stack):
        self.folder, self.stack = pathlib.Path(folder), stack
        self.kernel, why = kernel_image()
        busybox, why_not = unpacked_package('busybox-static')
        if not self.kernel or not busybox:
            sys.exit(f'screenshots: {why or why_not}')
        initramfs(self.folder / 'initrd', {
            'init': INIT.encode(), 'bin/busybox': (busybox / 'bin/busybox').read_bytes(),
            'image': random.Random(7).randbytes(IMAGE_MIB << 20)})

    def start(self, name):
        process = subprocess.Popen(
            ['qemu-system-x86_64', '-name', f'guest={name}', '-accel', 'tcg', '-m', str(GUEST_MIB),
             '-display', 'none', '-nodefaults', '-no-user-config', '-no-reboot', '-kernel', self.kernel,
             '-initrd', self.folder / 'initrd', '-serial', f'file:{self.folder / name}', '-append',
             f'console=ttyS0 panic=-1 quiet own={OWN_MIB[name]}', *GUESTS[name]],
            executable=shutil.which('qemu-system-x86_64'), stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)

    def up(self):
        return all('guest is up' in read(self.folder / name, '-') for name in GUESTS)


class Still:
    """Called now and then: whether ksmd has merged something, and has rested for a while."""

    def __init__(self, daemon):
        self.daemon, self.since = daemon, time.monotonic()

    def __call__(self, _):
        state = self.daemon.state()
        if state.get('PHASE') != 'rest':
            self.since = time.monotonic()
        return int(state.get('SAVED_BYTES', 0)) > 0 and time.monotonic() - self.since > STILL_SECONDS


def configure():
    """Memory is short from 2 % below what is available now: when the guests have come."""
    kb = dict(re.findall(r'^(\w+):\s+(\d+) kB', read('/proc/meminfo'), re.M))
    coef = int(kb['MemAvailable']) * 100 // int(kb['MemTotal']) - 2
    shutil.rmtree('/etc/ksmtuned.conf.d', ignore_errors=True)
    pathlib.Path('/etc/ksmtuned.conf').write_text(
        f'KSM_POLICY=adaptive\nKSM_THRES_COEF={coef}\nKSM_LIBVIRT_URI=\n')


def shoot(folder, name, text):
    """@text: all that came from the terminal."""
    prompt = [(0, 'dim', '#'), (2, 'bold', f'ksmctl {name}')]
    lines = [prompt, *rows(text)] if name != 'watch' else rows(text)
    (folder / f'{name}.svg').write_text(svg(f'ksmctl {name}', lines, COLUMNS), encoding='utf-8')
    print(f'{folder / name}.svg')


def take(ksmctl, folder, work):
    with contextlib.ExitStack() as stack:
        fleet = Fleet(work, stack)
        configure()
        ksmtuned = str(ksmctl.parents[1] / 'daemon/ksmtuned')
        daemon = stack.enter_context(Daemon(types.SimpleNamespace(ksmtuned=ksmtuned)))
        utf8 = {'LC_ALL': 'C.UTF-8'}
        watch = stack.enter_context(Terminal([ksmctl, 'watch', '--interval', '1'], columns=COLUMNS, rows=24,
                                             env=utf8))
        begin = time.monotonic()
        for name in GUESTS:
            fleet.start(name)
            watch.read(1.5)
        if not watch.wait_for(lambda _: fleet.up(), UP_SECONDS - (time.monotonic() - begin)):
            sys.exit(f'screenshots: the guests did not come up within {UP_SECONDS} seconds')
        if not watch.wait_for(Still(daemon), REST_SECONDS - (time.monotonic() - begin)):
            sys.exit(f'screenshots: ksmd did not come to rest: {daemon.state()}')
        watch.wait_for_picture()
        shoot(folder, 'watch', watch.text)
        for verb in 'status', 'doctor':
            with Terminal([ksmctl, verb], columns=COLUMNS, rows=60, env=utf8) as terminal:
                terminal.end()
                shoot(folder, verb, terminal.text)


def main():
    build, folder = map(lambda word: pathlib.Path(word).resolve(), sys.argv[1:3])
    ksmctl = build / 'src/ctl/ksmctl'
    if not os.environ.get(INSIDE):
        folder.mkdir(exist_ok=True)
        status = 1  # also where live_ksm() leaves, and says why
        with contextlib.suppress(SystemExit), live_ksm():
            status = subprocess.run(['unshare', '--mount', sys.executable, *sys.argv], check=False,
                                    env={**os.environ, INSIDE: '1'}).returncode
        sys.exit(status)
    with tempfile.TemporaryDirectory(prefix='ksmtuned-screenshots-') as work:
        for name in 'upper', 'work', 'guests':
            os.mkdir(f'{work}/{name}')
        subprocess.run(['mount', '-t', 'overlay', '-o', f'lowerdir=/etc,upperdir={work}/upper,workdir={work}/work',
                        'overlay', '/etc'], check=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', '/run'], check=True)
        try:
            take(ksmctl, folder, f'{work}/guests')
        finally:
            subprocess.run(['umount', '/etc'], check=True)


main()
