#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables, bounds and plots of made-up results."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import fleet  # noqa: E402
import plots  # noqa: E402
import report  # noqa: E402
from common import Tap  # noqa: E402

FORM = fleet.FORMS['standard']


class Peer:
    def __init__(self, name):
        self.name, self.title = name, f'the {name}'


PEERS = {name: Peer(name) for name in FORM.policies}


def line(policy, delay, cpu_share, late=0, own=0.001, cap=1000, noisy=(), form=FORM, passes=1.0,
         **more):
    """A policy that merges everything @delay seconds after the start, and again after the event."""
    times = [i / 4 for i in range((form.end_of(policy) + form.rest_of(policy)) * 4 + 1)]

    def saved(t):
        if t >= form.event + delay:
            return cap * 1.2
        return cap if t >= delay else cap * t / delay
    probe = [{'100': 10}, {'100': 100}, {'100': 1000, '900': 10 if cpu_share < 0.3 else 200}]
    return {'policy': policy, 'repetition': 0, 'noisy': list(noisy), 'probe': probe,
            'classes': {'end': {'common': [90, 100], 'late': [late, 100]}},
            'series': {'t': times, 'saved_mib': [saved(t) for t in times],
                       'ksmd': [t * cpu_share for t in times],
                       'scans': [t * passes for t in times],
                       'own': [own * t / form.end for t in times]}, **more}


def told(lines, skipped=None, form=FORM, asked=None):
    """Of a run that was asked for no more than was measured, unless @asked."""
    asked = asked or list(dict.fromkeys(each['policy'] for each in lines))
    return report.Report(form, PEERS, lines, skipped or {}, asked)


def failed(done):
    return [row[0] for row in done.bounds().rows if row[3] == 'FAIL']


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
    tap.equal(done.passes()[-1], ['the classic', 116] + ['0.5'] * 6 + ['0.5'],
              'what each pass took')


def repeated(tap):
    done = told([line('oracle', 5, 1, 100)] + [
        line('classic', 40, share, repetition=n) for n, share in enumerate((0.3, 0.5, 0.4))])
    row = done.table()[-1]
    tap.ok(row[1] == 3 and row[done.table()[0].index('ksmd s')] == '46.4 (34.8–58.0)',
           'a table has medians and ranges', row)
    tap.ok('medians' in done.how_often(), 'and says so')
    tap.ok('once' in told([line('oracle', 5, 1, 100), line('classic', 40, 0.5)]).how_often(),
           'unless all is measured once')
    form = fleet.FORMS['long']
    lines = [line('oracle', 5, 1, 100, form=form)] + [
        line('adaptive', 40, share, repetition=n, form=form) for n, share in enumerate((0.3, 0.5))]
    done = told(lines, form=form)
    cell = done.table()[-1][done.table()[0].index('ksmd s/h after')]
    tap.equal((cell, done.median('adaptive', 'rest_hour')), ('1080', 1080.0),
              'the rest that only the first one has is told by that one')


def bounds(tap):
    lines = [line('oracle', 5, 1, 100), line('original-forced', 60, 0.5),
             line('fixed-9000-20', 9, 0.9), line('fixed-1250-10', 30, 0.5)]
    good = told(lines + [line('adaptive', 8, 0.01, 100)]).bounds()
    tap.ok(good.rows and not good.failed, 'a good policy passes every bound', good.rows)
    smoke = fleet.FORMS['smoke']
    small = report.Report(smoke, PEERS, lines + [line('adaptive', 50, 0.4)], {})
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
    lines.append(line('classic', 40, 0.2))
    alone = told(lines + [line('adaptive', 8, 0.01, 100), line('adaptive-cpu25', 20, 0.28),
                          line('adaptive-plenty', 20, 0), line('adaptive-unmergeable', 20, 0.015)])
    tap.ok(len(alone.bounds().rows) > len(good.rows) + 3 and not alone.bounds().failed,
           'the bounds of single runs', alone.bounds().rows)
    for name, share in (('adaptive-cpu25', 0.31), ('adaptive-plenty', 0.01),
                        ('adaptive-unmergeable', 0.03)):
        tap.ok(told(lines + [line('adaptive', 8, 0.01, 100), line(name, 20, share)])
               .bounds().failed, f'{name}: ksmd at {share:.0%} fails')


