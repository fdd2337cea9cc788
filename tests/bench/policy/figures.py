# SPDX-License-Identifier: GPL-2.0-or-later
"""What is worked out of samples. Pure: numbers in, numbers out."""

import bisect
import statistics

# More than this, and a measurement says more about the machine than about the policy.
STEAL_SHARE = 0.02       # of all CPUs' time, taken by the hypervisor
FOREIGN_SHARE = 0.06     # of all CPUs' time, used by processes that are no part of the benchmark
WORST_SHARE = 0.35       # either of the two, in the worst ten seconds
DRIFT_SHARE = 0.03       # of all memory, between the rest before and the rest behind
GAP_SEC = 2.0            # between two samples


def at(times, values, moment):
    """The value at a moment, on the straight line between two samples."""
    if not times:
        return None
    i = bisect.bisect_left(times, moment)
    if i == 0:
        return values[0]
    if i == len(times):
        return values[-1]
    before, after = times[i - 1], times[i]
    share = (moment - before) / (after - before) if after > before else 1.0
    return values[i - 1] + (values[i] - values[i - 1]) * share


def time_to(times, values, level, begin=0.0):
    """The first moment from @begin on at which the value is at least @level; None: never."""
    previous = None
    for moment, value in zip(times, values):
        if moment < begin:
            previous = moment, value
            continue
        if value >= level:
            if previous is None or previous[1] >= level:
                return max(moment if previous is None else begin, begin)
            share = (level - previous[1]) / (value - previous[1])
            return max(previous[0] + (moment - previous[0]) * share, begin)
        previous = moment, value
    return None


def integral(times, values, begin, end):
    """Of the straight lines between the samples, from @begin to @end."""
    inside = [(t, v) for t, v in zip(times, values) if begin < t < end]
    points = [(begin, at(times, values, begin)), *inside, (end, at(times, values, end))]
    return sum((t1 - t0) * (v0 + v1) / 2 for (t0, v0), (t1, v1) in zip(points, points[1:]))


def growth(times, values, begin, end):
    return at(times, values, end) - at(times, values, begin)


def worst_window(times, cumulative, seconds):
    """The largest growth within any window of that length, a second; None: too short for one."""
    worst = None
    for moment in times:
        if moment + seconds > times[-1]:
            break
        rate = growth(times, cumulative, moment, moment + seconds) / seconds
        worst = rate if worst is None else max(worst, rate)
    return worst


def by_pass(times, scans, cumulative, end):
    """
    What each pass that ended by a moment took, as closely as samples tell. Those that end between
    the same two samples share alike; what follows the last one's end is nobody's.
    """
    found, start = [], 0
    for i in range(1, bisect.bisect_right(times, end)):
        ended = int(scans[i]) - int(scans[i - 1])
        if ended > 0:
            found += [(cumulative[i] - cumulative[start]) / ended] * ended
            start = i
    return found


def settled(times, values, scans, moment, share=0.001):
    """Whether the two passes before a moment changed the value by less than a share of it."""
    done = at(times, scans, moment)
    start = next((t for t, n in zip(times, scans) if n >= done - 2), None)
    if start is None or done < 3 or scans[0] > done - 2:
        return False
    inside = [v for t, v in zip(times, values) if start <= t <= moment]
    inside = inside or [at(times, values, moment)]
    # What is rewritten goes and comes with every pass, so ends are compared, and not extremes.
    return abs(inside[-1] - inside[0]) <= share * max(abs(inside[-1]), 1)


def percentile(histogram, share):
    """Of {upper end of a bucket: count}: the end of the bucket that holds it; None: empty."""
    total = sum(histogram.values())
    if total == 0:
        return None
    so_far = 0
    for value in sorted(histogram):
        so_far += histogram[value]
        if so_far >= share * total:
            return value
    return max(histogram)


def minus(after, before):
    """What a histogram got between two looks at it."""
    rest = {value: n - before.get(value, 0) for value, n in after.items()}
    return {value: n for value, n in rest.items() if n > 0}


def noise(times, steal, foreign, cpus, drift_share):
    """
    Why a measurement does not count: a list of reasons. @steal, @foreign: CPU seconds so far, at
    each sample.
    """
    reasons = []
    if len(times) < 2 or times[-1] <= times[0]:
        return ['no samples']
    for name, series, limit in (('stolen by the hypervisor', steal, STEAL_SHARE),
                                ('used by other processes', foreign, FOREIGN_SHARE)):
        share = (series[-1] - series[0]) / (times[-1] - times[0]) / cpus
        if share > limit:
            reasons.append(f'{share:.1%} of the CPUs {name}, more than {limit:.0%}')
        worst = worst_window(times, series, 10)
        if worst is not None and worst / cpus > WORST_SHARE:
            reasons.append(f'{worst / cpus:.0%} of the CPUs {name} within 10 s')
    if drift_share > DRIFT_SHARE:
        reasons.append(f'free memory drifted by {drift_share:.1%}')
    gap = max(b - a for a, b in zip(times, times[1:]))
    if gap > GAP_SEC:
        reasons.append(f'{gap:.1f} s without a sample')
    return reasons


def verdict(reasons, ran_out, not_booted):
    """
    (noisy, failed): why a measurement does not count, and why its policy has failed. What memory
    that ran out has disturbed is no excuse for it.
    """
    if not_booted:
        reasons = reasons + [f'{not_booted} real guests did not come up']
    if ran_out:
        return [], ['memory ran out: the ballast was killed']
    return reasons, []


class Spread:
    """Median and range of repeated figures; None among them stands for «never»."""

    def __init__(self, values, never='never'):
        self.values = list(values)
        self.known = sorted(v for v in self.values if v is not None)
        self.never = never

    @property
    def median(self):
        """None where half of them or more are never."""
        if not self.known or 2 * len(self.known) <= len(self.values):
            return None
        # Never is later than any moment.
        padded = self.known + [float('inf')] * (len(self.values) - len(self.known))
        middle = statistics.median(padded)
        return None if middle == float('inf') else middle

    def text(self, digits=1):
        if not self.values:
            return '-'
        if not self.known:
            return self.never
        middle = self.never if self.median is None else f'{self.median:.{digits}f}'
        low = f'{self.known[0]:.{digits}f}'
        high = self.never if len(self.known) < len(self.values) else f'{self.known[-1]:.{digits}f}'
        return middle if low == high else f'{middle} ({low}–{high})'
