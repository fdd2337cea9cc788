# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system tests share: TAP, waiting, the live knobs, Debian packages."""

import argparse
import concurrent.futures
import contextlib
import fcntl
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

KSM = pathlib.Path('/sys/kernel/mm/ksm')
LOCK = '/run/lock/ksmtuned-tests.lock'
CACHE = pathlib.Path('/var/cache/ksmtuned-tests')

# What the knobs of a host read that nobody tunes; every live test leaves them so.
KNOBS_AT_REST = {'run': '0', 'advisor_mode': 'none', 'pages_to_scan': '100',
                 'sleep_millisecs': '20', 'smart_scan': '1'}
# Likewise; not on every kernel.
SETTINGS_AT_REST = {'use_zero_pages': '0', 'max_page_sharing': '256', 'merge_across_nodes': '1'}


class Tap:
    """Prints the Test Anything Protocol, one line a check; the plan comes at the end."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def ok(self, condition, name, detail=''):
        self.count += 1
        if not condition:
            self.failed += 1
        print(f'{"ok" if condition else "not ok"} {self.count} - {name}'.replace('#', '\\#'))
        if not condition and detail != '':
            self.diag(detail() if callable(detail) else detail)
        sys.stdout.flush()
        return bool(condition)

    def equal(self, got, want, name):
        return self.ok(got == want, name, f'got:  {got!r}\nwant: {want!r}')

    def skip(self, name, why):
        self.count += 1
        print(f'ok {self.count} - {name} # SKIP {why}', flush=True)

    def diag(self, text):
        for line in str(text).rstrip('\n').split('\n'):
            print(f'# {line}', flush=True)

    def done(self):
        print(f'1..{self.count}', flush=True)
        return 1 if self.failed else 0


class Kept(Tap):
    """Keeps what was found beside others, until it is its turn to be printed."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def ok(self, condition, name, detail=''):
        detail = detail() if not condition and callable(detail) else detail
        self.kept.append(lambda tap: tap.ok(condition, name, detail))
        return bool(condition)

    def skip(self, name, why):
        self.kept.append(lambda tap: tap.skip(name, why))

    def diag(self, text):
        self.kept.append(lambda tap: tap.diag(text))

    def tell(self, tap):
        for call in self.kept:
            call(tap)


def together(tap, parts, at_once=4):
    """
    Runs parts that mostly wait, some at a time, each with a Tap of its own; what they find is
    printed in their order.
    """
    taps = [Kept() for _ in parts]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        running = [pool.submit(part, own) for part, own in zip(parts, taps)]
    for own in taps:
        own.tell(tap)
    for part in running:
        part.result()


def skip_all(why):
    print(f'1..0 # SKIP {why}', flush=True)
    sys.exit(0)


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument('--ksmtuned', required=True, type=os.path.abspath)
    parser.add_argument('--ksmctl', type=os.path.abspath)
    parser.add_argument('--source', required=True, type=pathlib.Path)
    parser.add_argument('--build', required=True, type=pathlib.Path)
    parser.add_argument('--seed', type=int, default=2009)
    return parser.parse_args()


def helper(args, name):
    """A program that meson built for these tests."""
    for folder in ('tests/system', 'tests/bench'):
        path = args.build.resolve() / folder / name
        if path.exists():
            return str(path)
    raise FileNotFoundError(name)


def for_everyone(program, folder):
    """A copy of a program in a folder, where any user can run it."""
    os.chmod(folder, 0o755)
    copy = pathlib.Path(folder) / os.path.basename(program)
    if not copy.exists():
        shutil.copy(program, copy)
        copy.chmod(0o755)
    return str(copy)


def need_root():
    if os.geteuid() != 0:
        skip_all('needs root')


def wait_for(condition, seconds=10.0, step=0.01):
    """Polls; returns what the condition answered last."""
    end = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer or time.monotonic() > end:
            return answer
        time.sleep(step)


def read(path, default=None):
    try:
        return pathlib.Path(path).read_text(errors='replace')
    except OSError:
        if default is None:
            raise
        return default