def missing(tap):
    """What was asked for, and has no figure."""
    clean = [line('oracle', 5, 1, 100), line('original-forced', 60, 0.5),
             line('fixed-9000-20', 9, 0.9), line('adaptive', 8, 0.01, 100)]
    names = [each['policy'] for each in clean]
    for name in names[1:]:
        there = [each for each in clean if each['policy'] != name]
        for what, lines in (('never measured', there),
                            ('noisy twice', there + [line(name, 8, 0.01, noisy=['steal'])] * 2)):
            done = told(lines, asked=names)
            text, found = done.text()
            tap.ok(found.failed and f'not measured: {name}' in text, f'{name}, {what}: FAIL', text)
        done = told(there)
        text, found = done.text()
        told_lines = [each for each in text.splitlines() if each.startswith('Not asked for')]
        tap.ok(not found.failed and len(told_lines) == 1 and name in told_lines[0],
               f'{name}, left out on purpose: told in a line', text)
    tap.equal(len(failed(told(clean[:1], asked=['oracle', *fleet.EXTRAS]))), 3,
              'so do single runs that are missing')
    tap.ok(failed(report.Report(FORM, PEERS, clean, {})), 'a form asks for all its policies')
    old = line('adaptive-unmergeable', 8, 0.01)
    for column in old['series'].values():
        del column[116 * 4:]
    tap.ok('it ended at 116 s' in told([clean[0], old]).text()[0], 'one that is too short is told')
    alone = told([line('adaptive-unmergeable', 8, 0.01)])
    tap.ok(alone.bounds().rows and not alone.bounds().failed,
           'what never merges needs no oracle', alone.text()[0])


def failures(tap):
    """Of a policy: no noise."""
    clean = [line('oracle', 5, 1, 100), line('original-forced', 60, 0.5)]
    ran_out = {'failed': ['memory ran out']}
    for form in (FORM, fleet.FORMS['smoke']):
        done = told(clean + [line('adaptive', 8, 0.01, 100, repetition=1),
                             line('adaptive', 8, 0.01, **ran_out)], form=form)
        text, found = done.text()
        tap.ok(found.failed and 'Failed: adaptive, repetition 1: memory ran out' in text,
               f'{form.name}: who runs out of memory once fails', text)
    peer = told([clean[0], line('adaptive', 8, 0.01, 100), line('original-forced', 60, 0.5, **ran_out)])
    tap.ok('Failed: original-forced' in peer.text()[0]
           and not [row for row in failed(peer) if 'original' not in row],
           'a peer\'s failure is told, and fails the bounds over it', peer.text()[0])
    down = line('adaptive', 8, 0.01, noisy=['1 real guests did not come up'], not_booted=1)
    good = line('adaptive', 8, 0.01, 100)
    tap.ok(not failed(told(clean + [down, good])), 'guests that come up in the second try: noise')
    twice = told(clean + [down, down])
    tap.ok('adaptive fails' in failed(twice) and 'in each try' in twice.text()[0],
           'guests that do not come up in either', twice.text()[0])
    other = told(clean + [down, line('adaptive', 8, 0.01, noisy=['steal'])])
    tap.ok('adaptive fails' not in failed(other), 'or once, and noise: noise')


def late_twins(tap):
    """Compared with those that had looked at the old pages often enough to skip them."""
    ours, oracle = line('adaptive', 8, 0.01, 95), line('oracle', 5, 1, 100)

    def of(late, passes):
        done = told([oracle, ours, line('fixed-9000-20', 9, 0.9, late, passes=passes / 62)])
        return next(row for row in done.bounds().rows if 'above each' in row[0]), done
    tap.equal([of(late, 9)[0][1:] for late in (94, 95)],
              [['95 over 94', 'above', 'pass'], ['95 over 95', 'above', 'FAIL']],
              'ours is above one that had looked nine times, or fails')
    row, done = of(100, 8.9)
    tap.equal(row[1:], ['none had looked 9 times', 'above', 'not judged'], 'or none had')
    tap.ok(not done.bounds().failed, 'which fails nothing')
    tap.ok('fixed-9000-20, after 12 passes' in of(40, 12)[1].text()[0],
           'what it had is in a row of its own')


