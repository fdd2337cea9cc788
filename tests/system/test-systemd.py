#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The units under a real systemd: a Debian container with this build installed, on live KSM."""

import os
import re
import signal
import sys
import time

from common import KSM, Mergeable, Tap, arguments, knob, knob_number, read, wait_for, write
from container import booted
from unit import CONF, FAST, PLENTY, SHORT, Unit

STATE_KEYS = ('VERSION POLICY PHASE RUN PAGES_TO_SCAN SLEEP_MSEC TOTAL_KB FREE_KB COMMITTED_KB '
              'THRESHOLD_KB GUESTS SAVED_BYTES KSMD_CPU_NSEC DECISIONS TRIGGER REASON TIME_USEC').split()


def test_units_verify(tap, unit):
    answer = unit.box.run('systemd-analyze', 'verify', '--man=no', 'ksmtuned.service', 'ksm.service')
    tap.equal((answer.returncode, answer.stdout + answer.stderr), (0, ''),
              'systemd-analyze verify finds nothing in the units')


def test_enable_now(tap, unit):
    """As shipped: the interval is 60 s, so what is there is the first decision's."""
    unit.configure(unit.shipped)
    answer = unit.systemctl('enable', '--now', 'ksmtuned.service')
    tap.equal(answer.returncode, 0, 'systemctl enable --now')
    state = unit.state()
    tap.ok(unit.active(), 'the unit is active', lambda: unit.words())
    tap.equal(unit.systemctl('is-enabled', 'ksmtuned').stdout.strip(), 'enabled', 'it is enabled')
    tap.equal((state.get('DECISIONS'), state.get('TRIGGER')), ('1', 'start'),
              'READY comes behind the first decision')
    tap.equal([key for key in STATE_KEYS if key not in state], [], 'the state has every key')
    tap.equal(int(state.get('TOTAL_KB', 0)), int(re.search(r'MemTotal:\s+(\d+)', read('/proc/meminfo'))[1]),
              'TOTAL_KB is the machine\'s memory')
    tap.equal(int(state.get('THRESHOLD_KB', 0)), int(state.get('TOTAL_KB', 0)) * 20 // 100,
              'THRESHOLD_KB is 20 % of it, as shipped')
    tap.equal(oct(unit.box.inside('/run/ksmtuned/state').stat().st_mode & 0o777), '0o644',
              'everyone can read the state')
    pid = unit.pid()
    tap.equal(read(unit.box.inside('/run/ksmtune.pid'), '-').strip(), str(pid), '/run/ksmtune.pid has its PID')
    tap.equal(read(unit.box.inside(f'/proc/{pid}/comm'), '-').strip(), 'ksmtuned', 'its comm is ksmtuned')
    text = unit.show('StatusText')
    tap.ok(re.search(r'KSM', text) and re.search(r'\d (GiB|MiB|kB)', text) and 'guest' in text
           and 'threshold' in text, 'StatusText tells of KSM, memory, threshold and guests', text)
    tap.ok(unit.show('NotifyAccess') == 'main' and unit.show('WatchdogUSec') not in ('', '0', 'infinity'),
           'the unit notifies and has a watchdog', unit.show('WatchdogUSec'))
    tap.equal(unit.show('KillMode'), 'mixed',
              'SIGTERM is the daemon\'s alone: who unmerges for it must not get it too')


