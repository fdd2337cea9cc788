#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Measures how soon guests that come and go are decided on: domains of a real libvirtd, and plain QEMU
guests without it; and what a libvirtd that hangs, or that tells of 200 events a second, costs.
`./dev bench latency` runs it. Exits with 1 where a bound is missed.
"""

import argparse
import os
import pathlib
import socket
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'system'))

import namespace  # noqa: E402
from measure import memory_kb  # noqa: E402
from run import Bounds, markdown, plain  # noqa: E402
from virt import (Libvirtd, Use, children, connected, daemon, decided, guest,  # noqa: E402
                  latency_msec, settle, start_and_stop, storm, why_not)

MEDIAN_MSEC, WORST_MSEC = 10, 100
START_MSEC, EXIT_MSEC = 1000, 50
DECIDE_MSEC, READY_MSEC = 50, 1000


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('build', type=pathlib.Path, help='build folder')
    parser.add_argument('--times', type=int, default=50, help='starts and stops')
    parser.add_argument('--seconds', type=int, default=60, help='of hanging, and of events')
    parser.add_argument('--markdown', type=pathlib.Path, metavar='FILE')
    args = parser.parse_args()
    args.ksmtuned = str(args.build.resolve() / 'src/daemon/ksmtuned')
    return args


def row(name, figures):
    times = sorted(msec for msec, _ in figures)
    triggers = sorted({trigger for _, trigger in figures})
    return [name, len(times), f'{statistics.median(times):.1f}',
            f'{times[int(len(times) * 0.9)]:.1f}', f'{times[-1]:.1f}', ' '.join(triggers)]


HEADINGS = ['from … to the decision published', 'times', 'median ms', '90 % ms', 'worst ms',
            'TRIGGER']


def tell(cells):
    print('  '.join(map(str, cells)), file=sys.stderr, flush=True)


def domains(args, bounds, libvirtd, table):
    for uri, name in (('qemu:///system', ''), ('', ', KSM_LIBVIRT_URI empty')):
        with daemon(args, uri) as running:
            if uri and not connected(running):
                raise RuntimeError(running.said())
            # Without libvirt's word, the kernel's: for comparison, a few are enough.
            times = args.times if uri else min(args.times, 10)
            found = start_and_stop(running, libvirtd.domain(), 'vm1', times)
        for verb, figures in found.items():
            table.append(row(f'virsh {verb} returning{name}', figures))
            tell(table[-1])
            if uri:
                median, worst = table[-1][2], table[-1][4]
                bounds.check(f'virsh {verb} to decision, median ms', median,
                             f'at most {MEDIAN_MSEC}', float(median) <= MEDIAN_MSEC)
                bounds.check(f'virsh {verb} to decision, worst ms', worst,
                             f'at most {WORST_MSEC}', float(worst) <= WORST_MSEC)


def plain_guests(args, bounds, table):
    found = {'start': [], 'exit': []}
    with daemon(args, '') as running:
        for _ in range(args.times):
            for verb, step in (('start', 1), ('exit', -1)):
                settle()
                want = str(running.number('GUESTS') + step)
                moment = time.time()
                if step > 0:
                    process = guest()
                else:
                    process.kill()
                    process.wait()
                    moment = time.time()
                state = decided(running, lambda s, want=want: s['GUESTS'] == want)
                found[verb].append((latency_msec(state, moment), state['TRIGGER']) if state
                                   else (3000.0, 'none'))
    for verb, bound in (('start', START_MSEC), ('exit', EXIT_MSEC)):
        what = 'exec of' if verb == 'start' else 'end of'
        table.append(row(f'the {what} a plain QEMU guest', found[verb]))
        tell(table[-1])
        bounds.check(f'plain QEMU, {verb} to decision, worst ms', table[-1][4],
                     f'at most {bound}', float(table[-1][4]) <= bound)


def hanging(args, bounds, libvirtd):
    """Retunes while libvirtd is stopped, and a start meanwhile."""
    with daemon(args) as running:
        connected(running)
        libvirtd.pause()
        worst = retunes(running, args.seconds)
        bounds.check(f'libvirtd stopped for {args.seconds} s while connected: SIGUSR1 to decision, '
                     'worst ms', f'{worst:.1f}', f'at most {DECIDE_MSEC}', worst <= DECIDE_MSEC)
    with tempfile.TemporaryDirectory() as folder, \
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ready:
        ready.bind(f'{folder}/notify')
        begin = time.monotonic()
        with daemon(args, env={'NOTIFY_SOCKET': f'{folder}/notify'}, wait=False) as running:
            while b'READY=1' not in ready.recv(4096):
                pass
            took = (time.monotonic() - begin) * 1000
            # Its queue is not for more; the daemon goes on without.
            ready.close()
            worst = retunes(running, args.seconds)
    bounds.check('libvirtd stopped: from exec to READY=1, ms', f'{took:.0f}',
                 f'at most {READY_MSEC}', took <= READY_MSEC)
    bounds.check(f'libvirtd stopped before the start, for {args.seconds} s: SIGUSR1 to decision, '
                 'worst ms', f'{worst:.1f}', f'at most {DECIDE_MSEC}', worst <= DECIDE_MSEC)
    libvirtd.go_on()


def retunes(running, seconds):
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        n, moment = running.decisions(), time.time()
        os.kill(running.pid, 10)
        state = decided(running, lambda s, n=n: int(s['DECISIONS']) > n)
        worst = max(worst, latency_msec(state, moment) if state else 9999)
        time.sleep(0.25)
    return worst


def memory(args):
    table = [['memory', 'RssAnon kB', 'Pss kB']]
    for uri, name in (('qemu:///system', 'the daemon, connected to libvirtd'),
                      ('', 'the daemon, KSM_LIBVIRT_URI empty')):
        with daemon(args, uri) as running:
            if uri:
                connected(running)
                helper = memory_kb(children(running.pid)[0])
            running.retune()
            table.append([name, *memory_kb(running.pid)])
    table.append(['its helper process', *helper])
    return table


def events(args, bounds):
    uri = 'test+unix:///default'
    with daemon(args, uri) as running:
        connected(running)
        time.sleep(1.5)
        use, helper = Use(running.pid), Use(children(running.pid)[0])
        n, begin = running.decisions(), time.monotonic()
        rate = storm(args.seconds, 200, uri)
        end, took = time.time(), time.monotonic() - begin
        last = decided(running, lambda s: int(s['TIME_USEC']) / 1e6 > end, 2)
        n = running.decisions() - n
        percent = [each.cpu_msec() / took / 10 for each in (use, helper)]
    name = f'{rate:.0f} events a second for {took:.0f} s'
    bounds.check(f'{name}: decisions a second', f'{n / took:.2f}', 'at most 2', n / took <= 2.02)
    bounds.check(f'{name}: the last is decided on, ms behind it',
                 f'{latency_msec(last, end):.0f}' if last else 'never', 'at most 1100', last)
    bounds.check(f'{name}: CPU of the daemon, of its helper, %',
                 f'{percent[0]:.2f}, {percent[1]:.2f}', 'no bound', True)


def main():
    args = arguments()
    namespace.enter()
    bounds, table = Bounds(), [HEADINGS]
    print('measuring plain guests …', file=sys.stderr)
    plain_guests(args, bounds, table)
    tables = [table]
    if why := why_not():
        print(f'Domains are not measured: {why}')
    else:
        with tempfile.TemporaryDirectory() as folder, Libvirtd(folder) as libvirtd:
            libvirtd.start()
            print('measuring domains …', file=sys.stderr)
            domains(args, bounds, libvirtd, table)
            tables.append(memory(args))
            print('measuring a storm of events …', file=sys.stderr)
            events(args, bounds)
            print('measuring with a libvirtd that hangs …', file=sys.stderr)
            hanging(args, bounds, libvirtd)
    table.append(['the original, by its interval (not measured)', '-', '-', '-', '60000', '-'])
    tables.append([['bound', 'measured', 'wanted', '']] + bounds.rows)
    print('\n\n'.join(plain(each) for each in tables))
    if args.markdown:
        args.markdown.write_text('\n\n'.join(markdown(each) for each in tables) + '\n')
    return 1 if bounds.failed else 0


if __name__ == '__main__':
    sys.exit(main())
