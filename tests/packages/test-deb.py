#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
test-deb.py FOLDER: the Debian packages in FOLDER, in a booted container, from the old ksmtuned's and
back: configuration, enabled state and service are kept, and a purge leaves nothing.
"""

import pathlib
import re
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))

from common import Tap, live_ksm, need_root, read, skip_all, wait_for  # noqa: E402
from container import Container, bootstrapped_root, why_not  # noqa: E402
from old_package import old_package  # noqa: E402
from unit import CONF, Unit  # noqa: E402

# What both packages need, and perl, for deb-systemd-helper.
MORE = ['ucf', 'init-system-helpers', 'procps', 'mawk']
OLD = '/root/old.deb'
CHANGED = {'KSM_MONITOR_INTERVAL': '2', 'KSM_SLEEP_MSEC': '20', 'KSM_NPAGES_BOOST': '301',
           'KSM_NPAGES_DECAY': '-51', 'KSM_NPAGES_MIN': '65', 'KSM_NPAGES_MAX': '1251', 'KSM_THRES_COEF': '30',
           'KSM_THRES_CONST': '4096', 'LOGFILE': '/var/log/ksmtuned', 'DEBUG': '1'}
# What dpkg, ucf, debconf, systemd and the journal keep for themselves.
OTHERS = re.compile(r'/(var/lib/(dpkg|ucf|systemd)|var/cache/debconf|var/log/(journal|dpkg|alternatives)|run|tmp|'
                    r'var/tmp)(/|\.|$)')


class Box:
    """The container, with the packages' files in /root."""

    def __init__(self, tap, folder, old, box):
        self.tap, self.box, self.folder = tap, box, folder
        shutil.copy(old, box.root / OLD[1:])
        for deb in folder.glob('*.deb'):
            shutil.copy(deb, box.root / 'root')
        self.ours = self.deb('ksmtuned')
        self.helper = self.deb('ksmtuned-libvirt')

    def deb(self, name):
        return '/root/' + next(self.folder.glob(f'{name}_*.deb')).name

    def dpkg(self, what, *words):
        """As where nobody can answer."""
        answer = self.box.run('env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', *words)
        self.tap.ok(answer.returncode == 0, what, answer.stdout + answer.stderr)

    def enabled(self, unit):
        return self.box.run('systemctl', 'is-enabled', unit).stdout.strip()

    def active(self, unit):
        return self.box.show(unit, 'ActiveState')

    def files(self):
        answer = self.box.run('find', '/', '-xdev', '-not', '-path', '/root/*')
        return {line for line in answer.stdout.splitlines() if not OTHERS.match(line)}

    def said(self, words):
        """The daemon's messages with these words."""
        entries = self.box.journal('SYSLOG_IDENTIFIER=ksmtuned')
        return [entry['MESSAGE'] for entry in entries if words in str(entry.get('MESSAGE'))]

    def left(self):
        """Of ours, also where others keep things."""
        return self.box.run('sh', '-c', 'find /etc /lib /usr /var /run -xdev -iname "*ksm*" -not -path '
                            '"/run/host/*"; find /run -iname "*ksm*"').stdout.split()


def change_each_key(path):
    text = path.read_text()
    for key, value in CHANGED.items():
        text = re.sub(rf'^# {key}=.*$', f'{key}={value}', text, flags=re.M)
    path.write_text(text)
    return text


def fresh(tap, box):
    """On a host that never had any, without libvirt."""
    before = box.files()
    box.dpkg('a fresh host without libvirt: installed', '-i', box.ours)
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned')), ('enabled', 'active'), 'enabled and active')
    tap.equal((box.enabled('ksm'), box.active('ksm')), ('disabled', 'inactive'), 'but ksm.service is not')
    wait_for(lambda: box.said('ksmtuned-libvirt is not installed'), 5, 0.2)
    tap.equal(len(box.said('ksmtuned-libvirt is not installed')), 1,
              'the daemon says once that the helper is not installed')
    box.box.run('sh', '-c', 'echo DEBUG=1 >>/etc/ksmtuned.conf; systemctl reload ksmtuned')
    tap.ok(wait_for(lambda: (box.box.root / 'var/log/ksmtuned').exists(), 5), 'DEBUG makes a log')
    box.box.run('logrotate', '--force', '/etc/logrotate.d/ksmtuned')
    smoke = pathlib.Path(__file__).resolve().parents[2] / 'packaging/debian/tests/smoke'
    shutil.copy(smoke, box.box.root / 'root/smoke')
    box.dpkg('the helper is installed beside it', '--force-depends', '-i', box.helper)
    answer = box.box.run('/root/smoke')
    tap.equal(answer.returncode, 0, 'the package\'s own test passes')
    tap.diag(answer.stdout + answer.stderr)
    box.dpkg('removed', '--remove', 'ksmtuned-libvirt', 'ksmtuned')
    tap.ok((box.box.root / CONF[1:]).exists(), 'a removal keeps the configuration')
    tap.equal(box.box.inside('/run/ksmtuned').exists(), False, 'and no state')
    box.dpkg('purged', '--purge', 'ksmtuned', 'ksmtuned-libvirt')
    gone(tap, box, before)


