#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl doctor on the kernel's own KSM: conditions made on purpose, figures against the files."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from common import (KSM, Mergeable, Tap, arguments, knob, knob_number, live_ksm, need_root,
                    processes_named, read, skip_all, wait_for, write)
from host import Daemon

QEMU = shutil.which('qemu-system-x86_64')
PAGE_BYTES = os.sysconf('SC_PAGE_SIZE')
GUEST_MIB = 32
CONFIG = 'KSM_MONITOR_INTERVAL=60\nKSM_LIBVIRT_URI=\nPIDFILE=\nLOGFILE=\nKSM_THRES_COEF=1\n'


def meminfo(name):
    return int(re.search(rf'^{name}:\s+(\d+)', read('/proc/meminfo'), re.M)[1])


def scan(passes=3):
    """So many whole passes over all, as fast as can be, and then ksmd stands still."""
    write(KSM / 'smart_scan', 0)
    write(KSM / 'pages_to_scan', 20000)
    write(KSM / 'sleep_millisecs', 1)
    write(KSM / 'run', 1)
    end = knob_number('full_scans') + passes + 1
    done = wait_for(lambda: knob_number('full_scans') >= end, 60, 0.02)
    write(KSM / 'run', 0)
    return done


def settled(pid):
    """Waits until QEMU has got and offered the memory that it begins with."""
    seen = []

    def same():
        seen.append(read(f'/proc/{pid}/statm') + read(f'/proc/{pid}/ksm_stat', ''))
        return len(seen) > 5 and len(set(seen[-5:])) == 1
    wait_for(same, 10, 0.1)


