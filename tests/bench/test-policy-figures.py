#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What the benchmark of policies works out of samples."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import figures  # noqa: E402
from common import Tap  # noqa: E402

TIMES = [0, 1, 2, 3, 4]


def near(a, b):
    return abs(a - b) < 1e-9


def values(tap):
    at = figures.at
    tap.equal([at(TIMES, [0, 10, 20, 20, 0], t) for t in (-1, 0, 0.5, 2.5, 3.5, 4, 9)],
              [0, 0, 5, 20, 10, 0, 0], 'a value between samples, and outside of them')
    tap.equal(at([], [], 1), None, 'there is no value without samples')
    tap.equal(at([0, 1, 1, 2], [0, 5, 7, 9], 1), 5, 'two samples at one moment: the first')


def reaching(tap):
    rising = [0, 10, 20, 30, 40]
    tap.equal(figures.time_to(TIMES, rising, 25), 2.5, 'a level is reached between two samples')
    tap.equal(figures.time_to(TIMES, rising, 40), 4, 'at the last sample')
    tap.equal(figures.time_to(TIMES, rising, 41), None, 'a level that is never reached')
    tap.equal(figures.time_to(TIMES, rising, 0), 0, 'a level that is there from the start')
    tap.equal(figures.time_to(TIMES, [0, 30, 10, 30, 0], 20), 2 / 3, 'the first time counts')
    tap.equal(figures.time_to(TIMES, [0, 30, 10, 30, 0], 20, begin=1.8), 2.5,
              'from a moment on: the next time')
    tap.equal(figures.time_to(TIMES, [30] * 5, 20, begin=1.5), 1.5,
              'from a moment on: there already')
    tap.equal(figures.time_to([], [], 1), None, 'no samples, never')


def sums(tap):
    tap.ok(near(figures.integral(TIMES, [0, 10, 10, 10, 0], 0, 4), 30), 'an integral')
    tap.ok(near(figures.integral(TIMES, [0, 10, 10, 10, 0], 0.5, 3.5), 27.5),
           'an integral that begins and ends between samples')
    tap.ok(near(figures.integral([0, 3, 4], [6, 6, 6], 0, 4), 24), 'uneven samples')
    tap.ok(near(figures.integral(TIMES, [7] * 5, 1.2, 1.4), 1.4), 'an integral between two samples')
    tap.equal(figures.growth(TIMES, [0, 1, 2, 4, 8], 1, 3.5), 5, 'growth')


def windows(tap):
    times = [i / 4 for i in range(81)]
    burst = [min(max(t - 10, 0), 2) for t in times]  # one CPU from second 10 to second 12
    tap.equal(figures.worst_window(times, burst, 5), 0.4, 'the worst window of 5 s')
    tap.equal(figures.worst_window(times, burst, 1), 1, 'the worst window of 1 s')
    tap.equal(figures.worst_window([0, 1], [0, 1], 5), None, 'too short for a window')


def passes(tap):
    scans, cpu = [7, 7, 8, 8, 10], [5, 6, 8, 8, 12]
    tap.equal(figures.by_pass(TIMES, scans, cpu, 4), [3, 2, 2], 'what each pass took')
    tap.equal(figures.by_pass(TIMES, scans, cpu, 3.5), [3], 'up to a moment')
    tap.equal(figures.by_pass(TIMES, scans, cpu, 1), [], 'before the first one ends')


def convergence(tap):
    times = list(range(10))
    scans = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    grown = [0, 50, 90, 99, 100, 100, 100, 100, 100, 100]
    tap.ok(figures.settled(times, grown, scans, 9), 'two passes without a change: settled')
    tap.ok(not figures.settled(times, grown, scans, 4), 'still growing: not settled')
    tap.ok(not figures.settled(times, [5] * 10, [0] * 10, 9), 'no pass done: not settled')
    tap.ok(not figures.settled(times, [5] * 10, [900] * 10, 9),
           'no pass done since the start: not settled')


def histograms(tap):
    tap.equal(figures.percentile({}, 0.99), None, 'no percentile of nothing')
    tap.equal(figures.percentile({5: 1}, 0.99), 5, 'of a single value')
    tap.equal(figures.percentile({100: 99, 900: 1}, 0.99), 100, 'the 99th of a hundred')
    tap.equal(figures.percentile({100: 98, 900: 2}, 0.99), 900, 'two of a hundred are above')
    tap.equal(figures.percentile({900: 50, 100: 50}, 0.5), 100, 'buckets in any order')
    tap.equal(figures.minus({1: 5, 2: 3, 4: 1}, {1: 2, 2: 3}), {1: 3, 4: 1},
              'what came between two looks')


def noise(tap):
    times = [i / 4 for i in range(241)]
    zero = [0.0] * 241
    tap.equal(figures.noise(times, zero, zero, 2, 0.001), [], 'a quiet machine')
    steady = [t * 0.05 for t in times]
    tap.equal(len(figures.noise(times, steady, zero, 2, 0)), 1, 'steal of 2.5 % of two CPUs')
    tap.equal(figures.noise(times, steady, zero, 4, 0), [], 'the same on four CPUs')
    tap.equal(figures.noise(times, zero, steady, 2, 0), [], 'other processes may use more')
    tap.equal(len(figures.noise(times, zero, [t * 0.2 for t in times], 2, 0)), 1, '10 % is too much')
    # A minute and a half, so that the mean stays within what is allowed.
    long = [i / 4 for i in range(1200)]
    burst = [min(max(t - 100, 0), 10) for t in long]
    tap.equal(len(figures.noise(long, [0] * 1200, burst, 2, 0)), 1, 'one CPU for ten seconds')
    tap.equal(len(figures.noise(times, zero, zero, 2, 0.2)), 1, 'memory that drifts')
    gap = times[:40] + [t + 3 for t in times[40:]]
    tap.equal(len(figures.noise(gap, zero, zero, 2, 0)), 1, 'seconds without a sample')
    tap.equal(figures.noise([0], [0], [0], 2, 0), ['no samples'], 'nothing to judge by')


def verdicts(tap):
    verdict = figures.verdict
    tap.equal(verdict([], False, 0), ([], []), 'neither noise nor a failure')
    tap.equal(verdict(['steal'], False, 2), (['steal', '2 real guests did not come up'], []),
              'real guests that do not come up are noise')
    noisy, failed = verdict(['free memory drifted'], True, 1)
    tap.ok(not noisy and 'memory ran out' in failed[0], 'memory that ran out is a failure', failed)


def spreads(tap):
    spread = figures.Spread
    tap.equal(spread([3, 1, 2]).text(0), '2 (1–3)', 'median and range')
    tap.equal(spread([2.0]).text(), '2.0', 'one value has no range')
    tap.equal(spread([None, 1, 2]).text(0), '2 (1–never)', 'one of three never')
    tap.equal(spread([None, None, 2]).median, None, 'two of three never: never')
    tap.equal(spread([None, 2]).text(0), 'never (2–never)', 'half of them never: never')
    tap.equal((spread([None]).text(), spread([]).text()), ('never', '-'), 'never, and nothing')


def main():
    tap = Tap()
    for part in (values, reaching, sums, windows, passes, convergence, histograms, noise, verdicts,
                 spreads):
        part(tap)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
