#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own KSM: guests that grow and end, the advisor, foreign hands, the end."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

from common import (KSM, Eater, Mergeable, Tap, arguments, knob, knob_number, live_ksm, need_root,
                    read, settled_free_kb, wait_for, write)
from host import PAGE_KB, Daemon, Host
from inotify import Writes

# Wide enough for what the host's free memory does by itself within a minute.
MARGIN_KB = 700 * 1024
GUEST_MIB = 1024  # each of two; a quarter of it is common, so most stays used when all is merged

# Fast enough to merge half a GiB within seconds.
FAST = '''KSM_NPAGES_BOOST=2000
KSM_NPAGES_MIN=2000
KSM_NPAGES_MAX=4000
KSM_THRES_COEF=1
'''


class Suite:
    def __init__(self, args, tap, folder):
        self.args = args
        self.tap = tap
        self.folder = pathlib.Path(folder)
        self.threshold_kb = 0

    def daemon(self, interval='0.5', extra='', wait=True):
        """A ksmtuned that starts KSM once another MARGIN_KB are used."""
        self.threshold_kb = settled_free_kb() - MARGIN_KB
        config = self.folder / 'ksmtuned.conf'
        config.write_text(FAST + f'KSM_MONITOR_INTERVAL={interval}\nPIDFILE={self.folder}/pid\n'
                          f'LOGFILE={self.folder}/log\nDEBUG=1\n'
                          f'KSM_THRES_CONST={self.threshold_kb}\n' + extra)
        return Daemon(self.args, options=['--config', str(config)], wait=wait)

    @contextlib.contextmanager
    def guests(self, mib=GUEST_MIB):
        guests, eater = [Mergeable(self.args), Mergeable(self.args)], Eater(self.args)
        try:
            for guest in guests:
                guest.grow(mib)
            eater.below(self.threshold_kb)
            yield guests
        finally:
            for process in (*guests, eater):
                process.end()

    def starts(self):
        return wait_for(lambda: knob('run') == '1', 10)

    def merges(self):
        """Until a good part of what they have in common is merged."""
        want = 8192
        return wait_for(lambda: knob_number('pages_sharing') >= want, 60, 0.1)

    # --- guests come and go -----------------------------------------------------------------

    def grow_and_end(self):
        tap = self.tap
        with self.daemon() as daemon:
            tap.equal(knob('run'), '0', 'with memory free KSM stays off')
            small = Mergeable(self.args)
            small.grow(8)
            daemon.wait_decisions(2)
            tap.equal((daemon.number('GUESTS'), knob('run')), (1, '0'),
                      'a small guest is counted and KSM stays off')
            small.end()
            with self.guests() as guests:
                tap.ok(self.starts(), 'guests grow past the threshold: run becomes 1',
                       lambda: daemon.state())
                tap.ok(self.merges(), 'pages_sharing rises', lambda: knob('pages_sharing'))
                daemon.wait_decisions(2)
                state = daemon.state()
                tap.equal(state.get('GUESTS'), '2', 'both are counted')
                rss = sum(int(read(f'/proc/{g.pid}/statm').split()[1]) * 4 for g in guests)
                tap.ok(abs(int(state['COMMITTED_KB']) - rss) < 2048, 'committed is their RSS',
                       f'{state["COMMITTED_KB"]} against {rss}')
                saved = (knob_number('pages_sharing') + knob_number('ksm_zero_pages')) * 4096
                tap.ok(abs(int(state['SAVED_BYTES']) - saved) < saved // 4 + 65536,
                       'what is saved is published', f'{state["SAVED_BYTES"]} against {saved}')
                tap.equal(state['RUN'], '1', 'RUN of the state is 1')
                tap.ok(int(state['KSMD_CPU_NSEC']) > 0, 'ksmd\'s CPU time is published')
                self.status_equals_kernel()
            tap.ok(wait_for(lambda: knob('run') == '0', 10), 'they end: run becomes 0',
                   lambda: daemon.state())
            daemon.wait_decisions(1)
            tap.equal(daemon.number('GUESTS'), 0, 'and no guest is left')
            tap.equal(daemon.stop(), 0, 'the daemon ends with 0')

    def status_between_looks(self):
        def kernel():
            return {path.name: read(path).strip() for path in KSM.iterdir()}
        before = kernel()
        answer = subprocess.run([self.args.ksmctl, 'status', '--json'], capture_output=True,
                                text=True, check=False)
        after = kernel()
        if answer.returncode != 0:
            return before, {}, after, answer.stderr or 'no reason given'
        told = json.loads(answer.stdout)['kernel']
        return before, told[0] if isinstance(told, list) else told, after, ''

    @staticmethod
    def differences(before, told, after):
        wrong, compared = [], 0
        for key, low in before.items():
            if key == 'advisor_mode':
                low = after[key] = re.search(r'\[(.*)\]', low)[1]
            if key not in told:
                continue
            compared += 1
            if low == after[key]:
                good = str(told[key]) == low
            else:
                bounds = sorted((int(low), int(after[key])))
                good = bounds[0] <= int(told[key]) <= bounds[1]
            if not good:
                wrong.append(f'{key}: told {told[key]}, file {low} … {after[key]}')
        return wrong, compared

    def status_equals_kernel(self):
        tap = self.tap
        name = 'ksmctl status: its figures are those of the kernel\'s files'
        if not self.args.ksmctl or not os.path.exists(self.args.ksmctl):
            tap.skip(name, 'ksmctl was not built')
            return

        # ksmd works meanwhile, and a figure may swing there and back between the looks: what is
        # wrong stays wrong.
        for _ in range(5):
            before, told, after, error = self.status_between_looks()
            wrong, compared = self.differences(before, told, after)
            if error or not wrong:
                break
        if not tap.ok(not error, 'ksmctl status --json ends with 0', error):
            return
        tap.ok(not wrong and compared >= len(before) - 1, f'{name} ({compared} files)',
               '\n'.join(wrong) or f'{compared} of {len(before)} compared')
        people = subprocess.run([self.args.ksmctl, 'status'], capture_output=True, text=True,
                                check=False)
        tap.ok(people.returncode == 0 and 'pages_to_scan' in people.stdout,
               'ksmctl status for people names the knobs', people.stdout + people.stderr)

    # --- the knobs belong to others too ------------------------------------------------------

    def no_redundant_writes(self):
        tap = self.tap
        paths = [KSM / name for name in ('run', 'pages_to_scan', 'sleep_millisecs', 'advisor_mode',
                                         'smart_scan') if (KSM / name).exists()]
        with Writes([KSM / 'sleep_millisecs']) as probe:
            write(KSM / 'sleep_millisecs', 20)
            if not probe.take():
                tap.skip('no redundant writes', 'inotify does not tell of writes to sysfs here')
                return
        with self.daemon('0.1') as daemon, Writes(paths) as writes:
            writes.take()
            daemon.wait_decisions(30)
            tap.equal(writes.take(), [], '30 idle decisions write no knob')
            with self.guests():
                self.starts()
                # npages rises to its MAX with the second decision, and stays there.
                daemon.wait_decisions(5)
                first = writes.take()
                tap.ok(first[:3] == ['pages_to_scan', 'sleep_millisecs', 'run'],
                       'a start writes pages_to_scan, sleep_millisecs, run', f'written: {first}')
                daemon.wait_decisions(20)
                tap.equal(writes.take(), [], '20 decisions that change nothing write no knob')
                tap.equal(knob('run'), '1', 'while KSM runs')

    def advisor(self):
        tap = self.tap
        if not (KSM / 'advisor_mode').exists():
            tap.skip('the kernel\'s advisor', 'this kernel has none')
            return

        def mode():
            return re.search(r'\[(.*)\]', knob('advisor_mode'))[1]
        for end in ('SIGTERM', 'SIGKILL and a new daemon'):
            write(KSM / 'advisor_mode', 'scan-time')
            daemon = self.daemon()
            with daemon, self.guests():
                self.starts()
                tap.equal(mode(), 'none', f'{end}: advisor_mode is taken over')
                daemon.wait_decisions(3)
                said = daemon.said_lines('advisor')
                tap.equal(len(said), 1, f'{end}: which is said once')
                if end != 'SIGTERM':
                    daemon.stop(with_signal=signal.SIGKILL)
                    tap.equal(mode(), 'none', f'{end}: a killed daemon gives nothing back')
                    daemon = self.daemon()
                tap.equal(daemon.stop(), 0, f'{end}: the daemon ends with 0')
                tap.equal(mode(), 'scan-time', f'{end}: advisor_mode is given back at the end')
            write(KSM / 'advisor_mode', 'none')
            write(KSM / 'run', 0)

        write(KSM / 'advisor_mode', 'scan-time')
        with self.daemon() as daemon:
            daemon.wait_decisions(2)
            tap.equal(daemon.stop(), 0, 'a daemon that never started KSM ends with 0')
        tap.equal(mode(), 'scan-time', 'and advisor_mode is as it was')
        write(KSM / 'advisor_mode', 'none')

    def foreign_hand(self):
        tap = self.tap
        with self.daemon('0.2') as daemon, self.guests():
            self.starts()
            daemon.wait_decisions(3)
            with Writes([KSM / 'pages_to_scan']) as writes:
                write(KSM / 'pages_to_scan', 777)
                writes.take()
                daemon.wait_decisions(5)
                said = daemon.said_lines(r'pages_to_scan.*777|777.*pages_to_scan')
                tap.equal(len(said), 1, 'a foreign write of pages_to_scan is told once, by name')
                tap.diag('\n'.join(said))
                tap.ok(len(writes.take()) <= 1, 'and answered with one write at most')
                # A rival that writes all the time: told and answered within bounds.
                lines, rounds = len(daemon.said().splitlines()), 15
                written = 0
                for i in range(rounds):
                    write(KSM / 'pages_to_scan', 500 + i)
                    writes.take()
                    daemon.retune()
                    written += len(writes.take())
                told = len(daemon.said().splitlines()) - lines
                tap.ok(told <= 5, f'a rival that writes {rounds} times: at most 5 lines',
                       f'{told}\n{daemon.said()}')
                tap.ok(written <= rounds, f'and at most a write a decision ({written})')
                tap.ok(daemon.alive(), 'the daemon lives')

    # --- the end ------------------------------------------------------------------------------

    def stop_action(self, action, merged_after):
        tap = self.tap
        with self.daemon(extra=f'KSM_STOP_ACTION={action}\n') as daemon, self.guests():
            self.starts()
            merged = self.merges()
            status = daemon.stop(30)
            tap.ok(merged and status == 0, f'{action}: pages were merged, the daemon ends with 0',
                   f'pages_sharing {knob("pages_sharing")}, status {status}\n{daemon.said()}')
            tap.equal(knob('run') == '1', action == 'keep',
                      f'{action}: run is {"still" if action == "keep" else "no more"} 1')
            tap.equal(knob_number('pages_sharing') > 0, merged_after,
                      f'{action}: pages {"stay merged" if merged_after else "are unmerged"}')
        write(KSM / 'run', 2)
        write(KSM / 'run', 0)

    def unmerge_preflight(self):
        """Only where what is merged fits into memory; on a made-up host, for the sake of ours."""
        saved_kb = 4 * 1024 * 1024
        for name, available_kb, fits in (('fits', saved_kb * 112 // 100, True),
                                         ('does not fit', saved_kb * 109 // 100, False)):
            host = Host()
            try:
                host.memory(1000000, available_kb=available_kb)
                host.set_knob('pages_sharing', saved_kb // PAGE_KB)
                host.config('KSM_STOP_ACTION=unmerge\n')
                with Daemon(self.args, host.path) as daemon:
                    with Writes([host.knob_path('run')]) as writes:
                        started = host.knob('run') == '1'
                        status = daemon.stop()
                        n = len(writes.take())
                    said = daemon.said().splitlines()[-2:]
                self.tap.ok(started and status == 0 and host.knob('run') != '1',
                            f'an unmerge that {name}: KSM is stopped', f'{status} {said}')
                self.tap.equal(any('fit' in line or 'not unmerged' in line for line in said),
                               not fits, f'an unmerge that {name}: '
                               f'{"nothing to explain" if fits else "says why it is not done"}')
                self.tap.diag(f'{n} events of writing; ' + '; '.join(said))
            finally:
                host.remove()

    def small_things(self):
        tap = self.tap
        with self.daemon('60') as daemon:
            before = time.monotonic()
            tap.ok(daemon.retune(), 'SIGUSR1 decides at once')
            tap.ok(time.monotonic() - before < 1, 'within a second, at an interval of 60 s')
            tap.equal(daemon.state().get('TRIGGER'), 'signal', 'and says so')
        tap.ok(not (self.folder / 'pid').exists(), 'the pidfile is gone after the end')

    def run(self):
        self.small_things()
        self.unmerge_preflight()
        self.grow_and_end()
        self.no_redundant_writes()
        self.advisor()
        self.foreign_hand()
        self.stop_action('keep', True)
        self.stop_action('stop', True)
        self.stop_action('unmerge', False)


def main():
    args = arguments(__doc__)
    need_root()
    tap = Tap()
    with live_ksm(), tempfile.TemporaryDirectory(prefix='ksmtuned-live-') as folder:
        Suite(args, tap, folder).run()
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
