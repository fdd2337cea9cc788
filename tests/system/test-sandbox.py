#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the units may not do fails, and what they need works: a program in their place tries all of it."""

import re
import shutil
import sys

from common import Tap, arguments, helper, read, wait_for
from container import booted
from unit import FAST, PLENTY, Unit

# As systemd-analyze counts: 1.2 of 10.
EXPOSURE_MAX = 12
PROBE = '/usr/local/bin/probe'
LANDLOCK = 'landlock_create_ruleset landlock_restrict_self'
METRICS = '/var/lib/prometheus/node-exporter'

# What probe.c tries, and what comes of it: in ksmtuned.service, its helper, ksm.service.
RESULTS = '''
capabilities                                     80004         0             0
NoNewPrivs                                       1             1             1
Seccomp                                          2             2             2
make a file in /etc                              EROFS         EROFS|EACCES  EROFS
make a file in /run                              EROFS         EROFS|EACCES  EROFS
make a file in /run/systemd/system               EROFS         EROFS|EACCES  EROFS
make a file in /usr                              EROFS         EROFS|EACCES  EROFS
make a file in /var/lib                          EROFS         EROFS|EACCES  EROFS
make a file in /run/ksmtuned                     ok            EACCES        -
make a file in /var/log                          ok            EACCES        EROFS
make a file in /var/lib/prometheus/node-exporter ok            EACCES        EROFS
write /sys/kernel/mm/ksm/sleep_millisecs         ok            EACCES        ok
read /sys/kernel/mm/ksm/sleep_millisecs          ok            ok            ok
write /sys/kernel/mm/transparent_hugepage/defrag EROFS         EROFS|EACCES  EROFS
write /proc/sys/vm/swappiness                    EROFS         EROFS|EACCES  EROFS
read /proc/meminfo                               ok            ok            ok
write /proc/pressure/memory                      ok            EACCES        EROFS
write /dev/kmsg                                  ENOENT        ENOENT|EACCES ENOENT
write /dev/kvm                                   ENOENT        ENOENT|EACCES ENOENT
read /root/secret                                ENOENT        EACCES        EACCES
read /tmp/secret                                 ENOENT        ENOENT        ENOENT
read /etc/ksmtuned-secret                        ok            EACCES        EACCES
write /run/ksmtune.pid                           ok            EACCES        -
write a guest's memory                           EROFS|EACCES  EPERM|ENOENT  EPERM|ENOENT
read a guest's smaps_rollup                      ok            EPERM|ENOENT  EPERM|ENOENT
read a guest's ksm_stat                          ok            EPERM|ENOENT  EPERM|ENOENT
read a guest's stat                              ok            EPERM|ENOENT  EPERM|ENOENT
socket AF_UNIX                                   ok            ok            EAFNOSUPPORT
socket AF_INET                                   EAFNOSUPPORT  EAFNOSUPPORT  EAFNOSUPPORT
socket AF_INET6                                  EAFNOSUPPORT  EAFNOSUPPORT  EAFNOSUPPORT
socket AF_NETLINK                                EAFNOSUPPORT  EAFNOSUPPORT  EAFNOSUPPORT
memory that is written and run                   EPERM         EPERM         EPERM
unshare a user namespace                         EPERM         EPERM         EPERM
unshare a mount namespace                        EPERM         EPERM         EPERM
mount                                            EPERM         EPERM         EPERM
ptrace                                           EPERM         EPERM         EPERM
process_vm_readv                                 EPERM         EPERM         EPERM
process_vm_writev                                EPERM         EPERM         EPERM
signal a guest                                   EPERM         EPERM         EPERM
setuid                                           EPERM         EPERM         EPERM
chown                                            EPERM         EPERM         EPERM
chroot                                           EPERM         EPERM         EPERM
realtime                                         EPERM         EPERM         EPERM
nice                                             EPERM         EPERM         EPERM
another personality                              EPERM         EPERM         EPERM
settimeofday                                     EPERM         EPERM         EPERM
sethostname                                      EPERM         EPERM         EPERM
init_module                                      EPERM         EPERM         EPERM
bpf                                              EPERM         EPERM         EPERM
swapoff                                          EPERM         EPERM         EPERM
make a program setuid                            EPERM         EPERM         EPERM
'''


def expected(column):
    """{what: the results that are right} of one of the columns; - is not looked at."""
    lines = [line.rsplit(None, 3) for line in RESULTS.strip().splitlines()]
    return {words[0]: words[1 + column].split('|') for words in lines if words[1 + column] != '-'}


def test_exposure(tap, unit):
    for name in ('ksmtuned.service', 'ksm.service'):
        answer = unit.box.run('systemd-analyze', 'security', '--no-pager', f'--threshold={EXPOSURE_MAX}', name)
        tap.equal(answer.returncode, 0, f'{name}: exposure at most {EXPOSURE_MAX / 10}')
        tap.diag((answer.stdout.strip().splitlines() or ['-'])[-1])


def results(unit, cursor):
    """What the probe told since: {what: result}; the first of each, for a helper is started again."""
    found = {}
    for entry in unit.box.journal('--after-cursor', cursor):
        match = re.fullmatch(r'probe: (.*?):\s*(.*)', str(entry.get('MESSAGE')))
        if match:
            found.setdefault(match[1], match[2].strip())
    return found


def compare(tap, unit, cursor, column, who):
    wait_for(lambda: any(entry.get('MESSAGE') == 'probe: end' for entry in
                         unit.box.journal('--after-cursor', cursor)), 20, 0.2)
    found = results(unit, cursor)
    tap.ok(found, f'{who}: the probe ran', lambda: unit.words())
    for what, right in expected(column).items():
        tap.ok(found.get(what) in right, f'{who}: {what}: {found.get(what)}', f'want: {" or ".join(right)}')


