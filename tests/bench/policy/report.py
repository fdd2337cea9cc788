# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables, bounds and plots of a run's results. Reads results, measures nothing."""

import pathlib
import sys

import figures
import fleet
import plan
import plots
from figures import Spread

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from run import Bounds, markdown, plain  # noqa: E402

MEAN_SEC = 2  # over which what is reachable is averaged
HOUR = 3600
PASSES = 6  # so many are told one by one
UNSEEN = object()  # what a measurement was not to tell
BUDGET_SHARE = 0.02  # KSM_CPU_BUDGET as shipped
# By then smart_scan skips what has not changed.
LOOKED = 9
# As shipped, and as it is on a kernel without smart_scan, before Linux 6.7.
ORIGINALS = (('original-forced', 'original forced on'),
             (fleet.FULL, 'original forced on, smart_scan=0'))


def is_ours(policy):
    return policy.startswith('adaptive')


def is_peer(policy):
    """All of these scan with smart_scan as shipped."""
    return policy not in ('oracle', fleet.FULL) and not is_ours(policy)


def histogram(line, index):
    return {int(value): n for value, n in line['probe'][index].items()}


class Reachable:
    """What the oracle had merged at the same points of the schedule, in MiB."""

    def __init__(self, form, line):
        series = line['series']
        self.before = self._mean(series, form.event)
        self.after = self._mean(series, form.end)
        self.settled = [figures.settled(series['t'], series['saved_mib'], series['scans'], t)
                        for t in (form.event - 1, form.end - 0.5)]
        merged, total = line['classes']['end']['late']
        self.late = merged / total if total else None

    @staticmethod
    def _mean(series, moment):
        begin = moment - MEAN_SEC
        return figures.integral(series['t'], series['saved_mib'], begin, moment) / MEAN_SEC


class Figures:
    """What one measurement says. @reachable: None where nothing is."""

    def __init__(self, form, reachable, line):
        s = line['series']
        t, saved, ksmd = s['t'], s['saved_mib'], s['ksmd']
        self.line = line
        over = form.end_of(line['policy'])
        self.t50 = self.t90 = self.again = None
        if reachable:
            self.t50 = figures.time_to(t, saved, reachable.before * 0.5)
            self.t90 = figures.time_to(t, saved, reachable.before * 0.9)
            again = figures.time_to(t, saved, reachable.after * 0.9, form.event)
            self.again = None if again is None or again > form.end else again - form.event
        self.cpu90 = None if self.t90 is None else figures.growth(t, ksmd, t[0], self.t90)
        self.cpu = figures.growth(t, ksmd, t[0], over)
        self.cpu_share = 100 * self.cpu / over
        self.opening = figures.growth(t, ksmd, t[0], fleet.OPENING_SEC)
        self.rest_hour = self._rest(form, t, ksmd)
        self.gib_sec = figures.integral(t, saved, t[0], over) / 1024
        self.per_cpu = self.gib_sec / self.cpu if self.cpu > 0.001 else None
        self.end = figures.integral(t, saved, over - MEAN_SEC, over) / MEAN_SEC
        # Over pages that are there from the fleet's boot on.
        self.passes = figures.growth(t, s['scans'], form.booted, form.event)
        merged, total = line['classes']['end']['late']
        self.late = 100 * merged / total if total else None
        whole = figures.minus(histogram(line, 2), histogram(line, 0))
        self.p99 = figures.percentile(whole, 0.99)
        self.own_msec = 1000 * figures.growth(t, s['own'], t[0], over)
        worst = figures.worst_window(t, ksmd, 5)
        self.worst5 = None if worst is None else 100 * worst

    def _rest(self, form, t, ksmd):
        """CPU seconds an hour once all has merged; None where that never came."""
        if form.rest_of(self.line['policy']):
            rest = form.rest_of(self.line['policy'], self.line['repetition'])
            return figures.growth(t, ksmd, form.end, form.end + rest) / rest * HOUR if rest else UNSEEN
        spans = []
        if self.t90 is not None and self.t90 < form.event - 5:
            spans.append((self.t90, form.event))
        if self.again is not None and form.event + self.again < form.end - 5:
            spans.append((form.event + self.again, form.end))
        seconds = sum(end - begin for begin, end in spans)
        if not seconds:
            return None
        return sum(figures.growth(t, ksmd, *span) for span in spans) / seconds * HOUR