def unmerge():
    write(KSM / 'run', 2)
    write(KSM / 'run', 0)


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = pathlib.Path(folder)
        self.config = self.folder / 'ksmtuned.conf'
        self.config.write_text(CONFIG)
        self.answer = None

    def doctor(self, *words):
        """The checks by id; those that other tests on this host could change are left out."""
        self.answer = subprocess.run([self.args.ksmctl, 'doctor', '--json', '--config',
                                      self.config, *words], capture_output=True, text=True,
                                     check=False)
        told = json.loads(self.answer.stdout)
        return {check['id']: check for check in told['checks']}, told['processes']

    def finds(self, name, check_id, verdict, value=None, words=()):
        """One check. Returns it and the processes that it names."""
        checks, processes = self.doctor('--check', check_id)
        found = checks[check_id]
        status = {'ok': 0, 'advice': 1, 'trouble': 2}[verdict]
        self.tap.ok(found['verdict'] == verdict and self.answer.returncode == status
                    and all(str(word) in found['figure'] for word in words)
                    and (value is None or found['value'] == value),
                    f'{name}: {check_id} says {verdict}'
                    + ('' if value is None else f', with the kernel\'s figure ({value})'),
                    f'{self.answer.returncode} {found}, wanted {value} {words}')
        return found, processes

    def daemon(self):
        return Daemon(self.args, options=['--config', str(self.config)])

    @contextlib.contextmanager
    def qemu(self, *more):
        guest = subprocess.Popen([QEMU, '-S', '-m', '64', '-display', 'none', '-nodefaults',
                                  '-accel', 'tcg', *more], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            settled(guest.pid)
            yield guest
        finally:
            guest.kill()
            guest.wait()

    @contextlib.contextmanager
    def guests(self, n, common_percent, mib=GUEST_MIB):
        guests = []
        try:
            for _ in range(n):
                guests.append(Mergeable(self.args, common_percent))
                guests[-1].grow(mib)
            yield guests
        finally:
            for guest in guests:
                guest.end()
            unmerge()

    # --- conditions -------------------------------------------------------------------------

    def healthy(self):
        tap = self.tap
        with self.daemon() as daemon, (self.qemu() if QEMU else contextlib.nullcontext()):
            # Other tests' daemons on made-up hosts have the name of a rival.
            others = [pid for pid in processes_named('ksmtuned') if pid != daemon.pid]
            skip = ['--skip', 'rivals'] if others else []
            before = meminfo('Shmem')
            checks, processes = self.doctor(*skip)
            after = meminfo('Shmem')
            bad = [check for check in checks.values() if check['verdict'] != 'ok']
            tap.ok(self.answer.returncode == 0 and not bad and not processes,
                   f'a healthy host: {len(checks)} checks are silent, exit status 0', bad)
            text = subprocess.run([self.args.ksmctl, 'doctor', '--config', self.config, *skip],
                                  capture_output=True, text=True, check=False)
            tap.equal((text.returncode, text.stdout), (0, f'{len(checks)} checks passed.\n'),
                      'and one line is all that is said')
            low, high = sorted((before, after))
            tap.ok(low <= checks['shmem']['value'] <= high, 'Shmem is that of /proc/meminfo')
            tap.equal(checks['threshold']['value'], daemon.number('THRESHOLD_KB'),
                      'the threshold is the daemon\'s')

    def nothing_mergeable(self):
        write(KSM / 'run', 1)
        if sum(knob_number(name) for name in ('pages_shared', 'pages_sharing', 'pages_unshared',
                                              'pages_volatile')):
            self.tap.skip('KSM on with nothing to merge', 'others have mergeable memory here')
        else:
            self.finds('KSM on with nothing to merge', 'nothing-mergeable', 'advice', 0)
        write(KSM / 'run', 0)

    def unmergeable_guests(self):
        tap = self.tap
        if not QEMU:
            tap.skip('guests that cannot be merged', 'qemu-system-x86_64 is not here')
            return
        memfd = ['-object', 'memory-backend-memfd,id=m,size=64M,share=on,prealloc=on',
                 '-machine', 'q35,memory-backend=m']
        for what, options, why in (('mem-merge=off', ['-machine', 'q35,mem-merge=off'],
                                    'mem-merge=off'),
                                   ('memory-backend-memfd,share=on', memfd, 'shared')):
            with self.qemu(*options) as guest:
                _, processes = self.finds(f'QEMU with {what}', 'guests', 'advice')
                mine = [p for p in processes if p['pid'] == guest.pid]
                tap.ok(len(mine) == 1 and mine[0]['mergeable'] == why,
                       f'QEMU with {what}: is named, with the reason', processes)
        with self.qemu():
            if len(processes_named('qemu-system-x86')) == 1:
                self.finds('QEMU as it comes', 'guests', 'ok', 0)
            else:
                tap.skip('QEMU as it comes', 'other guests run on this host')

    def profit(self):
        with self.guests(1, 0, 128):
            self.tap.ok(scan(), '128 MiB without an equal: ksmd makes its passes')
            value = knob_number('general_profit')
            self.tap.ok(value < 0, f'128 MiB without an equal: general_profit is {value}')
            self.finds('128 MiB without an equal', 'profit', 'advice', value, [value])

    def sharing(self):
        """Two guests that share, and what their sharing exposes."""
        tap = self.tap
        with self.guests(2, 100) as guests:
            tap.ok(scan(), 'two equal guests: ksmd makes its passes')
            saved = (knob_number('pages_sharing') + knob_number('ksm_zero_pages')) * PAGE_BYTES
            tap.ok(saved > GUEST_MIB * 2**20 * 9 // 10, f'two equal guests: merged ({saved} bytes)')
            self.finds('two equal guests', 'exposure', 'ok', saved)
            _, processes = self.finds('two equal guests', 'tenants', 'advice')
            told = {p['pid']: p['merged_bytes'] for p in processes}
            for guest in guests:
                pages = int(read(f'/proc/{guest.pid}/ksm_merging_pages'))
                tap.equal(told.get(guest.pid), pages * PAGE_BYTES,
                          f'two equal guests: PID {guest.pid} is named with what it has merged')

    def chains(self):
        tap = self.tap
        name = 'four copies at max_page_sharing=2'
        before = knob('max_page_sharing')
        try:
            write(KSM / 'max_page_sharing', 2)
            with self.guests(4, 100):
                tap.ok(scan(), f'{name}: ksmd makes its passes')
                limited = knob_number('pages_sharing')
                won = (knob_number('stable_node_dups') - knob_number('stable_node_chains')) \
                    * PAGE_BYTES
                tap.ok(won > 16 * 2**20, f'{name}: {knob("stable_node_chains")} chains, '
                       f'{knob("stable_node_dups")} dups')
                self.finds(name, 'max-page-sharing', 'advice', won,
                           [knob('stable_node_chains'), knob('stable_node_dups')])
                # Is it true?
                unmerge()
                write(KSM / 'max_page_sharing', 256)
                tap.ok(scan(), f'{name}: raised to 256, ksmd makes its passes')
                gained = (knob_number('pages_sharing') - limited) * PAGE_BYTES
                tap.ok(abs(gained - won) <= won // 50, f'{name}: raising it wins what was told '
                       f'(told {won}, won {gained})')
                self.finds('raised to 256', 'max-page-sharing', 'ok')
        finally:
            unmerge()
            write(KSM / 'max_page_sharing', before)

    def advisor(self):
        if not (KSM / 'advisor_mode').exists():
            self.tap.skip('the kernel\'s advisor', 'this kernel has none')
            return
        write(KSM / 'advisor_mode', 'scan-time')
        write(KSM / 'run', 1)
        self.finds('the kernel\'s advisor', 'advisor', 'advice',
                   knob_number('advisor_target_scan_time'))
        write(KSM / 'run', 0)
        write(KSM / 'advisor_mode', 'none')

    def who_tunes(self):
        with self.daemon() as daemon:
            self.finds('a daemon that runs', 'daemon', 'ok', words=[daemon.pid])
            self.finds('a daemon that runs', 'knobs', 'ok')
            write(KSM / 'pages_to_scan', 777)
            self.finds('a foreign hand', 'knobs', 'advice', 777, ['pages_to_scan'])
            write(KSM / 'pages_to_scan', 100)
            daemon.stop(with_signal=signal.SIGKILL)
            self.finds('a daemon that was killed', 'daemon', 'trouble', words=[daemon.pid])
        with self.daemon():
            pass
        if not processes_named('ksmtuned'):
            self.finds('a daemon that has ended', 'daemon', 'advice')
        else:
            self.tap.skip('a daemon that has ended', 'others run on this host')

    def without_rights(self):
        """Nobody in particular: what cannot be known is said so, and the rest is checked."""
        copy = self.folder / 'ksmctl'
        shutil.copy(self.args.ksmctl, copy)
        self.folder.chmod(0o755)
        with self.guests(2, 100, 8):
            scan()
            answer = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups',
                                     copy, 'doctor', '--json'], capture_output=True, text=True,
                                    check=False)
            checks = {check['id']: check for check in json.loads(answer.stdout)['checks']}
            self.tap.ok(checks['tenants']['verdict'] == 'unknown'
                        and 'root' in checks['tenants']['figure'],
                        'as nobody: who shares cannot be told, and why', checks['tenants'])
            self.tap.equal((checks['exposure']['verdict'], checks['exposure']['value']),
                           ('ok', knob_number('pages_sharing') * PAGE_BYTES),
                           'as nobody: the exposure is told all the same')

    def run(self):
        self.healthy()
        self.nothing_mergeable()
        self.unmergeable_guests()
        self.profit()
        self.sharing()
        self.chains()
        self.advisor()
        self.who_tunes()
        self.without_rights()


def main():
    args = arguments(__doc__)
    need_root()
    if not args.ksmctl or not os.path.exists(args.ksmctl):
        skip_all('ksmctl was not built')
    if not (KSM / 'general_profit').exists():
        skip_all('this kernel is older than 6.4')
    tap = Tap()
    with live_ksm(), tempfile.TemporaryDirectory(prefix='ksmtuned-doctor-') as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
