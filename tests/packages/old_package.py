# SPDX-License-Identifier: GPL-2.0-or-later
"""The packages that ksmtuned takes the place of: Debian's, and one like Proxmox's."""

import pathlib
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


# Name, files and conffile of Proxmox's package, and what dh_installsystemd makes of its unit.
FILES = {
    'DEBIAN/control': (0o644, """Package: ksm-control-daemon
Version: 1.5-1
Architecture: all
Maintainer: nobody <root@localhost>
Description: stands in for another package in a test
"""),
    'DEBIAN/conffiles': (0o644, '/etc/ksmtuned.conf\n'),
    'DEBIAN/postinst': (0o755, """#!/bin/sh
set -e
if [ "$1" = configure ]; then
	if deb-systemd-helper --quiet was-enabled ksmtuned.service; then
		deb-systemd-helper enable ksmtuned.service >/dev/null || true
	else
		deb-systemd-helper update-state ksmtuned.service >/dev/null || true
	fi
	systemctl daemon-reload
	deb-systemd-invoke restart ksmtuned.service >/dev/null || true
fi
"""),
    'DEBIAN/prerm': (0o755, """#!/bin/sh
set -e
[ "$1" != remove ] || deb-systemd-invoke stop ksmtuned.service >/dev/null || true
"""),
    'DEBIAN/postrm': (0o755, """#!/bin/sh
set -e
systemctl daemon-reload
[ "$1" != purge ] || deb-systemd-helper purge ksmtuned.service >/dev/null || true
"""),
    'etc/ksmtuned.conf': (0o644, '# KSM_THRES_COEF=20\n# KSM_SLEEP_MSEC=100\n'),
    'lib/systemd/system/ksmtuned.service': (0o644, """[Service]
ExecStart=/usr/sbin/ksmtuned

[Install]
WantedBy=multi-user.target
"""),
    'usr/sbin/ksmtuned': (0o755, '#!/bin/sh\nexec sleep infinity\n'),
}


def stand_in(folder):
    """Puts there what dpkg-deb makes a package of. Return: its name in @folder."""
    for path, (mode, text) in FILES.items():
        file = pathlib.Path(folder, 'proxmox', path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
    return 'proxmox'
