# SPDX-License-Identifier: GPL-2.0-or-later
"""
What a process did each time that it was woken, out of the lines of `perf script`. Pure: lines in,
wakeups out.
"""

import dataclasses
import re

# What the kernel's accounting adds to the process's CPU time, and what it asks of the kernel.
EVENTS = ('sched:sched_stat_runtime', 'raw_syscalls:sys_enter')
LINE = re.compile(r'^\s*\S.*\s(?P<pid>\d+)\s+\[\d+\]\s+(?P<time>[\d.]+):\s+'
                  r'(?:sched:sched_stat_runtime:.*\bruntime=(?P<nsec>\d+)|'
                  r'raw_syscalls:sys_enter: NR (?P<call>\d+) )')

# Numbers of system calls, by machine.
CALLS = {
    'x86_64': {'epoll_wait': (232, 281, 441), 'getdents': (217,), 'pread': (17,),
               'rename': (264, 316)},
    'aarch64': {'epoll_wait': (22, 441), 'getdents': (61,), 'pread': (67,), 'rename': (38, 276)},
}

# In the order of the table.
KINDS = ('start', 'decision', 'step, published', 'step', 'look for guests', 'other', 'end')
STEP_READS = 4  # of KSM's counters at least


@dataclasses.dataclass
class Wakeup:
    time: float  # its first event, seconds
    kind: str = 'other'
    nsec: int = 0
    calls: int = 0


def kind_of(counts):
    """Of a wakeup, by what it asked of the kernel: counts of calls by name."""
    scanned, told = counts.get('getdents', 0) > 0, counts.get('rename', 0) > 0
    if scanned:
        return 'decision' if told else 'look for guests'
    if counts.get('pread', 0) >= STEP_READS:
        return 'step, published' if told else 'step'
    return 'other'


def parse(lines, pid, machine):
    """
    Wakeups of a process, in their order. One ends where the process goes to sleep in epoll_wait()
    and the kernel has accounted for it; an epoll_wait() that does not sleep ends nothing.
    """
    names = {number: name for name, numbers in CALLS[machine].items() for number in numbers}
    found, counts, current, waits = [], {}, None, False
    for line in lines:
        match = LINE.match(line)
        if not match or int(match['pid']) != pid:
            continue
        if current is None:
            current, counts = Wakeup(float(match['time'])), {}
        if match['nsec']:
            current.nsec += int(match['nsec'])
            if waits:
                current.kind = kind_of(counts)
                found.append(current)
                current, waits = None, False
            continue
        name = names.get(int(match['call']))
        counts[name] = counts.get(name, 0) + 1
        current.calls += 1
        waits = name == 'epoll_wait'
    if current:
        current.kind = 'end'
        found.append(current)
    if found:
        found[0].kind = 'start'
    return found


def by_kind(found):
    """[(kind, wakeups, ms in all, µs in the median, calls in the median)], without empty ones."""
    rows = []
    for kind in KINDS:
        group = sorted((w for w in found if w.kind == kind), key=lambda w: w.nsec)
        if group:
            calls = sorted(w.calls for w in group)
            rows.append((kind, len(group), sum(w.nsec for w in group) / 1e6,
                         group[len(group) // 2].nsec / 1e3, calls[len(calls) // 2]))
    return rows


def busiest_second(found):
    """Wakeups in the second that has the most of them."""
    most, first = 0, 0
    for last, wakeup in enumerate(found):
        while wakeup.time - found[first].time >= 1:
            first += 1
        most = max(most, last - first + 1)
    return most