def write(path, text):
    """One write() to a file that is there, as a kernel attribute wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, str(text).encode())
    finally:
        os.close(fd)


def cpu_nsec(pid):
    """CPU time of a single-threaded process, user and system."""
    return int(read(f'/proc/{pid}/schedstat').split()[0])


def stolen_msec():
    """What the hypervisor has taken of all CPUs since boot."""
    return int(read('/proc/stat').split('\n', 1)[0].split()[8]) * 1e3 / os.sysconf('SC_CLK_TCK')


def kept_msec(pid):
    """How long the host has kept a process from a CPU so far: others ran, or the hypervisor took it."""
    return int(read(f'/proc/{pid}/schedstat').split()[1]) / 1e6 + stolen_msec()


def switches(pid):
    """How often a process went to sleep by itself."""
    return int(re.search(r'^voluntary_ctxt_switches:\s+(\d+)', read(f'/proc/{pid}/status'), re.M)[1])


def processes_named(name):
    found = []
    for entry in os.listdir('/proc'):
        if entry.isdigit() and read(f'/proc/{entry}/comm', '').strip() == name:
            found.append(int(entry))
    return found


# --- The live knobs ---------------------------------------------------------------------------

def knob(name):
    return read(KSM / name).strip()


def knob_number(name):
    return int(knob(name))


def knobs_at_rest():
    for name, value in (KNOBS_AT_REST | SETTINGS_AT_REST).items():
        with contextlib.suppress(OSError):
            write(KSM / name, value)


@contextlib.contextmanager
def alone():
    """The host for this test alone: others would start guests of their own, or write knobs."""
    pathlib.Path(LOCK).parent.mkdir(exist_ok=True)
    with open(LOCK, 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def live_ksm():
    """The kernel's KSM for this test alone; unmerged and at rest before and after."""
    if not KSM.is_dir():
        skip_all('this kernel has no KSM')
    with alone():
        # Not before: it may be that of another test, and on its way out.
        if not wait_for(lambda: not processes_named('ksmtuned'), 5):
            skip_all(f'a ksmtuned (PID {processes_named("ksmtuned")}) tunes this host')
        try:
            write(KSM / 'run', 2)
            knobs_at_rest()
            yield
        finally:
            with contextlib.suppress(OSError):
                write(KSM / 'run', 2)
            knobs_at_rest()


class Mergeable:
    """A process of mergeable memory; see mergeable.c."""

    def __init__(self, args, common_percent=25, name='qemu-system-x86'):
        self.process = subprocess.Popen([helper(args, 'mergeable'), name, str(common_percent)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.pid = self.process.pid
        self.process.stdout.readline()

    def grow(self, mib):
        self.process.stdin.write(f'{mib}\n')
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            raise RuntimeError('the mergeable process ended')

    def end(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


# --- Memory that gets short -------------------------------------------------------------------

def meminfo():
    """In kB."""
    return {name: int(kb) for name, kb in
            re.findall(r'^(\w+):\s+(\d+)', read('/proc/meminfo'), re.M)}


def free_kb():
    """Free memory as the original counts it."""
    info = meminfo()
    return info['MemFree'] + info['Buffers'] + info['Cached']


def settled_free_kb():
    """The same, once it stands still: what others have just ended may still be given back."""
    seen = []

    def still():
        seen.append(free_kb())
        return len(seen) > 2 and max(seen[-3:]) - min(seen[-3:]) < 64 * 1024
    wait_for(still, 20, 0.3)
    return seen[-1]


class Eater:
    """Takes memory that nobody merges, under a name that is no guest's."""

    SPARE_KB = 300 * 1024
    MOST_MIB = 8192

    def __init__(self, args):
        self.guest = Mergeable(args, 0, 'no-guest')
        self.mib = 0

    def below(self, limit_kb):
        """Grows until free memory is well below the limit, whatever the host did meanwhile."""
        while (over_kb := free_kb() - limit_kb + self.SPARE_KB) > 0 and self.mib < self.MOST_MIB:
            self.mib += over_kb // 1024 + 1
            self.guest.grow(self.mib)

    def end(self):
        self.guest.end()


# --- Debian packages --------------------------------------------------------------------------

def unpacked_package(package):
    """The package's files in a folder below CACHE, or (None, why not)."""
    folder = CACHE / package
    if folder.is_dir():
        return folder, ''
    for tool in ('apt-get', 'dpkg-deb'):
        if not shutil.which(tool):
            return None, f'{tool} is not here to fetch the package {package}'
    work = CACHE / f'{package}.new'
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    # As root apt wants to read the folder as its own user and grumbles otherwise.
    fetched = subprocess.run(['apt-get', '-o', 'APT::Sandbox::User=root', 'download', package],
                             cwd=work, capture_output=True, text=True, check=False)
    debs = list(work.glob('*.deb'))
    if fetched.returncode != 0 or not debs:
        shutil.rmtree(work)
        reason = (fetched.stderr.strip().split('\n') or ['?'])[-1]
        return None, f'apt-get download {package} failed: {reason}'
    subprocess.run(['dpkg-deb', '-x', debs[0], work / 'files'], check=True)
    (work / 'files').rename(folder)
    shutil.rmtree(work)
    return folder, ''


def dependency_of(package, pattern):
    """The package that a meta package stands for: the first of its dependencies that fits."""
    if not shutil.which('apt-cache'):
        return None
    answer = subprocess.run(['apt-cache', 'depends', package], capture_output=True, text=True,
                            check=False).stdout
    match = re.search(rf'^\s*Depends:\s+({pattern})$', answer, re.M)
    return match[1] if match else None
