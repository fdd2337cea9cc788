#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl's status and guests on the live kernel, against what its files and ps say just then."""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

from common import (KSM, Mergeable, Tap, arguments, knob_number, live_ksm, need_root,
                    processes_named, read, wait_for, write)

QEMU = shutil.which('qemu-system-x86_64')
HUGE = pathlib.Path('/sys/kernel/mm/hugepages/hugepages-2048kB')
PAGE, MIB = 4096, 2**20
BACKEND = ['-machine', 'pc,memory-backend=m', '-object']

# How a guest is started; whether its RAM can be merged, or why not.
GUESTS = {
    'plain': ([], None),
    'mem-merge': (['-machine', 'pc,mem-merge=off'], 'mem-merge=off'),
    'memfd-shared': ([*BACKEND, 'memory-backend-memfd,id=m,size=48M'], 'shared'),
    'memfd-private': ([*BACKEND, 'memory-backend-memfd,id=m,size=48M,share=off'], None),
    'memfd-off': ([*BACKEND, 'memory-backend-memfd,id=m,size=48M,share=off,merge=off'], 'merge=off'),
    # QEMU asks for anonymous memory all the same.
    'ram-off': ([*BACKEND, 'memory-backend-ram,id=m,size=48M,merge=off'], None),
    'ram-shared': ([*BACKEND, 'memory-backend-ram,id=m,size=48M,share=on'], 'shared'),
    'ram-on': (['-machine', 'pc,mem-merge=off,memory-backend=m', '-object',
                'memory-backend-ram,id=m,size=48M,merge=on'], None),
    'json': ([*BACKEND, '{"qom-type":"memory-backend-memfd","id":"m","size":50331648,"share":true}'],
             'shared'),
    'path': (['-mem-path', '/dev/shm'], None),
}
HUGETLB = ([*BACKEND, 'memory-backend-memfd,id=m,size=48M,share=off,hugetlb=on,prealloc=on'], 'hugetlbfs')


def ksmctl(args, *words):
    return json.loads(subprocess.run([args.ksmctl, *words, '--json'], check=True, text=True,
                                     capture_output=True).stdout)


def ksm_stat(pid):
    return dict(line.split() for line in read(f'/proc/{pid}/ksm_stat').splitlines())


def rss_kb(pid):
    return int(subprocess.run(['ps', '-o', 'rss=', '-p', str(pid)], check=True, text=True,
                              capture_output=True).stdout)


def ram_is_mergeable(pid):
    """By the flags of the area of 48 MiB, which is the guest's RAM."""
    areas = re.findall(r'^Size:\s+(\d+) kB$.*?^VmFlags: ([^\n]*)$', read(f'/proc/{pid}/smaps'), re.M | re.S)
    ram = [flags.split() for size, flags in areas if int(size) == 48 * 1024]
    return 'mg' in ram[0] if len(ram) == 1 else None


