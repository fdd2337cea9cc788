#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ksmctl does on the live host: retune, unmerge, exec."""

import contextlib
import errno
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

from common import (KSM, Mergeable, Tap, arguments, for_everyone, helper, knob, knob_number,
                    live_ksm, need_root, read, skip_all, wait_for, write)
from host import Daemon

STATE = pathlib.Path('/run/ksmtuned/state')
GUEST_MIB = 2150  # each of two with the same content: a little over 2 GiB are saved
SAVED_PAGES = 2 * 1024 * 256


def heed_interrupt():
    """Shells ignore it for what they start in the background, and that would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = pathlib.Path(folder)

    def ksmctl(self, *arguments_, wrapper=(), **options):
        return subprocess.run([*wrapper, self.args.ksmctl, *arguments_], text=True, check=False,
                              capture_output=True, timeout=120,
                              env=os.environ | {'LC_ALL': 'C'}, **options)

    def fails(self, answer, status, words, name):
        self.tap.ok(answer.returncode == status and words in answer.stderr
                    and answer.stderr.count('\n') == 1, name, answer)

    # --- retune -------------------------------------------------------------------------------

    def daemon(self):
        config = self.folder / 'ksmtuned.conf'
        config.write_text(f'KSM_MONITOR_INTERVAL=60\nPIDFILE={self.folder}/pid\n')
        return Daemon(self.args, options=['--dry-run', '--config', str(config)])

    def retune_daemon(self):
        tap = self.tap
        with self.daemon() as daemon:
            before = daemon.decisions()
            started = time.monotonic()
            answer = self.ksmctl('retune')
            took = time.monotonic() - started
            state = daemon.state()
            tap.ok(answer.returncode == 0 and daemon.decisions() == before + 1
                   and state['TRIGGER'] == 'signal', 'retune: the daemon decides', (answer, state))
            tap.ok(took < 2, f'retune: within moments ({took:.3f} s), at an interval of 60 s')
            words = ' '.join(answer.stdout.split())
            tap.ok(f'process {daemon.pid},' in words and f'reason {state["REASON"]}' in words
                   and f'now run {state["RUN"]}: ' in words, 'retune: tells what and why',
                   answer.stdout)
            tap.ok(max(map(len, answer.stdout.splitlines())) <= 80, 'retune: in 80 columns',
                   answer.stdout)

            answer = self.ksmctl('retune', '--no-wait')
            tap.ok((answer.returncode, answer.stdout, answer.stderr) == (0, '', '')
                   and wait_for(lambda: daemon.decisions() == before + 2),
                   'retune --no-wait: silent, and the daemon decides', answer)

            with tempfile.TemporaryDirectory() as folder:
                copy = for_everyone(self.args.ksmctl, folder)
                answer = subprocess.run([copy, 'retune'], text=True, capture_output=True,
                                        check=False, user=65534, group=65534, extra_groups=[])
            self.fails(answer, 1, 'not permitted', 'retune: an ordinary user may not')

            os.kill(daemon.pid, signal.SIGSTOP)
            started = time.monotonic()
            answer = self.ksmctl('retune')
            took = time.monotonic() - started
            self.fails(answer, 1, 'it hangs', 'retune: a daemon that hangs is called so')
            tap.ok(4.5 < took < 8, f'retune: after 5 s ({took:.1f} s)')
            os.kill(daemon.pid, signal.SIGCONT)

            daemon.stop(with_signal=signal.SIGKILL)
            tap.ok(STATE.exists(), 'a killed daemon leaves its state')
            self.fails(self.ksmctl('retune'), 1, 'no ksmtuned runs',
                       'retune: a daemon that is gone is called so')

    def retune_others(self):
        """Processes that are no daemon, or none for long."""
        text = STATE.read_text()
        with subprocess.Popen(['sleep', '60']) as sleep:
            STATE.write_text(re.sub(r'^PID=.*$', f'PID={sleep.pid}', text, flags=re.M))
            self.fails(self.ksmctl('retune'), 1, 'no ksmtuned runs',
                       'retune: a PID that another process has got is not signalled')
            self.tap.equal(sleep.poll(), None, 'retune: and the process lives')
            sleep.kill()
        STATE.unlink()
        self.fails(self.ksmctl('retune'), 1, 'no ksmtuned runs', 'retune: no state, no daemon')

        pidfile = pathlib.Path('/run/ksmtune.pid')
        if pidfile.exists():
            self.tap.skip('retune: the pidfile', f'{pidfile} is somebody else\'s')
            return
        # SIGUSR1 ends it.
        fake = self.folder / 'ksmtuned'
        fake.symlink_to('/bin/sleep')
        with subprocess.Popen([fake, '60']) as process:
            wait_for(lambda: read(f'/proc/{process.pid}/comm', '') == 'ksmtuned\n')
            pidfile.write_text(f'{process.pid}\n')
            try:
                self.fails(self.ksmctl('retune'), 1, 'ended before it decided',
                           'retune: found by the pidfile; a daemon that ends is called so')
            finally:
                pidfile.unlink()
                process.kill()
            self.tap.equal(process.wait(), -signal.SIGUSR1, 'retune: by SIGUSR1')

    def unmerge_beside_daemon(self):
        """The daemon only says that it wants KSM on: nothing is merged here."""
        tap = self.tap
        with self.daemon() as daemon:
            answer = self.ksmctl('unmerge', '--dry-run')
            tap.ok(answer.returncode == 0 and f'runs (process {daemon.pid})' in answer.stdout,
                   'unmerge: names the daemon that runs', answer)
            text = STATE.read_text()
            STATE.write_text(re.sub(r'^RUN=.*$', 'RUN=1', text, flags=re.M))
            answer = self.ksmctl('unmerge')
            tap.ok('wants KSM on' in ' '.join(answer.stdout.split()),
                   'unmerge: tells that the daemon wants KSM on', answer.stdout)
            self.fails(answer, 1, 'ksmtuned would merge all again',
                       'unmerge: refused while the daemon wants KSM on')
            answer = self.ksmctl('unmerge', '--force')
            tap.ok(answer.returncode == 0 and knob('run') == '0', 'unmerge: --force does it', answer)

    # --- unmerge ------------------------------------------------------------------------------

    def merge(self):
        """All of the guests' memory, also after some of it has been unmerged."""
        write(KSM / 'smart_scan', 0)
        write(KSM / 'pages_to_scan', 20000)
        write(KSM / 'sleep_millisecs', 0)
        write(KSM / 'run', 1)
        return wait_for(lambda: knob_number('pages_sharing') >= SAVED_PAGES, 120, 0.1)

    @contextlib.contextmanager
    def merged(self):
        guests = [Mergeable(self.args, 100), Mergeable(self.args, 100)]
        try:
            for guest in guests:
                guest.grow(GUEST_MIB)
            yield self.merge()
        finally:
            write(KSM / 'run', 0)
            for guest in guests:
                guest.end()

    def begin(self, *options, mounts=''):
        """Starts an unmerge, until it tells for the first time how far it is."""
        command = ' '.join(map(shlex.quote, [self.args.ksmctl, 'unmerge', *options]))
        command = ['unshare', '--mount', 'sh', '-ec', f'{mounts}\nexec {command}'] \
            if mounts else ['sh', '-c', f'exec {command}']
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True, start_new_session=True,
                                   preexec_fn=heed_interrupt)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if re.search(r'iB left', line):
                break
        return process, lines

    def ends_unfinished(self, process, lines, words, name):
        stdout, stderr = process.communicate(timeout=30)
        told = ''.join(lines) + stdout
        self.tap.ok(process.returncode == 3 and words in stderr and 'are still merged' in stdout
                    and 'run is 0' in stdout and 'goes on with it' in stdout, name,
                    (process.returncode, told, stderr))
        # Guest by guest: the last one's pages are pages of KSM that nobody shares any more.
        self.tap.ok(knob('run') == '0' and knob_number('pages_shared') > 0,
                    f'{name}: run reads 0, and pages are merged still',
                    (knob('run'), knob('pages_shared')))
        self.tap.diag((stdout + stderr).strip())

    def meminfo(self, available_kb):
        path = self.folder / 'meminfo'
        path.write_text(re.sub(r'^MemAvailable:.*$', f'MemAvailable: {available_kb} kB',
                               read('/proc/meminfo'), flags=re.M))
        return path, f'mount --bind {path} /proc/meminfo'

    def unmerge(self):
        tap = self.tap
        with self.merged() as enough:
            pages = knob_number('pages_sharing')
            if not tap.ok(enough, f'2 GiB are saved ({pages} pages)'):
                return
            answer = self.ksmctl('unmerge', '--dry-run')
            tap.ok(answer.returncode == 0 and 'fits        yes' in answer.stdout
                   and knob('run') == '1' and knob_number('pages_sharing') >= pages,
                   'unmerge --dry-run: tells that it fits, and does nothing', answer)
            tap.diag(answer.stdout)

            needed_kb = pages * 4
            path, mounts = self.meminfo(needed_kb)
            process, lines = self.begin(mounts=mounts)
            stderr = process.communicate()[1]
            tap.ok(process.returncode == 1 and 'does not fit' in stderr and knob('run') == '1',
                   'unmerge: refused where it does not fit', (lines, stderr))

            process, lines = self.begin()
            os.killpg(process.pid, signal.SIGINT)
            self.ends_unfinished(process, lines, 'interrupted (Interrupt)', 'unmerge: Ctrl-C')

            process, lines = self.begin()
            os.kill(process.pid, signal.SIGTERM)
            self.ends_unfinished(process, lines, 'interrupted (Terminated)', 'unmerge: SIGTERM')

            process, _ = self.begin()
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            tap.ok(wait_for(lambda: knob('run') == '0'),
                   'unmerge: when it is killed, the work ends too')

            # Where it is fast, little is left of what was merged.
            tap.ok(self.merge(), 'what was unmerged merges again', lambda: knob('pages_sharing'))
            path, mounts = self.meminfo(needed_kb * 2)
            process, lines = self.begin(mounts=mounts)
            path.write_text('MemTotal: 16777216 kB\nMemFree: 4096 kB\nMemAvailable: 4096 kB\n')
            self.ends_unfinished(process, lines, 'memory runs short',
                                 'unmerge: memory that others use up meanwhile')

            process, lines = self.begin('--force', mounts=mounts)
            tap.ok(lines and 'left' in lines[-1], 'unmerge --force: begins all the same', lines)
            process.send_signal(signal.SIGHUP)
            self.ends_unfinished(process, lines, 'interrupted (Hangup)', 'unmerge: SIGHUP')

            self.merge()
            self.resume_on_terminal()

    def resume_on_terminal(self):
        tap = self.tap
        master, slave = pty.openpty()
        with subprocess.Popen([self.args.ksmctl, 'unmerge'], stdout=slave, stderr=slave,
                              env=os.environ | {'TERM': 'xterm'}) as process:
            os.close(slave)
            text = b''
            with contextlib.suppress(OSError):
                while chunk := os.read(master, 65536):
                    text += chunk
            status = process.wait()
        os.close(master)
        text = text.decode().replace('\r\n', '\n')
        looks = re.findall(r'\r([0-9.]+) (kB|MiB|GiB) of ([^,]*) left', text)
        left = [float(number) * {'kB': 1, 'MiB': 1024, 'GiB': 1048576}[unit]
                for number, unit, _ in looks]
        tap.ok(status == 0 and len(left) >= 3 and left == sorted(left, reverse=True)
               and left[-1] < left[0], f'unmerge: goes on, and tells how far it is {len(left)} times',
               text)
        tap.ok(all(len(line) <= 80 for line in re.split('[\r\n]', text.replace('\033[K', ''))),
               'unmerge: in 80 columns', text)
        tap.ok(re.search(r'unmerged in .*: [0-9.]+ GiB that merging saved are given up\n$', text),
               'unmerge: tells what was given up', text[-300:])
        tap.equal((knob('run'), knob('pages_sharing'), knob('pages_shared')), ('0', '0', '0'),
                  'unmerge: nothing is merged, and run reads 0')
        tap.diag(text.replace('\r', '\n').replace('\033[K', ''))

    # --- exec ---------------------------------------------------------------------------------

    def exec_stat(self):
        tap = self.tap
        read_stat = 'grep merge_any /proc/self/ksm_stat'
        if 'ksm_merge_any' not in read('/proc/self/ksm_stat', ''):
            tap.skip('exec: ksm_stat', 'this kernel does not tell ksm_merge_any')
            return
        without = subprocess.run(['sh', '-c', read_stat], text=True, capture_output=True, check=False)
        tap.ok('no' in without.stdout, 'without exec a process is not mergeable', without)
        for command, name in ((['--', 'sh', '-c', f'exec {read_stat}'], 'the command'),
                              (['sh', '-c', f'{read_stat}; true'], 'a child of it')):
            answer = self.ksmctl('exec', *command)
            tap.ok(answer.returncode == 0 and 'yes' in answer.stdout, f'exec: {name} is mergeable',
                   answer)

    def exec_failures(self):
        shim = helper(self.args, 'prctl-fails.so')
        for error, words in ((errno.EINVAL, 'Linux 6.4'), (errno.EPERM, 'CAP_SYS_RESOURCE'),
                             (errno.ENOMEM, 'Cannot allocate memory')):
            self.fails(self.ksmctl('exec', 'true', wrapper=(
                'env', f'LD_PRELOAD={shim}', f'PRCTL_ERRNO={error}')), 125, words,
                f'exec: {errno.errorcode[error]} in words')
        with tempfile.TemporaryDirectory() as folder:
            copy = for_everyone(self.args.ksmctl, folder)
            answer = subprocess.run([copy, 'exec', 'echo', 'done'], text=True, capture_output=True,
                                    check=False, user=65534, group=65534, extra_groups=[])
        # Linux asks for no capability here, other kernels and containers may.
        self.tap.ok(answer.stdout == 'done\n' or answer.returncode == 125,
                    'exec: an ordinary user\'s command runs, or the reason is told', answer)
        self.tap.diag(answer)

    def exec_merges(self):
        """The memory of a program that knows nothing of KSM, twice the same and zeros."""
        tap = self.tap
        program = ('import sys; a = [bytearray(b"ksm!" * 4194304) for _ in range(2)]; '
                   'z = bytearray(16 << 20); z[::4096] = bytes(4096); print("ready", flush=True); '
                   'sys.stdin.read()')
        write(KSM / 'use_zero_pages', 1)
        try:
            with subprocess.Popen([self.args.ksmctl, 'exec', sys.executable, '-c', program],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True) as process:
                process.stdout.readline()
                write(KSM / 'smart_scan', 0)
                write(KSM / 'pages_to_scan', 10000)
                write(KSM / 'run', 1)
                # 32 MiB of one content, 16 MiB of zeros.
                merged = wait_for(lambda: knob_number('pages_sharing') > 8000
                                  and knob_number('ksm_zero_pages') > 4000, 60, 0.1)
                figures = knob('pages_sharing'), knob('ksm_zero_pages')
                tap.ok(merged, f'exec: its memory merges (pages_sharing and zero pages: {figures})',
                       figures)
                answer = self.ksmctl('unmerge')
                tap.ok(answer.returncode == 0 and (knob('pages_sharing'), knob('ksm_zero_pages'))
                       == ('0', '0') and 'still counted' not in answer.stdout,
                       'unmerge: zero pages too', answer)
                process.stdin.close()
        finally:
            write(KSM / 'run', 2)
            write(KSM / 'run', 0)
            write(KSM / 'use_zero_pages', 0)

    def run(self):
        self.retune_daemon()
        self.retune_others()
        self.unmerge_beside_daemon()
        self.exec_stat()
        self.exec_failures()
        self.exec_merges()
        self.unmerge()


def main():
    args = arguments(__doc__)
    need_root()
    if not args.ksmctl or not os.path.exists(args.ksmctl):
        skip_all('ksmctl was not built')
    # Under nohup it is ignored, and what is started here would inherit that.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    tap = Tap()
    with live_ksm(), tempfile.TemporaryDirectory(prefix='ksmtuned-acts-') as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
