#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables, bounds and plots of made-up results."""

import pathlib
import shutil
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import fleet  # noqa: E402
import report  # noqa: E402
from common import Tap  # noqa: E402

FORM = fleet.FORMS['standard']


class Peer:
    def __init__(self, name):
        self.name, self.title = name, f'the {name}'


PEERS = {name: Peer(name) for name in FORM.policies}


def line(policy, delay, cpu_share, late=0, own=0.001, cap=1000, noisy=(), form=FORM):
    """A policy that merges everything @delay seconds after the start, and again after the event."""
    times = [i / 4 for i in range((form.end + form.rest_of(policy)) * 4 + 1)]

    def saved(t):
        if t >= form.event + delay:
            return cap * 1.2
        return cap if t >= delay else cap * t / delay
    probe = [{'100': 10}, {'100': 100}, {'100': 1000, '900': 10 if cpu_share < 0.3 else 200}]
    return {'policy': policy, 'repetition': 0, 'noisy': list(noisy), 'probe': probe,
            'classes': {'end': {'common': [90, 100], 'late': [late, 100]}},
            'series': {'t': times, 'saved_mib': [saved(t) for t in times],
                       'ksmd': [t * cpu_share for t in times],
                       'scans': [int(t) for t in times],
                       'own': [own * t / form.end for t in times]}}


def told(lines, skipped=None, form=FORM):
    return report.Report(form, PEERS, lines, skipped or {})


def figures(tap):
    done = told([line('oracle', 5, 1, 100), line('classic', 40, 0.5)])
    one = done.figures['classic'][0]
    tap.ok(abs(one.t90 - 36) < 0.3 and abs(one.t50 - 20) < 0.3, 'times to shares of the oracle\'s')
    tap.ok(abs(one.cpu90 - 18) < 0.2, 'ksmd\'s CPU until then')
    tap.ok(abs(one.cpu - 58) < 0.01, 'and in all')
    tap.ok(abs(one.again - 40) < 0.3, 'time to merge what the event brought')
    tap.ok(abs(one.rest_hour - 1800) < 1, 'CPU an hour afterwards', one.rest_hour)
    tap.ok(abs(one.worst5 - 50) < 0.1, 'the share of a CPU in the worst five seconds')
    tap.equal((one.late, one.p99), (0, 900), 'late twins, and the probe')
    never = told([line('oracle', 5, 1, 100), line('classic', 5, 0.5, cap=500)])
    one = never.figures['classic'][0]
    tap.equal((one.t90, one.cpu90, one.rest_hour, one.again), (None,) * 4, 'what never gets there')
    text, _ = never.text()
    tap.ok('never' in text, 'is told as never', text)


def bounds(tap):
    lines = [line('oracle', 5, 1, 100), line('original-forced', 60, 0.5),
             line('fixed-9000-20', 9, 0.9), line('fixed-1250-10', 30, 0.5)]
    good = told(lines + [line('adaptive', 8, 0.01, 100)]).bounds()
    tap.ok(good.rows and not good.failed, 'a good policy passes every bound', good.rows)
    small = report.Report(fleet.FORMS['smoke'], PEERS, lines + [line('adaptive', 50, 0.4)], {})
    tap.equal(small.bounds().rows, [], 'the smoke run has no bounds')
    worse = {
        'slow': line('adaptive', 50, 0.01, 100),
        'blind': line('adaptive', 8, 0.01, 0), 'busy itself': line('adaptive', 8, 0.01, 100, 0.2),
        'less': line('adaptive', 8, 0.01, 100, cap=950)}
    for name, bad in worse.items():
        tap.ok(told(lines + [bad]).bounds().failed, f'one that is {name} fails one')
    slow = told(lines[:1] + [line('original-forced', 60, 0.5, cap=400),
                             line('adaptive', 8, 0.01, 100)])
    text, found = slow.text()
    tap.ok(not found.failed and 'No bound: ksmd CPU after all has merged, original-forced' in text,
           'what a peer never got to has no bound, and that is told', text)
    tap.equal(told(lines).bounds().rows, [], 'there is no bound without the policy')
    lines.append(line('classic', 40, 0.2))
    alone = told(lines + [line('adaptive', 8, 0.01, 100), line('adaptive-cpu25', 20, 0.28),
                          line('adaptive-plenty', 20, 0), line('adaptive-unmergeable', 20, 0.015)])
    tap.ok(len(alone.bounds().rows) > len(good.rows) + 3 and not alone.bounds().failed,
           'the bounds of single runs', alone.bounds().rows)
    for name, share in (('adaptive-cpu25', 0.31), ('adaptive-plenty', 0.01),
                        ('adaptive-unmergeable', 0.03)):
        tap.ok(told(lines + [line('adaptive', 8, 0.01, 100), line(name, 20, share)])
               .bounds().failed, f'{name}: ksmd at {share:.0%} fails')


