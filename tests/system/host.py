# SPDX-License-Identifier: GPL-2.0-or-later
"""A made-up host in a folder, and a ksmtuned that runs on it or on the real one."""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile

from common import read, wait_for

PAGE_KB = os.sysconf('SC_PAGE_SIZE') // 1024

KNOBS = {'run': 0, 'pages_to_scan': 100, 'sleep_millisecs': 20, 'pages_shared': 0,
         'pages_sharing': 0, 'pages_unshared': 0, 'pages_volatile': 0, 'full_scans': 0}


class Host:
    """DIR/proc, DIR/sys, DIR/etc, DIR/run, DIR/var of a host that does not exist."""

    TOTAL_KB = 16777216

    def __init__(self, total_kb=TOTAL_KB, free_kb=12000000):
        self.path = pathlib.Path(tempfile.mkdtemp(prefix='ksmtuned-host-'))
        self.path.chmod(0o755)
        for folder in ('proc', 'sys/kernel/mm/ksm', 'etc', 'run', 'var/log', 'var/run'):
            (self.path / folder).mkdir(parents=True)
        self.total_kb = total_kb
        self.guests = []
        self.memory(free_kb)
        for name, value in KNOBS.items():
            self.set_knob(name, value)
        self.config('')

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def config(self, text):
        (self.path / 'etc/ksmtuned.conf').write_text(text)

    def memory(self, free_kb, buffers_kb=0, cached_kb=0, available_kb=None):
        available_kb = free_kb if available_kb is None else available_kb
        self._replace('proc/meminfo',
                      f'MemTotal:       {self.total_kb:>8} kB\nMemFree:        {free_kb:>8} kB\n'
                      f'MemAvailable:   {available_kb:>8} kB\nBuffers:        {buffers_kb:>8} kB\n'
                      f'Cached:         {cached_kb:>8} kB\nSwapCached:            7 kB\n'
                      'SwapTotal:             0 kB\nSwapFree:              0 kB\n')

    def _replace(self, name, text):
        new = self.path / (name + '.new')
        new.write_text(text)
        new.rename(self.path / name)

    def knob_path(self, name):
        return self.path / 'sys/kernel/mm/ksm' / name

    def knob(self, name):
        return self.knob_path(name).read_text().strip()

    def set_knob(self, name, value):
        self.knob_path(name).write_text(f'{value}\n')

    def process(self, pid, comm, rss_kb, cmdline=None, state='S', start_time=None):
        folder = self.path / 'proc' / str(pid)
        folder.mkdir(exist_ok=True)
        pages = rss_kb // PAGE_KB
        start_time = pid * 7 if start_time is None else start_time
        (folder / 'comm').write_text(comm + '\n')
        (folder / 'cmdline').write_text('\0'.join(cmdline or [comm]) + '\0')
        (folder / 'statm').write_text(f'{pages + 9000} {pages} 900 300 0 {pages} 0\n')
        (folder / 'status').write_text(f'Name:\t{comm}\nVmRSS:\t{rss_kb:>8} kB\n')
        (folder / 'stat').write_text(
            f'{pid} ({comm}) {state} 1 {pid} {pid} 0 -1 4194560 100 0 0 0 50 20 0 0 20 0 1 0 '
            f'{start_time} {(pages + 9000) * PAGE_KB * 1024} {pages} 18446744073709551615 '
            + '0 ' * 26 + '0\n')

    def set_guests(self, sizes_kb):
        """The host's VM processes from now on, one for each size (whole pages)."""
        for pid in self.guests:
            shutil.rmtree(self.path / 'proc' / str(pid))
        self.guests = [1000 + 3 * i for i in range(len(sizes_kb))]
        for pid, size in zip(self.guests, sizes_kb):
            self.process(pid, 'qemu-system-x86', size,
                         ['qemu-system-x86_64', '-name', f'g{pid}', '-enable-kvm'])

    @property
    def log(self):
        return self.path / 'var/log/ksmtuned'


class Daemon:
    """
    A running `ksmtuned --foreground`. @root: where it is; @mounts: shell commands that it finds
    done in a mount namespace of its own; @user: who runs it.
    """

    def __init__(self, args, root='/', options=(), mounts=None, user=None, wait=True, env=None):
        self.root = pathlib.Path(root)
        self.private = mounts is not None
        command = [args.ksmtuned, '--foreground', *options]
        if self.root != pathlib.Path('/'):
            command += ['--root', str(root)]
        if user:
            command = ['setpriv', f'--reuid={user}', f'--regid={user}', '--clear-groups', *command]
        if self.private:
            command = ['unshare', '--mount', 'sh', '-ec',
                       f'{mounts}\nexec ' + ' '.join(map(shlex.quote, command))]
        self.stderr = tempfile.TemporaryFile(mode='w+b')
        environment = {k: v for k, v in os.environ.items() if k != 'NOTIFY_SOCKET'}
        environment.update(env or {})
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=self.stderr,
                                        stdout=self.stderr, env=environment)
        self.pid = self.process.pid
        if wait:
            wait_for(lambda: self.decisions() >= 1 or self.process.poll() is not None, 20)
            if self.decisions() < 1 or self.process.poll() is not None:
                raise RuntimeError(f'{command} is not there:\n{self.said()}')

    def _state_path(self):
        base = pathlib.Path(f'/proc/{self.pid}/root') if self.private else pathlib.Path('/')
        return base / str(self.root / 'run/ksmtuned/state').lstrip('/')

    def state(self):
        text = read(self._state_path(), '')
        state = dict(re.findall(r'^([A-Z_]+)=(.*)$', text, re.M))
        # A state that an earlier daemon left behind is none of this one's.
        return state if state.get('PID', str(self.pid)) == str(self.pid) else {}

    def decisions(self):
        return int(self.state().get('DECISIONS', 0))

    def number(self, key):
        return int(self.state().get(key, -1))

    def retune(self, seconds=10.0):
        """SIGUSR1, and wait for the decision. Returns whether it came."""
        before = self.decisions()
        os.kill(self.pid, signal.SIGUSR1)
        return bool(wait_for(lambda: self.decisions() > before, seconds, 0.002))

    def wait_decisions(self, n, seconds=20.0):
        end = self.decisions() + n
        return bool(wait_for(lambda: self.decisions() >= end, seconds, 0.005))

    def alive(self):
        return self.process.poll() is None

    def said(self):
        """All that it wrote to standard error."""
        self.stderr.seek(0, os.SEEK_END)
        size = self.stderr.tell()
        return os.pread(self.stderr.fileno(), size, 0).decode(errors='replace')

    def said_lines(self, pattern):
        return [line for line in self.said().splitlines() if re.search(pattern, line, re.I)]

    def stop(self, seconds=10.0, with_signal=signal.SIGTERM):
        """Ends it. Returns the exit status, or None where it had to be killed."""
        if self.alive():
            self.process.send_signal(with_signal)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
