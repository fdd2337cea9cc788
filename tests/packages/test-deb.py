#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
test-deb.py FOLDER: the Debian packages in FOLDER, in a booted container, from the old ksmtuned's and
back: configuration, enabled state and service are kept, and a purge leaves nothing.
"""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / 'system'))

from common import Tap, live_ksm, need_root, read, skip_all, unpacked_package, wait_for  # noqa: E402
from container import Container, bootstrapped_root, why_not  # noqa: E402
from old_package import old_package, stand_in  # noqa: E402
from unit import CONF, Unit  # noqa: E402

# What both packages need, and perl, for deb-systemd-helper.
MORE = ['ucf', 'init-system-helpers', 'procps', 'mawk']
OLD = '/root/old.deb'
PROXMOX = '/root/proxmox.deb'
SOURCE = pathlib.Path(__file__).resolve().parents[2]
# Memory is always short with these: decisions go to NPAGES_MAX.
CHANGED = {'KSM_MONITOR_INTERVAL': '2', 'KSM_SLEEP_MSEC': '20', 'KSM_NPAGES_BOOST': '301',
           'KSM_NPAGES_DECAY': '-51', 'KSM_NPAGES_MIN': '65', 'KSM_NPAGES_MAX': '651', 'KSM_THRES_COEF': '99',
           'KSM_THRES_CONST': '4096', 'LOGFILE': '/var/log/ksm-tuning.log', 'DEBUG': '1'}
KSM_DEFAULT = '/etc/default/ksm'
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

    def field(self, deb, name):
        return self.box.run('dpkg-deb', '--field', deb, name).stdout.strip()

    def enabled(self, unit):
        return self.box.run('systemctl', 'is-enabled', unit).stdout.strip()

    def status(self, package):
        """As dpkg has it; '' where it knows nothing of it."""
        return self.box.run('dpkg-query', '--show', '--showformat', '${db:Status-Status}', package).stdout.strip()

    def ucf(self):
        """What ucf knows of our files."""
        return self.box.run('sh', '-c', 'grep -s ksm /var/lib/ucf/hashfile /var/lib/ucf/registry').stdout.split()

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
        """Of ours, also where others keep things: files by their names, and lines of ucf's and dpkg's."""
        return self.box.run('sh', '-c', 'find /etc /lib /usr /var /run -xdev -iname "*ksm*" -not -path '
                            '"/run/host/*"; find /run -iname "*ksm*"; '
                            'grep -s ksm /var/lib/ucf/hashfile /var/lib/ucf/registry /var/lib/dpkg/status').stdout.split()


def change_each_key(path, values):
    """Return: the new text, and the keys that stood there, commented out."""
    text = path.read_text()
    keys = re.findall(r'^# ([A-Z_]+)=', text, re.M)
    for key, value in values.items():
        text = re.sub(rf'^# {key}=.*$', f'{key}={value}', text, flags=re.M)
    path.write_text(text)
    return text, sorted(keys)


def check_fields(tap, box):
    """What the packages say of themselves."""
    version = '1:' + re.search(r"^ *version: '(.+)'", read(SOURCE / 'meson.build'), re.M)[1]
    maintainer = re.search(r'^MAINTAINER=(.+)', read(SOURCE / 'packaging/distributor'), re.M)[1]
    for deb in (box.ours, box.helper):
        tap.equal((box.field(deb, 'Version'), box.field(deb, 'Maintainer')), (version, maintainer),
                  f'{deb}: version and maintainer')
    tap.equal(box.box.run('dpkg', '--compare-versions', version, 'gt', box.field(OLD, 'Version')).returncode, 0,
              'the version is newer than the old package\'s')
    tap.equal(box.field(box.ours, 'Package'), box.field(OLD, 'Package'), 'whose name it has')
    tap.equal([box.field(box.ours, name) for name in ('Conflicts', 'Replaces', 'Provides')],
              ['ksm-control-daemon'] * 3, 'the one before that gives way')
    tap.ok('libvirt' not in box.field(box.ours, 'Depends'), 'it does not depend on libvirt')
    tap.ok(f'ksmtuned (= {version})' in box.field(box.helper, 'Depends'), 'the helper fits this build alone')


def check_symbols(tap, box):
    """The debug symbols are those of the installed programs."""
    box.dpkg('the debug symbols are installed', '-i', box.deb('ksmtuned-dbgsym'), box.deb('ksmtuned-libvirt-dbgsym'))
    for program in ('/usr/sbin/ksmtuned', '/usr/sbin/ksmctl', '/usr/libexec/ksmtuned-libvirt'):
        notes = subprocess.run(['readelf', '--notes', box.box.root / program[1:]], capture_output=True,
                               text=True, check=True).stdout
        build = re.search(r'Build ID: (\w\w)(\w+)', notes)
        symbols = box.box.root / f'usr/lib/debug/.build-id/{build[1]}/{build[2]}.debug'
        tap.ok(symbols.exists(), f'{program} has its symbols')
    box.dpkg('and removed', '--purge', 'ksmtuned-dbgsym', 'ksmtuned-libvirt-dbgsym')


def check_fleet_files(tap, box):
    """Rules and dashboard are installed, and those are what promtool takes."""
    folder = box.box.root / 'usr/share/ksmtuned'
    rules = sorted((folder / 'prometheus').iterdir())
    tap.equal([path.name for path in rules], ['ksmtuned.alerts.yml', 'ksmtuned.rules.yml'],
              'rules and alerts are installed')
    tools, why = (shutil.which('promtool'), '') if shutil.which('promtool') else unpacked_package('prometheus')
    if tools:
        promtool = tools if isinstance(tools, str) else tools / 'usr/bin/promtool'
        answer = subprocess.run([promtool, 'check', 'rules', *rules], capture_output=True, text=True, check=False)
        tap.ok(answer.returncode == 0, 'promtool takes them', answer.stdout + answer.stderr)
    else:
        tap.skip('promtool takes them', why)
    tap.equal(json.loads(read(folder / 'grafana/ksmtuned.json')),
              json.loads(read(SOURCE / 'packaging/grafana/ksmtuned.json')), 'and the dashboard')


def check_own_tests(tap, box):
    """What autopkgtest would run, here."""
    names = re.search(r'^Tests: (.+)', read(SOURCE / 'packaging/debian/tests/control'), re.M)[1]
    for name in re.split(r'[ ,]+', names):
        shutil.copy(SOURCE / 'packaging/debian/tests' / name, box.box.root / 'root' / name)
        answer = box.box.run(f'/root/{name}')
        tap.equal(answer.returncode, 0, f'the package\'s own test passes: {name}')
        tap.diag(answer.stdout + answer.stderr)


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
    check_fleet_files(tap, box)
    box.dpkg('the helper is installed beside it', '--force-depends', '-i', box.helper)
    check_symbols(tap, box)
    check_own_tests(tap, box)
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
    tap.equal(unit.box.run('grep', '-x', 'KSM_MAX_KERNEL_PAGES=7', KSM_DEFAULT).returncode, 0,
              'and so is the environment of ksm.service')
    total = int(unit.state().get('TOTAL_KB', 1))
    want = {'INTERVAL_USEC': 2000000, 'THRESHOLD_KB': total * 99 // 100, 'PAGES_TO_SCAN': 651,
            'SLEEP_MSEC': max(10, 20 * 16 * 1024 * 1024 // total)}
    wait_for(lambda: unit.number('PAGES_TO_SCAN') == 651, 15)
    tap.equal({key: unit.number(key) for key in want}, want, 'and in force')
    checked = unit.box.run('ksmtuned', '--check-config')
    tap.ok(checked.returncode == 0 and 'unknown' not in (checked.stdout + checked.stderr).lower(),
           'each key is known', checked.stdout + checked.stderr)
    tap.ok('committed' in read(unit.box.root / CHANGED['LOGFILE'][1:], '-'), 'the log goes on')
    tap.equal(unit.show('NRestarts'), '0', 'it started at once')


def upgrade(tap, box):
    """From the old package with each key changed, and back."""
    before = box.files()
    box.dpkg('the old package is installed', '-i', OLD)
    text, keys = change_each_key(box.box.root / CONF[1:], CHANGED)
    _, more = change_each_key(box.box.root / KSM_DEFAULT[1:], {'KSM_MAX_KERNEL_PAGES': '7'})
    tap.equal((keys, more), (sorted(CHANGED), ['KSM_MAX_KERNEL_PAGES']), 'each of its keys is changed')
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
    for trigger, command in (('signal', 'kill -USR1 $(cat /var/run/ksmtune.pid)'),
                             ('reload', 'systemctl reload ksmtuned')):
        asked = box.box.spawn('sh', '-c', command)
        tap.ok(wait_for(lambda: unit.state().get('TRIGGER') == trigger, 5),  # noqa: B023
               f'it decides: {command}', lambda: unit.state())
        tap.equal((asked.wait(), unit.pid()), (0, pid), 'and is the same process')

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
    (box.box.root / CHANGED['LOGFILE'][1:]).unlink()  # its name was not the package's
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


def there_and_back(tap, box):
    """A downgrade leaves nothing of ours behind that would be in the way of a new beginning."""
    before = box.files()
    box.dpkg('the old package again', '-i', OLD)
    box.dpkg('upgraded', '-i', box.ours)
    box.dpkg('downgraded', '-i', OLD)
    tap.equal(box.ucf(), [], 'ucf knows nothing of it any more')
    tap.ok((box.box.root / CONF[1:]).exists() and (box.box.root / KSM_DEFAULT[1:]).exists(),
           'the configuration is there')
    box.dpkg('the old one is purged', '--purge', 'ksmtuned')
    box.dpkg('and ours installed as on a fresh host', '-i', box.ours)
    tap.ok('ksmtuned.conf(5)' in read(box.box.root / CONF[1:], ''), 'with its configuration')
    tap.ok((box.box.root / KSM_DEFAULT[1:]).exists(), 'and the environment of ksm.service')
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned')), ('enabled', 'active'), 'enabled and active')
    box.dpkg('purged', '--purge', 'ksmtuned')
    gone(tap, box, before)


def documented(page, heading, after):
    """The commands of the first block in docs/@page behind @heading and @after."""
    text = read(SOURCE / 'docs' / page).partition(heading)[2].partition(after)[2]
    block = re.search(r'\n\n((?: {4,}\S.*\n)+)', text)[1]
    return [line.strip() for line in block.splitlines()]


def dry_run_first(tap, box):
    """As docs/fleet.md rolls it out."""
    before = box.files()
    for command in documented('fleet.md', '## Roll out', '**Dry run**'):
        command = command.replace('sudo ', '').replace('apt install ./ksmtuned_*.deb', f'dpkg -i {box.ours}')
        answer = box.box.run('sh', '-ec', f'DEBIAN_FRONTEND=noninteractive {command}')
        tap.equal(answer.returncode, 0, command)
        tap.diag(answer.stdout + answer.stderr)
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned')), ('masked', 'inactive'), 'the unit is down')
    tap.ok(wait_for(lambda: 'DECISIONS=1' in read(box.box.inside('/run/ksmtuned/state'), ''), 10, 0.1)
           and box.said('dry run'), 'a dry run decides')
    box.box.run('systemctl', 'stop', 'ksmtuned-dry')
    box.box.run('systemctl', 'unmask', 'ksmtuned')
    box.box.run('systemctl', 'enable', '--now', 'ksmtuned')
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned')), ('enabled', 'active'), 'and then it runs')
    # What was enabled by hand, and not by the package, is to be disabled by hand.
    box.box.run('systemctl', 'disable', 'ksmtuned')
    box.dpkg('purged', '--purge', 'ksmtuned')
    gone(tap, box, before)


def proxmox(tap, box):
    """From Proxmox's package, and its purge; back to it, and a purge of ours."""
    before = box.files()
    box.box.run('dpkg-deb', '--root-owner-group', '--build', '/root/' + stand_in(box.box.root / 'root'), PROXMOX)
    box.dpkg('Proxmox\'s package (a stand-in) is installed', '-i', PROXMOX)
    box.box.run('sh', '-c', f'echo KSM_THRES_COEF=41 >>{CONF}')
    text = read(box.box.root / CONF[1:])
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned')), ('enabled', 'active'), 'its service runs')
    box.dpkg('ours takes its place', '-i', box.ours)
    tap.equal((box.status('ksm-control-daemon'), box.status('ksmtuned')), ('config-files', 'installed'),
              'and it is removed, but for its configuration')
    tap.ok(box.enabled('ksmtuned') == 'enabled' and 'ksmtuned 0' in box.box.run('ksmtuned', '--version').stdout,
           'our service is enabled')
    tap.equal(read(box.box.root / CONF[1:]), text, 'the configuration is as it was')

    for command in documented('migrate.md', '## From Proxmox VE', '**Purge**'):
        answer = box.box.run('sh', '-ec', command.replace('sudo ', '').replace('apt purge', 'dpkg --purge'))
        tap.equal(answer.returncode, 0, f'as docs/migrate.md says: {command}')
    tap.ok(box.status('ksm-control-daemon') in ('', 'not-installed'), 'it is purged')
    tap.equal((box.enabled('ksmtuned'), box.active('ksmtuned'), read(box.box.root / CONF[1:], '')),
              ('enabled', 'active', text), 'and ours is enabled and runs, with the configuration')
    box.box.run('rm', '/root/ksmtuned.conf')

    box.dpkg('ours is removed', '--remove', 'ksmtuned')
    box.dpkg('and Proxmox\'s is back', '-i', '--force-confold', PROXMOX)
    here = [box.enabled('ksmtuned'), box.active('ksmtuned'), read(box.box.root / CONF[1:], '')]
    tap.equal(here, ['enabled', 'active', text], 'enabled, active, with the configuration')
    box.dpkg('what is left of ours is purged', '--purge', 'ksmtuned')
    tap.equal([box.enabled('ksmtuned'), box.active('ksmtuned'), read(box.box.root / CONF[1:], '')], here,
              'Proxmox\'s has all that it had')
    tap.ok(not box.ucf() and box.status('ksmtuned') in ('', 'not-installed'),
           'and ucf and dpkg know nothing of ours')
    box.dpkg('Proxmox\'s is purged', '--purge', 'ksm-control-daemon')
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
            for test in (check_fields, fresh, upgrade, untouched_and_disabled, there_and_back, dry_run_first, proxmox):
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
