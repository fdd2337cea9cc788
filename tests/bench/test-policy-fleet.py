#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The load's schedule: the same for every policy, and as its forms promise."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / 'policy'), str(HERE.parent / 'system')]

import fleet  # noqa: E402
from common import Tap  # noqa: E402


def parsed(text):
    return [(line.split()[0], *map(int, line.split()[1:])) for line in text.splitlines()
            if not line.startswith('#')]


def lines(tap, form):
    one, again = fleet.Fleet(form, 5), fleet.Fleet(form, 5)
    tap.equal(one.text, again.text, f'{form.name}: the same seed, the same schedule')
    tap.ok(fleet.Fleet(form, 6).text != one.text, f'{form.name}: another seed, other pages')
    found = parsed(one.text)
    guests = [line for line in found if line[0] == 'guest']
    tap.equal(len(guests), form.guests + fleet.WAVE, f'{form.name}: all guests, and the wave')
    tap.ok(all(len(line) == {'guest': 4, 'map': 4, 'write': 6, 'churn': 5}[line[0]]
               for line in found), f'{form.name}: every line has its numbers')
    tap.ok(all(0 <= number < 2**32 for line in found for number in line[1:]),
           f'{form.name}: every number is one that the load takes')
    mapped = {line[1:3]: line[3] for line in found if line[0] == 'map'}
    tap.ok(all(line[1:3] in mapped for line in found if line[0] in ('write', 'churn')),
           f'{form.name}: only what is mapped is written')
    size = sum(pages for (guest, _), pages in mapped.items() if guest == 0) / fleet.PAGES_PER_MIB
    tap.ok(0.98 * form.mib < size <= form.mib, f'{form.name}: a guest has {size:.0f} MiB')
    event = round(form.event * 1000)
    late = [line for line in found if line[0] == 'write' and line[2] == fleet.REGIONS['late']]
    tap.ok(late and all(line[3] == event for line in late), f'{form.name}: late twins come late')
    tap.ok(form.booted < form.event / 2 < form.end, f'{form.name}: there is time to merge')


def contents(tap):
    form = fleet.FORMS['standard']
    one = fleet.Fleet(form)
    tap.equal(sum(fleet.SHARES.values()), 100, 'the shares are a whole')
    tap.equal(len({one.content('common', g) for g in range(8)}), 1, 'common: one for all')
    tap.equal(len({one.content('pairs', g) for g in range(8)}), 4, 'pairs: four of two')
    tap.equal(len({one.content('quads', g) for g in range(8)}), 2, 'quads: two of four')
    for region in ('unique', 'old', 'volatile'):
        tap.equal(len({one.content(region, g) for g in range(8)}), 8, f'{region}: each its own')
    tap.equal([one.content('late', g) for g in range(8)],
              [one.content('old', (g - 1) % 8) for g in range(8)], 'late: the one before has it')
    tap.ok(one.content('upgrade', 1) != one.content('upgrade', 1, True)
           == one.content('upgrade', 5, True), 'upgrade: another content, again equal')
    tap.equal(len({one.content('diverge', g, True) for g in range(8)}), 8,
              'diverge: each its own at last')
    seeds = {one.content(r, g, later) for r in fleet.REGIONS for g in range(10)
             for later in (False, True) if r != 'late'}
    tap.ok(all(seed < 2**32 for seed in seeds) and len(seeds) > 60, 'the contents keep apart')


def reachable(tap):
    form = fleet.FORMS['standard']
    one = fleet.Fleet(form)
    size = {name: fleet.pages(form, name) for name in fleet.SHARES}
    want = 7 * (size['common'] + size['upgrade'] + size['diverge']) + 4 * size['pairs'] \
        + 6 * size['quads'] + 8 * size['zero'] - 1
    tap.equal(one.reachable(False), want, 'what can be saved before the event')
    tap.ok(one.reachable(True) > 0.9 * one.reachable(False),
           'and after it, guests have come and one has gone')
    unique = fleet.Fleet(form, kind='unique')
    tap.equal(unique.reachable(False), 0, 'of memory like no other nothing can be saved')


def turnover(tap, form):
    """Of memory that never merges: from 40 s on a guest ends when another one starts."""
    found = parsed(fleet.Fleet(form, kind='unique').text)
    guests = [line[1:] for line in found if line[0] == 'guest']
    moments = [40000 * n for n in range(1, 8)]
    tap.equal([end for _, _, end in guests], moments + [0] * form.guests,
              f'{form.name}: every 40 s the one that has run for longest ends')
    tap.equal([start for _, start, _ in guests[form.guests:]], moments, 'and another one starts')
    tap.ok(all(end == 0 or end > start + form.boot * 1000 for _, start, end in guests),
           'each has written its memory before it ends')
    seeds = [line[5] for line in found if line[0] == 'write']
    tap.ok(len(seeds) == len(set(seeds)) == len(guests), 'no two have the same pages')
    tap.equal({line[3] for line in found if line[0] == 'map'}, {form.mib * fleet.PAGES_PER_MIB},
              'all are of one size')


def main():
    tap = Tap()
    for form in fleet.FORMS.values():
        lines(tap, form)
        turnover(tap, form)
    contents(tap)
    reachable(tap)
    start, end = fleet.region_range('late')
    tap.equal((start, end - start), (0x100000000000 + 9 * 2**36, 2**36), 'where a region is')
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
