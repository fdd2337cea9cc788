# SPDX-License-Identifier: GPL-2.0-or-later
"""A libvirtd for a test alone (see namespace.py), domains of it, and guests without it."""

import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time

from common import cpu_nsec, read, switches, wait_for
from host import Daemon

QEMU = shutil.which('qemu-system-x86_64')
SOCKET = pathlib.Path('/run/libvirt/libvirt-sock-ro')
CONFIG = 'auth_unix_ro="none"\nauth_unix_rw="none"\n'

DOMAIN = f"""<domain type='qemu'>
  <name>{{name}}</name>
  <memory unit='MiB'>64</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices><emulator>{QEMU}</emulator></devices>
</domain>
"""


def why_not():
    """Why there can be no libvirtd with QEMU here, or ''."""
    for program in ('libvirtd', 'virtlogd', 'virsh', 'qemu-system-x86_64'):
        if not shutil.which(program):
            return f'{program} is not here'
    return ''


def virsh(*words, uri='qemu:///system', check=True, seconds=60):
    return subprocess.run(['virsh', '-q', '-c', uri, *map(str, words)], check=check,
                          capture_output=True, text=True, timeout=seconds,
                          stdin=subprocess.DEVNULL)


class Libvirtd:
    """@folder: where domains are described and the log goes."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.log = open(self.folder / 'libvirtd.log', 'ab')
        self.process = None
        for name in ('libvirtd', 'virtlogd'):
            pathlib.Path(f'/etc/libvirt/{name}.conf').write_text(
                CONFIG if name == 'libvirtd' else '')
        self.logger = subprocess.Popen(['virtlogd'], stdout=self.log, stderr=self.log)

    def start(self, wait=True):
        self.process = subprocess.Popen(['libvirtd'], stdout=self.log, stderr=self.log)
        # The first question about QEMU makes it ask QEMU itself, for some seconds.
        if wait and not wait_for(lambda: virsh('domcapabilities', check=False).returncode == 0,
                                 60, 0.1):
            raise RuntimeError(f'libvirtd does not answer:\n{self.said()}')

    def said(self):
        return read(self.folder / 'libvirtd.log', '')

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self):
        self.process.terminate()
        self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        wait_for(lambda: ' T ' in read(f'/proc/{self.process.pid}/stat'), 2)

    def go_on(self):
        self.process.send_signal(signal.SIGCONT)

    def domain(self, name='vm1'):
        """The description of a domain: a file."""
        path = self.folder / f'{name}.xml'
        path.write_text(DOMAIN.format(name=name))
        return path

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for domain in virsh('list', '--name', check=False).stdout.split():
            virsh('destroy', domain, check=False)
        for process in (self.process, self.logger):
            if process and process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        self.log.close()


def guest(*more):
    """A plain QEMU guest that never runs."""
    return subprocess.Popen([QEMU, '-S', '-m', '64', '-display', 'none', '-nodefaults',
                             '-accel', 'tcg', *more], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def children(pid):
    return [int(word) for word in read(f'/proc/{pid}/task/{pid}/children', '').split()]


def state_of(pid):
    """S, R, T, Z …; None where it has gone."""
    stat = read(f'/proc/{pid}/stat', '')
    return stat.rpartition(')')[2].split()[0] if stat else None


def helpers(name='ksmtuned-libvir'):
    """The helper processes on this host, zombies too."""
    return [int(entry) for entry in os.listdir('/proc')
            if entry.isdigit() and read(f'/proc/{entry}/comm', '').strip() == name]


class Use:
    """What a process uses from here on."""

    def __init__(self, pid):
        self.pid = pid
        self.cpu, self.switches = cpu_nsec(pid), switches(pid)

    def cpu_msec(self):
        return (cpu_nsec(self.pid) - self.cpu) / 1e6

    def wakeups(self):
        return switches(self.pid) - self.switches


# --- The daemon that listens ------------------------------------------------------------------

def listener(args):
    """The built helper's path, or None where libvirt's headers were not there to build it."""
    path = args.build.resolve() / 'src/libvirt/ksmtuned-libvirt'
    return str(path) if path.exists() else None


OWN_STATE = 'mkdir -p /run/ksmtuned; mount -t tmpfs -o mode=755 none /run/ksmtuned\n'


@contextlib.contextmanager
def daemon(args, uri='qemu:///system', program=None, interval='3600', log=None, beside=False,
           **more):
    """
    ksmtuned with a helper: @program, or the built one, or where there is neither none at all. It
    writes no knob: what is at stake here is when it decides. @beside: others run meanwhile.
    """
    if beside:
        more['mounts'] = OWN_STATE + more.get('mounts', '')
    with tempfile.TemporaryDirectory(prefix='ksmtuned-libvirt-') as folder:
        config = pathlib.Path(folder) / 'ksmtuned.conf'
        config.write_text(f'KSM_MONITOR_INTERVAL={interval}\nKSM_LIBVIRT_URI={uri}\n'
                          + 'PIDFILE=\n' * beside)
        env = {'KSMTUNED_LIBVIRT': str(program or listener(args) or '/nonexistent')}
        if log:
            env['FAKE_HELPER_LOG'] = str(log)
        with Daemon(args, options=['--dry-run', '--config', str(config)],
                    env={**env, **more.pop('env', {})}, **more) as running:
            yield running


def told(running):
    """What it said, but for what a dry run says at each decision, and of guests."""
    return [line for line in running.said().splitlines()
            if 'dry run' not in line and not line.startswith('ksmtuned: guest ')]


def connected(running, seconds=20):
    return wait_for(lambda: running.said_lines('events come from libvirt'), seconds)


def decided(running, condition, seconds=3.0):
    """The first decision published that fits, or None."""
    def fits():
        state = running.state()
        return state if state and condition(state) else None
    return wait_for(fits, seconds, 0.0005)


def latency_msec(state, since):
    """From a moment (time.time()) to the decision published; 0 where that was earlier."""
    return max(0.0, int(state['TIME_USEC']) / 1e3 - since * 1e3)


def settle():
    """Until the gap behind the last decision is over, and at no particular moment behind it."""
    time.sleep(random.uniform(1.1, 1.6))


def noticed(listening, step, verb, what):
    """
    Creates (@step 1) or destroys (-1) a domain. Returns for each of the daemons (ms from virsh's
    return to the decision that has counted it, TRIGGER); a decision that has not come within 3 s is
    one of 3000 ms.
    """
    settle()
    wants = [str(running.number('GUESTS') + step) for running in listening]
    virsh(verb, what)
    returned, found = time.time(), []
    for running, want in zip(listening, wants):
        state = decided(running, lambda s, want=want: s['GUESTS'] == want)
        found.append((latency_msec(state, returned), state['TRIGGER']) if state
                     else (3000.0, 'none'))
    return found


def start_and_stop(running, description, name, times):
    """Creates and destroys a domain. Returns {verb: [(ms, TRIGGER)]}; see noticed()."""
    found = {'create': [], 'destroy': []}
    for _ in range(times):
        found['create'] += noticed([running], 1, 'create', description)
        found['destroy'] += noticed([running], -1, 'destroy', name)
    return found


def storm(seconds, per_second, uri='test+unix:///default'):
    """Suspends and resumes libvirt's own test domain. Returns how many events a second it was."""
    virsh_in = subprocess.Popen(['virsh', '-q', '-c', uri], stdin=subprocess.PIPE, text=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begin, n = time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        due = int((time.monotonic() - begin) * per_second)
        if due >= n + 2:
            virsh_in.stdin.write('suspend test\nresume test\n')
            virsh_in.stdin.flush()
            n += 2
        time.sleep(0.001)
    virsh_in.stdin.close()
    virsh_in.wait()
    return n / (time.monotonic() - begin)
