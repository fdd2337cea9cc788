# SPDX-License-Identifier: GPL-2.0-or-later
"""One measurement: a policy, the load, and samples of both."""

import os
import pathlib
import re
import shutil
import subprocess
import time

import figures
import fleet
from guests import Image
from machine import KSM, read, settle
from common import helper  # noqa: E402 (machine has set the path)

SAMPLE_SEC = 0.25
LEAD_SEC = 1          # between the policy's start and the load's
PROBE_USEC = (10000, 100)  # period and work of the victim
COUNTERS = ('pages_sharing', 'ksm_zero_pages', 'full_scans', 'run', 'pages_to_scan')
PAGE = os.sysconf('SC_PAGE_SIZE')


class Bench:
    """What all measurements of a run have in common."""

    def __init__(self, args, form, machine):
        self.args, self.form, self.machine = args, form, machine
        self.folder = pathlib.Path(machine.folder)
        self.programs = self.folder / 'bin'
        self.programs.mkdir()
        self.program = self.programs / 'qemu-system-x86_64'
        shutil.copy(helper(args, 'load'), self.program)
        self.image = Image(self.folder) if form.qemu else None
        self.qemu = form.qemu if self.image and not self.image.why else 0


class Series:
    """Samples, and what they are read from."""

    def __init__(self, bench):
        self.bench = bench
        self.files = {name: os.open(KSM / name, os.O_RDONLY | os.O_CLOEXEC)
                      for name in COUNTERS if (KSM / name).exists()}
        self.files['stat'] = os.open('/proc/stat', os.O_RDONLY | os.O_CLOEXEC)
        self.ticks = os.sysconf('SC_CLK_TCK')
        self.columns = {name: [] for name in (
            't', 'saved_mib', 'ksmd', 'own', 'scans', 'run', 'rate', 'steal', 'foreign', 'free_mib')}
        self.first = None

    def _number(self, name):
        return int(os.pread(self.files[name], 32, 0)) if name in self.files else 0

    def _cpu(self):
        """
        CPU seconds so far: stolen, of all but what was idle or stolen, of ksmd, of the policy, of
        the benchmark. Idle time is exact; what is counted as busy is sampled, and misses much of
        what runs for less than a tick.
        """
        fields = [int(word) / self.ticks
                  for word in os.pread(self.files['stat'], 256, 0).split(b'\n')[0].split()[1:9]]
        machine = self.bench.machine
        busy = time.monotonic() * machine.cpus - fields[3] - fields[4] - fields[7]
        mine = sum(os.times()[:2]) + machine.load.cpu_sec()
        return fields[7], busy, machine.ksmd_sec(), machine.policy.cpu_sec(), mine

    def take(self, moment):
        cpu = self._cpu()
        if self.first is None:
            self.first = cpu
        steal, busy, ksmd, own, mine = (now - then for now, then in zip(cpu, self.first))
        saved = (self._number('pages_sharing') + self._number('ksm_zero_pages')) * PAGE
        row = {'t': round(moment, 3), 'saved_mib': round(saved / 2**20, 2), 'ksmd': round(ksmd, 4),
               'own': round(own, 6), 'scans': self._number('full_scans'),
               'run': self._number('run'), 'rate': self._number('pages_to_scan'),
               'steal': round(steal, 2), 'foreign': round(busy - ksmd - own - mine, 2),
               'free_mib': self._free_mib()}
        for name, value in row.items():
            self.columns[name].append(value)

    @staticmethod
    def _free_mib():
        text = read('/proc/meminfo')[:200]
        return int(re.search(r'MemFree:\s+(\d+)', text)[1]) // 1024

    def close(self):
        for fd in self.files.values():
            os.close(fd)


