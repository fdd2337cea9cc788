#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Counts tests.

results.py meson SUITE LOG STATUS   what `meson test` left in LOG.json and LOG.junit.xml, one line
                                    a case: suite, pass|fail|skip, name, reason (tab-separated);
                                    behind one that failed, what it said: suite, said, line
results.py once FROM TO             the compilation database FROM with each file once, as TO; prints
                                    the files, relative to the folder above FROM's
results.py programs DIR SUITE       the names of a suite's tests that are compiled programs
results.py failed LOG               the names of the programs in LOG.json that failed
results.py again FIRST SECOND       lines of a run, and of the second one of its programs that had
                                    failed, as one: what passed then is `unsteady`, no failure
results.py table FILE               the closing table of such lines; exits 1 if anything failed
"""
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET


SAID_MOST = 8  # lines of a case that failed


def clean(text):
    return re.sub(r'\s+', ' ', text or '').strip()


def tap_reasons(stdout):
    """Why cases were skipped: {case's name: reason}, '' for the program as a whole."""
    reasons = {}
    for line in stdout.splitlines():
        whole = re.match(r'1\.\.0\s+#\s*skip\w*:?\s*(.*)', line, re.I)
        case = re.match(r'\s*ok\s+\d*\s*-?\s*(.*?)\s*#\s*skip\w*:?\s*(.*)', line, re.I)
        if whole:
            reasons[''] = clean(whole.group(1))
        elif case:
            reasons[clean(case.group(1))] = clean(case.group(2))
    return reasons


def case_name(text):
    """meson prefixes the cases of TAP with their number and appends what came of them."""
    return clean(re.sub(r'^(test\s+)?\d+\s*(-\s*)?', '', text)) or clean(text)


def short_name(text):
    """Explanations of meson's stand before guesses; the name it prints may carry them too."""
    return re.sub(r'\s*#.*$', '', case_name(text))


def tap_said(stdout):
    """The diagnostics behind each case that failed: {its name: [lines]}, in turn where it repeats."""
    said, lines = {}, []
    for line in stdout.splitlines():
        case = re.match(r'\s*(not )?ok\b\s*(.*)', line)
        if case:
            lines = []
            if case.group(1):
                said.setdefault(short_name(case.group(2)), []).append(lines)
        elif line.startswith('#'):
            lines.append(line[1:].strip().replace('\t', ' '))
    return said


def said_lines(lines):
    return [('said', line) for line in lines if line][:SAID_MOST]


def meson_cases(log):
    """Yields (status, name, reason) for each case of each program, and (said, line) behind it."""
    cases = {}
    for suite in ET.parse(log + '.junit.xml').getroot().findall('testsuite'):
        for case in suite.findall('testcase'):
            subtest = case.get('classname') != case.get('classname').split('.')[0]
            program = suite.get('name').split('.', 1)[1] if subtest else case.get('name')
            failed = case.find('failure') is not None or case.find('error') is not None
            skipped = case.find('skipped') is not None
            cases.setdefault(program, []).append(
                (subtest, 'fail' if failed else 'skip' if skipped else 'pass', case.get('name'),
                 clean(case.findtext('system-out') if subtest else '')))
    with open(log + '.json', encoding='utf-8') as file:
        programs = [json.loads(line) for line in file if line.strip()]
    for name in sorted(set(cases) - {program['name'] for program in programs}):
        yield 'fail', name, 'the two logs of meson do not fit together'
    for program in programs:
        name = program['name'].split(' / ')[-1]
        reasons = tap_reasons(program.get('stdout') or '')
        said = tap_said(program.get('stdout') or '')
        found = [case for case in cases.get(program['name'], []) if case[0]]
        for _, status, case, why in found:
            short = short_name(case)
            yield status, f'{name}: {short}', why or (reasons.get(short) or reasons.get('', '')
                                                     if status == 'skip' else '')
            if status == 'fail' and said.get(short):
                yield from said_lines(said[short].pop(0))
        verdict = program['result']
        if verdict == 'SKIP' and not any(case[1] == 'skip' for case in found):
            yield 'skip', name, reasons.get('', '') or 'no reason given'
        elif verdict == 'OK' and not found:
            yield 'pass', name, ''
        elif verdict not in ('OK', 'SKIP', 'EXPECTEDFAIL') and not any(c[1] == 'fail' for c in found):
            # A crash, a timeout, a missing plan, a leak at exit: no case of its own failed.
            yield 'fail', name, f'{verdict}, exit status {program.get("returncode")}'
            errors = (program.get('stderr') or '').replace('\t', ' ').splitlines()
            yield from said_lines(errors[-SAID_MOST:])


def meson(suite, log, status):
    lines = []
    try:
        lines = list(meson_cases(log))
    except (OSError, ET.ParseError, ValueError) as error:
        lines.append(('fail', 'results of meson test', clean(str(error))))
    if not lines:
        lines.append(('fail', 'meson test', 'it ran nothing'))
    if int(status) != 0 and not any(line[0] == 'fail' for line in lines):
        lines.append(('fail', 'meson test', f'exit status {status}'))
    for line in lines:
        print(suite, *line, sep='\t')


def failed(log):
    with open(log + '.json', encoding='utf-8') as file:
        for program in map(json.loads, file):
            if program['result'] not in ('OK', 'SKIP', 'EXPECTEDFAIL'):
                print(program['name'].split(' / ')[-1])


def again(first, second):
    """A case that failed counts as what it was the second time, and is told by name."""
    def lines_of(path):
        with open(path, encoding='utf-8') as file:
            return [line.rstrip('\n').split('\t') for line in file]

    def program(line):
        return line[2].split(': ')[0]
    old, new = lines_of(first), lines_of(second)
    repeated = {program(line) for line in new if line[1] != 'said'}
    failed_again = {line[2] for line in new if line[1] == 'fail'}
    repeats = drops = False  # of the line that those that begin with `said` stand behind
    kept, unsteady = [], []
    for line in old:
        if line[1] != 'said':
            repeats = program(line) in repeated
            drops = repeats and (line[1] != 'fail' or line[2] in failed_again)
        if not repeats:
            kept.append(line)
        elif not drops:
            unsteady.append([line[0], 'unsteady' if line[1] == 'fail' else 'said', *line[2:]])
    for line in kept + new + unsteady:
        print(*line, sep='\t')


def once(source, target):
    with open(source, encoding='utf-8') as file:
        entries = {entry['file']: entry for entry in reversed(json.load(file))}
    with open(target, 'w', encoding='utf-8') as file:
        json.dump(list(entries.values()), file)
    for name in sorted(entries):
        print(name.removeprefix('../'))


def programs(build, suite):
    listed = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                            stdout=subprocess.PIPE).stdout
    for test in json.loads(listed):
        # Scripts lie in the source tree, or are an argument of their interpreter.
        compiled = os.path.abspath(test['cmd'][0]).startswith(os.path.abspath(build) + '/')
        if compiled and any(name.split(':')[-1] == suite for name in test['suite']):
            print(test['name'])


