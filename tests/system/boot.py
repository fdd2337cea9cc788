# SPDX-License-Identifier: GPL-2.0-or-later
"""What a real QEMU guest boots: a kernel of Debian's and an archive made here."""

import pathlib

from common import dependency_of, unpacked_package

# How the /init of a guest of busybox begins: a place to write, and a file that is read and copied.
SHELL_INIT = '''#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /tmp /proc
$b mount -t proc none /proc
$b mount -t tmpfs none /tmp
$b cp /image /tmp/copy
'''


def initramfs(path, files):
    """
    An archive in cpio's newc format with /dev/console and @files: {path: content}, all of them
    programs for the guest.
    """
    entries = [('dev', 0o040755, b'', (0, 0)), ('dev/console', 0o020600, b'', (5, 1))]
    folders = {str(parent) for name in files for parent in pathlib.PurePath(name).parents}
    entries += [(name, 0o040755, b'', (0, 0)) for name in sorted(folders - {'.'})]
    entries += [(name, 0o100755, data, (0, 0)) for name, data in files.items()]
    archive = bytearray()
    for number, (name, mode, data, device) in enumerate([*entries, ('TRAILER!!!', 0, b'', (0, 0))]):
        fields = (number + 1, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
        archive += b'070701' + b''.join(b'%08X' % field for field in fields)
        archive += name.encode() + b'\0'
        archive += b'\0' * (-len(archive) % 4)
        archive += data
        archive += b'\0' * (-len(archive) % 4)
    pathlib.Path(path).write_bytes(archive)


def kernel_image():
    """A kernel that QEMU can boot, or (None, why not)."""
    package = dependency_of('linux-image-cloud-amd64', r'linux-image-\S+-cloud-amd64')
    if not package:
        return None, 'apt-cache knows no linux-image-cloud-amd64'
    folder, why = unpacked_package(package)
    images = list(folder.glob('boot/vmlinuz-*')) if folder else []
    return (images[0], '') if images else (None, why or f'no kernel in {folder}')
