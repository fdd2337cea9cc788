# SPDX-License-Identifier: GPL-2.0-or-later
"""
A host for a test alone: PID and mount namespaces of its own, with its own /run, so that neither
the host's libvirtd, guests and ksmtuned disturb the test nor the test them. When it ends, the
kernel ends everything that it has started.
"""

import contextlib
import os
import pathlib
import signal
import stat
import subprocess
import sys

from common import KSM, alone, need_root, skip_all

INSIDE = 'KSMTUNED_TESTS_NAMESPACE'
UNSHARE = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--mount-proc']

# What a libvirtd of the test's own would write to, beside /run.
COVERED = ('/etc/libvirt', '/var/lib/libvirt', '/var/log/libvirt', '/var/cache/libvirt')

# The first process of a PID namespace is the parent of all that lose theirs: it has to reap them,
# which a shell that waits does. It ends with the status of what it has waited for.
FIRST = '"$@"; exit $?'


def enter():
    """Runs this script again on a host of its own, and ends with its status; returns in there."""
    need_root()
    if not KSM.is_dir():
        skip_all('this kernel has no KSM')
    if os.environ.get(INSIDE):
        _cover()
        return
    probe = subprocess.run([*UNSHARE, 'true'], capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        skip_all(f'no namespaces to be had here: {probe.stderr.strip()}')
    with alone():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        status = subprocess.run([*UNSHARE, 'sh', '-c', FIRST, 'sh', sys.executable, *sys.argv],
                                env={**os.environ, INSIDE: '1'}, check=False).returncode
    sys.exit(status)


def _cover():
    for folder in ('/run', *COVERED):
        if os.path.isdir(folder):
            subprocess.run(['mount', '-t', 'tmpfs', '-o', 'mode=755', 'none', folder], check=True)
    pathlib.Path('/run/lock').mkdir()
    _open_kvm()


def _open_kvm():
    """
    libvirtd asks QEMU for its capabilities anew at each use where root may open /dev/kvm and QEMU's
    user may not: nine seconds a domain. No test's guest uses it.
    """
    node = '/run/kvm'
    # Where this is not allowed, it takes longer.
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        os.mknod(node, stat.S_IFCHR, os.stat('/dev/kvm').st_rdev)
        os.chmod(node, 0o666)
        subprocess.run(['mount', '--bind', node, '/dev/kvm'], check=True)