def long_form(tap):
    """What is bounded over ten minutes, and half an hour of rest."""
    form = fleet.FORMS['long']

    def all_of(share, seconds=8):
        return [line('oracle', 5, 1, 100, form=form), line('fixed-1250-10', 30, 0.5, form=form),
                line('original-forced', 60, 0.5, form=form),
                line('adaptive', seconds, share, 100, form=form)]
    cheap, dear = told(all_of(0.02), form=form), told(all_of(0.3), form=form)
    tap.ok(not cheap.bounds().failed, 'a cheap policy passes', cheap.bounds().rows)
    failed = [row[0] for row in dear.bounds().rows if row[3] == 'FAIL']
    tap.equal(len(failed), 4, f'a dear one fails in all, at rest and by what it saves: {failed}')
    rest = told(all_of(0.04), form=form).bounds()
    tap.equal([row[0] for row in rest.rows if row[3] == 'FAIL'],
              [f'ksmd CPU after all has merged, {peer}' for peer in ('original-forced', 'fixed-1250-10')],
              'one that is dear at rest fails in that alone')
    short = told([line('oracle', 5, 1, 100), line('original-forced', 60, 0.5),
                  line('adaptive', 8, 0.4, 100)]).bounds()
    tap.ok(not short.failed and [row for row in short.rows if row[3] == 'by the long form'],
           'the standard form tells these and does not judge them', short.rows)


def notes(tap):
    done = told([line('oracle', 5, 1, 100), line('classic', 40, 0.5, noisy=['steal'])],
                {'advisor-fresh': 'no advisor here'})
    text, _ = done.text()
    tap.ok('Discarded: classic, repetition 1: steal' in text, 'what was discarded is told', text)
    tap.ok('Not measured: advisor-fresh: no advisor here' in text, 'and what was not measured')
    tap.ok('classic' not in done.figures, 'what was discarded is in no figure')
    disturbed = line('oracle', 5, 1, 100, noisy=['steal'])
    done = told([disturbed, line('classic', 40, 0.5)])
    tap.ok(done.reachable and 'Discarded: oracle' in done.text()[0],
           'an oracle that was disturbed and got there tells what is reachable')
    disturbed['series']['scans'] = [0] * len(disturbed['series']['t'])
    done = told([disturbed, line('classic', 40, 0.5)])
    tap.ok(not done.reachable and 'Discarded: oracle' in done.text()[0],
           'without one that got there, there are notes and no figures')


def pages(tap, folder):
    done = told([line('oracle', 5, 1, 100), line('classic', 40, 0.5)])
    done.docs(folder, {'told': 'A machine.'})
    text = (folder / 'policy-standard.md').read_text()
    tap.ok('A machine.' in text and '| the classic |' in text, 'a page with tables', text)
    if not shutil.which('gnuplot'):
        tap.skip('plots', 'gnuplot is not here')
        return
    for what in ('savings', 'cpu'):
        tap.ok('</svg>' in (folder / f'policy-standard-{what}.svg').read_text()
               and f'policy-standard-{what}.svg' in text, f'a plot of {what}')


def main():
    tap = Tap()
    for part in (figures, bounds, long_form, notes):
        part(tap)
    with tempfile.TemporaryDirectory() as folder:
        pages(tap, pathlib.Path(folder))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
