# SPDX-License-Identifier: GPL-2.0-or-later
"""Tables, bounds and plots of a run's results. Reads results, measures nothing."""

import pathlib
import shutil
import subprocess
import sys

import figures
from figures import Spread

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from run import Bounds, markdown, plain  # noqa: E402

MEAN_SEC = 2  # over which what is reachable is averaged
HOUR = 3600


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
    """What one measurement says."""

    def __init__(self, form, reachable, line):
        s = line['series']
        t, saved, ksmd = s['t'], s['saved_mib'], s['ksmd']
        self.line = line
        self.t50 = figures.time_to(t, saved, reachable.before * 0.5)
        self.t90 = figures.time_to(t, saved, reachable.before * 0.9)
        again = figures.time_to(t, saved, reachable.after * 0.9, form.event)
        self.again = None if again is None or again > form.end else again - form.event
        self.cpu90 = None if self.t90 is None else figures.growth(t, ksmd, t[0], self.t90)
        self.cpu = figures.growth(t, ksmd, t[0], form.end)
        self.rest_hour = self._rest(form, t, ksmd)
        self.gib_sec = figures.integral(t, saved, t[0], form.end) / 1024
        self.per_cpu = self.gib_sec / self.cpu if self.cpu > 0.001 else None
        self.end = figures.integral(t, saved, form.end - MEAN_SEC, form.end) / MEAN_SEC
        merged, total = line['classes']['end']['late']
        self.late = 100 * merged / total if total else None
        whole = figures.minus(histogram(line, 2), histogram(line, 0))
        self.p99 = figures.percentile(whole, 0.99)
        self.own_msec = 1000 * figures.growth(t, s['own'], t[0], form.end)
        worst = figures.worst_window(t, ksmd, 5)
        self.worst5 = None if worst is None else 100 * worst
        late_cpu = figures.growth(t, ksmd, form.event, form.end)
        self.late_share = 100 * late_cpu / (form.end - form.event)

    def _rest(self, form, t, ksmd):
        """CPU seconds an hour once all has merged; None where that was not to be seen."""
        if rest := form.rest_of(self.line['policy']):
            return figures.growth(t, ksmd, form.end, form.end + rest) / rest * HOUR
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
    ('ksmd s at 90 %', 'cpu90', 1), ('ksmd s', 'cpu', 1), ('ksmd s/h after', 'rest_hour', 0),
    ('GiB×s', 'gib_sec', 1), ('GiB×s/ksmd s', 'per_cpu', 2), ('MiB at end', 'end', 0),
    ('late twins %', 'late', 0), ('ksmd % in worst 5 s', 'worst5', 0),
    ('probe p99 µs', 'p99', 0), ('own CPU ms', 'own_msec', 1))