def test_daemon(tap, unit, guest):
    unit.systemctl('stop', 'ksmtuned.service')
    cursor = unit.cursor()
    unit.drop_in(f'[Service]\nType=oneshot\nWatchdogSec=0\nExecStart=\nExecStart={PROBE} {guest}\n')
    answer = unit.systemctl('start', 'ksmtuned.service')
    tap.equal(answer.returncode, 0, 'ksmtuned.service with the probe in place of the daemon')
    compare(tap, unit, cursor, 0, 'ksmtuned')
    tap.ok(not unit.box.inside('/run/ksmtune.pid').exists(), 'no pidfile is left')


def test_helper(tap, unit, guest):
    unit.fresh(PLENTY + FAST)
    unit.drop_in(f'[Service]\nEnvironment=KSMTUNED_LIBVIRT={PROBE} PROBE_PID={guest}\n')
    cursor = unit.cursor()
    unit.systemctl('restart', 'ksmtuned.service')
    compare(tap, unit, cursor, 1, 'the helper')
    tap.equal(unit.number('GUESTS'), 1, 'beside a daemon that sees the guest')


def test_ksm_service(tap, unit, guest):
    unit.systemctl('stop', 'ksmtuned.service', 'ksm.service')
    cursor = unit.cursor()
    path = unit.box.inside('/run/systemd/system/ksm.service.d/test.conf')
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'[Service]\nExecStart=\nExecStart={PROBE} {guest}\n')
    unit.box.run('systemctl', 'daemon-reload')
    unit.systemctl('start', 'ksm.service')
    compare(tap, unit, cursor, 2, 'ksm.service')
    unit.systemctl('stop', 'ksm.service')
    shutil.rmtree(path.parent)
    unit.box.run('systemctl', 'daemon-reload')


def test_log_elsewhere(tap, unit):
    """What cannot be written is told and no reason to end; the unit's comment says how to allow it."""
    unit.fresh(PLENTY)
    cursor = unit.cursor()
    unit.configure(PLENTY + 'DEBUG=1\nLOGFILE=/srv/ksmtuned.log\nPIDFILE=/srv/ksmtuned.pid\n')
    unit.systemctl('restart', 'ksmtuned.service')
    told = unit.words(cursor)
    tap.ok(unit.active() and '/srv/ksmtuned.log' in told and 'Read-only' in told,
           'a log where it may not write is told', told)
    tap.ok('/srv/ksmtuned.pid' in told, 'and so is a pidfile', told)
    unit.drop_in('[Service]\nReadWritePaths=/srv\n')
    unit.systemctl('restart', 'ksmtuned.service')
    tap.ok('committed' in read(unit.box.inside('/srv/ksmtuned.log'), '-'), 'with ReadWritePaths= it is written')
    tap.equal(read(unit.box.inside('/srv/ksmtuned.pid'), '-').strip(), str(unit.pid()), 'and the pidfile too')


def test_pidfile_of_another(tap, unit):
    """A daemon that was started by hand keeps its pidfile when the unit cannot start."""
    unit.fresh(PLENTY)
    unit.systemctl('stop', 'ksmtuned.service')
    unit.box.run('ksmtuned')
    pid = read(unit.box.inside('/run/ksmtune.pid'), '-').strip()
    answer = unit.systemctl('start', 'ksmtuned.service')
    tap.ok(answer.returncode != 0, 'the unit does not start beside a daemon that was started by hand')
    unit.systemctl('stop', 'ksmtuned.service')
    tap.equal(read(unit.box.inside('/run/ksmtune.pid'), '-').strip(), pid, 'and leaves the pidfile to it')
    unit.box.run('sh', '-c', f'kill {pid}')
    tap.ok(wait_for(lambda: not unit.box.inside('/run/ksmtune.pid').exists(), 5), 'which removes it at its end')


def run_tests(tap, args, box):
    unit = Unit(args, box)
    for path, user in (('/root/secret', '0'), ('/tmp/secret', '0'), ('/etc/ksmtuned-secret', '64055')):
        box.run('sh', '-c', f'echo secret >{path}; chmod 600 {path}; chown {user} {path}')
    shutil.copy(helper(args, 'probe'), box.inside(PROBE))
    box.inside(METRICS).mkdir(parents=True)
    box.run('cp', '/bin/sleep', '/usr/bin/qemu-system-x86_64')
    guest = box.spawn('setpriv', '--reuid=64055', '--clear-groups', '/usr/bin/qemu-system-x86_64', '600')
    try:
        pid = wait_for(lambda: box.run('sh', '-c', 'for p in /proc/[0-9]*; do case $(cat $p/comm) in '
                                       'qemu-system-x86) echo ${p#/proc/};; esac; done').stdout.strip())
        tap.ok(pid, 'a guest of another user runs')
        test_exposure(tap, unit)
        for test in (test_daemon, test_helper, test_ksm_service):
            test(tap, unit, pid)
        test_log_elsewhere(tap, unit)
        test_pidfile_of_another(tap, unit)
    finally:
        box.run('sh', '-c', f'kill -9 {pid or ""}')
        guest.kill()
        guest.wait()


def main():
    args, tap = arguments(__doc__), Tap()
    # The container's own filter of system calls knows nothing of Landlock.
    with booted(args, '--system-call-filter=' + LANDLOCK) as box:
        run_tests(tap, args, box)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
