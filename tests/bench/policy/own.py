#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Measures the daemon's own CPU time under KSM_POLICY=adaptive while guests boot, and says what it was
woken for: its control group tells the time, its start included, and perf's tracepoints split it.
`./dev bench own` runs it. It takes the host's KSM for itself.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fleet  # noqa: E402
import machine  # noqa: E402
import measuring  # noqa: E402
import wakeups  # noqa: E402
from peers import all_peers  # noqa: E402

# As many guests as in the standard form, smaller and in half of the time.
FORM = fleet.Form('own', guests=8, mib=128, stagger=1, boot=3, event=30, end=60, rest=0, steady_rest=0,
                  qemu=4, qemu_stagger=2, repetitions=1, ballast=False)
FORMS = {'short': FORM, 'standard': fleet.FORMS['standard'],
         'long': dataclasses.replace(fleet.FORMS['long'], rest=0, steady_rest=0)}


class Trace:
    """Of every process of that name: the filters keep perf itself out of it."""

    def __init__(self, folder):
        self.path = folder / 'perf.data'
        command = ['perf', 'record', '--quiet', '--mmap-pages', '1024', '--all-cpus', '--output', str(self.path)]
        for event in wakeups.EVENTS:
            command += ['--event', event, '--filter', 'COMM == "ksmtuned"']
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(1)
        if self.process.poll() is not None:
            raise RuntimeError(f'perf: {self.process.stderr.read().strip()}')

    def lines(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait()
        self.process.stderr.close()
        answer = subprocess.run(['perf', 'script', '--input', str(self.path), '--fields',
                                 'comm,pid,cpu,time,event,trace'], capture_output=True, text=True,
                                check=True)
        return answer.stdout.splitlines()


def why_no_trace():
    if not shutil.which('perf'):
        return 'perf is not here'
    if platform.machine() not in wakeups.CALLS:
        return f'the system calls of {platform.machine()} are not known here'
    return ''


def measure(bench, peer, trace):
    """CPU in ms of the daemon, in all and beside the load, and of ksmd; its PID, state, wakeups."""
    host, form = bench.machine, bench.form
    host.at_rest()
    host.make_short(form)
    own, ksmd = host.policy.cpu_sec(), host.ksmd_sec()
    try:
        peer.start(bench)
        pid = peer.daemon.pid
        load = measuring.Load(bench, peer.kind)
        begin = load.start()
        beside = host.policy.cpu_sec()
        while (now := time.monotonic() - begin) < form.end:
            load.tick(now)
            if not load.alive() or not peer.alive():
                raise RuntimeError('the load or the daemon ended by itself')
            time.sleep(0.25)
        state = peer.daemon.state()
        beside = host.policy.cpu_sec() - beside
        peer.stop()
        used = [1e3 * seconds for seconds in (host.policy.cpu_sec() - own, beside, host.ksmd_sec() - ksmd)]
    finally:
        peer.stop()
        host.at_rest()
    return *used, pid, state, wakeups.parse(trace.lines(), pid, platform.machine()) if trace else []


def tell(form, own, beside, ksmd, state, found, each):
    print(f'{form.name}: {form.guests} guests of {form.mib} MiB, {form.qemu} of QEMU, '
          f'{form.end} s; ksmd used {ksmd / 1e3:.1f} s, {int(state["SAVED_BYTES"]) >> 20} MiB saved, '
          f'{state["DECISIONS"]} published decisions')
    print(f'own CPU: {beside:.1f} ms in these {form.end} s; {own:.1f} ms with its start and end')
    if not found:
        return
    print(f'\n{"woken for":<18} {"times":>6} {"ms":>8} {"µs each":>8} {"calls each":>10}')
    for kind, times, msec, usec, calls in wakeups.by_kind(found):
        print(f'{kind:<18} {times:>6} {msec:>8.2f} {usec:>8.0f} {calls:>10}')
    print(f'{"in all":<18} {len(found):>6} {sum(w.nsec for w in found) / 1e6:>8.2f}')
    print(f'most wakeups within a second: {wakeups.busiest_second(found)}')
    if each:
        print(f'\n{"second":>9} {"µs":>6} {"calls":>5} woken for')
        for wakeup in found:
            print(f'{wakeup.time - found[0].time:9.2f} {wakeup.nsec / 1e3:6.0f} {wakeup.calls:5} {wakeup.kind}')


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, prog='./dev bench own')
    parser.add_argument('build', type=pathlib.Path, help=argparse.SUPPRESS)
    form = parser.add_mutually_exclusive_group()
    for name, text in (('short', 'the default: 8 guests of 128 MiB, 60 s'),
                       ('standard', 'that of ./dev bench policy, 116 s'),
                       ('long', 'that of ./dev bench policy, 600 s')):
        form.add_argument(f'--{name}', dest='form', action='store_const', const=name, help=text)
    parser.add_argument('--no-trace', action='store_true',
                        help='only the sum; tracing adds some per cent')
    parser.add_argument('--each', action='store_true', help='a line for each wakeup, too')
    parser.add_argument('--ksmtuned', metavar='FILE', help='another build of the daemon')
    parser.add_argument('--seed', type=int, default=1, help='of the load (default: 1)')
    args = parser.parse_args()
    args.form = FORMS[args.form or 'short']
    args.ksmtuned = os.path.abspath(args.ksmtuned or args.build / 'src/daemon/ksmtuned')
    return args


def main():
    args = arguments()
    if why := machine.why_not():
        print(f'bench: {why}', file=sys.stderr)
        return 1
    trace = None
    if not args.no_trace and (why := why_no_trace()):
        print(f'bench: only the sum is told: {why}', file=sys.stderr)
        args.no_trace = True
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix='ksmtuned-own-'))
        host = stack.enter_context(machine.machine(folder))
        bench = measuring.Bench(args, args.form, host)
        peer = all_peers()['adaptive']
        if not args.no_trace:
            trace = Trace(bench.folder)
        own, beside, ksmd, _, state, found = measure(bench, peer, trace)
    tell(args.form, own, beside, ksmd, state, found, args.each)
    return 0


if __name__ == '__main__':
    sys.exit(main())