class Probe:
    def __init__(self, bench):
        self.process = bench.machine.load.spawn(
            helper(bench.args, 'victim'), *PROBE_USEC, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True)

    def histogram(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        pairs = (word.split(':') for word in self.process.stdout.readline().split())
        answer = {}
        for value, count in pairs:
            answer[int(value)] = answer.get(int(value), 0) + int(count)
        return answer


class Load:
    """The fleet of load.c and the real guests."""

    def __init__(self, bench, kind):
        self.bench = bench
        self.path = bench.folder / 'schedule'
        self.path.write_text(fleet.Fleet(bench.form, bench.args.seed, kind).text)
        self.process, self.started = None, 0
        # What real guests hold does merge.
        self.qemu = bench.qemu if kind == 'mixed' else 0

    def start(self):
        """Returns the moment from which the schedule counts."""
        self.process = self.bench.machine.load.spawn(
            helper(self.bench.args, 'load'), self.path, self.bench.program,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != 'started\n':
            raise RuntimeError('the load does not start')
        return time.monotonic()

    def tick(self, seconds):
        """Real guests start when their time has come."""
        while self.started < self.qemu and \
                seconds >= self.started * self.bench.form.qemu_stagger:
            self.bench.image.start(self.bench.machine.load, self.started)
            self.started += 1

    def alive(self):
        return self.process.poll() is None

    def pids(self):
        """{number of a guest: PID}"""
        found = {}
        for pid in read(self.bench.machine.load.path / 'cgroup.procs').split():
            words = read(f'/proc/{pid}/cmdline', '').split('\0')
            if len(words) > 3 and (match := re.fullmatch(r'load-(\d+)', words[3])):
                found[int(match[1])] = int(pid)
        return found

    def merged(self):
        """Pages that are merged, by class: {region: [merged, there are]}."""
        classes = {name: [0, 0] for name in fleet.REGIONS}
        for guest, pid in self.pids().items():
            regions = smaps(pid)
            for name in fleet.REGIONS:
                start, end = fleet.region_range(name)
                inside = [figures for address, figures in regions if start <= address < end]
                # Guest 1 ends, and with it the twins of what guest 2 has of it.
                if name == 'late' and guest in (1, 2):
                    continue
                classes[name][0] += sum(found.get('KSM', 0) for found in inside) * 1024 // PAGE
                classes[name][1] += sum(found.get('Rss', 0) for found in inside) * 1024 // PAGE
        return classes


def smaps(pid):
    """Of each mapping its address and its figures in kB."""
    regions = []
    for line in read(f'/proc/{pid}/smaps', '').splitlines():
        if match := re.match(r'([0-9a-f]+)-[0-9a-f]+ ', line):
            regions.append((int(match[1], 16), {}))
        elif (match := re.match(r'(\w+):\s+(\d+) kB', line)) and regions:
            regions[-1][1][match[1]] = int(match[2])
    return regions


def sample(bench, peer, repetition, load, series, probe):
    """From the load's start to the end. Returns the histograms at the event and at the end."""
    form = bench.form
    begin = load.start()
    histograms = [probe.histogram()]
    classes = {}
    over = form.end_of(peer.name)
    end, due = over + form.rest_of(peer.name, repetition), 0.0
    while True:
        now = time.monotonic() - begin
        load.tick(now)
        peer.tick(now)
        series.take(now)
        if bench.machine.ballast.lost():
            # The policy has failed; from here on there is memory in plenty, which tells nothing.
            return classes, histograms
        if not load.alive() or not peer.alive():
            raise RuntimeError(f'{peer.name}: {"the load" if peer.alive() else "the policy"} '
                               'ended by itself')
        for name, moment in (('event', form.event), ('end', over)):
            # Shortly before, so that it is not in the way of what happens then.
            if name not in classes and now >= moment - 1:
                classes[name] = load.merged()
                histograms.append(probe.histogram())
        if now >= end:
            return classes, histograms
        due += SAMPLE_SEC
        time.sleep(max(begin + due - time.monotonic(), 0.01))


def measure(bench, peer, repetition):
    """A line of results."""
    machine, form = bench.machine, bench.form
    machine.at_rest()
    machine.make_short(form)
    settle()
    history = machine.ksmd_sec()
    series = Series(bench)
    try:
        probe = Probe(bench)
        peer.start(bench)
        settle(LEAD_SEC)
        load = Load(bench, peer.kind)
        classes, histograms = sample(bench, peer, repetition, load, series, probe)
    finally:
        peer.stop()
        series.close()
        machine.at_rest()
    settle()
    columns = series.columns
    drift = machine.drift_share()
    not_booted = sum(not bench.image.booted(i) for i in range(load.qemu))
    reasons = figures.noise(columns['t'], columns['steal'], columns['foreign'], machine.cpus, drift)
    noisy, failed = figures.verdict(reasons, machine.ballast.lost(), not_booted)
    return {'policy': peer.name, 'repetition': repetition, 'noisy': noisy, 'failed': failed,
            'not_booted': not_booted,
            'when': time.strftime('%Y-%m-%d %H:%M:%S'), 'ksmd_history_sec': round(history, 2),
            'drift_share': round(drift, 4), 'qemu': load.qemu, 'classes': classes,
            'probe': histograms, 'series': columns}
