#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a process was woken for, out of perf's lines."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / 'policy'))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'system'))

from common import Tap  # noqa: E402
from wakeups import busiest_second, by_kind, parse  # noqa: E402

WAIT, PREAD, LIST, RENAME, READ = 232, 17, 217, 264, 0


class Lines:
    """As `perf script` writes them, a millisecond apart."""

    def __init__(self):
        self.lines, self.msec = [], 0

    def call(self, *numbers, pid=7):
        for number in numbers:
            self._add(pid, f'raw_syscalls:sys_enter: NR {number} (3, 7ffc, 40, 0, 0, 0)')
        return self

    def ran(self, nsec, pid=7):
        self._add(pid, f'sched:sched_stat_runtime: comm=ksmtuned pid={pid} runtime={nsec} [ns]')
        return self

    def _add(self, pid, text):
        self.lines.append(f'        ksmtuned {pid:>7} [001] 12.{self.msec:03}000:   {text}')
        self.msec += 1


def main():
    tap = Tap()
    log = Lines()
    log.call(LIST, RENAME, PREAD).ran(500).call(WAIT).ran(1500)          # the start, with a tick
    log.call(READ, PREAD, PREAD, PREAD, PREAD, WAIT).ran(100000)         # a step
    log.call(READ, PREAD, PREAD, PREAD, PREAD, RENAME, WAIT).ran(200000)
    log.call(READ, WAIT, READ, WAIT).ran(3000)                           # did not sleep in between
    log.call(READ, LIST, PREAD, WAIT).ran(400000).ran(9000000, pid=8).call(RENAME, WAIT, pid=8)
    log.call(READ, LIST, PREAD, RENAME, WAIT).ran(700000)
    log.call(READ, PREAD, PREAD, PREAD, PREAD, WAIT).ran(300000)
    log.call(READ, RENAME).ran(50000)                                    # ends without waiting
    found = parse(['# a comment', '', *log.lines], 7, 'x86_64')
    tap.equal([wakeup.kind for wakeup in found],
              ['start', 'step', 'step, published', 'other', 'look for guests', 'decision', 'step',
               'end'], 'each wakeup is what it asked of the kernel')
    tap.equal([wakeup.nsec for wakeup in found],
              [2000, 100000, 200000, 3000, 400000, 700000, 300000, 50000],
              'its CPU time is counted, and nobody else\'s')
    tap.equal([wakeup.calls for wakeup in found], [4, 6, 7, 4, 4, 5, 6, 2], 'and its calls')
    tap.equal([row for row in by_kind(found) if row[0] == 'step'],
              [('step', 2, 0.4, 300.0, 6)], 'by kind: how many, ms in all, µs, calls')
    tap.equal(busiest_second(found), 8, 'all of them within a second')
    log.msec = 0
    late = parse([line.replace(' 12.', ' 19.') for line in log.call(READ, WAIT).ran(1).lines[-3:]],
                 7, 'x86_64')
    tap.equal(busiest_second(found + late), 8, 'a later one does not count')
    tap.equal((parse([], 7, 'x86_64'), by_kind([]), busiest_second([])), ([], [], 0),
              'nothing was traced')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
