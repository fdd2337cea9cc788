#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
The kernel's settings as keys, on the live kernel: written at once where it takes them, owed while
pages are merged, and changed in stages by ksmctl settings, whatever comes between.
"""

import contextlib
import errno
import json
import os
import pathlib
import pty
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time

from common import (KSM, Mergeable, Tap, arguments, helper, knob, knob_number, knobs_at_rest,
                    live_ksm, need_root, read, skip_all, wait_for, write)
from host import Daemon

GUEST_MIB = 1100  # each of two with the same content
SAVED_PAGES = 1024 * 256
SETTINGS = ('merge_across_nodes', 'max_page_sharing', 'use_zero_pages', 'smart_scan')

# KSM always runs, and merges quickly.
FAST = ('KSM_THRES_COEF=100\nKSM_NPAGES_MIN=20000\nKSM_NPAGES_MAX=20000\nKSM_NPAGES_BOOST=20000\n'
        'KSM_SLEEP_MSEC=10\nKSM_MONITOR_INTERVAL=60\nKSM_LIBVIRT_URI=\n')


def heed_interrupt():
    """Shells ignore it for what they start in the background, and that would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = pathlib.Path(folder)
        self.path = self.folder / 'ksmtuned.conf'

    def config(self, text):
        self.path.write_text(f'PIDFILE={self.folder}/pid\n{text}')

    def daemon(self, text):
        self.config(text)
        return Daemon(self.args, options=['--config', str(self.path)])

    def reload(self, daemon, text):
        self.config(text)
        before = daemon.decisions()
        os.kill(daemon.pid, signal.SIGHUP)
        return wait_for(lambda: daemon.decisions() > before and daemon.state()['TRIGGER'] == 'reload')

    def ksmctl(self, *arguments_, **options):
        return subprocess.run([self.args.ksmctl, *arguments_], text=True, check=False,
                              capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
                              **{'env': os.environ | {'LC_ALL': 'C'}} | options)

    def settings(self, *options, **more):
        return self.ksmctl('settings', '--config', str(self.path), *options, **more)

    def fails(self, answer, status, words, name):
        self.tap.ok(answer.returncode == status and words in answer.stderr, name, answer)

    @contextlib.contextmanager
    def merged(self):
        guests = [Mergeable(self.args, 100), Mergeable(self.args, 100)]
        try:
            for guest in guests:
                guest.grow(GUEST_MIB)
            yield
        finally:
            for guest in guests:
                guest.end()

    def wait_merged(self):
        return wait_for(lambda: knob_number('pages_sharing') >= SAVED_PAGES, 120, 0.1)

    # --- at once ------------------------------------------------------------------------------

    def bad_values(self):
        for text, words in (('KSM_MAX_PAGE_SHARING=1', 'whole number from 2 to 2147483647'),
                            ('KSM_USE_ZERO_PAGES=yes', 'neither 0 nor 1')):
            self.config(f'{text}\n')
            answer = subprocess.run([self.args.ksmtuned, '--check-config', '--config',
                                     str(self.path)], text=True, capture_output=True, check=False)
            self.tap.ok(answer.returncode == 78 and f'{self.path}:2: ' in answer.stderr
                        and words in answer.stderr, f'{text}: refused with file and line', answer)

    def at_boot(self):
        """Nothing is merged: all are written before the first page is, and stay at the end."""
        tap = self.tap
        numa = (KSM / 'merge_across_nodes').exists()
        with self.daemon('KSM_MERGE_ACROSS_NODES=0\nKSM_MAX_PAGE_SHARING=1000\n'
                         'KSM_USE_ZERO_PAGES=1\nKSM_SMART_SCAN=0\n') as daemon:
            want = ['0', '1000', '1', '0']
            have = [knob(name) for name in SETTINGS if numa or name != 'merge_across_nodes']
            tap.equal(have, want if numa else want[1:], 'at start all are written at once')
            tap.equal(daemon.state()['SETTINGS_OWED'], '', 'at start nothing is owed')
            lines = daemon.said_lines('asks')
            tap.equal(len(lines), 4, 'each is told in one line')
            if not numa:
                tap.ok(daemon.said_lines('this kernel has no merge_across_nodes'),
                       'without NUMA that is said', daemon.said)
            status = self.ksmctl('status', '--verbose').stdout
            tap.ok(' configured' not in status, 'status has nothing to remark', status)
            self.reload(daemon, '')
            tap.equal(knob('max_page_sharing'), '1000', 'a key that is taken away: left as it is')
        tap.equal((knob('max_page_sharing'), knob('use_zero_pages'), knob('smart_scan')),
                  ('1000', '1', '0'), 'at the end nothing is given back')

    def adaptive(self):
        """The policy writes smart_scan for its passes; what is configured is there at the end."""
        tap = self.tap
        write(KSM / 'smart_scan', 1)
        with self.daemon(FAST + 'KSM_POLICY=adaptive\nKSM_SMART_SCAN=0\n') as daemon:
            state = daemon.state()
            tap.equal((state['SMART_SCAN_BEFORE'], state['SETTINGS_OWED']), ('0', ''),
                      'adaptive: the configured smart_scan is what is given back')
            answer = self.settings()
            tap.ok("ksmtuned's; at its end 0" in answer.stdout, 'adaptive: settings says so', answer)
            self.reload(daemon, FAST + 'KSM_POLICY=adaptive\nKSM_SMART_SCAN=1\n')
            tap.equal(daemon.state()['SMART_SCAN_BEFORE'], '1', 'adaptive: also after a reload')
            self.reload(daemon, FAST + 'KSM_POLICY=adaptive\nKSM_SMART_SCAN=0\n')
        tap.equal(knob('smart_scan'), '0', 'adaptive: and is there at the end')
        write(KSM / 'smart_scan', 1)
        write(KSM / 'run', 2)

    # --- owed ---------------------------------------------------------------------------------

    def owed(self, daemon):
        """While pages are merged the kernel refuses two of them."""
        tap = self.tap
        try:
            write(KSM / 'max_page_sharing', 1000)
            refused = False
        except OSError as error:
            refused = error.errno == errno.EBUSY
        tap.ok(refused, 'the kernel refuses max_page_sharing while pages are merged')
        self.reload(daemon, FAST + 'KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\n'
                    'KSM_SMART_SCAN=0\n')
        tap.equal((knob('use_zero_pages'), knob('smart_scan'), knob('max_page_sharing')),
                  ('1', '0', '256'), 'reload: what the kernel takes is written, the rest is owed')
        tap.equal(daemon.state()['SETTINGS_OWED'], 'max_page_sharing=1000', 'reload: published')
        lines = daemon.said_lines('does not change it while pages are merged')
        tap.ok(len(lines) == 1 and re.search(
            r'max_page_sharing is 256 \(1000 configured\).*takes 1\.[0-9] GiB of memory, and '
            r'[0-9.]+ GiB are available, which suffices; ksmctl settings --apply', lines[0]),
            'reload: one line tells what is owed, and what it costs', daemon.said)
        tap.diag('\n'.join(lines))
        for _ in range(3):
            daemon.retune()
        tap.equal(len(daemon.said_lines('while pages are merged')), 1, 'and no second one')
        tap.equal((knob('max_page_sharing'), knob('run')), ('256', '1'),
                  'nothing is unmerged for it')

    def shown(self):
        tap = self.tap
        words = self.ksmctl('status').stdout
        tap.ok(re.search(r'max_page_sharing +256 +1000 configured: ksmctl settings', words),
               'status: shows it', words)
        status = json.loads(self.ksmctl('status', '--json').stdout)
        tap.equal(status['daemon'][0]['settings_owed'], 'max_page_sharing=1000', 'status --json')
        doctor = self.ksmctl('doctor', '--config', str(self.path), '--check', 'settings')
        words = ' '.join(doctor.stdout.split())
        tap.ok(doctor.returncode == 1 and re.search(
            r'max_page_sharing is 256 \(1000 configured\): .*1\.[0-9] GiB', words)
            and 'ksmctl settings --apply' in words, 'doctor: tells the cost and the remedy', doctor)
        tap.diag(doctor.stdout)
        answer = self.settings()
        tap.ok(answer.returncode == 0 and re.search(
            r'max_page_sharing +256 +1000 +takes an unmerge', answer.stdout)
            and re.search(r'use_zero_pages +1 +1 +as configured', answer.stdout)
            and re.search(r'fits +yes', answer.stdout), 'settings: shows them and the cost', answer)
        tap.diag(answer.stdout)
        tap.ok(max(map(len, answer.stdout.splitlines())) <= 80, 'settings: in 80 columns')
        plan = json.loads(self.settings('--json').stdout)
        sharing = [one for one in plan['settings'] if one['name'] == 'max_page_sharing'][0]
        tap.equal((sharing['now'], sharing['configured'], sharing['state'],
                   plan['plan'][0]['unmerge'], plan['plan'][0]['refused']),
                  (256, 1000, 'blocked', True, None), 'settings --json')

    # --- in stages ----------------------------------------------------------------------------

    def untouched(self, name):
        self.tap.ok(knob('max_page_sharing') == '256' and knob('run') == '1'
                    and knob_number('pages_sharing') >= SAVED_PAGES, f'{name}: nothing is changed',
                    (knob('max_page_sharing'), knob('run'), knob('pages_sharing')))

    def refused(self):
        answer = self.settings('--apply', '--dry-run')
        self.tap.ok(answer.returncode == 0 and 'takes an unmerge' in answer.stdout,
                    'settings --apply --dry-run: tells it', answer)
        self.untouched('--dry-run')
        self.fails(self.settings('--apply'), 1, 'no terminal to ask at',
                   'settings --apply: without a terminal it takes --yes')
        self.untouched('without a terminal')

        meminfo = self.folder / 'meminfo'
        meminfo.write_text(re.sub(r'^MemAvailable:.*$', 'MemAvailable: 1024000 kB',
                                  read('/proc/meminfo'), flags=re.M))
        command = ' '.join(map(shlex.quote, [self.args.ksmctl, 'settings', '--config',
                                             str(self.path), '--apply', '--yes']))
        answer = subprocess.run(['unshare', '--mount', 'sh', '-ec',
                                 f'mount --bind {meminfo} /proc/meminfo\nexec {command}'],
                                text=True, capture_output=True, check=False)
        self.tap.ok(answer.returncode == 1 and re.search(
            r'refused: to unmerge takes 1\.[0-9] GiB, .* does not fit into the 1\.0 GiB '
            'available; nothing was changed', answer.stderr),
            'settings --apply: refused where it does not fit, with the figures', answer)
        self.tap.diag(answer.stderr)
        self.untouched('where it does not fit')

    def asked(self, reply):
        """ksmctl settings --apply at a terminal. Returns its status and what it said."""
        master, slave = pty.openpty()
        command = [self.args.ksmctl, 'settings', '--config', str(self.path), '--apply']
        with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                              start_new_session=True) as process:
            os.close(slave)
            text = b''
            with contextlib.suppress(OSError):
                while b'[y/N]' not in text:
                    text += os.read(master, 65536)
                os.write(master, reply.encode())
                while chunk := os.read(master, 65536):
                    text += chunk
            status = process.wait()
        os.close(master)
        return status, text.decode()

    def begin(self):
        """Starts the change, until it tells for the first time how far the unmerge is."""
        process = subprocess.Popen([self.args.ksmctl, 'settings', '--config', str(self.path),
                                    '--apply', '--yes'], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupt)
        for line in process.stdout:
            if re.search(r'iB left', line):
                break
        return process

    def in_mid_work(self, number):
        """Interrupts the change; on a fast host it may be over before: then it begins anew."""
        for _ in range(8):
            process = self.begin()
            process.send_signal(number)
            _, stderr = process.communicate(timeout=60)
            if process.returncode != 0:
                break
            write(KSM / 'run', 2)
            write(KSM / 'max_page_sharing', 256)
            write(KSM / 'run', 1)
            self.wait_merged()
        return process.returncode, stderr

    def interrupted(self, daemon):
        tap = self.tap
        for number, words in ((signal.SIGINT, 'interrupted (Interrupt)'),
                              (signal.SIGTERM, 'interrupted (Terminated)'),
                              (signal.SIGHUP, 'interrupted (Hangup)')):
            status, stderr = self.in_mid_work(number)
            name = f'{number.name} in mid-work'
            tap.ok(status == 3 and words in stderr and 'as they were' in stderr, f'{name}: told',
                   (status, stderr))
            tap.equal((knob('max_page_sharing'), knob('run')), ('256', '1'),
                      f'{name}: the old value, and run as before')
            tap.diag(stderr)
            tap.ok(self.wait_merged(), f'{name}: and all is merged again')

        self.in_mid_work(signal.SIGKILL)
        tap.ok(wait_for(lambda: knob('run') == '0'), 'SIGKILL: the work ends too')
        daemon.retune()
        tap.equal((knob('run'), knob('max_page_sharing')), ('1', '256'),
                  'SIGKILL: the daemon lets ksmd run at its next decision')
        tap.ok(self.wait_merged(), 'SIGKILL: and all is merged again')

    def with_failure(self, name, text, error):
        """settings --apply, for which one write fails."""
        return self.settings('--apply', '--yes', env=os.environ | {
            'LC_ALL': 'C', 'LD_PRELOAD': helper(self.args, 'write-fails.so'),
            'WRITE_FAILS_PATH': str(KSM / name), 'WRITE_FAILS_TEXT': text,
            'WRITE_FAILS_ERRNO': str(error)})

    def failures(self, daemon):
        """Each stage fails once. A daemon that owes the setting would write it at the first chance."""
        tap = self.tap
        self.reload(daemon, FAST)
        self.config(FAST + 'KSM_MAX_PAGE_SHARING=1000\n')
        self.fails(self.with_failure('run', '0', errno.EACCES), 1, 'cannot stop ksmd',
                   'a failure to stop ksmd: told')
        self.untouched('a failure to stop ksmd')
        self.fails(self.with_failure('run', '2', errno.ENOMEM), 3,
                   'writing 2 to /sys/kernel/mm/ksm/run: Cannot allocate memory',
                   'a failure to unmerge: told')
        self.untouched('a failure to unmerge')
        answer = self.with_failure('max_page_sharing', '1000', errno.EBUSY)
        self.fails(answer, 3, 'cannot write max_page_sharing: pages were merged again meanwhile; '
                   'the settings are as they were', 'a failure to write the setting: told')
        tap.equal((knob('max_page_sharing'), knob('run')), ('256', '1'),
                  'a failure to write the setting: the old value, and run as before')
        tap.ok(self.wait_merged(), 'a failure to write the setting: and all is merged again')
        answer = self.with_failure('run', '1', errno.EACCES)
        self.fails(answer, 1, 'run is not as before, 1: cannot write it: Permission denied',
                   'a failure to let ksmd run again: told')
        tap.ok(knob('max_page_sharing') == '1000' and wait_for(lambda: knob('run') == '1'),
               'a failure to let ksmd run again: the daemon does', daemon.said)
        write(KSM / 'run', 2)
        write(KSM / 'max_page_sharing', 256)
        write(KSM / 'run', 1)
        self.reload(daemon, FAST)
        tap.ok(self.wait_merged(), 'all is merged once more')
        self.reload(daemon, FAST + 'KSM_MAX_PAGE_SHARING=1000\n')

    def performed(self, daemon):
        tap = self.tap
        status, text = self.asked('n\n')
        tap.ok(status == 1 and 'nothing was changed' in text, 'asked at a terminal: no is no', text)
        self.untouched('no')

        said = len(daemon.said())
        process = self.begin()
        started = time.monotonic()
        decided = daemon.retune()
        took = time.monotonic() - started
        tap.ok(decided and took < 1 and daemon.state()['RUN'] == '2',
               f'the daemon decides in mid-work ({took * 1000:.0f} ms), and leaves run alone',
               daemon.state())
        stdout, stderr = process.communicate(timeout=60)
        tap.ok(process.returncode == 0 and 'max_page_sharing is set to 1000; it was 256' in stdout
               and 'run is 1 as before' in stdout and not stderr, 'settings --apply --yes: does it',
               (process.returncode, stdout, stderr))
        tap.diag(stdout)
        tap.equal((knob('max_page_sharing'), knob('run')), ('1000', '1'),
                  'the new value, and run as before')
        tap.ok(wait_for(lambda: daemon.state().get('SETTINGS_OWED') == ''),
               'the daemon owes nothing any more', daemon.state())
        new = daemon.said()[said:]
        tap.ok('max_page_sharing is 1000 now, as KSM_MAX_PAGE_SHARING asks' in new
               and 'somebody unmerges all pages' in new and 'somebody else' not in new,
               'the daemon says so, and does not take it for a foreign hand', new)
        tap.ok(self.wait_merged(), 'all is merged again',
               (knob('pages_sharing'), knob('run'), daemon.said()))
        self.settles_nothing()

    def settles_nothing(self):
        answer = self.settings('--apply')
        self.tap.ok(answer.returncode == 0 and 'takes an unmerge' not in answer.stdout
                    and knob_number('pages_sharing') >= SAVED_PAGES,
                    'settings --apply again: nothing is to be done', answer)

    def several(self, daemon):
        """Two settings by one unmerge, agreed to at a terminal."""
        tap = self.tap
        if not (KSM / 'merge_across_nodes').exists():
            tap.skip('two settings at once', 'this kernel has no NUMA')
            return
        self.reload(daemon, FAST + 'KSM_MAX_PAGE_SHARING=2000\nKSM_MERGE_ACROSS_NODES=0\n')
        tap.equal(daemon.state()['SETTINGS_OWED'], 'merge_across_nodes=0 max_page_sharing=2000',
                  'two settings are owed')
        status, text = self.asked('y\n')
        tap.ok(status == 0 and (knob('max_page_sharing'), knob('merge_across_nodes'), knob('run'))
               == ('2000', '0', '1'), 'asked at a terminal: yes does both', text)
        tap.ok(self.wait_merged(), 'and all is merged again')

    def by_unmerge(self, daemon):
        """What is owed is written at the first decision that finds nothing merged."""
        tap = self.tap
        self.reload(daemon, FAST + 'KSM_MAX_PAGE_SHARING=512\n')
        tap.equal(daemon.state()['SETTINGS_OWED'], 'max_page_sharing=512', 'owed again')
        answer = self.ksmctl('unmerge', '--force')
        tap.ok(answer.returncode == 0 and knob('max_page_sharing') != '512',
               'ksmctl unmerge leaves it to the daemon', answer)
        daemon.retune()
        tap.equal((knob('max_page_sharing'), knob('run'), daemon.state()['SETTINGS_OWED']),
                  ('512', '1', ''), 'the next decision writes it, before ksmd runs')

    def foreign(self, daemon):
        tap = self.tap
        self.reload(daemon, FAST + 'KSM_USE_ZERO_PAGES=1\n')
        write(KSM / 'use_zero_pages', 0)
        for _ in range(3):
            daemon.retune()
        lines = daemon.said_lines('use_zero_pages reads 0, and KSM_USE_ZERO_PAGES asks for 1')
        tap.ok(len(lines) == 1 and knob('use_zero_pages') == '0',
               'a foreign hand is told once, and not fought', daemon.said)
        answer = self.ksmctl('doctor', '--config', str(self.path), '--check', 'settings')
        tap.ok(answer.returncode == 1 and 'use_zero_pages is 0 (1 configured)' in
               ' '.join(answer.stdout.split()), 'doctor: shows it', answer)
        self.reload(daemon, FAST + 'KSM_USE_ZERO_PAGES=1\n')
        tap.equal(knob('use_zero_pages'), '1', 'a reload writes it again')

    def run(self):
        self.bad_values()
        self.at_boot()
        knobs_at_rest()
        self.adaptive()
        with self.merged(), self.daemon(FAST) as daemon:
            if not self.tap.ok(self.wait_merged(), '1 GiB is saved', knob('pages_sharing')):
                return
            self.owed(daemon)
            self.shown()
            self.refused()
            self.interrupted(daemon)
            self.failures(daemon)
            self.performed(daemon)
            self.several(daemon)
            self.by_unmerge(daemon)
            self.foreign(daemon)


@contextlib.contextmanager
def settings_kept():
    """As they were found, whatever happens."""
    found = {name: knob(name) for name in SETTINGS if (KSM / name).exists()}
    try:
        yield
    finally:
        write(KSM / 'run', 2)
        for name, value in found.items():
            write(KSM / name, value)


def main():
    args = arguments(__doc__)
    need_root()
    if not args.ksmctl or not os.path.exists(args.ksmctl):
        skip_all('ksmctl was not built')
    # Under nohup it is ignored, and what is started here would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # meson ends a test that takes too long so: what was begun is put back all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    tap = Tap()
    with live_ksm():
        for name in ('max_page_sharing', 'use_zero_pages', 'smart_scan'):
            if not (KSM / name).exists():
                skip_all(f'this kernel has no {name}')
        with settings_kept(), tempfile.TemporaryDirectory(prefix='ksmtuned-settings-') as folder:
            Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
