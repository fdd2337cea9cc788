#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ksmctl guests costs on a host with many processes."""

import json
import pathlib
import resource
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench'))

from common import KSM, Tap, alone, arguments, helper, need_root, skip_all  # noqa: E402
from measure import crowd, daemon  # noqa: E402

PROCESSES, GUESTS = 5000, 300
LIMIT_MSEC, TIMES = 50, 7
# On a machine so slow, or so busy, that the names alone take this long, it is the ratio that tells.
FLOOR_MSEC, FLOOR_RATIO = 30, 2


def cpu_msec(*command):
    """CPU time that a program takes, user and system; and what it prints."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    text = subprocess.run([str(word) for word in command], check=True, capture_output=True,
                          text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000, text


def by_daemon(args, tap, pids):
    """Beside a daemon, which has published its guests: no excuse."""
    with daemon(args) as running:
        inside = ['nsenter', f'--mount=/proc/{running.pid}/ns/mnt']
        tap.ok(running.number('GUESTS') >= GUESTS, 'the daemon knows the guests', running.state)
        for options in ([], ['--json'], ['--scan']):
            verb = ' '.join(['guests', *options])
            spent = [cpu_msec(*inside, args.ksmctl, 'guests', *options) for _ in range(TIMES)]
            msec = statistics.median(figure for figure, _ in spent)
            detail = [round(figure, 1) for figure, _ in spent]
            if '--scan' in options:
                tap.diag(f'beside a daemon {verb} takes {msec:.0f} ms')
                continue
            tap.ok(msec <= LIMIT_MSEC, f'beside a daemon {verb} among {PROCESSES} processes takes '
                   f'{msec:.1f} ms of CPU, at most {LIMIT_MSEC}', detail)
            if '--json' in options:
                found = {row['pid'] for row in json.loads(spent[-1][1])['guests']}
                tap.ok(set(pids) <= found, f'all {GUESTS} guests are shown', set(pids) - found)


def main():
    args = arguments(__doc__)
    need_root()
    if not KSM.is_dir():
        skip_all('this kernel has no KSM')
    tap = Tap()
    with alone(), crowd(args, PROCESSES, GUESTS) as pids:
        least = statistics.median(cpu_msec(helper(args, 'names'))[0] for _ in range(TIMES))
        for options in ([], ['--json'], ['--all']):
            verb = ' '.join(['guests', *options])
            spent = [cpu_msec(args.ksmctl, 'guests', *options) for _ in range(TIMES)]
            msec = statistics.median(figure for figure, _ in spent)
            detail = [round(figure, 1) for figure, _ in spent]
            if '--all' in options:
                tap.diag(f'{verb} takes {msec:.0f} ms')
                continue
            tap.ok(msec <= FLOOR_RATIO * least, f'{verb} among {PROCESSES} processes takes '
                   f'{msec:.0f} ms of CPU, {msec / least:.2f} times the {least:.0f} ms that it '
                   f'takes to read their names, at most {FLOOR_RATIO}', detail)
            name = f'{verb} takes at most {LIMIT_MSEC} ms'
            if msec > LIMIT_MSEC and least > FLOOR_MSEC:
                tap.skip(name, f'here the names alone take {least:.0f} ms')
            else:
                tap.ok(msec <= LIMIT_MSEC, name, detail)
            if '--json' in options:
                found = {row['pid'] for row in json.loads(spent[-1][1])['guests']}
                tap.ok(set(pids) <= found, f'all {GUESTS} guests are shown', set(pids) - found)
        by_daemon(args, tap, pids)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
