#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The cost of a decision stays within bounds; tests/bench/run.py measures it at length."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench'))

from common import Tap, alone, arguments, need_root, read  # noqa: E402
from measure import (CYCLE, Figures, crowd, daemon, decide, floor, memory_kb,  # noqa: E402
                     wakeups_per_interval)

PROCESSES, GUESTS = 2000, 300
RSS_ANON_KB, FLOOR_RATIO = 400, 1.5
# 64 guests asked at 7 µs each, 300 of them told, 45 kB written.
METRICS = 'KSM_METRICS_FILE=/run/ksmtuned.prom\nKSM_METRICS_GUESTS=500\n'
METRICS_RATIO, METRICS_BYTES = 3, 65536
# So long that there are always 64 that may be asked again.
METRICS_PAUSE_SEC = 0.3


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    ours, least, metered = Figures(), Figures(), Figures()
    with alone(), crowd(args, PROCESSES, GUESTS) as pids:
        with daemon(args) as running:
            tap.ok(running.number('GUESTS') >= GUESTS, f'{GUESTS} guests are counted',
                   running.state)
            decide(running, CYCLE)
            for _ in range(3):
                ours.add(decide(running, 2 * CYCLE))
                least.add(floor(args, pids, 2 * CYCLE))
            anonymous, shared = memory_kb(running.pid)
        with daemon(args, more=METRICS) as running:
            decide(running, CYCLE)
            for _ in range(3):
                metered.add(decide(running, CYCLE, METRICS_PAUSE_SEC))
            metered_anonymous, _ = memory_kb(running.pid)
            text = read(f'/proc/{running.pid}/root/run/ksmtuned.prom')
        ratio = ours.median / least.median
        tap.ok(ratio <= FLOOR_RATIO, f'a decision costs {ours} µs of CPU, at most {FLOOR_RATIO} '
               f'times the floor of {least} µs', f'{ratio:.2f} times')
        tap.ok(anonymous <= RSS_ANON_KB, f'RssAnon is {anonymous} kB, at most {RSS_ANON_KB}')
        tap.diag(f'Pss {shared} kB')
        tap.ok(metered.median <= METRICS_RATIO * ours.median,
               f'with metrics a decision costs {metered} µs, at most {METRICS_RATIO} times as much',
               f'{metered.median / ours.median:.2f} times')
        tap.ok(text.count('ksmtuned_guest_merged_bytes{') == GUESTS and len(text) < METRICS_BYTES,
               f'the metrics of {GUESTS} guests take {len(text)} bytes, less than {METRICS_BYTES}')
        tap.diag(f'{metered.median / ours.median:.2f} times; RssAnon {metered_anonymous} kB')
        wakeups, usec, n = wakeups_per_interval(args, 10)
        tap.ok(wakeups == 1, f'one wakeup an interval at rest, over {n} intervals', wakeups)
        tap.diag(f'{usec:.0f} µs of CPU an interval')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
