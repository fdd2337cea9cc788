#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of a decision stays within bounds; tests/bench/run.py measures it at length."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench'))

from common import Tap, alone, arguments, need_root  # noqa: E402
from measure import (CYCLE, Figures, crowd, daemon, decide, floor, memory_kb,  # noqa: E402
                     wakeups_per_interval)

PROCESSES, GUESTS = 2000, 300
RSS_ANON_KB, FLOOR_RATIO = 400, 1.5


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    ours, least = Figures(), Figures()
    with alone(), crowd(args, PROCESSES, GUESTS) as pids:
        with daemon(args) as running:
            tap.ok(running.number('GUESTS') >= GUESTS, f'{GUESTS} guests are counted',
                   running.state)
            decide(running, CYCLE)
            for _ in range(3):
                ours.add(decide(running, 2 * CYCLE))
                least.add(floor(args, pids, 2 * CYCLE))
            anonymous, shared = memory_kb(running.pid)
        ratio = ours.median / least.median
        tap.ok(ratio <= FLOOR_RATIO, f'a decision costs {ours} µs of CPU, at most {FLOOR_RATIO} '
               f'times the floor of {least} µs', f'{ratio:.2f} times')
        tap.ok(anonymous <= RSS_ANON_KB, f'RssAnon is {anonymous} kB, at most {RSS_ANON_KB}')
        tap.diag(f'Pss {shared} kB')
        wakeups, usec, n = wakeups_per_interval(args, 10)
        tap.ok(wakeups == 1, f'one wakeup an interval at rest, over {n} intervals', wakeups)
        tap.diag(f'{usec:.0f} µs of CPU an interval')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