def unmergeable(tap):
    """The burst at the beginning is paid for; what follows has a budget of 2 % of all the time."""
    def of(opening, later):
        one = line('adaptive-unmergeable', 8, 0)
        one['series']['ksmd'] = [opening * min(t, 60) / 60 + later * max(t - 60, 0) / 240
                                 for t in one['series']['t']]
        return told([one]).bounds().rows[0]
    tap.equal(of(15, 5.9)[1:], ['20.90 (6.97 % over all)',
                                'at most 21.00: 15.00 in the first 60 s, and 2 % (KSM_CPU_BUDGET)',
                                'pass'], 'a burst, and less than the budget')
    tap.equal(of(0.1, 6.1)[3], 'FAIL', 'more than the budget, without a burst')


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
    lines = all_of(0.02) + [line(fleet.FULL, 60, 0.03, form=form)]
    full = told(lines, form=form).bounds()
    tap.equal([row[0] for row in full.rows if row[3] == 'FAIL'],
              [f'{what}, original forced on, smart_scan=0'
               for what in ('ksmd CPU in all', 'GiB×s per ksmd CPU second')],
              'the original on a kernel without smart_scan has bounds of its own')
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
    done.docs(folder, {'told': 'A machine.', 'must_equal': {'seed': 1}, 'repetitions': 1,
                       'policies': ['oracle', 'classic']})
    text = (folder / 'policy-standard.md').read_text()
    tap.ok('`./dev bench policy --standard --repetitions 1 --policies oracle,classic` wrote' in text
           and 'measured once' in text, 'a page says what was asked for', text)
    tap.ok('A machine.' in text and '| the classic |' in text, 'a page with tables', text)
    if not shutil.which('gnuplot'):
        tap.skip('plots', 'gnuplot is not here')
        return
    for what in ('savings', 'cpu'):
        tap.ok('</svg>' in (folder / f'policy-standard-{what}.svg').read_text()
               and f'policy-standard-{what}.svg' in text, f'a plot of {what}')


def styles(tap):
    peers = [name for form in fleet.FORMS.values() for name in form.policies]
    drawn = {name for name in peers if not name.startswith('adaptive-')}
    tap.ok(drawn <= set(plots.STYLES), 'each policy that is drawn has a line', drawn)
    tap.equal(len(set(plots.STYLES.values())), len(plots.STYLES), 'of its own')


def status(tap, folder):
    """Of the whole program, which ends by the report."""
    names = ['oracle', 'original-forced', 'adaptive']

    def of(*lines, form='standard'):
        (folder / 'run.json').write_text(json.dumps(
            {'told': 'A machine.', 'must_equal': {'seed': 1}, 'policies': names,
             'repetitions': None}))
        (folder / 'results.jsonl').write_text('\n'.join(json.dumps(each) for each in lines))
        done = subprocess.run([sys.executable, str(HERE / 'policy/main.py'), str(folder),
                               f'--{form}', '--report', '--output', str(folder)],
                              capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr
    oracle, peer = line('oracle', 5, 1, 100, passes=0.01), line('original-forced', 60, 0.5)
    ours, noisy = line('adaptive', 8, 0.01, 100), line('adaptive', 8, 0.01, noisy=['steal'])
    for what, lines, want in (
            ('all that was asked for is measured', (oracle, peer, ours), 0),
            ('the policy is missing', (oracle, peer), 1),
            ('the policy is noisy twice', (oracle, peer, noisy, noisy), 1),
            ('a peer is missing', (oracle, ours), 1),
            ('the policy ran out of memory',
             (oracle, peer, line('adaptive', 8, 0.01, failed=['memory ran out'])), 1),
            ('there is no oracle', (peer, ours), 1)):
        code, text = of(*lines)
        tap.ok(code == want and 'A machine.' in text, f'{what}: exit status {want}', text)
    tap.equal([of(*lines, form='smoke')[0] for lines in ((oracle, ours), (ours,))], [0, 1],
              'the smoke run, which has no bounds, needs an oracle')


def main():
    tap = Tap()
    for part in (figures, repeated, bounds, missing, failures, late_twins, unmergeable, long_form,
                 notes, styles):
        part(tap)
    with tempfile.TemporaryDirectory() as folder:
        pages(tap, pathlib.Path(folder))
        status(tap, pathlib.Path(folder))
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
