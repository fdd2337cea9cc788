#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Measures policies beside each other on this kernel's KSM, each on the same load from the same state:
how soon it has merged what can be merged, and what of ksmd's CPU that took. `./dev bench policy`
runs it. It takes the host's KSM for itself, and needs its CPUs and memory; a measurement that other
work has disturbed is discarded and repeated once. Exits with 1 where a bound is missed, or cannot be
judged because a figure is missing that was asked for.
"""

import argparse
import os
import pathlib
import platform
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import fleet  # noqa: E402
import machine  # noqa: E402
import measuring  # noqa: E402
import plan  # noqa: E402
from peers import all_peers  # noqa: E402
from report import Report, markdown  # noqa: E402


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, prog='./dev bench policy')
    parser.add_argument('build', type=pathlib.Path, help=argparse.SUPPRESS)
    form = parser.add_mutually_exclusive_group()
    for name, text in (('smoke', '2 minutes, four guests of 64 MiB: does all of it work?'),
                       ('standard', 'the default: 8 guests of 256 MiB, all policies'),
                       ('long', '8 guests of 1 GiB, 600 s and half an hour of rest')):
        form.add_argument(f'--{name}', dest='form', action='store_const', const=name, help=text)
    parser.add_argument('--policies', metavar='A,B', help='only these (and the oracle, if '
                        'anything of theirs can merge): '
                        + ', '.join(all_peers()))
    parser.add_argument('--repetitions', type=int, metavar='N')
    parser.add_argument('--seed', type=int, default=1, help='of the load (default: 1)')
    parser.add_argument('--output', type=pathlib.Path, metavar='DIR',
                        help='where results go (default: policy-FORM in the build folder)')
    parser.add_argument('--resume', action='store_true', help='go on with what is in there')
    parser.add_argument('--report', action='store_true', help='only tell what is in there')
    parser.add_argument('--ksmtuned', metavar='FILE', help='another build of the daemon')
    parser.add_argument('--docs', action='store_true', help='write tables and plots into docs/')
    parser.add_argument('--markdown', type=pathlib.Path, metavar='FILE')
    args = parser.parse_args()
    args.form = fleet.FORMS[args.form or 'standard']
    args.ksmtuned = os.path.abspath(args.ksmtuned or args.build / 'src/daemon/ksmtuned')
    args.output = args.output or args.build / f'policy-{args.form.name}'
    args.names = list(args.form.policies)
    if args.policies:
        known = all_peers()
        args.names = [name for name in args.policies.split(',') if name != 'oracle']
        if args.names != [fleet.UNMERGEABLE]:
            args.names.insert(0, 'oracle')
        for name in args.names:
            if name not in known:
                parser.error(f'there is no policy {name!r}; there are: {", ".join(known)}')
    if args.repetitions is not None and args.repetitions < 1:
        parser.error('--repetitions: at least 1')
    return args


def tell(text):
    print(text, file=sys.stderr, flush=True)


def facts(args, total_kb):
    form = args.form
    return {'must_equal': {'form': form.name, 'seed': args.seed, 'kernel': platform.release(),
                           'load': [form.guests, form.mib, form.event, form.end, form.rest,
                                    fleet.UNMERGEABLE_SEC, fleet.TURNOVER_SEC]},
            'policies': args.names, 'repetitions': args.repetitions,
            'told': f'Linux {".".join(platform.release().split(".")[:2])}, {os.cpu_count()} CPUs, '
                    f'{total_kb // 1024} MiB; {time.strftime("%Y-%m-%d")}; seed {args.seed}; '
                    f'{form.guests} guests of {form.mib} MiB, {form.qemu} of QEMU; at '
                    f'{form.event} s two more start, one ends, memory is rewritten, late twins come.'}


def possible(bench, names, peers):
    """Those that can be measured here, and why the others cannot."""
    skipped = {}
    if bench.image and bench.image.why:
        skipped['real guests'] = bench.image.why
    for name in names:
        if why := peers[name].why_not(bench):
            skipped[name] = why.replace('\n', ' ')
    return [name for name in names if name not in skipped], skipped


def tell_plan(form, order, skipped, tries):
    seconds = sum(plan.step_sec(form, *step) for step in order)
    tell(f'{form.name} form: {len(order)} measurements, {seconds / 60:.0f} minutes; '
         f'a noisy one is {"repeated once" if tries > 1 else "discarded"}')
    for name in dict.fromkeys(name for name, _ in order):
        took = [plan.step_sec(form, *step) for step in order if step[0] == name]
        tell(f'  {name:<22} ' + ' + '.join(f'{took.count(each)} × {each:.0f} s' for each in dict.fromkeys(took)))
    for name, why in skipped.items():
        tell(f'  {name:<22} not measured: {why}')
    if form.limit_min and seconds > form.limit_min * 60:
        tell(f'  more than the {form.limit_min:.0f} minutes that this form may take')


def run(args, peers, results):
    """Measures what is left. Returns why policies are not measured, by name."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-policy-') as folder, \
            machine.machine(folder) as host:
        bench = measuring.Bench(args, args.form, host)
        names, skipped = possible(bench, args.names, peers)
        order = plan.steps(args.form, names, args.seed, args.repetitions)
        # The smoke run is to be short, and nobody looks at its figures.
        tries = 1 if args.form.name == 'smoke' else plan.TRIES
        todo = plan.left(order, results.lines(), tries)
        tell_plan(args.form, todo, skipped, tries)
        begin = time.monotonic()
        while todo := plan.left(order, results.lines(), tries):
            # Those that were noisy come last: what disturbed them may be over.
            tried = [(line['policy'], line['repetition']) for line in results.lines()]
            name, repetition = next((step for step in todo if step not in tried), todo[0])
            tell(f'{(time.monotonic() - begin) / 60:5.1f} min  {name}, repetition {repetition + 1}')
            line = measuring.measure(bench, peers[name], repetition)
            results.add(line)
            if line['failed']:
                tell(f'           failed: {"; ".join(line["failed"])}')
            elif line['noisy']:
                tell(f'           discarded: {"; ".join(line["noisy"])}')
        return skipped


def main():
    args = arguments()
    peers = all_peers()
    results = plan.Results(args.output)
    skipped = {}
    if not args.report:
        if why := machine.why_not():
            tell(f'bench: {why}')
            return 1
        why = results.begin(facts(args, machine.meminfo()['MemTotal']), args.resume)
        if why:
            tell(f'bench: {why}; without --resume a new run begins')
            return 1
        try:
            skipped = run(args, peers, results)
        except RuntimeError as error:
            tell(f'bench: {error}; --resume goes on with what has been measured')
            return 1
    if not results.lines():
        tell(f'bench: {args.output} holds no results')
        return 1
    facts_of_run = results.facts()
    asked = facts_of_run.get('policies', args.names)
    report = Report(args.form, peers, results.lines(), skipped, asked)
    text, bounds = report.text()
    print(f'{facts_of_run["told"]}\n\n{text}', end='')
    if args.markdown:
        args.markdown.write_text(report.text(markdown)[0])
    if args.docs:
        report.docs(pathlib.Path(__file__).resolve().parents[3] / 'docs', facts_of_run)
    if not report.reachable and 'oracle' in asked:
        return 1
    return 1 if bounds.failed else 0


if __name__ == '__main__':
    sys.exit(main())
