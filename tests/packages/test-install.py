#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
test-install.py SCRIPT: what `meson install` makes of the configuration: an administrator's file stays.
"""

import os
import pathlib
import subprocess
import sys
import tempfile

from common import Tap

OURS, THEIRS = '# KSM_THRES_COEF=20\n', 'KSM_THRES_COEF=40\n'


class Place:
    """A folder that is /etc, here or in a package's root."""

    def __init__(self, script, folder, name, destdir):
        self.script, self.folder = script, pathlib.Path(folder, name)
        self.folder.mkdir()
        self.source = self.folder / 'source'
        self.source.write_text(OURS)
        os.utime(self.source, (86400, 86400))
        self.target = '/etc/ksmtuned.conf' if destdir else f'{self.folder}/etc/ksmtuned.conf'
        self.destdir = str(self.folder) if destdir else None
        self.file = self.folder / 'etc/ksmtuned.conf'

    def put(self, text):
        self.file.parent.mkdir(exist_ok=True)
        self.file.write_text(text)

    def install(self):
        """(status, what it said, {name: text})"""
        environment = {key: value for key, value in os.environ.items() if key != 'DESTDIR'}
        if self.destdir is not None:
            environment['DESTDIR'] = self.destdir
        answer = subprocess.run(['sh', '-c', 'umask 077; exec "$@"', 'sh', self.script, self.source, self.target],
                                env=environment, capture_output=True, text=True, check=False)
        there = sorted(self.file.parent.iterdir()) if self.file.parent.is_dir() else []
        return answer.returncode, answer.stdout, {path.name: path.read_text() for path in there if path.is_file()}


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    tap = Tap()
    name = 'ksmtuned.conf'
    with tempfile.TemporaryDirectory(prefix='ksmtuned-install-') as folder:
        for destdir in False, True:
            where = 'in a package' if destdir else 'on a host'
            place = Place(sys.argv[1], folder, f'new-{destdir}', destdir)
            tap.equal(place.install(), (0, '', {name: OURS}), f'{where}: a new one is installed')
            status = place.file.stat()
            tap.equal((status.st_mode & 0o7777, status.st_mtime), (0o644, 86400),
                      'for everyone to read, with its time, so that packages are the same each time')
            tap.equal(place.install(), (0, '', {name: OURS}), 'and again, the same')

        place = Place(sys.argv[1], folder, 'changed', False)
        place.put(THEIRS)
        said = f'{place.target} differs from ours and stays; the new one is {place.target}.new\n'
        for what in 'one that was changed stays, and that is told in a line', 'and again':
            tap.equal(place.install(), (0, said, {name: THEIRS, f'{name}.new': OURS}), f'on a host: {what}')

        place = Place(sys.argv[1], folder, 'packaged', True)
        place.put(THEIRS)
        tap.equal(place.install(), (0, '', {name: OURS}), 'in a package: ours is installed in any case')

        place = Place(sys.argv[1], folder, 'link', False)
        place.put('')
        place.file.unlink()
        place.file.symlink_to('nowhere')
        place.install()
        tap.ok(place.file.is_symlink() and (place.folder / f'etc/{name}.new').exists(),
               'on a host: a link to what is not there stays, too')

        place = Place(sys.argv[1], folder, 'file', False)
        (place.folder / 'etc').write_text('')
        tap.ok(place.install()[0] != 0, 'where nothing can be installed, that fails')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
