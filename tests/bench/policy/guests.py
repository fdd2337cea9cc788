# SPDX-License-Identifier: GPL-2.0-or-later
"""Real guests: QEMU under TCG, all of the same image."""

import contextlib
import random
import shutil

from machine import read, wait_for
from boot import SHELL_INIT, initramfs, kernel_image  # noqa: E402 (machine has set the path)
from common import unpacked_package  # noqa: E402

QEMU = shutil.which('qemu-system-x86_64')
GUEST_MIB = 192
IMAGE_MIB = 24

# A program of a distribution, a file that is read and copied, memory that is zeroed.
INIT = SHELL_INIT + '''$b dd if=/dev/zero of=/tmp/zero bs=1048576 count=8 2>/dev/null
$b echo 'guest is up'
while :; do $b sleep 3600; done
'''


class Image:
    """What all guests boot. @why: why there is none, or ''."""

    def __init__(self, folder):
        self.folder = folder
        self.kernel, self.why = None, ''
        if not QEMU:
            self.why = 'qemu-system-x86_64 is not here'
            return
        self.kernel, self.why = kernel_image()
        busybox, why = unpacked_package('busybox-static')
        if not self.kernel or not busybox:
            self.why = self.why or why
            return
        initramfs(folder / 'initrd', {
            'init': INIT.encode(), 'bin/busybox': (busybox / 'bin/busybox').read_bytes(),
            'image': random.Random(7).randbytes(IMAGE_MIB << 20)})

    def start(self, group, number):
        console = self.folder / f'console-{number}'
        with contextlib.suppress(FileNotFoundError):
            console.unlink()
        # Without address randomisation what the guests hold is the same in every measurement.
        # The name is one that the original's pattern, ^qemu-system.*-enable-kvm, counts.
        return group.spawn(
            'qemu-system-x86_64', '-name', f'real-{number}-enable-kvm', '-accel', 'tcg',
            '-m', GUEST_MIB, '-display', 'none', '-nodefaults', '-no-user-config',
            '-no-reboot', '-kernel', self.kernel, '-initrd', self.folder / 'initrd',
            '-serial', f'file:{console}', '-append',
            'console=ttyS0 panic=-1 quiet nokaslr norandmaps', executable=QEMU)

    def booted(self, number, seconds=0):
        console = self.folder / f'console-{number}'
        return bool(wait_for(lambda: 'guest is up' in read(console, ''), seconds, 0.1))
