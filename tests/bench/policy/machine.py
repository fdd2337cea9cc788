# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine under measurement: KSM at rest, CPU time accounted for, and nothing left behind."""

import contextlib
import ctypes
import fcntl
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'system'))

from common import (KNOBS_AT_REST, KSM, LOCK, free_kb, knob, knob_number,  # noqa: E402
                    knobs_at_rest, meminfo, processes_named, read, wait_for, write)

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)
MIB_KB = 1024

# Waits for the end of its input, which is the end of the benchmark however it comes, and leaves
# the host as it was: the processes in the control group end, all is unmerged, the knobs rest.
GUARD = '''
trap '' INT TERM HUP
while read -r _; do :; done
echo 1 > "$1/load/cgroup.kill"; echo 1 > "$1/policy/cgroup.kill"
cd /sys/kernel/mm/ksm || exit
echo none > advisor_mode
echo 2 > run
{knobs}
for i in 1 2 3 4 5 6 7 8 9 10; do
    rmdir "$1/load" "$1/policy"
    rmdir "$1" && exit
    sleep 0.2
done
'''


def guard_script():
    return GUARD.replace('{knobs}', '\n'.join(
        f'echo {value} > {name}' for name, value in KNOBS_AT_REST.items()))


def why_not():
    """Why nothing can be measured here, or ''."""
    if os.geteuid() != 0:
        return 'needs root'
    if not KSM.is_dir():
        return 'this kernel has no KSM'
    if not (KSM / 'smart_scan').exists():
        return 'this kernel\'s KSM has no smart_scan, by which the oracle sees all (Linux 6.7)'
    if not cgroup_root():
        return 'no cgroup2 is mounted, by which the CPU time of a policy is accounted for'
    if not processes_named('ksmd'):
        return 'no ksmd runs here'
    if not os.path.exists('/proc/self/schedstat'):
        return 'this kernel tells no CPU times in ns (no /proc/PID/schedstat)'
    return ''


def tuner():
    """The PID of a ksmtuned that writes this host's knobs, or None."""
    for pid in processes_named('ksmtuned'):
        words = read(f'/proc/{pid}/cmdline', '').split('\0')
        if not {'--root', '--dry-run', '-n'} & set(words):
            return pid
    return None


def cgroup_root():
    for line in read('/proc/mounts').splitlines():
        fields = line.split()
        if fields[2] == 'cgroup2' and 'rw' in fields[3].split(','):
            return pathlib.Path(fields[1])
    return None


class Group:
    """A control group, for what its processes and their ended children cost."""

    def __init__(self, path):
        self.path = path
        path.mkdir(exist_ok=True)
        self.stat = os.open(path / 'cpu.stat', os.O_RDONLY | os.O_CLOEXEC)

    def cpu_sec(self):
        text = os.pread(self.stat, 128, 0)
        return int(text.split()[1]) / 1e6

    def join(self):
        """In a child, before exec."""
        write(self.path / 'cgroup.procs', 0)
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    def spawn(self, *command, **more):
        # No other thread runs here, so that it is safe to do something before exec.
        return subprocess.Popen([str(word) for word in command], preexec_fn=self.join,
                                **{'stdin': subprocess.DEVNULL, 'stdout': subprocess.DEVNULL,
                                   **more})

    def kill(self):
        with contextlib.suppress(OSError):
            write(self.path / 'cgroup.kill', 1)
        wait_for(self.empty, 20)

    def empty(self):
        return not read(self.path / 'cgroup.procs', '').strip()