def table(path):
    suites, listed, behind = {}, {'skip': [], 'unsteady': [], 'fail': []}, None
    with open(path, encoding='utf-8') as file:
        for line in file:
            suite, status, name, reason = (line.rstrip('\n').split('\t') + [''] * 3)[:4]
            row = suites.setdefault(suite, {'pass': 0, 'fail': 0, 'skip': 0, 'time': 0})
            if status == 'time':
                row['time'] += int(name)
                if not row['pass'] + row['fail'] + row['skip']:
                    row['fail'] += 1
                    listed['fail'].append((suite, 'the suite as a whole', 'it ran nothing', []))
            elif status == 'said':
                behind.append(name)
            else:
                row[status] = row.get(status, 0) + 1
                if status in listed:
                    behind = []
                    listed[status].append((suite, name, reason, behind))
    for status, title in (('skip', 'Skipped'), ('unsteady', 'Failed the first time, not the second'),
                          ('fail', 'Failed')):
        if listed[status]:
            print(f'\n{title}:')
            for suite, name, reason, said in listed[status]:
                print(f'  {suite}: {name}' + (f' ({reason})' if reason else ''))
                for line in said:
                    print(f'      {line}')
    total = {key: sum(row[key] for row in suites.values()) for key in ('pass', 'fail', 'skip', 'time')}
    print(f'\n{"suite":<12}{"tests":>8}{"passed":>8}{"failed":>8}{"skipped":>8}{"seconds":>8}')
    for suite, row in [*suites.items(), ('all', total)]:
        count = row['pass'] + row['fail'] + row['skip']
        print(f'{suite:<12}{count:>8}{row["pass"]:>8}{row["fail"]:>8}{row["skip"]:>8}{row["time"]:>8}')
    unsteady = len(listed['unsteady'])
    print(f'\n{total["pass"]} passed, {total["fail"]} failed, {total["skip"]} skipped'
          + (f', {unsteady} failed the first time only' if unsteady else ''))
    return 1 if total['fail'] or not suites else 0


if __name__ == '__main__':
    if len(sys.argv) == 5 and sys.argv[1] == 'meson':
        meson(*sys.argv[2:])
    elif len(sys.argv) == 4 and sys.argv[1] == 'once':
        once(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 4 and sys.argv[1] == 'programs':
        programs(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == 'failed':
        failed(sys.argv[2])
    elif len(sys.argv) == 4 and sys.argv[1] == 'again':
        again(*sys.argv[2:])
    elif len(sys.argv) == 3 and sys.argv[1] == 'table':
        sys.exit(table(sys.argv[2]))
    else:
        sys.exit(__doc__)
