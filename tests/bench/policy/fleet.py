# SPDX-License-Identifier: GPL-2.0-or-later
"""The load as a schedule for load.c. Pure, and the same for every policy: all follows the seed."""

import dataclasses

PAGES_PER_MIB = 256

# What a guest's memory consists of: regions, and their share in per cent.
SHARES = {
    'common': 30,    # equal in all guests
    'pairs': 8,      # equal in two guests
    'quads': 6,      # equal in four
    'zero': 10,
    'unique': 26,
    'volatile': 6,   # rewritten in turn, each page like no other
    'upgrade': 4,    # equal in all; at the event rewritten, again equal in all
    'diverge': 2,    # equal in all; at the event rewritten, like no other
    'old': 4,        # like no other, until at the event its twin comes …
    'late': 4,       # … in the next guest, which has not touched this memory before
}
REGIONS = {name: number for number, name in enumerate(SHARES)}
ADDRESS, ADDRESS_STEP = 0x100000000000, 1 << 36  # of regions, as load.c maps them

VOLATILE_CYCLE_SEC = 20  # in which each volatile page is rewritten once
WAVE = 2                 # guests that boot at the event

# Memory of which nothing ever merges has a schedule of its own, in every form.
UNMERGEABLE = 'adaptive-unmergeable'
UNMERGEABLE_SEC = 300
TURNOVER_SEC = 40        # so often a guest ends, and another one starts
OPENING_SEC = 60         # in which a policy may find out that nothing merges

FULL = 'original-full'   # each of whose passes looks at every page
WARM_SEC = 3             # that the original is given to get to its maximum before the load


@dataclasses.dataclass(frozen=True)
class Form:
    """One size of the benchmark; times in seconds."""
    name: str
    guests: int
    mib: int
    stagger: float        # between the starts of two guests
    boot: float           # in which a guest writes its memory
    event: float          # half time: a wave, an end, rewriting, late twins
    end: float
    rest: float           # behind the end, with nothing but the volatile pages
    steady_rest: float    # the same for policies that scan at one rate for ever: enough to tell it
    qemu: int             # real guests
    qemu_stagger: float
    repetitions: int
    ballast: bool         # whether memory is made short in earnest
    policies: tuple = ()
    limit_min: float = 0  # what all may take; 0: no limit

    def end_of(self, policy):
        """Of its schedule."""
        return UNMERGEABLE_SEC if policy == UNMERGEABLE else self.end

    def rest_of(self, policy, repetition=0):
        """Once is enough: little happens in it, and it takes longer than all before."""
        if policy in ('oracle', UNMERGEABLE) or repetition > 0:
            return 0
        return self.rest if policy.startswith('adaptive') else self.steady_rest

    @property
    def booted(self):
        return self.stagger * (self.guests - 1) + self.boot

    @property
    def first_mib(self):
        """Before the event: what the guests have, QEMU's with what it needs itself."""
        return self.mib * self.guests + self.qemu * 220

    @property
    def load_mib(self):
        """At most."""
        return self.first_mib + self.mib * WAVE


def pages(form, region):
    return form.mib * PAGES_PER_MIB * SHARES[region] // 100


def region_range(region):
    start = ADDRESS + REGIONS[region] * ADDRESS_STEP
    return start, start + ADDRESS_STEP


