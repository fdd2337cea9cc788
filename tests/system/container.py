# SPDX-License-Identifier: GPL-2.0-or-later
"""A bootstrapped Debian with this build installed, booted by systemd-nspawn."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

from common import CACHE, live_ksm, need_root, read, skip_all, wait_for

# What the booted system is made of: an init, and the libraries that the programs are linked to.
PACKAGES = ['systemd', 'systemd-sysv', 'dbus', 'logrotate', 'libsystemd0', 'libinih1',
            'libsmartcols1']
ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C.UTF-8', 'TERM': 'dumb'}


def debian_release():
    """The code name of this Debian or Ubuntu, for the container has to fit our libraries."""
    match = re.search(r'^VERSION_CODENAME=(\w+)', read('/etc/os-release', '-'), re.M)
    return match[1] if match else None


def why_not():
    """Why no container can be made here, or None."""
    for tool in ('debootstrap', 'systemd-nspawn', 'nsenter'):
        if not shutil.which(tool):
            return f'{tool} is not here'
    release = debian_release()
    if not release or not pathlib.Path('/usr/share/debootstrap/scripts', release).exists():
        return 'debootstrap cannot make a root of this distribution'
    return None


def bootstrapped_root(more=()):
    """A cached root; (path, None) or (None, why not). Made once, by debootstrap, with @more packages."""
    release = debian_release()
    packages = [*PACKAGES, *more]
    key = hashlib.sha256(' '.join([release, *packages]).encode()).hexdigest()[:12]
    root = CACHE / f'root-{key}'
    if root.is_dir():
        return root, None
    new = CACHE / f'root-{key}.new'
    shutil.rmtree(new, ignore_errors=True)
    CACHE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(['debootstrap', '--variant=minbase', '--include=' + ','.join(packages),
                           release, new], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return None, 'debootstrap failed: ' + (done.stdout.strip().split('\n') or ['?'])[-1]
    shutil.rmtree(new / 'var/cache/apt', ignore_errors=True)
    new.rename(root)
    return root, None


class Container:
    """A copy of the root with our build in it, if @args are given. boot() and halt() as often as wanted."""

    def __init__(self, args, base):
        for left in pathlib.Path('/var/tmp').glob('ksmtuned-container-*'):
            shutil.rmtree(left, ignore_errors=True)  # by a test that was killed; only one runs
        self.path = pathlib.Path(tempfile.mkdtemp(prefix='ksmtuned-container-', dir='/var/tmp'))
        self.root = self.path / 'root'
        self.name = f'ksmtuned-test-{os.getpid()}'
        self.process = None
        self.nspawn = self.leader = 0
        try:
            subprocess.run(['cp', '-a', '--reflink=auto', base, self.root], check=True)
            if args:
                subprocess.run(['meson', 'install', '-C', args.build, '--no-rebuild', '--quiet'],
                               env={**os.environ, 'DESTDIR': str(self.root)}, check=True,
                               capture_output=True)
        except BaseException:
            self.remove()
            raise

    def remove(self):
        self.halt()
        shutil.rmtree(self.path, ignore_errors=True)

    def boot(self, *options):
        """Boots, and waits until systemd has started everything."""
        # No registration: it would need machined. The host's network stays: a private one would
        # mount /sys anew, above what is bound there. The PID namespace is there so that nothing
        # outlives a test that was killed.
        command = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', 'systemd-nspawn',
                   '--quiet', '--register=no', '--keep-unit', '--boot', '--settings=no',
                   '--link-journal=no', '--resolv-conf=off', '--timezone=off', '--console=pipe',
                   f'--machine={self.name}', f'--directory={self.root}', *options]
        if os.path.isdir('/run/systemd/system'):
            command = ['systemd-run', '--scope', '--quiet', '--property=Delegate=yes', *command]
        command = ['setpriv', '--pdeathsig', 'KILL', *command]
        with open(self.path / 'console', 'wb') as console:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=console,
                                           stderr=console)
        if not wait_for(self._booted, 120, 0.1):
            raise RuntimeError('the container does not boot:\n' + read(self.path / 'console'))

    def _child(self, pid, name):
        """The process's child of this name, or 0."""
        for child in read(f'/proc/{pid}/task/{pid}/children', '-').strip('-').split():
            if read(f'/proc/{child}/comm', '-').strip() == name:
                return int(child)
        return 0

    def _booted(self):
        if self.process.poll() is not None:
            raise RuntimeError('systemd-nspawn ended:\n' + read(self.path / 'console'))
        self.nspawn = self._child(self.process.pid, 'systemd-nspawn')
        self.leader = self.nspawn and self._child(self.nspawn, 'systemd')
        return self.leader and self.run('systemctl', 'is-system-running').stdout.strip() in (
            'running', 'degraded')

    def halt(self):
        if not self.process:
            return
        # The second signal is for the impatient: the container is thrown away.
        for _ in range(2):
            if self.nspawn and self.process.poll() is None:
                os.kill(self.nspawn, signal.SIGTERM)
                wait_for(lambda: self.process.poll() is not None, 1)
        self.process.kill()
        self.process.wait()
        self.process = None
        for left in (f'propagate/{self.name}', f'unix-export/{self.name}'):
            try:
                os.rmdir(f'/run/systemd/nspawn/{left}')
            except OSError:
                pass

    # --- Inside -------------------------------------------------------------------------------

    def run(self, *command, seconds=60):
        """Runs a command inside; the answer has returncode, stdout, stderr."""
        return subprocess.run(['nsenter', '--target', str(self.leader), '--all', *command],
                              capture_output=True, text=True, errors='replace', check=False,
                              env=ENVIRONMENT, timeout=seconds, stdin=subprocess.DEVNULL)

    def spawn(self, *command):
        """Starts a command inside, in the background; end it with stop()."""
        return subprocess.Popen(['nsenter', '--target', str(self.leader), '--all', *command],
                                env=ENVIRONMENT, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def inside(self, path):
        """The path from here of a file that is inside, also where something is mounted there."""
        return pathlib.Path(f'/proc/{self.leader}/root{path}')

    def show(self, unit, name):
        return self.run('systemctl', 'show', '--property', name, '--value', unit).stdout.strip()

    def journal(self, *matches):
        """Entries, oldest first, as dicts. What is in flight is written first."""
        self.run('journalctl', '--sync')
        text = self.run('journalctl', '--no-pager', '--output=json', *matches).stdout
        return [json.loads(line) for line in text.splitlines()]


@contextlib.contextmanager
def booted(args, *options):
    """One with this build, which has the host's KSM for itself. Where none can be made, all skips."""
    need_root()
    if reason := why_not():
        skip_all(reason)
    base, reason = bootstrapped_root()
    if not base:
        skip_all(reason)
    # meson ends a test that takes too long so: what was begun is put back all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with live_ksm():
        box = Container(args, base)
        try:
            box.boot('--bind=/sys/kernel/mm/ksm', *options)
            yield box
        finally:
            box.remove()
