#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts and test suites out there rely on, line by line, on the real /etc and /run."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from common import (KSM, Eater, Mergeable, Tap, arguments, for_everyone, knob, live_ksm, need_root,
                    processes_named, read, settled_free_kb, skip_all, wait_for, write)
from host import PAGE_KB, Host

CONFIG = pathlib.Path('/etc/ksmtuned.conf')
DROP_INS = pathlib.Path('/etc/ksmtuned.conf.d')
PIDFILE = pathlib.Path('/run/ksmtune.pid')
STATE = pathlib.Path('/run/ksmtuned/state')
# Wide enough for what the host's free memory does by itself within a minute.
MARGIN_KB = 700 * 1024


@contextlib.contextmanager
def real_files_kept():
    """Puts back /etc/ksmtuned.conf and the pidfile as they were."""
    if DROP_INS.is_dir() and any(DROP_INS.glob('*.conf')):
        skip_all(f'{DROP_INS} holds settings of this host')
    kept = {path: (path.read_bytes(), path.stat().st_mode & 0o7777) if path.exists() else None
            for path in (CONFIG, PIDFILE)}
    try:
        yield
    finally:
        for path, was in kept.items():
            path.unlink(missing_ok=True)
            if was:
                path.write_bytes(was[0])
                path.chmod(was[1])


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.log = pathlib.Path(folder) / 'ksmtuned.log'
        self.shipped = read(args.source / 'conf/ksmtuned.conf')

    # --- the daemon as an init script handles it ---------------------------------------------

    def start(self):
        return subprocess.run([self.args.ksmtuned], stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, check=False, timeout=30)

    def pid(self):
        text = read(PIDFILE, '').strip()
        return int(text) if text.isdigit() else 0

    def running(self):
        pid = self.pid()
        return pid > 0 and read(f'/proc/{pid}/comm', '').strip() == 'ksmtuned'

    def stop(self):
        """SIGTERM; returns the seconds it took, or None."""
        pid = self.pid()
        if not self.running():
            return None
        before = time.monotonic()
        os.kill(pid, signal.SIGTERM)

        def ended():
            # When the system's init waits for it is not its business.
            stat = read(f'/proc/{pid}/stat', '')
            return not stat or stat.rpartition(')')[2].split()[0] == 'Z'
        if not wait_for(ended, 10, 0.002):
            os.kill(pid, signal.SIGKILL)
            return None
        return time.monotonic() - before

    def edited(self, lines=''):
        """The shipped file as test suites edit it: what mentions LOGFILE or DEBUG is replaced."""
        text = re.sub(r'^.*LOGFILE.*$', f'LOGFILE={self.log}', self.shipped, flags=re.M)
        text = re.sub(r'^.*DEBUG.*$', 'DEBUG=1', text, flags=re.M)
        CONFIG.write_text(text + lines)

    def decisions(self):
        match = re.search(r'^DECISIONS=(\d+)$', read(STATE, ''), re.M)
        return int(match[1]) if match else 0

    # --- the contract --------------------------------------------------------------------------

    def the_shipped_file(self):
        tap = self.tap
        for word in ('LOGFILE', 'DEBUG'):
            lines = [line for line in self.shipped.splitlines() if word in line]
            tap.ok(lines and all(line.startswith('#') for line in lines),
                   f'the shipped file has lines with {word}, all of them comments', lines)
        first = self.shipped[self.shipped.index('KSM_THRES_COEF'):]
        tap.equal(re.search(r'\d+', first)[0], '20',
                  'the first number after the first mention of KSM_THRES_COEF is its default')
        tap.ok('# KSM_THRES_COEF=20' in self.shipped.splitlines(), 'as # KSM_THRES_COEF=20')
        CONFIG.write_text(self.shipped)
        for name, text in (('as shipped', None), ('as edited', '')):
            if text is not None:
                self.edited(text)
            check = subprocess.run([self.args.ksmtuned, '--check-config'], capture_output=True,
                                   text=True, check=False)
            tap.equal((check.returncode, check.stderr), (0, ''), f'the file {name} is good')

    def bare_start(self):
        tap = self.tap
        self.edited()
        self.log.unlink(missing_ok=True)
        PIDFILE.unlink(missing_ok=True)
        before = time.monotonic()
        started = self.start()
        took = time.monotonic() - before
        there = self.log.exists(), self.pid()
        tap.equal(started.returncode, 0, 'a bare ksmtuned ends with 0')
        tap.ok(took < 1, f'within moments ({took * 1000:.0f} ms)')
        tap.ok(there[1] > 0, 'the pidfile is written by then')
        tap.ok(there[0], 'with DEBUG, LOGFILE exists by then')
        pid = self.pid()
        tap.ok(self.running(), 'it runs in the background, and its comm is ksmtuned',
               f'{pid}: {read(f"/proc/{pid}/comm", "gone")}')
        session = read(f'/proc/{pid}/stat').rpartition(')')[2].split()
        tap.ok(int(session[3]) != os.getsid(0) and session[4] == '0',
               'in a session of its own, with no terminal', session[:5])
        tap.equal([os.readlink(f'/proc/{pid}/fd/{fd}') for fd in (0, 1)], ['/dev/null'] * 2,
                  'with its standard input and output on /dev/null')
        tap.equal(os.readlink(f'/proc/{pid}/cwd'), '/', 'its working directory is /')
        wait_for(lambda: 'committed ' in read(self.log), 5)
        tap.equal([line.split(': ', 1)[-1].split(' ')[0] for line in
                   read(self.log).splitlines()[:4]], ['total', 'sleep', 'thres', 'committed'],
                  'the log begins as the original\'s')
        again = self.start()
        tap.equal(again.returncode, 1, 'a second start ends with 1')
        tap.ok(str(pid) in again.stderr + again.stdout, 'and says who runs',
               again.stderr + again.stdout)
        tap.ok(self.running() and self.pid() == pid, 'the first one still runs')

    def signals(self):
        tap = self.tap
        size, count = self.log.stat().st_size, self.decisions()
        sent = subprocess.run('kill -USR1 $(cat /run/ksmtune.pid)', shell=True, check=False)
        tap.equal(sent.returncode, 0, 'kill -USR1 $(cat /run/ksmtune.pid) finds it')
        tap.ok(wait_for(lambda: self.decisions() > count, 2), 'and it retunes at once')
        tap.ok(wait_for(lambda: 'committed ' in read(self.log)[size:], 2), 'which the log tells')
        with open('/var/run/ksmtune.pid', encoding='ascii') as pidfile:
            tap.equal(pidfile.read(), f'{self.pid()}\n', '/var/run/ksmtune.pid holds its PID')

    def end(self):
        tap = self.tap
        # Scripts that stop it write values of their own right before or after.
        for name, value in (('run', '1'), ('pages_to_scan', '321'), ('sleep_millisecs', '45')):
            write(KSM / name, value)
        took = self.stop()
        tap.ok(took is not None and took < 0.5, 'SIGTERM ends it promptly',
               f'{took} s')
        tap.equal([knob(n) for n in ('run', 'pages_to_scan', 'sleep_millisecs')],
                  ['1', '321', '45'], 'and writes nothing to the knobs')
        write(KSM / 'run', 0)
        tap.ok(not PIDFILE.exists(), 'the pidfile is gone')

    def stale_pidfile(self):
        tap = self.tap
        child = subprocess.Popen(['true'])
        child.wait()
        for name, text in (('of a process that is gone', f'{child.pid}\n'),
                           ('of a process that is no ksmtuned', f'{os.getpid()}\n'),
                           ('that is empty', ''), ('that holds rubbish', 'x\x00\xff\n')):
            PIDFILE.write_text(text, encoding='latin-1')
            started = self.start()
            tap.ok(started.returncode == 0 and self.running(), f'a pidfile {name} is taken over',
                   started.stderr)
            tap.ok(self.stop() is not None, f'and that daemon ends ({name})')

    def appended_without_newline(self):
        tap = self.tap
        self.edited()
        with open(CONFIG, 'a', encoding='ascii') as config:
            config.write('KSM_THRES_COEF=60')
        self.start()
        total = int(re.search(r'^MemTotal:\s+(\d+)', read('/proc/meminfo'), re.M)[1])
        state = read(STATE, '')
        tap.ok(f'THRESHOLD_KB={total * 60 // 100}\n' in state,
               'KSM_THRES_COEF=60 appended with no newline counts', state)
        tap.ok(f'thres {total * 60 // 100}\n' in read(self.log), 'and the log says so')
        self.stop()

    def never_runs_with_memory_free(self):
        """run is read as often as possible over starts, decisions and small VMs."""
        tap = self.tap
        self.edited('\nKSM_MONITOR_INTERVAL=0.2\n')
        seen, done = {}, threading.Event()

        def sample():
            while not done.is_set():
                value = knob('run')
                seen[value] = seen.get(value, 0) + 1
        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            small = Mergeable(self.args)
            self.start()
            count = self.decisions()
            small.grow(16)
            for _ in range(20):
                if self.running():
                    os.kill(self.pid(), signal.SIGUSR1)
                time.sleep(0.2)
            count = self.decisions() - count
            self.stop()
            small.end()
        finally:
            done.set()
            sampler.join()
        tap.ok(count >= 20, f'{count} decisions with memory free and small VMs', count)
        tap.equal(list(seen), ['0'], f'run never reads 1 ({sum(seen.values())} looks)')

    def runs_with_grown_vms(self):
        tap = self.tap
        threshold_kb = settled_free_kb() - MARGIN_KB
        self.edited(f'\nKSM_MONITOR_INTERVAL=5\nKSM_THRES_COEF=1\n'
                    f'KSM_THRES_CONST={threshold_kb}\n')
        self.start()
        tap.equal(knob('run'), '0', 'KSM is off before the VMs grow')
        guests, eater = [Mergeable(self.args), Mergeable(self.args)], Eater(self.args)
        try:
            for guest in guests:
                guest.grow(1024)
            eater.below(threshold_kb)
            before = time.monotonic()
            tap.ok(wait_for(lambda: knob('run') == '1', 40), 'VMs grown: run is 1 within 40 s',
                   lambda: read(STATE, ''))
            tap.diag(f'it took {time.monotonic() - before:.1f} s')
        finally:
            for process in (*guests, eater):
                process.end()
        seen = []

        def stopped():
            seen.append(knob('run'))
            return seen[-1] != '1'
        wait_for(stopped, 40, 0.001)
        tap.equal(seen[-1], '0', 'an ordinary stop of KSM writes 0, not 2')
        self.stop()

    # --- ksmctl --------------------------------------------------------------------------------

    def ksmctl(self):
        tap = self.tap
        if not self.args.ksmctl or not os.path.exists(self.args.ksmctl):
            tap.skip('ksmctl start and stop', 'ksmctl was not built')
            return

        def call(*words, env=None):
            return subprocess.run([self.args.ksmctl, *words], capture_output=True, text=True,
                                  check=False, env={**os.environ, **(env or {})})
        for value in (None, '12345', 'rubbish', '0x10'):
            write(KSM / 'run', 0)
            answer = call('start', env={'KSM_MAX_KERNEL_PAGES': value} if value else None)
            tap.equal((answer.returncode, knob('run')), (0, '1'),
                      f'ksmctl start: run is 1 (KSM_MAX_KERNEL_PAGES {value or "unset"})')
        answer = call('stop')
        tap.equal((answer.returncode, knob('run')), (0, '0'), 'ksmctl stop: run is 0')
        for words in ((), ('frobnicate',)):
            answer = call(*words)
            tap.ok(answer.returncode == 1 and 'usage' in answer.stderr.lower()
                   and answer.stdout == '',
                   f'ksmctl {" ".join(words) or "with no verb"}: usage on standard error, 1',
                   f'{answer.returncode} {answer.stdout} {answer.stderr}')
        for verb in ('start', 'stop'):
            answer = subprocess.run(['setpriv', '--reuid=65534', '--clear-groups',
                                     for_everyone(self.args.ksmctl, self.log.parent), verb],
                                    capture_output=True, text=True, check=False)
            tap.ok(answer.returncode == 1 and answer.stderr != '',
                   f'ksmctl {verb} without rights ends with 1', answer.stderr)
        write(KSM / 'run', 0)
        self.max_kernel_pages(call)

    def max_kernel_pages(self, call):
        """The knob of old kernels, on a made-up host."""
        half = Host.TOTAL_KB // PAGE_KB // 2
        for value, want in ((None, half), ('12345', 12345), ('0x10', 16), ('010', 8),
                            ('rubbish', half), ('', half)):
            host = Host()
            try:
                host.set_knob('max_kernel_pages', 7)
                answer = call('--root', str(host.path), 'start',
                              env=None if value is None else {'KSM_MAX_KERNEL_PAGES': value})
                self.tap.equal((answer.returncode, host.knob('max_kernel_pages'), host.knob('run')),
                               (0, str(want), '1'), f'KSM_MAX_KERNEL_PAGES={value}: {want} pages')
            finally:
                host.remove()
        host = Host()
        host.knob_path('run').unlink()
        answer = call('--root', str(host.path), 'start')
        self.tap.ok(answer.returncode == 1 and answer.stderr != '',
                    'ksmctl start with no run file ends with 1', answer.stderr)
        host.remove()

    def run(self):
        try:
            self.the_shipped_file()
            self.bare_start()
            self.signals()
            self.end()
            self.stale_pidfile()
            self.appended_without_newline()
            self.never_runs_with_memory_free()
            self.runs_with_grown_vms()
            self.ksmctl()
        finally:
            self.stop()
            for pid in processes_named('ksmtuned'):
                self.tap.diag(f'left behind: ksmtuned {pid}')


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with live_ksm(), real_files_kept(), tempfile.TemporaryDirectory() as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