class Suite:
    def __init__(self, args, tap, stack):
        self.args, self.tap, self.stack = args, tap, stack

    def mergeable(self, name, mib):
        process = Mergeable(self.args, common_percent=50, name=name)
        self.stack.callback(process.end)
        process.grow(mib)
        return process.pid

    def qemu(self, name, words):
        process = subprocess.Popen(
            [QEMU, '-S', '-display', 'none', '-accel', 'tcg', '-m', '48', '-nodefaults', '-name',
             f'guest={name}', *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        self.stack.callback(process.wait)
        self.stack.callback(process.kill)
        return process

    def between(self, name, before, told, after):
        """A figure is one that the kernel told between two looks."""
        low, high = min(before, after), max(before, after)
        self.tap.ok(told is not None and low <= told <= high, f'{name}: {told}', f'{low} to {high}')

    def row(self, pid, row, what):
        before, rss_before = ksm_stat(pid), rss_kb(pid)
        row = row()
        after, rss_after = ksm_stat(pid), rss_kb(pid)
        slack = 256  # the kernel's own counters of RSS lag behind, by some pages a CPU
        self.between(f'{what}: rss as ps says', min(rss_before, rss_after) - slack,
                     row['rss_bytes'] // 1024, max(rss_before, rss_after) + slack)
        for key, name, unit in (('merging_pages', 'ksm_merging_pages', 1),
                                ('merged_bytes', 'ksm_merging_pages', PAGE),
                                ('zero_pages', 'ksm_zero_pages', 1),
                                ('zero_bytes', 'ksm_zero_pages', PAGE),
                                ('rmap_items', 'ksm_rmap_items', 1),
                                ('profit_bytes', 'ksm_process_profit', 1)):
            self.between(f'{what}: {key}', int(before[name]) * unit, row[key], int(after[name]) * unit)
        share = row['merged_bytes'] * 100 / row['rss_bytes']
        self.tap.ok(abs(row['share_percent'] - share) < 0.01, f'{what}: share_percent', (row, share))
        self.tap.equal(row['mergeable'], True, f'{what}: mergeable')
        return row

    def guests(self, pids, other, qemu):
        def find(pid, *options):
            found = [row for row in ksmctl(self.args, 'guests', *options)['guests'] if row['pid'] == pid]
            return found[0] if found else None

        merged = self.row(pids[0], lambda: find(pids[0]), 'guest')['merging_pages']
        self.tap.ok(merged > 1000, 'there is something to tell', merged)
        self.tap.equal(find(other), None, 'without --all there are guests only')
        row = self.row(other, lambda: find(other, '--all'), 'other process')
        self.tap.equal((row['name'], row['guest']), ('app', False), 'which is no guest')
        row = self.row(qemu, lambda: find(qemu), 'QEMU')
        self.tap.equal(row['name'], 'plain', 'its name is that of its command line')

    def status(self):
        before = {path.name: path.read_text().strip() for path in KSM.iterdir()}
        kernel = ksmctl(self.args, 'status')['kernel'][0]
        after = {path.name: path.read_text().strip() for path in KSM.iterdir()}
        for name, value in before.items():
            if name == 'advisor_mode':
                self.tap.ok(f'[{kernel[name]}]' in value, f'status: {name}', value)
            else:
                self.between(f'status: {name}', int(value), kernel[name], int(after[name]))
        total = int(re.search(r'^MemTotal:\s+(\d+)', read('/proc/meminfo'), re.M)[1])
        self.tap.equal(kernel['memory_bytes'], total * 1024, 'status: memory_bytes')
        saved = (kernel['pages_sharing'] + kernel['ksm_zero_pages']) * PAGE
        self.tap.equal(kernel['saved_bytes'], saved, 'status: saved_bytes')
        self.tap.ok(abs(kernel['saved_percent'] - saved * 100 / total / 1024) < 0.01,
                    'status: saved_percent', kernel['saved_percent'])
        self.tap.ok(abs(kernel['sharing_rate'] - kernel['pages_sharing'] / kernel['pages_shared']) < 0.01,
                    'status: sharing_rate', kernel['sharing_rate'])
        thp = re.search(r'\[(\w+)\]', read('/sys/kernel/mm/transparent_hugepage/enabled', '[x]'))[1]
        self.tap.equal(kernel['transparent_hugepage'], thp, 'status: transparent_hugepage')
        nodes = len(list(pathlib.Path('/sys/devices/system/node').glob('node[0-9]*')))
        self.tap.equal(kernel['numa_nodes'], nodes, 'status: numa_nodes')

    def ksmd_at_work(self):
        pid = processes_named('ksmd')[0]

        def look():
            return time.monotonic(), int(read(f'/proc/{pid}/schedstat').split()[0]), knob_number('pages_scanned')

        write(KSM / 'smart_scan', 0)
        write(KSM / 'run', 1)
        time.sleep(0.5)
        before = look()
        kernel = ksmctl(self.args, 'status')['kernel'][0]
        after = look()
        write(KSM / 'run', 0)
        seconds = after[0] - before[0]
        percent, speed = ((after[1] - before[1]) / seconds / 1e7, (after[2] - before[2]) / seconds)
        self.tap.ok(abs(kernel['ksmd_cpu_percent'] - percent) <= 5 + percent / 2,
                    f'ksmd takes {kernel["ksmd_cpu_percent"]} % of a CPU', f'{percent:.2f} by the test')
        self.tap.ok(speed / 2 <= kernel['pages_scanned_per_second'] <= speed * 2,
                    f'it looks at {kernel["pages_scanned_per_second"]} pages/s', f'{speed:.0f} by the test')
        pages = sum(kernel[f'pages_{kind}'] for kind in ('shared', 'sharing', 'unshared', 'volatile'))
        self.tap.equal(kernel['pass_seconds'], pages // kernel['pages_scanned_per_second'],
                       'a pass takes as long as its pages at that speed')
        self.between('CPU since boot', before[1], kernel['ksmd_cpu_nsec'], after[1])

    def verdicts(self):
        kinds = dict(GUESTS)
        pages = int(read(HUGE / 'nr_hugepages', '-1'))
        free = int(read(HUGE / 'free_hugepages', '0'))
        if pages >= 0:
            write(HUGE / 'nr_hugepages', pages + 40)
            self.stack.callback(write, HUGE / 'nr_hugepages', pages)
        if pages >= 0 and int(read(HUGE / 'free_hugepages')) >= free + 33:
            kinds['hugetlb'] = HUGETLB
        else:
            self.tap.skip('a guest on hugetlbfs', 'this host gives no huge pages')
        running = {name: self.qemu(name, words) for name, (words, _) in kinds.items()}
        wait_for(lambda: all(process.poll() is not None or ram_is_mergeable(process.pid) is not None
                             for process in running.values()), 20, 0.2)
        time.sleep(0.5)  # madvise() comes right after mmap()
        rows = {row['pid']: row for row in ksmctl(self.args, 'guests')['guests']}
        for name, (words, why) in kinds.items():
            pid = running[name].pid
            row = rows.get(pid, {})
            told = (row.get('name'), row.get('mergeable'), row.get('why_not'))
            self.tap.equal(told, (name, why is None, why), f'{" ".join(words) or "a plain guest"}')
            self.tap.equal(ram_is_mergeable(pid), why is None, f'{name}: the kernel has it so')
        return running['plain'].pid


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with live_ksm(), contextlib.ExitStack() as stack:
        suite = Suite(args, tap, stack)
        pids = [suite.mergeable('qemu-system-x86', 64), suite.mergeable('qemu-system-x86', 64)]
        other = suite.mergeable('app', 32)
        plain = suite.verdicts() if QEMU else None
        write(KSM / 'pages_to_scan', 5000)
        write(KSM / 'sleep_millisecs', 10)
        write(KSM / 'run', 1)
        wait_for(lambda: int(ksm_stat(pids[0])['ksm_merging_pages']) >= 64 * MIB // PAGE // 2 - 100, 60, 0.2)
        write(KSM / 'run', 0)
        if plain:
            suite.guests(pids, other, plain)
        else:
            tap.skip('guests', 'qemu-system-x86_64 is not here')
        suite.status()
        suite.ksmd_at_work()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