def gone(tap, box, before):
    after = box.files()
    tap.equal((sorted(after - before - {'/var/lib/logrotate/status'}), sorted(before - after)), ([], []),
              'a purge leaves the files as they were')
    tap.equal(box.left(), [], 'and nothing of its name anywhere')


def check_kept(tap, unit, text):
    tap.equal(read(unit.box.root / CONF[1:]), text, 'the configuration is as it was, each key changed')
    state = unit.state()
    total = int(state.get('TOTAL_KB', 0))
    tap.equal((state.get('INTERVAL_USEC'), state.get('THRESHOLD_KB')), ('2000000', str(total * 30 // 100)),
              'and in force')
    tap.ok('committed' in read(unit.box.root / 'var/log/ksmtuned', '-'), 'the log goes on')
    tap.equal(unit.show('NRestarts'), '0', 'it started at once')


def upgrade(tap, box):
    """From the old package with each key changed, and back."""
    before = box.files()
    box.dpkg('the old package is installed', '-i', OLD)
    text = change_each_key(box.box.root / CONF[1:])
    tap.equal([key for key, value in CHANGED.items() if f'\n{key}={value}\n' not in text], [],
              'each of its keys is changed')
    box.box.run('systemctl', 'restart', 'ksmtuned')
    tap.equal((box.active('ksmtuned'), box.active('ksm')), ('active', 'active'), 'the script runs')
    box.dpkg('upgraded', '-i', box.ours)
    unit = Unit(None, box.box)
    tap.ok(unit.active(), 'the service runs', lambda: unit.words())
    tap.equal((box.enabled('ksmtuned'), box.enabled('ksm'), box.active('ksm')), ('enabled', 'enabled', 'active'),
              'what was enabled is, ksm.service too')
    tap.equal(box.box.run('pgrep', '-c', '-x', 'ksmtuned').stdout.strip(), '1', 'and the script has ended')
    check_kept(tap, unit, text)
    pid = unit.pid()
    tap.equal(read(box.box.inside('/run/ksmtune.pid')).strip(), str(pid), 'the pidfile has its PID')
    before_usr1 = unit.number('DECISIONS')
    box.box.run('sh', '-c', 'kill -USR1 $(cat /var/run/ksmtune.pid)')
    tap.ok(wait_for(lambda: unit.number('DECISIONS') > before_usr1, 1.5), 'SIGUSR1 to it retunes')
    tap.equal((unit.systemctl('reload', 'ksmtuned').returncode, unit.pid()), (0, pid), 'systemctl reload works')
    tap.ok(wait_for(lambda: unit.state().get('TRIGGER') in ('reload', 'timer'), 5), 'and decides')

    box.dpkg('upgraded from itself', '-i', box.ours)
    check_kept(tap, unit, text)
    beside = {path.name for path in (box.box.root / 'etc').glob('ksmtuned.conf?*')}
    tap.equal(beside, {'ksmtuned.conf.d', 'ksmtuned.conf.ucf-dist'}, 'the new one lies beside it, to be compared')

    box.dpkg('downgraded', '-i', OLD)
    tap.equal((box.active('ksmtuned'), box.enabled('ksmtuned')), ('active', 'enabled'), 'the old one runs')
    tap.equal(read(box.box.root / CONF[1:]), text, 'with its configuration')
    tap.ok('bash' in box.box.run('head', '-n', '1', '/usr/sbin/ksmtuned').stdout, 'it is the script')
    box.dpkg('and upgraded again', '-i', box.ours)
    check_kept(tap, unit, text)
    box.dpkg('purged', '--purge', 'ksmtuned')
    gone(tap, box, before)


def untouched_and_disabled(tap, box):
    """A configuration that nobody has changed becomes the new one, and what is disabled stays so."""
    before = box.files()
    box.dpkg('the old package, as shipped', '-i', OLD)
    box.box.run('systemctl', 'disable', '--now', 'ksmtuned.service', 'ksm.service')
    box.dpkg('upgraded', '-i', box.ours)
    tap.ok('ksmtuned.conf(5)' in read(box.box.root / CONF[1:]), 'the configuration is the new one')
    tap.equal([box.enabled(name) for name in ('ksmtuned', 'ksm')], ['disabled', 'disabled'],
              'what was disabled stays so')
    tap.equal([box.active(name) for name in ('ksmtuned', 'ksm')], ['inactive', 'inactive'], 'and down')
    box.dpkg('purged', '--purge', 'ksmtuned')
    gone(tap, box, before)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    need_root()
    if reason := why_not():
        skip_all(reason)
    old, reason = old_package()
    if not old:
        skip_all(reason)
    base, reason = bootstrapped_root(MORE)
    if not base:
        skip_all(reason)
    tap = Tap()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with live_ksm():
        container = Container(None, base)
        try:
            container.boot('--bind=/sys/kernel/mm/ksm')
            box = Box(tap, pathlib.Path(sys.argv[1]), old, container)
            for test in (fresh, upgrade, untouched_and_disabled):
                tap.diag(test.__doc__.strip())
                try:
                    test(tap, box)
                except Exception as error:  # one test's trouble is not the others'
                    tap.ok(False, f'{test.__name__} runs to its end', f'{type(error).__name__}: {error}')
        finally:
            container.remove()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