class Fleet:
    """@kind: 'mixed', or 'unique' for memory of which nothing ever merges: guests come and go."""

    def __init__(self, form, seed=1, kind='mixed'):
        self.form, self.seed, self.kind = form, seed, kind
        self.lines = [f'# {form.name}, seed {seed}, {kind}']
        if kind == 'unique':
            self._turnover()
            return
        for guest in range(form.guests):
            # The second one ends shortly after the event.
            self._guest(guest, guest * form.stagger, form.event + 2 if guest == 1 else 0)
        for guest in range(form.guests, form.guests + WAVE):
            self._guest(guest, form.event + (guest - form.guests) * form.stagger, 0)
        for guest in range(form.guests):
            self._event(guest)

    @property
    def text(self):
        return '\n'.join(self.lines) + '\n'

    def content(self, region, guest, later=False):
        """The seed of what a region holds; equal numbers are equal pages. 0: zero pages."""
        if self.kind == 'unique':
            region, later = 'unique' if region != 'volatile' else region, False
            return self._number(8, REGIONS[region], guest)
        number = REGIONS[region]
        if region == 'zero':
            return 0
        if region in ('common', 'upgrade') or region == 'diverge' and not later:
            return self._number(1, number, 500 if later else 0)
        if region in ('pairs', 'quads'):
            return self._number(2, number, guest // (2 if region == 'pairs' else 4))
        if region == 'late':
            return self.content('old', (guest - 1) % self.form.guests)
        return self._number(4, number, guest + (500 if later else 0))

    def _number(self, group, region, index):
        return (self.seed % 1000 + 1) << 20 | group << 16 | region << 10 | index

    def _turnover(self):
        """The guest that has run for longest ends, and another one of its size starts."""
        form, times = self.form, range(TURNOVER_SEC, UNMERGEABLE_SEC, TURNOVER_SEC)
        starts = [guest * form.stagger for guest in range(form.guests)] + [*times]
        ends = [*times] + [0] * form.guests
        for guest, (start, end) in enumerate(zip(starts, ends)):
            self._guest(guest, start, end)

    def _msec(self, seconds):
        return round(seconds * 1000)

    def _guest(self, guest, start, end):
        form, boots = self.form, form_regions(self.kind)
        self.lines.append(f'guest {guest} {self._msec(start)} {self._msec(end)}')
        # Memory is written in the order of its addresses, as a booting system fills it.
        share_so_far, all_shares = 0, sum(SHARES[name] for name in boots)
        for region in boots:
            self.lines.append(f'map {guest} {REGIONS[region]} {self.size(region)}')
        for region in boots:
            share = SHARES[region]
            if region != 'late':
                at = start + form.boot * share_so_far / all_shares
                over = form.boot * share / all_shares
                self.lines.append(f'write {guest} {REGIONS[region]} {self._msec(at)} '
                                  f'{self._msec(over)} {self.content(region, guest)}')
            share_so_far += share
        if 'volatile' in boots:
            rate = max(self.size('volatile') // VOLATILE_CYCLE_SEC, 1)
            self.lines.append(f'churn {guest} {REGIONS["volatile"]} '
                              f'{self._msec(start + form.boot)} {rate}')

    def size(self, region):
        if self.kind == 'unique' and region == 'unique':
            return self.form.mib * PAGES_PER_MIB
        return pages(self.form, region)

    def _event(self, guest):
        for region in ('upgrade', 'diverge', 'late'):
            self.lines.append(f'write {guest} {REGIONS[region]} {self._msec(self.form.event)} '
                              f'{self._msec(1)} {self.content(region, guest, True)}')

    def reachable(self, after_event):
        """Pages that merging can save at most, of the load alone, QEMU's not counted."""
        form, copies = self.form, {}
        guests = [g for g in range(form.guests) if not (after_event and g == 1)]
        if after_event:
            guests += range(form.guests, form.guests + WAVE)
        for guest in guests:
            old = guest < form.guests
            for region in form_regions(self.kind):
                if region == 'volatile' or region == 'late' and not (after_event and old):
                    continue
                key = self.content(region, guest, after_event and old)
                if region == 'old':
                    key = self.content(region, guest)
                # Zero pages are equal to each other; others to those with the same index.
                zero = self.size(region) if key == 0 else 1
                copies.setdefault((key, 1 if key == 0 else self.size(region)), []).append(zero)
        return sum((sum(n) - 1) * size for (_, size), n in copies.items())


def form_regions(kind):
    return ('unique',) if kind == 'unique' else tuple(SHARES)


CORE = ('original', 'original-forced', 'original-warm', 'classic', 'fixed-100-20',
        'fixed-1250-10', 'fixed-9000-20', 'advisor-fresh', 'advisor-primed', 'adaptive')
EXTRAS = ('adaptive-cpu25', 'adaptive-plenty', UNMERGEABLE)

FORMS = {form.name: form for form in (
    Form('smoke', guests=4, mib=64, stagger=0.3, boot=1, event=7, end=13, rest=0,
         steady_rest=0, qemu=1, qemu_stagger=0, repetitions=1, ballast=False, limit_min=3,
         policies=('oracle', 'fixed-9000-20', 'original-forced', 'classic-forced', 'adaptive')),
    Form('standard', guests=8, mib=256, stagger=1, boot=3, event=72, end=116, rest=0,
         steady_rest=0, qemu=4, qemu_stagger=2, repetitions=3, ballast=True, limit_min=75,
         policies=('oracle', *CORE, *EXTRAS)),
    Form('long', guests=8, mib=1024, stagger=2, boot=6, event=300, end=600, rest=1800,
         steady_rest=300, qemu=4, qemu_stagger=4, repetitions=1, ballast=True,
         policies=('oracle', 'original-forced', FULL, 'fixed-1250-10', 'adaptive')),
)}

# Measured once: what is reachable; what decides as another does where memory is short, or as fixed
# knobs; and what has a bound that a single run shows.
ONCE = ('oracle', 'original', 'original-warm', 'classic', *EXTRAS)
