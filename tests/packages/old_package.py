# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's package of the script that ksmtuned takes the place of."""

import shutil
import subprocess

from common import CACHE


def old_package():
    """(its path, None), or (None, why it is not to be had)."""
    folder = CACHE / 'old-deb'
    found = sorted(folder.glob('ksmtuned_4.*.deb'))
    if found:
        return found[0], None
    if not shutil.which('apt-get'):
        return None, 'apt-get is not here to fetch the old package'
    folder.mkdir(parents=True, exist_ok=True)
    # As root apt wants to read the folder as its own user and grumbles otherwise.
    fetched = subprocess.run(['apt-get', '-o', 'APT::Sandbox::User=root', 'download', 'ksmtuned'], cwd=folder,
                             capture_output=True, text=True, check=False)
    found = sorted(folder.glob('ksmtuned_4.*.deb'))
    if not found:
        why = (fetched.stderr.strip().split('\n') or ['?'])[-1]
        return None, f'the old package cannot be fetched: {why}'
    return found[0], None
