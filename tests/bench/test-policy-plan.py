#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What a run consists of, what is left of one that was broken off, and how long it takes."""

import pathlib
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import fleet  # noqa: E402
import plan  # noqa: E402
from common import Tap  # noqa: E402


def line(policy, repetition=0, noisy=()):
    return {'policy': policy, 'repetition': repetition, 'noisy': list(noisy)}


def order(tap):
    form = fleet.FORMS['standard']
    steps = plan.steps(form, form.policies, 3)
    tap.equal(steps[0], ('oracle', 0), 'the oracle is the first')
    tap.equal(len(set(steps)), len(steps), 'nothing is measured twice')
    for name in form.policies:
        times = 1 if name in fleet.ONCE else form.repetitions
        tap.equal(sum(each == name for each, _ in steps), times, f'{name}: {times} ×')
    tap.ok([n for _, n in steps] == sorted(n for _, n in steps), 'repetition by repetition')
    tap.equal(plan.steps(form, form.policies, 3), steps, 'the same seed, the same order')
    tap.equal(len(plan.steps(form, ('oracle', 'advisor-fresh'), 3, 5)), 6, 'as often as asked for')
    for name in ('smoke', 'standard'):
        form = fleet.FORMS[name]
        minutes = sum(plan.step_sec(form, policy)
                      for policy, _ in plan.steps(form, form.policies, 1)) / 60
        tap.ok(0 < minutes <= form.limit_min, f'{name}: {minutes:.0f} of {form.limit_min} minutes')

    form = fleet.FORMS['long']
    once, again = (plan.step_sec(form, 'adaptive', repetition) for repetition in (0, 1))
    tap.equal(once - again, form.rest, 'the half hour of rest is measured once')
    form = fleet.FORMS['standard']

    longer = {name: plan.step_sec(form, name) - plan.step_sec(form, 'original-forced')
              for name in ('original-warm', fleet.UNMERGEABLE)}
    tap.equal(longer, {'original-warm': fleet.WARM_SEC, fleet.UNMERGEABLE: 300 - form.end},
              'what takes longer is announced so')


def what_is_left(tap):
    steps = [('oracle', 0), ('a', 0), ('a', 1)]
    tap.equal(plan.left(steps, []), steps, 'all is left of nothing')
    tap.equal(plan.left(steps, [line('oracle'), line('a', 1)]), [('a', 0)], 'what was not measured')
    tap.equal(plan.left(steps, [line('oracle'), line('a', 0, ['steal']), line('a', 1)]),
              [('a', 0)], 'a noisy one is measured again')
    tap.equal(plan.left(steps, [line('oracle'), line('a', 1)] + [line('a', 0, ['steal'])] * 2), [],
              'but not for ever')
    tap.equal(plan.left(steps[:1], [{**line('oracle'), 'failed': ['x']}]), [], 'a failure is a result')


def files(tap, folder):
    facts = {'must_equal': {'seed': 1}, 'told': 'x', 'policies': ['oracle', 'a'], 'repetitions': 2}
    results = plan.Results(folder / 'new')
    tap.equal(results.begin(facts, True), '', 'to resume what never began is to begin')
    results.add(line('a'))
    tap.equal(plan.Results(folder / 'new').lines(), [line('a')], 'results are kept')
    with open(results.results, 'a', encoding='utf-8') as file:
        file.write('{"policy": "b", "rep')
    tap.equal(results.lines(), [line('a')], 'a line that was cut off does not count')
    results.add(line('c'))
    tap.equal(results.lines(), [line('a'), line('c')], 'nor does it spoil the one behind it')
    tap.equal(results.begin(facts, True), '', 'the same run can be resumed')
    tap.equal(len(results.lines()), 2, 'with its results')
    results.begin({**facts, 'policies': ['b', 'a'], 'repetitions': None}, True)
    tap.equal((results.facts()['policies'], results.facts()['repetitions']),
              (['oracle', 'a', 'b'], None), 'what is gone on with is asked for as well')
    why = results.begin({'must_equal': {'seed': 2}, 'told': 'x'}, True)
    tap.ok('seed is 1, not 2' in why, 'another one cannot', why)
    tap.equal(results.begin(facts, False), '', 'a new run')
    tap.equal(results.lines(), [], 'begins with nothing')
    tap.ok((folder / 'new/results.old.jsonl').exists(), 'and leaves the old results aside')


def commands(tap):
    form = fleet.FORMS['standard']
    facts = {'must_equal': {'seed': 1}, 'policies': list(form.policies), 'repetitions': None}
    tap.equal(plan.command(form, facts), './dev bench policy --standard', 'a whole form')
    facts = {'must_equal': {'seed': 7}, 'policies': ['oracle', 'classic'], 'repetitions': 1}
    tap.equal(plan.command(form, facts), './dev bench policy --standard --repetitions 1 '
              '--policies oracle,classic --seed 7', 'and what was asked for instead')


def main():
    tap = Tap()
    order(tap)
    what_is_left(tap)
    commands(tap)
    with tempfile.TemporaryDirectory() as folder:
        files(tap, pathlib.Path(folder))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