def test_plenty_then_short(tap, unit):
    unit.configure(PLENTY + FAST)
    write(KSM / 'run', 1)
    unit.systemctl('restart', 'ksmtuned')
    tap.equal(knob('run'), '0', 'run becomes 0 at start where memory is plentiful')
    before, seen, end = unit.number('DECISIONS'), set(), time.monotonic() + 3
    while time.monotonic() < end:
        seen.add(knob('run'))
        time.sleep(0.01)
    tap.equal(seen, {'0'}, 'and never reads 1 in three seconds of decisions')
    tap.ok(unit.number('DECISIONS') >= before + 4, 'in which decisions are taken twice a second')

    unit.fresh(SHORT + FAST)
    tap.equal(knob('run'), '1', 'run is 1 at once where memory is short')
    tap.equal(knob('pages_to_scan'), '300', 'pages_to_scan is the first boost')
    sleep_msec = max(10, 10 * 16777216 // unit.number('TOTAL_KB'))
    tap.equal(knob_number('sleep_millisecs'), sleep_msec, 'sleep_millisecs is scaled by total')
    unit.wait_decisions(5)
    tap.equal(knob('pages_to_scan'), '1250', 'further boosts end at KSM_NPAGES_MAX')


def test_reload(tap, unit):
    unit.fresh('KSM_THRES_COEF=20\n')
    total, pid = unit.number('TOTAL_KB'), unit.pid()
    unit.configure('KSM_THRES_COEF=30\n')
    answer = unit.systemctl('reload', 'ksmtuned')
    reloaded = wait_for(lambda: unit.state().get('TRIGGER') == 'reload')
    tap.ok(answer.returncode == 0 and reloaded, 'systemctl reload decides anew', str(unit.state()))
    tap.equal(unit.number('THRESHOLD_KB'), total * 30 // 100, 'with the new configuration')
    tap.equal(unit.pid(), pid, 'in the same process')
    wait_for(unit.active)

    cursor = unit.cursor()
    unit.configure('# line 1\n\nKSM_THRES_COEF=abc\n')
    unit.systemctl('reload', 'ksmtuned')
    heard = wait_for(lambda: f'{CONF}:3' in unit.words(cursor))
    tap.ok(heard, 'a bad file: the journal has file and line', lambda: unit.words(cursor))
    tap.ok(any(f'{CONF}:3' in str(e.get('MESSAGE')) and int(e['PRIORITY']) <= 4 for e in unit.entries(cursor)),
           'as an error or a warning')
    decisions = unit.number('DECISIONS')
    unit.systemctl('kill', '--signal=USR1', 'ksmtuned')
    wait_for(lambda: unit.number('DECISIONS') > decisions)
    tap.equal((unit.pid(), unit.number('THRESHOLD_KB')), (pid, total * 30 // 100),
              'the old configuration is kept, in the same process')
    tap.ok(wait_for(unit.active), 'and the unit is active', unit.show('ActiveState'))


def test_retune(tap, unit):
    unit.fresh(PLENTY)
    before = unit.number('DECISIONS')
    unit.systemctl('kill', '--signal=USR1', 'ksmtuned')
    wait_for(lambda: unit.number('DECISIONS') > before, 5)
    tap.equal((unit.number('DECISIONS'), unit.state().get('TRIGGER')), (before + 1, 'signal'),
              'SIGUSR1: one decision more, TRIGGER=signal')


def test_journal(tap, unit):
    unit.fresh(PLENTY + FAST)
    unit.wait_decisions(1)
    cursor = unit.cursor()
    tap.ok(unit.wait_decisions(6), 'six idle decisions')
    tap.equal(unit.words(cursor), '', 'write nothing to the journal')

    unit.configure(SHORT + FAST)
    unit.systemctl('reload', 'ksmtuned')
    wait_for(lambda: knob('pages_to_scan') == '1250')
    unit.wait_decisions(1)
    changes = [entry for entry in unit.entries(cursor) if 'KSM_RUN' in entry]
    tap.ok(changes and all('KSM_PAGES_TO_SCAN' in e and 'KSM_FREE_KB' in e for e in changes),
           'a change of state has KSM_RUN, KSM_PAGES_TO_SCAN, KSM_FREE_KB', lambda: unit.words(cursor))
    tap.equal(changes[0]['KSM_RUN'] if changes else None, '1', 'KSM_RUN is what was decided')
    message_id = changes[0].get('MESSAGE_ID', '') if changes else ''
    tap.ok(re.fullmatch('[0-9a-f]{32}', message_id), 'it has a MESSAGE_ID', message_id)
    found = unit.box.journal(f'MESSAGE_ID={message_id}', 'KSM_RUN=1') if message_id else []
    tap.ok(found, 'journalctl finds it by MESSAGE_ID and field')
    cursor = unit.cursor()
    tap.ok(unit.wait_decisions(6), 'six decisions at the limit')
    tap.equal(unit.words(cursor), '', 'write nothing either')


def test_debug_log(tap, unit):
    """The line-editing of test suites out there, then logrotate."""
    text = re.sub(r'^.*LOGFILE.*$', 'LOGFILE=/var/log/ksmtuned', unit.shipped, flags=re.M)
    text = re.sub(r'^.*DEBUG.*$', 'DEBUG=1', text, flags=re.M)
    log = unit.box.root / 'var/log/ksmtuned'
    unit.fresh(text)
    tap.ok('committed' in read(log, '-'), 'with DEBUG=1 the unit writes /var/log/ksmtuned', read(log, '-'))
    unit.box.run('logrotate', '--force', '/etc/logrotate.d/ksmtuned')
    tap.ok(wait_for(lambda: 'committed' in read(log, '-')), 'after logrotate it writes a new one',
           str(list(log.parent.iterdir())))
    rotated = [path.name for path in log.parent.iterdir() if re.match(r'ksmtuned[.-]', path.name)]
    tap.ok(rotated, 'beside the rotated one')


def test_guests(tap, unit):
    """The sandbox of the unit must not hide guests, which run as other users."""
    guests = []
    try:
        unit.box.run('cp', '/bin/sleep', '/usr/bin/qemu-system-x86_64')
        for user in ('64055', '0'):
            guests.append(unit.box.spawn('setpriv', f'--reuid={user}', '--clear-groups',
                                         '/usr/bin/qemu-system-x86_64', '600'))
        for metric in ('rss', 'pss', 'vsz'):
            unit.fresh(PLENTY + f'KSM_PS_METRIC={metric}\n')
            tap.equal(unit.number('GUESTS'), 2, f'guests of any user are seen ({metric})')
            tap.ok(unit.number('COMMITTED_KB') > 0, f'and measured by {metric}', str(unit.state()))
    finally:
        for guest in guests:
            guest.kill()
            guest.wait()
        # nsenter forks for the PID namespace: the guests are its children.
        unit.box.run('sh', '-c', 'for p in /proc/[0-9]*; do case $(cat $p/comm) in qemu-system-x86) '
                     'kill -9 ${p#/proc/};; esac; done')


def restarted(unit, old_pid, count):
    return unit.pid() not in (0, old_pid) and unit.show('NRestarts') == str(count) and unit.active()


def test_watchdog(tap, unit):
    watchdog = '[Service]\nWatchdogSec=3\nTimeoutAbortSec=5\nRestartSec=100ms\n'
    unit.fresh(PLENTY + 'KSM_MONITOR_INTERVAL=1h\n')
    unit.drop_in(watchdog)
    unit.systemctl('restart', 'ksmtuned')
    pid = unit.pid()
    time.sleep(7)
    tap.equal((unit.pid(), unit.show('NRestarts')), (pid, '0'),
              'a watchdog that is shorter than the interval does not bite')
    unit.fresh(PLENTY + FAST)
    unit.drop_in(watchdog)
    unit.systemctl('restart', 'ksmtuned')
    pid = unit.pid()
    time.sleep(7)
    tap.equal((unit.pid(), unit.show('NRestarts')), (pid, '0'), 'a healthy daemon is not bitten')
    cursor = unit.cursor()
    os.kill(unit.host_pid(), signal.SIGSTOP)
    tap.ok(wait_for(lambda: restarted(unit, pid, 1), 40), 'stopped, it is killed and started again',
           lambda: unit.words())
    entries = unit.box.journal('--after-cursor', cursor)
    tap.ok(any('watchdog' in str(entry.get('MESSAGE')).lower() for entry in entries
               if entry.get('UNIT') == 'ksmtuned.service'),
           'because of the watchdog', lambda: unit.words())


def test_killed(tap, unit):
    unit.fresh(SHORT)
    unit.drop_in('[Service]\nRestartSec=100ms\n')
    pid = unit.pid()
    os.kill(unit.host_pid(), signal.SIGKILL)
    tap.ok(wait_for(lambda: restarted(unit, pid, 1), 20), 'killed, it is started again', lambda: unit.words())
    tap.equal(unit.state().get('PID'), str(unit.pid()), 'the state is the new one\'s')
    tap.equal(read(unit.box.inside('/run/ksmtune.pid'), '-').strip(), str(unit.pid()), 'and the pidfile too')


def test_bad_start(tap, unit):
    unit.systemctl('stop', 'ksmtuned')
    unit.drop_in('[Service]\nRestartSec=100ms\n')
    cursor = unit.cursor()
    unit.configure('KSM_MONITOR_INTERVAL=0\n')
    answer = unit.systemctl('start', 'ksmtuned')
    tap.ok(answer.returncode != 0, 'a bad configuration: the start fails')
    time.sleep(3)
    tap.equal((unit.show('ExecMainStatus'), unit.show('NRestarts'), unit.show('ActiveState')),
              ('78', '0', 'failed'), 'with 78, once, with no loop of restarts')
    tap.ok(f'{CONF}:1' in unit.words(cursor), 'the journal has file and line', lambda: unit.words(cursor))


def test_stop(tap, unit):
    """The guests are the host's: the container does not see them, but their pages merge."""
    guests = [Mergeable(unit.args), Mergeable(unit.args)]
    try:
        for guest in guests:
            guest.grow(32)
        for action, merged in (('keep', True), ('stop', True), ('unmerge', False)):
            title = f'KSM_STOP_ACTION={action}'
            unit.fresh(SHORT + f'KSM_STOP_ACTION={action}\n')
            tap.ok(wait_for(lambda: knob_number('pages_sharing') > 1000, 30), f'{title}: pages are merged')
            start = time.monotonic()
            unit.systemctl('stop', 'ksmtuned')
            tap.ok(time.monotonic() - start < 5, f'{title}: it stops promptly')
            tap.equal((unit.show('ActiveState'), unit.show('Result')), ('inactive', 'success'),
                      f'{title}: inactive, successfully')
            tap.equal(knob('run'), '1' if action == 'keep' else '0', f'{title}: run is as asked for')
            tap.equal(knob_number('pages_sharing') > 0, merged, f'{title}: what was merged '
                      + ('stays merged' if merged else 'is unmerged'))
            tap.ok(not unit.box.inside('/run/ksmtune.pid').exists(), f'{title}: no pidfile is left')
    finally:
        for guest in guests:
            guest.end()


def test_ksm_service(tap, unit):
    unit.systemctl('stop', 'ksmtuned', 'ksm')
    write(KSM / 'run', 0)
    answer = unit.systemctl('start', 'ksm')
    tap.equal((answer.returncode, knob('run')), (0, '1'), 'systemctl start ksm: run reads 1')
    tap.equal(unit.box.show('ksm.service', 'ActiveState'), 'active', 'ksm.service stays active')
    unit.configure(SHORT)
    unit.systemctl('start', 'ksmtuned')
    tap.ok(unit.active(), 'ksmtuned beside it')
    answer = unit.systemctl('stop', 'ksm')
    tap.equal((answer.returncode, knob('run')), (0, '0'), 'systemctl stop ksm: run reads 0')
    tap.equal(unit.show('ActiveState'), 'inactive', 'and stays so, for ksmtuned stops with it')
    for verb, run in (('start', '1'), ('stop', '0')):
        answer = unit.box.run('ksmctl', verb)
        tap.equal((answer.returncode, knob('run')), (0, run), f'ksmctl {verb} inside: run reads {run}')


def test_drop_in(tap, unit):
    unit.fresh(unit.shipped)
    with open(unit.box.root / CONF[1:], 'a', encoding='utf-8') as file:
        file.write('KSM_THRES_COEF=60')
    answer = unit.systemctl('restart', 'ksmtuned')
    tap.equal((answer.returncode, unit.number('THRESHOLD_KB')), (0, unit.number('TOTAL_KB') * 60 // 100),
              'KSM_THRES_COEF=60 appended with no newline, and a restart')


def test_boot(tap, unit):
    """Enabled, so it comes up by itself; and on a host without KSM it does not."""
    unit.fresh(SHORT + 'KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\n')
    unit.box.halt()
    write(KSM / 'run', 2)
    write(KSM / 'max_page_sharing', 256)
    write(KSM / 'use_zero_pages', 0)
    write(KSM / 'run', 0)
    unit.box.boot('--bind=/sys/kernel/mm/ksm')
    tap.ok(unit.active() and knob('run') == '1', 'enabled, it tunes after the next boot', lambda: unit.words())
    tap.equal((knob('max_page_sharing'), knob('use_zero_pages')), ('1000', '1'),
              'and has set the kernel as configured')
    unit.systemctl('stop', 'ksmtuned')
    tap.equal((knob('max_page_sharing'), knob('use_zero_pages')), ('1000', '1'),
              'which it leaves so at its end')
    write(KSM / 'run', 2)
    write(KSM / 'max_page_sharing', 256)
    write(KSM / 'use_zero_pages', 0)
    unit.box.halt()
    unit.box.boot('--tmpfs=/sys/kernel/mm')
    for name in ('ksmtuned.service', 'ksm.service'):
        tap.equal((unit.box.show(name, 'ConditionResult'), unit.box.show(name, 'ActiveState'),
                   unit.box.show(name, 'ExecMainStartTimestampMonotonic')), ('no', 'inactive', '0'),
                  f'without KSM {name} does not start at all')
    answer = unit.box.run('ksmtuned', '--foreground')
    said = answer.stdout + answer.stderr
    tap.equal((answer.returncode, said.count('\n')), (1, 1), 'and ksmtuned says one line and exits 1')
    tap.ok('/sys/kernel/mm/ksm' in said, 'which names what is not there', said)
    tap.equal(unit.box.run('ksmctl', 'start').returncode, 1, 'ksmctl start exits 1')


TESTS = [test_units_verify, test_enable_now, test_plenty_then_short, test_reload, test_retune,
         test_journal, test_debug_log, test_guests, test_watchdog, test_killed, test_bad_start,
         test_stop, test_ksm_service, test_drop_in, test_boot]


def main():
    args, tap = arguments(__doc__), Tap()
    with booted(args) as box:
        unit = Unit(args, box)
        for test in TESTS:
            try:
                test(tap, unit)
            except Exception as error:  # one test's trouble is not the others'
                tap.ok(False, f'{test.__name__} runs to its end', f'{type(error).__name__}: {error}')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