class Report:
    def __init__(self, form, peers, lines, skipped):
        self.form, self.peers, self.skipped = form, peers, skipped
        self.unbounded = []
        self.noisy = [line for line in lines if line['noisy']]
        self.clean = {}
        for line in lines:
            if not line['noisy']:
                self.clean.setdefault(line['policy'], []).append(line)
        # What is reachable depends on no moment: a disturbed oracle tells it too, if it got there.
        oracles = self.clean.get('oracle') or [
            line for line in self.noisy if line['policy'] == 'oracle'
            and all(Reachable(form, line).settled)]
        self.reachable = Reachable(form, oracles[-1]) if oracles else None
        self.figures = {}
        if self.reachable:
            self.figures = {name: [Figures(form, self.reachable, line) for line in found]
                            for name, found in self.clean.items()}

    def median(self, policy, name):
        """None: never, or not measured."""
        found = [getattr(each, name) for each in self.figures.get(policy, [])]
        return Spread(found).median

    def table(self):
        rows = [['policy'] + [heading for heading, _, _ in COLUMNS]]
        for name, peer in self.peers.items():
            found = self.figures.get(name)
            if not found:
                continue
            cells = [peer.title, len(found)]
            for _, attribute, digits in COLUMNS[1:]:
                never = '-' if attribute in ('rest_hour', 'per_cpu', 'late', 'p99') else 'never'
                cells.append(Spread((getattr(each, attribute) for each in found),
                                    never).text(digits))
            rows.append(cells)
        return rows

    def classes(self):
        """What is merged of each class of pages at the end, in per cent; the last measurement."""
        names = list(next(iter(self.clean.values()))[0]['classes']['end'])
        rows = [['merged at the end, %'] + names]
        for name, peer in self.peers.items():
            if name not in self.clean:
                continue
            found = self.clean[name][-1]['classes']['end']
            rows.append([peer.title] + [f'{100 * merged / total:.0f}' if total else '-'
                                        for merged, total in found.values()])
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
        notes += [f'Discarded: {line["policy"]}, repetition {line["repetition"] + 1}: '
                  + '; '.join(line['noisy']) for line in self.noisy]
        return notes

    # --- Bounds ---------------------------------------------------------------------------------

    def bounds(self):
        """Those of the adaptive policy, of whatever has been measured; the smoke run is no measure."""
        bounds, self.unbounded = Bounds(), []
        if 'adaptive' not in self.figures or self.form.name == 'smoke':
            return bounds
        self._speed(bounds)
        self._cost(bounds)
        self._alone(bounds)
        return bounds

    def _ratio(self, bounds, text, attribute, peer, limit, at_least=False, policy='adaptive',
               judged=True):
        """Adaptive's figure over a peer's. A peer that never got there is passed by any figure."""
        if peer not in self.figures:
            return
        ours, theirs = self.median(policy, attribute), self.median(peer, attribute)
        if attribute in ('t90', 'again') and theirs is None:
            theirs = self.form.end - (self.form.event if attribute == 'again' else 0)
            text += ' (which never got there)'
        wanted = f'{"at least" if at_least else "at most"} {limit} ×'
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
        for peer in self.figures:
            if peer != 'oracle' and not peer.startswith('adaptive'):
                # The real guests are never quite the same.
                self._ratio(bounds, f'saved at the end, {peer}', 'end', peer, 0.99, at_least=True)
        late = self.median('adaptive', 'late')
        bounds.check('late twins merged, %', '-' if late is None else f'{late:.0f}', 'more than 90',
                     late is not None and late > 90)

    def _cost(self, bounds):
        # These hold over ten minutes, and half an hour of rest. In less the original hardly begins.
        judged = self.form.rest > 0
        self._ratio(bounds, 'ksmd CPU in all, original forced on', 'cpu', 'original-forced', 0.4,
                    judged=judged)
        for peer in ('original-forced', 'fixed-1250-10'):
            self._ratio(bounds, f'ksmd CPU after all has merged, {peer}', 'rest_hour', peer, 0.05,
                        judged=judged)
        self._ratio(bounds, 'GiB×s per ksmd CPU second, original forced on', 'per_cpu',
                    'original-forced', 3, at_least=True, judged=judged)
        saved = self.median('adaptive', 'gib_sec')
        for peer in self.figures:
            if peer != 'oracle' and not peer.startswith('adaptive') \
                    and (self.median(peer, 'gib_sec') or 0) >= saved:
                self._ratio(bounds, f'GiB×s per ksmd CPU second, {peer}', 'per_cpu', peer, 1,
                            at_least=True)
        own = self.median('adaptive', 'own_msec')
        bounds.check('the daemon\'s own CPU, ms', f'{own:.1f}', 'under 50', own < 50)

    def _alone(self, bounds):
        if 'adaptive-cpu25' in self.figures:
            worst = self.median('adaptive-cpu25', 'worst5')
            bounds.check('KSM_CPU_MAX=25: ksmd in the worst 5 s, %', f'{worst:.1f}', 'under 30',
                         worst < 30)
            self._ratio(bounds, 'KSM_CPU_MAX=25: the probe\'s p99, classic', 'p99', 'classic', 1.1,
                        policy='adaptive-cpu25')
        if 'adaptive-plenty' in self.figures:
            cpu = self.median('adaptive-plenty', 'cpu')
            bounds.check('memory plentiful: ksmd s', f'{cpu:.3f}', '0', cpu < 0.001)
        if 'adaptive-unmergeable' in self.figures:
            # Before, it had to find that out.
            share = self.median('adaptive-unmergeable', 'late_share')
            bounds.check(f'nothing merges: ksmd from {self.form.event} s on, % of a CPU',
                         f'{share:.2f}', 'at most 2 (KSM_CPU_BUDGET)', share <= 2)

    # --- What is written ------------------------------------------------------------------------

    def text(self, render=plain):
        parts = [render(self.table())] if len(self.table()) > 1 else []
        if self.clean:
            parts.append(render(self.classes()))
        bounds = self.bounds()
        if bounds.rows:
            parts.append(render([['bound (adaptive over …)', 'measured', 'wanted', '']]
                                + bounds.rows))
        if notes := self.notes():
            parts.append('\n'.join(notes if render is plain else [f'- {n}' for n in notes]))
        return '\n\n'.join(parts) + '\n', bounds

    def docs(self, folder, facts):
        """A page and its plots."""
        name = f'policy-{self.form.name}'
        body, _ = self.text(markdown)
        plots = ''.join(f'![{title}]({name}-{what}.svg)\n\n' for what, title in
                        self.plot(folder, name))
        (folder / f'{name}.md').write_text(
            f'# Policies compared: {self.form.name} form\n\n'
            f'`./dev bench policy --{self.form.name}` wrote this page. {facts["told"]}\n\n'
            f'{plots}{body}')

    def plot(self, folder, name):
        """SVG files by gnuplot; returns those that are there."""
        if not shutil.which('gnuplot'):
            print('No plots: gnuplot is not here', file=sys.stderr)
            return []
        done = []
        for what, title, label, column, scale in (
                ('savings', 'Saved memory', 'MiB', 'saved_mib', 1),
                ('cpu', 'CPU time of ksmd so far', 's', 'ksmd', 1)):
            curves = [(self.peers[policy].title, found[0]['series']['t'],
                       [value * scale for value in found[0]['series'][column]])
                      for policy, found in sorted(self.clean.items(), key=self._order)
                      if not policy.startswith('adaptive-')]
            script = gnuplot(folder / f'{name}-{what}.svg', title, label, curves,
                             self.form.event, self.form.end)
            subprocess.run(['gnuplot'], input=script, text=True, check=True)
            done.append((what, title))
        return done

    def _order(self, item):
        return list(self.peers).index(item[0])


def colour(name, number):
    return 'rgb "#c00000"' if 'adaptive' in name else number % 8 + 1


def gnuplot(path, title, label, curves, event, end):
    lines = [f'set terminal svg size 900,480 noenhanced font "sans,12" background rgb "white"',
             f'set output "{path}"', f'set title "{title}"', 'set xlabel "s"',
             f'set ylabel "{label}"', 'set key below', 'set grid', 'set yrange [0:*]',
             f'set xrange [0:{end}]',
             f'set arrow from {event}, graph 0 to {event}, graph 1 nohead dt 3 lc rgb "gray"']
    lines.append('plot ' + ', '.join(
        f'"-" using 1:2 with lines lw {3 if "adaptive" in name else 2} '
        f'dt {1 if number < 8 else 2} lc {colour(name, number)} title "{name}"'
        for number, (name, _, _) in enumerate(curves)))
    for _, times, values in curves:
        step = max(len(times) // 1000, 1)
        lines += [f'{t} {v}' for t, v in list(zip(times, values))[::step] if t <= end] + ['e']
    return '\n'.join(lines) + '\n'