class Ballast:
    """Memory that is no guest's and never merges, so that memory is as short as it has to be."""

    def __init__(self):
        self.process = None
        self.mib = 0

    def resize(self, mib):
        self.drop()
        if mib <= 0:
            return
        self.process = subprocess.Popen(
            [sys.executable, __file__, 'ballast', str(mib)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)
        if not self.process.stdout.readline():
            raise RuntimeError(f'{mib} MiB of ballast are not to be had')
        self.mib = mib

    def lost(self):
        return self.process is not None and self.process.poll() is not None

    def drop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
        self.process, self.mib = None, 0


def be_ballast(mib):
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Where the host runs out of memory after all, this goes first.
    write('/proc/self/oom_score_adj', 1000)
    memory = mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    block = b'\x5a' * (8 << 20)
    for start in range(0, mib << 20, len(block)):
        memory[start:min(start + len(block), mib << 20)] = block[:(mib << 20) - start]
    print('there', flush=True)
    sys.stdin.read()


class Machine:
    def __init__(self, folder):
        self.folder = folder
        self.total_kb = meminfo()['MemTotal']
        self.cpus = os.cpu_count()
        self.ksmd = processes_named('ksmd')[0]
        path = cgroup_root() / f'ksmtuned-bench-{os.getpid()}'
        path.mkdir()
        self.path = path
        self.load, self.policy = Group(path / 'load'), Group(path / 'policy')
        self.ballast = Ballast()
        self.free_at_rest_kb = 0

    def ksmd_sec(self):
        return int(read(f'/proc/{self.ksmd}/schedstat').split()[0]) / 1e9

    def at_rest(self):
        """Nothing merged, nothing of ours running, the knobs as the kernel has them at boot."""
        self.load.kill()
        self.policy.kill()
        with contextlib.suppress(OSError):
            write(KSM / 'advisor_mode', 'none')
        write(KSM / 'run', 2)
        knobs_at_rest()
        if not wait_for(lambda: knob_number('pages_shared') == 0, 20):
            raise RuntimeError(f'pages_shared is {knob("pages_shared")} after an unmerge')

    def make_short(self, form):
        """
        With ballast less than the threshold of 20 % is free once the first guests are there: 12 %;
        those that come later make it less. Without it no more than looks whether it fits.
        """
        if self.ballast.lost():
            self.ballast.drop()
        info = meminfo()
        need_kb = form.load_mib * MIB_KB
        if info['MemAvailable'] + self.ballast.mib * MIB_KB < need_kb * 1.1 + 512 * MIB_KB:
            raise RuntimeError(f'the form {form.name} needs {form.load_mib} MiB and some more; '
                               f'{info["MemAvailable"] // MIB_KB} MiB are available')
        if form.ballast:
            want_kb = free_kb() + self.ballast.mib * MIB_KB - form.first_mib * MIB_KB \
                - self.total_kb * 12 // 100
            if abs(want_kb - self.ballast.mib * MIB_KB) > self.total_kb // 100:
                self.ballast.resize(want_kb // MIB_KB)
        self.free_at_rest_kb = free_kb()

    def drift_share(self):
        """How much free memory at rest has changed since make_short()."""
        return abs(free_kb() - self.free_at_rest_kb) / self.total_kb

    def end(self):
        self.at_rest()
        self.ballast.drop()


@contextlib.contextmanager
def machine(folder):
    """
    The machine for this benchmark alone. It is left at rest, with SIGINT and SIGTERM too; and if
    this process is killed, the guard, which shares the lock, sees to it.
    """
    def ends(number, _):
        print(f'{signal.Signals(number).name}: leaving the host at rest', file=sys.stderr)
        raise SystemExit(128 + number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ends)
    with open(LOCK, 'w', encoding='ascii') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'waiting for {LOCK}, which another test holds …', file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        if pid := tuner():
            raise RuntimeError(f'a ksmtuned (PID {pid}) tunes this host')
        running = Machine(folder)
        guard = subprocess.Popen(['sh', '-c', guard_script(), 'guard', str(running.path)],
                                 stdin=subprocess.PIPE, pass_fds=[lock.fileno()],
                                 stderr=subprocess.DEVNULL, start_new_session=True)
        try:
            yield running
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            try:
                running.end()
            finally:
                guard.stdin.close()
                guard.wait()


def settle(seconds=0.5):
    time.sleep(seconds)


if __name__ == '__main__':
    be_ballast(int(sys.argv[2]))
