#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Real libvirtd, real QEMU domains: a decision comes the moment that a domain comes or goes, and a
storm of events is a decision a second. tests/bench/latency.py measures the same at length.
"""

import contextlib
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench'))

import namespace  # noqa: E402
from common import Tap, arguments, wait_for  # noqa: E402
from measure import memory_kb  # noqa: E402
from virt import (Libvirtd, Use, children, connected, daemon, decided, latency_msec,  # noqa: E402
                  listener, settle, start_and_stop, storm, told, virsh, why_not)

ROUNDS = 6
MEDIAN_MSEC, WORST_MSEC = 10, 100
STORM_SECONDS, STORM_PER_SECOND = 4, 200
FAKE = pathlib.Path(__file__).resolve().with_name('fake-helper.py')


class Suite:
    def __init__(self, args, tap, libvirtd):
        self.args, self.tap, self.libvirtd = args, tap, libvirtd

    def come_and_go(self):
        tap = self.tap
        with daemon(self.args) as running:
            tap.ok(connected(running), 'it connects to libvirtd, and says so', running.said)
            before = running.number('GUESTS')
            found = start_and_stop(running, self.libvirtd.domain(), 'vm1', ROUNDS)
            for verb, figures in found.items():
                times = [msec for msec, _ in figures]
                median, worst = statistics.median(times), max(times)
                tap.ok(median <= MEDIAN_MSEC and worst <= WORST_MSEC,
                       f'virsh {verb}, {ROUNDS} times: decided {median:.1f} ms behind its return '
                       f'(median), {worst:.1f} ms at worst; at most {MEDIAN_MSEC} and '
                       f'{WORST_MSEC}', figures)
                tap.ok(all(trigger in ('libvirt', 'guest') for _, trigger in figures),
                       f'virsh {verb}: TRIGGER is libvirt or guest', figures)
            tap.equal(running.number('GUESTS'), before, 'no domain is left in the count')
            self.at_once(running, before)
            tap.equal(running.said_lines('error|fail|cannot'), [], 'nothing to complain of')

    def at_once(self, running, before):
        """What comes within the gap is decided on at its end."""
        settle()
        virsh('create', self.libvirtd.domain())
        virsh('destroy', 'vm1')
        returned = time.time()
        state = decided(running, lambda s: int(s['GUESTS']) == before
                        and int(s['TIME_USEC']) / 1e6 > returned - 0.1)
        late = latency_msec(state, returned) if state else 9999
        self.tap.ok(late <= 1100, 'created and destroyed at once: the end is decided on within '
                    f'a second ({late:.0f} ms)', running.state)

    def suspend(self):
        with daemon(self.args) as running:
            connected(running)
            virsh('create', self.libvirtd.domain())
            for verb in ('suspend', 'resume'):
                settle()
                n = running.decisions()
                virsh(verb, 'vm1')
                returned = time.time()
                state = decided(running, lambda s, n=n: int(s['DECISIONS']) > n)
                self.tap.ok(state and state['TRIGGER'] == 'libvirt'
                            and latency_msec(state, returned) <= WORST_MSEC,
                            f'virsh {verb}: a decision', state)
            virsh('destroy', 'vm1')

    def balloon(self):
        """QEMU tells of its balloon only with a driver in the guest, so the helper is a fake."""
        with daemon(self.args, 'fake://balloon', FAKE) as running:
            state = decided(running, lambda s: s['TRIGGER'] == 'libvirt', 5)
            self.tap.ok(state, 'a balloon event: a decision', running.state)
            self.tap.equal(running.said_lines('helper'), [], 'a balloon event: no complaint')
        with daemon(self.args, 'fake://halves', FAKE) as running:
            state = decided(running, lambda s: s['TRIGGER'] == 'libvirt', 5)
            self.tap.ok(state, 'lines that come in pieces: a decision', running.said)

    def many(self):
        uri = 'test+unix:///default'
        with daemon(self.args, uri) as running:
            if not connected(running):
                self.tap.ok(False, f'it connects to {uri}', running.said)
                return
            helper = children(running.pid)[0]
            time.sleep(1.5)
            use, helpers_use = Use(running.pid), Use(helper)
            n, begin = running.decisions(), time.monotonic()
            rate = storm(STORM_SECONDS, STORM_PER_SECOND, uri)
            end = time.time()
            took = time.monotonic() - begin
            last = decided(running, lambda s: int(s['TIME_USEC']) / 1e6 > end
                           and s['TRIGGER'] == 'libvirt', 2)
            n = running.decisions() - n
            self.tap.ok(rate >= STORM_PER_SECOND * 0.8, f'{rate:.0f} events a second of libvirt')
            self.tap.ok(2 <= n <= took * 2 + 2, f'{rate:.0f} events a second for {took:.1f} s: '
                        f'{n} decisions, at most 2 a second')
            self.tap.ok(last, f'{rate:.0f} events a second: what was last is decided on',
                        running.state)
            self.tap.ok(use.cpu_msec() <= took * 100,
                        f'{rate:.0f} events a second: {use.cpu_msec():.0f} ms of CPU in the '
                        f'daemon, {helpers_use.cpu_msec():.0f} ms in its helper')
            self.tap.equal(len(told(running)), 1,
                           f'{rate:.0f} events a second are no lines in the log')

    def ends(self):
        for name, end in (('SIGTERM', lambda r: r.stop()), ('SIGKILL', lambda r: r.process.kill())):
            with daemon(self.args) as running:
                connected(running)
                helper = children(running.pid)[0]
                end(running)
                gone = wait_for(lambda: not pathlib.Path(f'/proc/{helper}').exists(), 2)
                self.tap.ok(gone, f'the daemon ends by {name}: no helper stays behind')

    def reload(self):
        """A new URI is taken up, and an empty one ends the helper."""
        with daemon(self.args) as running:
            connected(running)
            config = pathlib.Path(running.process.args[-1])
            first = children(running.pid)
            config.write_text('KSM_MONITOR_INTERVAL=3600\n')
            running.process.send_signal(1)
            decided(running, lambda s: s['TRIGGER'] == 'reload')
            self.tap.equal(children(running.pid), first, 'reloaded with the same URI: the helper '
                           'stays')
            config.write_text('KSM_MONITOR_INTERVAL=3600\nKSM_LIBVIRT_URI=test:///default\n')
            running.process.send_signal(1)
            self.tap.ok(wait_for(lambda: running.said_lines('events come from.*test:///'), 10),
                        'reloaded with another URI: it connects there', running.said)
            self.tap.ok(children(running.pid) not in ([], first), 'with a helper of its own')
            config.write_text('KSM_MONITOR_INTERVAL=3600\nKSM_LIBVIRT_URI=\n')
            running.process.send_signal(1)
            self.tap.ok(wait_for(lambda: not children(running.pid), 5),
                        'reloaded with an empty URI: no helper any more')

    def memory(self):
        """libvirt's libraries are none of the daemon's."""
        figures = []
        for uri in ('qemu:///system', ''):
            with daemon(self.args, uri) as running:
                if uri:
                    connected(running)
                    helper = memory_kb(children(running.pid)[0])
                running.retune()
                figures.append(memory_kb(running.pid))
        (anonymous, pss), (least, least_pss) = figures
        self.tap.ok(anonymous <= least + 32, f'RssAnon {anonymous} kB connected to libvirtd, '
                    f'{least} without libvirt')
        self.tap.ok(pss <= least_pss + 128, f'Pss {pss} kB connected to libvirtd, {least_pss} '
                    'without libvirt')
        self.tap.diag(f'the helper: RssAnon {helper[0]} kB, Pss {helper[1]} kB')

    def run(self):
        self.come_and_go()
        self.suspend()
        self.balloon()
        self.memory()
        self.many()
        self.reload()
        self.ends()


def main():
    args = arguments(__doc__)
    namespace.enter()
    tap = Tap()
    why = why_not() or ('' if listener(args) else 'ksmtuned-libvirt is not built')
    if why:
        tap.skip('domains that come and go, with libvirtd', why)
        return tap.done()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        libvirtd = stack.enter_context(Libvirtd(folder))
        libvirtd.start()
        Suite(args, tap, libvirtd).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
