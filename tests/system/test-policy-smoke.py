#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The smallest form of the benchmark of policies, on the live KSM; and what ends it early."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

from common import (KNOBS_AT_REST, KSM, Tap, alone, arguments, knob, need_root, read, skip_all,
                    wait_for)

SECONDS = 1700  # for all of it, most of which would be a wait for the lock
PEERS = ('original-forced', 'classic-forced', 'fixed-9000-20')


class Suite:
    def __init__(self, args, tap, groups):
        self.args, self.tap, self.groups = args, tap, groups
        self.output = args.build.resolve() / 'policy-smoke-test'

    def bench(self, *options, **more):
        return subprocess.Popen(
            [sys.executable, str(self.args.source / 'tests/bench/policy/main.py'),
             str(self.args.build), '--smoke', '--output', str(self.output), *options],
            stdin=subprocess.DEVNULL, **more)

    def lines(self):
        found = {}
        for line in read(self.output / 'results.jsonl', '').splitlines():
            with contextlib.suppress(ValueError):
                line = json.loads(line)
                found[line['policy']] = line
        return found

    def at_rest(self, what, pid):
        # The guard that leaves the host at rest holds the lock until it has.
        with alone():
            found = {name: knob(name) for name in KNOBS_AT_REST}
            found['advisor_mode'] = 'none' if '[none]' in found['advisor_mode'] else 'scan-time'
            self.tap.equal((found, knob('pages_shared')), (KNOBS_AT_REST, '0'),
                           f'{what}: nothing merged, the knobs at rest')
            # A control group goes only when no process is left in it.
            self.tap.ok(not (self.groups / f'ksmtuned-bench-{pid}').exists(),
                        f'{what}: no process left')

    def whole(self):
        tap = self.tap
        process = self.bench(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        out, err = process.communicate(timeout=SECONDS)
        for text in (err, out):
            tap.diag(text)
        lines = self.lines()
        self.at_rest('after the run', process.pid)
        oracle = lines.get('oracle')
        if not tap.ok(oracle, 'the oracle is measured', err):
            return
        reachable = max(oracle['series']['saved_mib'])
        tap.ok(reachable > 50, f'there is something to merge: {reachable:.0f} MiB')
        late, there = oracle['classes']['end']['late']
        if self.quiet(oracle, 'the oracle finds late twins'):
            tap.ok(late > 0.9 * there > 0, f'the oracle finds late twins: {late} of {there}')
        tap.ok(oracle['classes']['end']['unique'][0] == 0, 'and merges no page that has no twin')
        for name in (*PEERS, 'adaptive'):
            if name not in lines:
                found = [line for line in out.splitlines() if f'Not measured: {name}:' in line]
                tap.ok(found, f'{name} is measured, or it is said why not', out)
                tap.skip(f'{name} merges', found[0] if found else 'not measured')
                continue
            self.peer(name, lines[name], reachable)

    def quiet(self, line, name):
        """Whether a measurement says something about the policy; skips where it does not."""
        if line['noisy']:
            self.tap.skip(name, '; '.join(line['noisy']))
        return not line['noisy']

    def peer(self, name, line, reachable):
        tap, series = self.tap, line['series']
        tap.ok(len(series['t']) > 30 and series['t'][-1] > 12, f'{name} is measured')
        saved = max(series['saved_mib'])
        if self.quiet(line, f'{name} merges'):
            tap.ok(saved > 0, f'{name} merges: {saved:.0f} MiB')
        tap.ok(series['ksmd'][-1] > 0 and set(series['run']) & {1}, f'{name} has ksmd run')
        half = f'{name} merges half of what can be had'
        if name in ('fixed-9000-20', 'adaptive') and self.quiet(line, half):
            # Half, in a time in which a tenth of the speed would do.
            tap.ok(saved > reachable / 2, half, f'{saved} of {reachable}')
        if name in ('original-forced', 'adaptive', 'classic-forced'):
            tap.ok(series['own'][-1] > 0, f'{name}: its own CPU time is known')

    def ended(self, what, number):
        """In the midst of a measurement the knobs are not at rest; afterwards they are."""
        tap = self.tap
        # Not among the whole run's results, which `--report` can tell again.
        self.output = self.args.build.resolve() / 'policy-smoke-ended'
        said = self.args.build.resolve() / 'policy-smoke-test.log'
        with open(said, 'wb') as log:
            process = self.bench('--policies', 'oracle', stdout=log, stderr=log)
        begun = wait_for(lambda: 'oracle, repetition 1' in read(said)
                         and knob('smart_scan') == '0' and int(knob('pages_sharing')) > 0,
                         SECONDS, 0.1)
        tap.ok(begun, f'{what}: a measurement has begun', lambda: read(said))
        os.kill(process.pid, number)
        status = process.wait(60)
        tap.ok(status != 0, f'{what}: it does not end as if it were done', status)
        self.at_rest(what, process.pid)
        tap.ok('oracle' not in self.lines(), f'{what}: what was broken off is no result')


def main():
    args = arguments(__doc__)
    need_root()
    if not (KSM / 'smart_scan').exists():
        skip_all('this kernel\'s KSM has no smart_scan')
    sys.path.insert(0, str(pathlib.Path(args.source) / 'tests/bench/policy'))
    import machine  # pylint: disable=import-outside-toplevel
    if why := machine.why_not():
        skip_all(why)
    tap = Tap()
    suite = Suite(args, tap, machine.cgroup_root())
    suite.whole()
    suite.ended('SIGTERM', signal.SIGTERM)
    suite.ended('SIGKILL', signal.SIGKILL)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
