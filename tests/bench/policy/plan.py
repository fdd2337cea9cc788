# SPDX-License-Identifier: GPL-2.0-or-later
"""Which measurements a run consists of, what is left of it, and how long that takes."""

import json
import pathlib
import random

import fleet

OVERHEAD_SEC = 7       # of a measurement: unmerging, starting, ending
TRIES = 2              # of a measurement that was noisy


def steps(form, policies, seed, repetitions=None):
    """
    [(policy, repetition)]: the oracle first, then each repetition of all policies in an order of
    its own, so that what drifts does not always hit the same.
    """
    rng = random.Random(seed)
    order = [('oracle', 0)] if 'oracle' in policies else []
    for repetition in range(repetitions or form.repetitions):
        names = [name for name in policies if name != 'oracle'
                 and (repetition == 0 or name not in fleet.ONCE)]
        rng.shuffle(names)
        order += [(name, repetition) for name in names]
    return order


def step_sec(form, policy, repetition=0):
    warm = fleet.WARM_SEC if policy == 'original-warm' else 0
    return warm + form.end_of(policy) + form.rest_of(policy, repetition) + OVERHEAD_SEC


def left(order, lines, most=TRIES):
    """What of the order is not done: neither a clean measurement, nor as many tries as it gets."""
    clean = {(line['policy'], line['repetition']) for line in lines if not line['noisy']}
    tries = [(line['policy'], line['repetition']) for line in lines]
    return [step for step in order if step not in clean and tries.count(step) < most]


def command(form, facts):
    """What was asked for, as a command: all that decides on the figures."""
    words = ['./dev bench policy', f'--{form.name}']
    if facts.get('repetitions'):
        words.append(f'--repetitions {facts["repetitions"]}')
    if set(facts.get('policies', form.policies)) != set(form.policies):
        words.append('--policies ' + ','.join(facts['policies']))
    if facts['must_equal']['seed'] != 1:
        words.append(f'--seed {facts["must_equal"]["seed"]}')
    return ' '.join(words)


class Results:
    """A folder: run.json says what is measured, results.jsonl has a line for each measurement."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.run, self.results = self.folder / 'run.json', self.folder / 'results.jsonl'

    def begin(self, facts, resume):
        """Returns '' or why these results cannot be gone on with."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if resume and self.run.exists():
            old = json.loads(self.run.read_text())
            for key, value in facts['must_equal'].items():
                if old['must_equal'].get(key) != value:
                    return (f'{self.run} is of another run: its {key} is '
                            f'{old["must_equal"].get(key)}, not {value}')
            return self._ask_more(old, facts)
        if self.results.exists():
            self.results.rename(self.results.with_suffix('.old.jsonl'))
        self.run.write_text(json.dumps(facts, indent=1) + '\n')
        return ''

    def _ask_more(self, old, facts):
        """What is gone on with is asked for as well as what was."""
        names = old.get('policies', facts['policies'])
        old['policies'] = names + [name for name in facts['policies'] if name not in names]
        old['repetitions'] = facts['repetitions']
        self.run.write_text(json.dumps(old, indent=1) + '\n')
        return ''

    def facts(self):
        return json.loads(self.run.read_text())

    def lines(self):
        """A line that a crash cut off is as if it had not been measured."""
        found = []
        if self.results.exists():
            for line in self.results.read_text().splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    continue
        return found

    def add(self, line):
        text = json.dumps(line)
        # Behind a cut-off line a new one begins.
        cut = self.results.exists() and not self.results.read_bytes().endswith(b'\n') \
            and self.results.stat().st_size > 0
        with open(self.results, 'a', encoding='utf-8') as file:
            file.write(('\n' if cut else '') + text + '\n')
