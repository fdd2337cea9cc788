# SPDX-License-Identifier: GPL-2.0-or-later
"""Savings and CPU time over time, as SVG by gnuplot."""

import shutil
import subprocess
import sys

# A policy looks the same in every plot; relatives share a colour, and differ in their dashes.
STYLES = {
    'oracle': ('#000000', 3), 'original': ('#7f5f2f', 3), 'original-forced': ('#7f5f2f', 1),
    'original-warm': ('#e08a00', 1), 'classic': ('#6a3d9a', 3), 'classic-forced': ('#6a3d9a', 1),
    'original-full': ('#b0a080', 1),
    'fixed-100-20': ('#7fc8f0', 1), 'fixed-1250-10': ('#1f77b4', 1),
    'fixed-9000-20': ('#08306b', 1), 'advisor-fresh': ('#2ca02c', 3),
    'advisor-primed': ('#2ca02c', 1), 'adaptive': ('#c00000', 1)}
WHAT = (('savings', 'Saved memory', 'MiB', 'saved_mib'),
        ('cpu', 'CPU time of ksmd so far', 's', 'ksmd'))


def plot(folder, name, curves, form):
    """
    @curves: [(policy, title, series)]. Writes files; returns what and title of those that are there.
    """
    if not shutil.which('gnuplot'):
        print('No plots: gnuplot is not here', file=sys.stderr)
        return []
    done = []
    for what, title, label, column in WHAT:
        lines = [(policy, heading, series['t'], series[column])
                 for policy, heading, series in curves]
        script = gnuplot(folder / f'{name}-{what}.svg', title, label, lines, form.event, form.end)
        subprocess.run(['gnuplot'], input=script, text=True, check=True)
        done.append((what, title))
    return done


def gnuplot(path, title, label, curves, event, end):
    lines = ['set terminal svg size 900,520 noenhanced font "sans,12" background rgb "white"',
             f'set output "{path}"', f'set title "{title}"', 'set xlabel "s"',
             f'set ylabel "{label}"', 'set key below', 'set grid', 'set yrange [0:*]',
             f'set xrange [0:{end}]',
             f'set arrow from {event}, graph 0 to {event}, graph 1 nohead dt 3 lc rgb "gray"']
    drawn = []
    for policy, heading, _, _ in curves:
        colour, dashes = STYLES[policy]
        drawn.append(f'"-" using 1:2 with lines lw {3 if policy == "adaptive" else 2} '
                     f'dt {dashes} lc rgb "{colour}" title "{heading}"')
    lines.append('plot ' + ', '.join(drawn))
    for _, _, times, values in curves:
        step = max(len(times) // 1000, 1)
        lines += [f'{t} {v}' for t, v in list(zip(times, values))[::step] if t <= end] + ['e']
    return '\n'.join(lines) + '\n'
