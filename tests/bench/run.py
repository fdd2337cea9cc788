#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Measures what ksmtuned costs, beside the original script and a floor program, interleaved in the
same minutes. Only ratios of one run mean something: machines differ. Exits with 1 where a bound
is missed.
"""

import argparse
import os
import pathlib
import sys
import tempfile

from measure import (CYCLE, PAUSE_SEC, Figures, Original, alone, cpu_nsec, crowd, daemon, decide,
                     floor, memory_kb, wakeups_per_interval)

GUESTS = 300
ROUNDS = 5
DECISIONS = 2 * CYCLE  # of ours in each round

# Processes beside the guests, how often they wake up (ms), decisions of the original in a round.
CASES = ((100, 0, 5), (2000, 0, 3), (10000, 0, 1), (2000, 1000, 0))

RSS_ANON_KB, ORIGINAL_RATIO, FLOOR_RATIO = 400, 100, 1.5


class Row:
    def __init__(self, processes, awake_msec):
        self.processes, self.awake_msec = processes, awake_msec
        self.listed = 0
        self.start_usec = 0
        self.ours, self.original, self.floor = Figures(), Figures(), Figures()
        self.hot_floor = Figures()
        self.rss_anon_kb = self.pss_kb = 0

    @property
    def name(self):
        return f'{self.processes}{f", awake every {self.awake_msec} ms" if self.awake_msec else ""}'

    @property
    def per_process(self):
        return self.ours.median / self.listed

    def cells(self):
        def ratio(a, b):
            return f'{a.median / b.median:.2f}' if a.values and b.values else '-'
        return [self.name, self.listed, self.ours, self.original, self.floor,
                ratio(self.original, self.ours), ratio(self.ours, self.floor), self.hot_floor,
                f'{self.per_process:.3f}', f'{self.start_usec:.0f}', self.rss_anon_kb, self.pss_kb]


HEADINGS = ['processes', 'in /proc', 'ours µs', 'original µs', 'floor µs', 'original/ours',
            'ours/floor', 'floor in a loop µs', 'ours µs/process', 'from exec to first decision µs', 'RssAnon kB',
            'Pss kB']


def measure_case(args, original, processes, awake_msec, original_times):
    row = Row(processes, awake_msec)
    # Those that wake up have all run between two looks at them.
    pause = max(PAUSE_SEC, awake_msec / 1000 / CYCLE * 1.2)
    with crowd(args, processes, GUESTS, awake_msec) as pids, daemon(args) as running:
        row.listed = sum(name.isdigit() for name in os.listdir('/proc'))
        if running.number('GUESTS') < GUESTS:
            raise RuntimeError(f'{running.number("GUESTS")} of {GUESTS} guests are counted')
        row.start_usec = cpu_nsec(running.pid) / 1000
        decide(running, CYCLE, pause)
        for _ in range(ROUNDS):
            row.ours.add(decide(running, DECISIONS, pause))
            row.floor.add(floor(args, pids, DECISIONS, pause))
            if original.script and original_times:
                row.original.add(original.decide(original_times))
            row.hot_floor.add(floor(args, pids, DECISIONS, 0))
        row.rss_anon_kb, row.pss_kb = memory_kb(running.pid)
    return row


def plain(table):
    widths = [max(len(str(row[i])) for row in table) for i in range(len(table[0]))]
    return '\n'.join('  '.join(str(cell).rjust(width) for cell, width in zip(row, widths))
                     for row in table)


def markdown(table):
    lines = ['| ' + ' | '.join(map(str, row)) + ' |' for row in table]
    return '\n'.join([lines[0], '|' + '---|' * len(table[0])] + lines[1:])


class Bounds:
    def __init__(self):
        self.rows = []

    def check(self, name, figure, bound, good):
        self.rows.append([name, figure, bound, 'pass' if good else 'FAIL'])

    @property
    def failed(self):
        return any(row[3] == 'FAIL' for row in self.rows)

    def decision(self, rows, original):
        by_name = {row.name: row for row in rows}
        middle = by_name['2000']
        if original.script:
            ratio = middle.original.median / middle.ours.median
            self.check('original/ours at 2,000 processes', f'{ratio:.0f}',
                       f'at least {ORIGINAL_RATIO}', ratio >= ORIGINAL_RATIO)
        else:
            print(f'The original is not compared with: {original.why}')
        for row in rows:
            if row.processes >= 2000:
                ratio = row.ours.median / row.floor.median
                # Bounded where the processes are idle; where they run it is told.
                bound = f'at most {FLOOR_RATIO}' if not row.awake_msec else 'no bound'
                self.check(f'ours/floor, processes: {row.name}', f'{ratio:.2f}', bound,
                           row.awake_msec > 0 or ratio <= FLOOR_RATIO)
        small, big = by_name['100'].per_process, by_name['10000'].per_process
        self.check('µs a process at 100, 2,000, 10,000', ', '.join(
            f'{by_name[n].per_process:.3f}' for n in ('100', '2000', '10000')), 'does not grow',
            big <= middle.per_process * 1.1 and middle.per_process <= small * 1.1)
        # A few bytes are remembered of each process.
        worst = max(row.rss_anon_kb for row in rows if row.processes <= 2000)
        self.check('RssAnon at up to 2,000 processes, kB', worst, f'at most {RSS_ANON_KB}',
                   worst <= RSS_ANON_KB)


def at_rest(args, bounds):
    """Memory and wakeups with 2,000 processes. Returns a table."""
    with crowd(args, 2000, GUESTS):
        with daemon(args) as running:
            start = memory_kb(running.pid)
            usec = decide(running, 1000, 0)
            end = memory_kb(running.pid)
        wakeups, cpu_usec, n = wakeups_per_interval(args)
    bounds.check('RssAnon after 1,000 decisions, kB', end[0], f'at most {RSS_ANON_KB}',
                 max(start[0], end[0]) <= RSS_ANON_KB)
    bounds.check(f'wakeups an interval at rest, over {n}', f'{wakeups:.2f}', '1', wakeups == 1)
    return [['at 2,000 processes', 'RssAnon kB', 'Pss kB', 'wakeups/interval', 'CPU µs'],
            ['after the start', *start, '-', '-'], ['after 1,000 decisions', *end, '-', f'{usec:.0f}'],
            [f'at rest, {n} intervals of 0.5 s', '-', '-', f'{wakeups:.2f}', f'{cpu_usec:.0f}']]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build', type=pathlib.Path, help='build folder')
    parser.add_argument('what', nargs='?', default='all', choices=('decision', 'all', 'latency', 'policy', 'own'))
    parser.add_argument('--markdown', type=pathlib.Path, metavar='FILE')
    args = parser.parse_args()
    args.ksmtuned = str(args.build.resolve() / 'src/daemon/ksmtuned')
    return args


def main():
    # Where there is nothing of a decision's cost: a program of its own.
    others = {'latency': 'latency.py', 'policy': 'policy/main.py', 'own': 'policy/own.py'}
    if other := next((others[word] for word in sys.argv[2:3] if word in others), None):
        script = pathlib.Path(__file__).resolve().parent / other
        os.execv(sys.executable, [sys.executable, str(script), sys.argv[1], *sys.argv[3:]])
    args = arguments()
    if os.geteuid() != 0:
        print('bench: needs root, for a mount namespace of its own', file=sys.stderr)
        return 1
    bounds, tables = Bounds(), []
    with alone(), tempfile.TemporaryDirectory() as folder:
        original = Original(folder)
        rows = []
        for case in CASES:
            print(f'measuring with {case[0]} processes and {GUESTS} guests …', file=sys.stderr)
            rows.append(measure_case(args, original, *case))
        bounds.decision(rows, original)
        tables.append([HEADINGS] + [row.cells() for row in rows])
        if args.what == 'all':
            print('measuring at rest …', file=sys.stderr)
            tables.append(at_rest(args, bounds))
    tables.append([['bound', 'measured', 'wanted', '']] + bounds.rows)
    print(f'CPU time of one decision with {GUESTS} guests: median of {ROUNDS} rounds (range)')
    print('\n\n'.join(plain(table) for table in tables))
    if args.markdown:
        args.markdown.write_text('\n\n'.join(markdown(table) for table in tables) + '\n')
    return 1 if bounds.failed else 0


if __name__ == '__main__':
    sys.exit(main())