COLUMNS = (
    ('times', None, 0), ('50 % s', 't50', 1), ('90 % s', 't90', 1), ('90 % again s', 'again', 1),
    ('ksmd s at 90 %', 'cpu90', 1), ('ksmd s', 'cpu', 1), ('ksmd % over all', 'cpu_share', 2), ('ksmd s/h after', 'rest_hour', 0),
    ('GiB×s', 'gib_sec', 1), ('GiB×s/ksmd s', 'per_cpu', 2), ('MiB at end', 'end', 0),
    ('late twins %', 'late', 0), ('ksmd % in worst 5 s', 'worst5', 0),
    ('probe p99 µs', 'p99', 0), ('own CPU ms', 'own_msec', 1))


class Report:
    """@asked: the policies that are to be measured; what is missing of them fails where it counts."""

    def __init__(self, form, peers, lines, skipped, asked=None):
        self.form, self.peers, self.skipped = form, peers, skipped
        self.asked = form.policies if asked is None else asked
        self.unbounded, self.left_out = [], []
        self.noisy, self.clean, self.failures = [], {}, {}
        self._sort(lines)
        # What is reachable depends on no moment: a disturbed oracle tells it too, if it got there.
        oracles = self.clean.get('oracle') or [
            line for line in self.noisy if line['policy'] == 'oracle'
            and not line.get('not_booted') and all(Reachable(form, line).settled)]
        self.reachable = Reachable(form, oracles[-1]) if oracles else None
        self.figures = {name: [Figures(form, self.reachable, line) for line in found]
                        for name, found in self.clean.items()
                        if self.reachable or name == fleet.UNMERGEABLE}

    def _sort(self, lines):
        """Each measurement is clean, noisy or a failure of its policy."""
        noisy = {}
        for line in lines:
            name, step = line['policy'], (line['policy'], line['repetition'])
            last = line['series']['t'][-1]
            if line.get('failed'):
                self._fails(line, line['failed'])
            elif last < self.form.end_of(name) - 1:
                # Of a schedule that has since become longer.
                self.noisy.append({**line, 'noisy': [f'it ended at {last:.0f} s']})
            elif line['noisy']:
                noisy.setdefault(step, []).append(line)
            else:
                self.clean.setdefault(name, []).append(line)
        done = {(line['policy'], line['repetition'])
                for found in self.clean.values() for line in found}
        for step, found in noisy.items():
            # Once may be the machine's fault.
            if step not in done and len(found) >= plan.TRIES \
                    and all(line.get('not_booted') for line in found):
                self._fails(found[-1], ['real guests did not come up, in each try'])
            else:
                self.noisy += found

    def _fails(self, line, why):
        self.failures.setdefault(line['policy'], []).append(
            f'repetition {line["repetition"] + 1}: {"; ".join(why)}')

    def median(self, policy, name):
        """None: never, or not measured."""
        return Spread(self._values(policy, name)).median

    def _values(self, policy, name):
        found = [getattr(each, name) for each in self.figures.get(policy, [])]
        return [value for value in found if value is not UNSEEN]

    def table(self):
        rows = [['policy'] + [heading for heading, _, _ in COLUMNS]]
        for name, peer in self.peers.items():
            found = self.figures.get(name)
            if not found:
                continue
            cells = [peer.title, len(found)]
            for _, attribute, digits in COLUMNS[1:]:
                never = '-' if attribute in ('rest_hour', 'per_cpu', 'late', 'p99') else 'never'
                cells.append(Spread(self._values(name, attribute), never).text(digits))
            rows.append(cells)
        return rows

    def classes(self):
        """What is merged of each class of pages at the end, in per cent; the last measurement."""
        names = list(next(iter(self.clean.values()))[0]['classes']['end'])
        rows = [['merged at the end, % (last measurement)'] + names]
        for name, peer in self.peers.items():
            if name not in self.clean:
                continue
            found = self.clean[name][-1]['classes']['end']
            rows.append([peer.title] + [f'{100 * merged / total:.0f}' if total else '-'
                                        for merged, total in found.values()])
        return rows

    def passes(self):
        """What ksmd took for each pass until the end; the first measurement. The oracle never rests."""
        rows = [['ksmd s in each pass (first measurement)', 'passes']
                + [f'{number}.' for number in range(1, PASSES + 1)] + ['later, mean']]
        for name, peer in self.peers.items():
            if name not in self.clean or name == 'oracle':
                continue
            s = self.clean[name][0]['series']
            found = figures.by_pass(s['t'], s['scans'], s['ksmd'], self.form.end_of(name))
            first = [f'{seconds:.1f}' for seconds in found[:PASSES]]
            later = found[PASSES:]
            rows.append([peer.title, len(found)] + first + ['-'] * (PASSES - len(first))
                        + [f'{sum(later) / len(later):.1f}' if later else '-'])
        return rows

    def notes(self):
        form, notes = self.form, []
        if self.reachable:
            notes.append(f'Reachable: {self.reachable.before:.0f} MiB at {form.event} s, '
                         f'{self.reachable.after:.0f} MiB at {form.end} s (oracle'
                         + ('' if all(self.reachable.settled) else
                            '; two passes still changed more than 0.1 %') + ').')
        notes += [f'Not measured: {name}: {why}' for name, why in self.skipped.items()]
        notes += [f'No bound: {text}: the peer has no such figure (it never got there)'
                  for text in self.unbounded]
        if self.left_out:
            notes.append('Not asked for, so without bounds of or over them: '
                         + ', '.join(self.left_out))
        notes += [f'Failed: {name}, {why}' for name, found in self.failures.items()
                  for why in found]
        notes += [f'Discarded: {line["policy"]}, repetition {line["repetition"] + 1}: '
                  + '; '.join(line['noisy']) for line in self.noisy]
        return notes

    # --- Bounds ---------------------------------------------------------------------------------

    def bounds(self):
        """Those of the adaptive policy; the smoke run is no measure, but what fails in it fails."""
        bounds, self.unbounded, self.left_out = Bounds(), [], []
        for name, why in self.failures.items():
            if is_ours(name):
                bounds.check(f'{name} fails', '; '.join(why), 'never', False)
        if self.form.name != 'smoke':
            self._speed(bounds)
            self._late(bounds)
            self._cost(bounds)
            self._alone(bounds)
        return bounds

    def _there(self, bounds, text, wanted, *policies, judged=True):
        """
        Whether a bound's figures are. One that is missing fails the bound; where nobody has asked
        for the policy, there is no bound.
        """
        missing = [name for name in policies if name not in self.figures]
        unasked = [name for name in missing if name not in self.asked]
        self.left_out += [name for name in unasked if name not in self.left_out]
        if missing and not unasked:
            told = f'not measured: {", ".join(missing)}'
            if judged:
                bounds.check(text, told, wanted, False)
            else:
                bounds.rows.append([text, told, wanted, 'by the long form'])
        return not missing

    def _ratio(self, bounds, text, attribute, peer, limit, at_least=False, policy='adaptive',
               judged=True):
        """Adaptive's figure over a peer's. A peer that never got there is passed by any figure."""
        wanted = f'{"at least" if at_least else "at most"} {limit} ×'
        if not self._there(bounds, text, wanted, policy, peer, judged=judged):
            return
        ours, theirs = self.median(policy, attribute), self.median(peer, attribute)
        if attribute in ('t90', 'again') and theirs is None:
            theirs = self.form.end - (self.form.event if attribute == 'again' else 0)
            text += ' (which never got there)'
        if theirs is None:
            self.unbounded.append(text)
            return
        if ours is None:
            bounds.check(text, 'never', wanted, False)
            return
        ratio = ours / theirs if theirs else (0.0 if ours == 0 else float('inf'))
        if not judged:
            bounds.rows.append([text, f'{ratio:.3f} ×', wanted, 'by the long form'])
            return
        bounds.check(text, f'{ratio:.3f} ×', wanted, ratio >= limit if at_least else ratio <= limit)

    def _speed(self, bounds):
        self._ratio(bounds, '90 % of the reachable: time, original forced on', 't90',
                    'original-forced', 0.25)
        self._ratio(bounds, '90 % of the reachable: time, fixed 9000/20', 't90', 'fixed-9000-20', 1)
        for peer in self.peers:
            if ((is_peer(peer) or peer == fleet.FULL)
                    and (peer in self.figures or peer in self.asked)):
                # The real guests are never quite the same.
                self._ratio(bounds, f'saved at the end, {peer}', 'end', peer, 0.99, at_least=True)

    def _late(self, bounds):
        text, wanted = 'late twins merged, %', 'more than 90'
        if not self._there(bounds, text, wanted, 'adaptive'):
            return
        late = self.median('adaptive', 'late')
        told = '-' if late is None else f'{late:.0f}'
        bounds.check(text, told, wanted, late is not None and late > 90)
        # Who has hardly looked before skips nothing yet, and finds them as well.
        looked = {peer: self.median(peer, 'late') for peer in self.figures
                  if is_peer(peer) and (self.median(peer, 'passes') or 0) >= LOOKED}
        for peer, theirs in looked.items():
            bounds.rows.append([f'{text}: {peer}, after {self.median(peer, "passes"):.0f} passes',
                                '-' if theirs is None else f'{theirs:.0f}', '', ''])
        text = f'{text}: above each peer that had looked {LOOKED} times'
        if not looked:
            bounds.rows.append([text, f'none had looked {LOOKED} times', 'above', 'not judged'])
            return
        most = max((theirs or 0) for theirs in looked.values())
        bounds.check(text, f'{told} over {most:.0f}', 'above', late is not None and late > most)

    def _cost(self, bounds):
        # These hold over ten minutes, and half an hour of rest. In less the original hardly begins.
        judged = self.form.rest > 0
        for peer, title in ORIGINALS:
            self._ratio(bounds, f'ksmd CPU in all, {title}', 'cpu', peer, 0.4, judged=judged)
        for peer in ('original-forced', 'fixed-1250-10'):
            self._ratio(bounds, f'ksmd CPU after all has merged, {peer}', 'rest_hour', peer, 0.05,
                        judged=judged)
        for peer, title in ORIGINALS:
            self._ratio(bounds, f'GiB×s per ksmd CPU second, {title}', 'per_cpu', peer, 3,
                        at_least=True, judged=judged)
        text, wanted = 'the daemon\'s own CPU, ms', 'under 50'
        if not self._there(bounds, text, wanted, 'adaptive'):
            return
        saved = self.median('adaptive', 'gib_sec')
        for peer in self.figures:
            if is_peer(peer) and (self.median(peer, 'gib_sec') or 0) >= saved:
                self._ratio(bounds, f'GiB×s per ksmd CPU second, {peer}', 'per_cpu', peer, 1,
                            at_least=True)
        own = self.median('adaptive', 'own_msec')
        bounds.check(text, f'{own:.1f}', wanted, own < 50)

    def _alone(self, bounds):
        text, wanted = 'KSM_CPU_MAX=25: ksmd in the worst 5 s, %', 'under 30'
        if self._there(bounds, text, wanted, 'adaptive-cpu25'):
            worst = self.median('adaptive-cpu25', 'worst5')
            bounds.check(text, f'{worst:.1f}', wanted, worst < 30)
        self._ratio(bounds, 'KSM_CPU_MAX=25: the probe\'s p99, classic', 'p99', 'classic', 1.1,
                    policy='adaptive-cpu25')
        text, wanted = 'memory plentiful: ksmd s', '0'
        if self._there(bounds, text, wanted, 'adaptive-plenty'):
            cpu = self.median('adaptive-plenty', 'cpu')
            bounds.check(text, f'{cpu:.3f}', wanted, cpu < 0.001)
        self._unmergeable(bounds)

    def _unmergeable(self, bounds):
        """What it takes to find out that nothing merges, and then no more than the budget."""
        over = fleet.UNMERGEABLE_SEC
        text = f'nothing merges: ksmd s in {over} s'
        wanted = f'at most that of the first {fleet.OPENING_SEC} s and 2 % (KSM_CPU_BUDGET)'
        if not self._there(bounds, text, wanted, fleet.UNMERGEABLE):
            return
        cpu, share, opening = (self.median(fleet.UNMERGEABLE, name)
                               for name in ('cpu', 'cpu_share', 'opening'))
        most = opening + BUDGET_SHARE * over
        bounds.check(text, f'{cpu:.2f} ({share:.2f} % over all)',
                     f'at most {most:.2f}: {opening:.2f} in the first {fleet.OPENING_SEC} s, and '
                     '2 % (KSM_CPU_BUDGET)', cpu <= most)

    # --- What is written ------------------------------------------------------------------------

    def text(self, render=plain):
        parts = [render(self.table())] if len(self.table()) > 1 else []
        if self.clean:
            parts += [render(rows) for rows in (self.passes(), self.classes()) if len(rows) > 1]
        bounds = self.bounds()
        if bounds.rows:
            parts.append(render([['bound (adaptive over …)', 'measured', 'wanted', '']]
                                + bounds.rows))
        if notes := self.notes():
            parts.append('\n'.join(notes if render is plain else [f'- {n}' for n in notes]))
        return '\n\n'.join(parts) + '\n', bounds

    def how_often(self):
        """What the figures in the table are."""
        if max((len(found) for found in self.figures.values()), default=1) == 1:
            return 'Each policy was measured once.'
        return ('Figures are medians, with their ranges, of as many measurements as *times* says; '
                'plots show the first one.')

    def docs(self, folder, facts):
        """A page and its plots."""
        name = f'policy-{self.form.name}'
        body, _ = self.text(markdown)
        curves = [(policy, self.peers[policy].title, found[0]['series'])
                  for policy, found in sorted(self.clean.items(), key=self._order)
                  if not policy.startswith('adaptive-')]
        images = ''.join(f'![{title}]({name}-{what}.svg)\n\n' for what, title in
                         plots.plot(folder, name, curves, self.form))
        (folder / f'{name}.md').write_text(
            f'# Policies compared: {self.form.name} form\n\n'
            f'`{plan.command(self.form, facts)}` wrote this page. {facts["told"]} '
            f'{self.how_often()}\n\n{images}{body}')

    def _order(self, item):
        return list(self.peers).index(item[0])
