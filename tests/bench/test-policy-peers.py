#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""How the original gets warm, and how a measurement ends that memory does not suffice for."""

import pathlib
import sys
import types

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import fleet  # noqa: E402
import measuring  # noqa: E402
import peers  # noqa: E402
from common import Tap  # noqa: E402


class Script:
    """Boosts by 300 pages each time that it is asked, as the original, if it has heard it."""

    def __init__(self, deaf_to=(), most=peers.ORIGINAL_MOST_PAGES):
        self.pages, self.asked, self.deaf_to, self.most = 100, 0, deaf_to, most

    def ask(self):
        self.asked += 1
        if self.asked not in self.deaf_to:
            self.pages = min(300 if self.pages == 100 else self.pages + 300, self.most)

    def warm(self):
        peers.warm_up(self.ask, lambda: self.pages, 0.01)
        return self.asked


def warmth(tap):
    tap.equal(Script().warm(), 5, 'the original is at its maximum after five decisions')
    tap.equal(Script(deaf_to=(1, 4)).warm(), 7, 'a signal that it has lost is sent again')
    try:
        Script(most=900).warm()
        tap.ok(False, 'one that never gets there is an error')
    except RuntimeError as error:
        tap.ok('at 900 pages' in str(error), 'one that never gets there is an error', error)


class Fake:
    """A bench, its load, a probe, samples and a policy, in which the ballast is killed."""

    def __init__(self, lost_after):
        self.left = lost_after
        self.form, self.name = fleet.FORMS['standard'], 'adaptive'
        self.machine = types.SimpleNamespace(ballast=self)

    def lost(self):
        return self.left <= 0

    def take(self, _):
        self.left -= 1

    def start(self):
        return measuring.time.monotonic()

    def histogram(self):
        return {}

    def tick(self, _):
        pass

    def alive(self):
        return not self.lost()


def memory(tap):
    fake = Fake(2)
    classes, histograms = measuring.sample(fake, fake, 0, fake, fake, fake)
    tap.equal((classes, len(histograms)), ({}, 1), 'a measurement ends when memory has run out')
    dead = Fake(2)
    dead.machine.ballast = types.SimpleNamespace(lost=lambda: False)
    try:
        measuring.sample(dead, dead, 0, dead, dead, dead)
        tap.ok(False, 'a load that ends with memory left is an error')
    except RuntimeError as error:
        tap.ok('ended by itself' in str(error), 'a load that ends with memory left is an error')


def main():
    tap = Tap()
    warmth(tap)
    memory(tap)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
