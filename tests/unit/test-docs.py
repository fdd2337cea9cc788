#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What the documents quote is there: lines of the programs, checks of doctor, keys, files, series,
alerts, figures of the benchmark. test-docs.py SOURCE. Prints TAP.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
DOCS = [ROOT / 'README.md', *sorted((ROOT / 'docs').glob('*.md'))]
SOURCES = sorted((ROOT / 'src').glob('*/*.c'))

# A string of C, with the macros between its pieces: PRId64, KSM_FOLDER.
PIECE = r'"(?:[^"\\\n]|\\.)*"'
STRING = re.compile(rf'{PIECE}(?:\s*(?:{PIECE}|[A-Z][A-Za-z0-9_]+))*')
CONVERSION = r'%[-+ #0-9.*]*(?:hh|h|ll|l|z|j)?[a-zA-Z]'
# What a document leaves out.
GAP = '…'
count = failed = 0


def check(problems, name):
    global count, failed
    problems = list(problems)
    count, failed = count + 1, failed + bool(problems)
    print(f'{"not ok" if problems else "ok"} {count} - {name}')
    for problem in problems:
        print(f'# {problem}')


def formats():
    """Each message of the programs as a pattern; what is filled in may be anything, or left out."""
    for path in SOURCES:
        text = re.sub(r'^\s*#.*$', '', path.read_text(), flags=re.M)
        for match in STRING.finditer(text):
            pieces = re.findall(rf'{PIECE}|[A-Z]\w+', match[0])
            whole = ''.join('%s' if piece[0] != '"' else piece[1:-1].replace('%%', '\0') for piece in pieces)
            # "%" PRId64: the letters are the macro's.
            whole = whole.replace('%%s', '%s').replace('\\"', '"').replace('\\n', '')
            parts = [part.replace('\0', '%') for part in re.split(CONVERSION, whole)]
            if sum(map(len, parts)) >= 12:
                parts = [part for part in parts if part]
                yield re.compile('.+?'.join(f'({re.escape(part)})' for part in parts)), parts


FORMATS = list(formats())


def is_said(line):
    """
    Whether programs say this: most of it is the text of messages, which may be made of several.
    Documents leave out the beginning, the end, and what stands at a gap.
    """
    covered = [letter == GAP for letter in line]
    for pattern, parts in FORMATS:
        match = pattern.search(line)
        spans = [match.span(n) for n in range(1, len(parts) + 1)] if match else [
            (line.index(piece), line.index(piece) + len(piece)) for piece in line.split(GAP)
            if len(piece) >= 20 and any(piece in part for part in parts)]
        for start, end in spans:
            covered[start:end] = [True] * (end - start)
    return sum(covered) > 0.5 * len(line)


def text_of(path):
    return path.read_text(encoding='utf-8')


def joined(path):
    """Its paragraphs and items, each on one line."""
    return re.sub(r'\n +(?=\S)|(?<=\S)\n(?=[^\n|#*>-])', ' ', text_of(path))


def check_ids():
    table = text_of(ROOT / 'src/ctl/doctor-checks.c')
    return re.findall(r'^\s*\{"([a-z-]+)", "[^"]+", (?:true|false), check_', table, re.M)


def quoted_lines():
    """In docs/troubleshooting.md, what stands behind "Doctor:" or "Journal:"."""
    for line in joined(ROOT / 'docs/troubleshooting.md').split('\n'):
        for label, quotes in re.findall(r'(Doctor|Journal): ((?:`[^`]+`(?:,| and| or)? ?)+)', line):
            yield from ((label, quote) for quote in re.findall(r'`([^`]+)`', quotes))


def test_quotes():
    quotes = list(quoted_lines())
    for label in 'Doctor', 'Journal':
        lines = [quote for kind, quote in quotes if kind == label]
        check([f'quoted, and no program says it: {line}' for line in lines if not is_said(line)]
              or ([] if len(lines) > 10 else [f'only {len(lines)} quotes']),
              f'docs/troubleshooting.md: {len(lines)} lines behind "{label}:" are said')
    check([] if not is_said('guests are merged by the moon, and 17 of them') else ['so this test finds nothing'],
          'what no program says is not found')


def test_checks():
    ids, text = check_ids(), joined(ROOT / 'docs/troubleshooting.md')
    sections = text.split('\n## ')
    check([f'{name} is in no section' for name in ids
           if not any(f'`{name}`' in section for section in sections[1:])] or ([] if ids else ['no checks']),
          'docs/troubleshooting.md: each check of doctor is in a section')
    for path in DOCS:
        named = re.findall(r'--(?:check|skip) ([a-z-]+)', joined(path))
        named += re.findall(r'checks? `([a-z-]+)`', joined(path))
        check([f'no such check: {name}' for name in named if name not in ids],
              f'{path.name}: its checks of doctor are there')
    for row in re.findall(r'^\| \[.*', text_of(ROOT / 'docs/troubleshooting.md'), re.M):
        target = re.search(r'\(#([^)]+)\)', row)[1]
        section = next((part for part in sections if anchor(part.split('\n')[0]) == target), '')
        check([f'the row names {name}, the section does not' for name in re.findall(r'`([a-z-]+)`', row)
               if f'`{name}`' not in section], f'its row and section "{target}" are of one mind')


def anchor(title):
    return re.sub(r'[^a-z0-9 _-]', '', title.lower().replace('`', '')).replace(' ', '-')


def test_links():
    for path in DOCS:
        broken = []
        for target in re.findall(r'\]\(([^)\s]+)\)', text_of(path)):
            if re.match(r'[a-z]+:', target):
                continue
            name, _, part = target.partition('#')
            file = path.parent / name if name else path
            if not file.exists():
                broken.append(f'no such file: {target}')
            elif part and part not in map(anchor, re.findall(r'^#+ (.*)', text_of(file), re.M)):
                broken.append(f'no such section: {target}')
        check(broken, f'{path.name}: its links lead somewhere')


def test_keys():
    """KEY=… and `KEY` are keys of the configuration, or fields of the state, the journal, the environment."""
    files = [*SOURCES, *ROOT.glob('src/*/*.h'), *ROOT.glob('include/ksmtuned/*.h'), *ROOT.glob('man/*.[58]')]
    known = set(re.findall(r'\b((?:KSM|KSMTUNED)_[A-Z0-9_]+)\b', ' '.join(map(text_of, files))))
    for path in DOCS:
        named = set(re.findall(r'\b(KSM_[A-Z0-9_]+[A-Z0-9])\b', text_of(path)))
        check([f'unknown: {name}' for name in sorted(named - known)], f'{path.name}: its keys are there')


def differences(ours, theirs):
    return [f'in one of them only: {name}' for name in sorted(set(ours) ^ set(theirs))]


def test_fleet():
    series = r'\bksmtuned_[a-z_]+[a-z]\b(?!\.\*)'
    fleet = text_of(ROOT / 'docs/fleet.md')
    rules = ''.join(map(text_of, ROOT.glob('packaging/prometheus/ksmtuned.*.yml')))
    made = set(re.findall(series, ' '.join(map(text_of, ROOT.glob('src/*/*metrics*.c')))))
    check(differences(made, re.findall(r'^\| `(ksmtuned_\w+)', fleet, re.M)), 'docs/fleet.md: the table has each series')
    others = set(re.findall(series, fleet)) - made
    check([f'unknown: {name}' for name in sorted(others) if name not in rules and f'{name}_' not in ' '.join(made)],
          'docs/fleet.md: no other is named')
    check(differences(re.findall(r'^ *- alert: (\w+)', rules, re.M), re.findall(r'^\| (Ksmtuned\w+)', fleet, re.M)),
          'docs/fleet.md: the table has each alert')
    records = set(re.findall(r'\b(?:job|instance):ksmtuned_[a-z_]+:[a-z0-9_]+\b', fleet))
    check([f'no rule records {name}' for name in sorted(records) if f'record: {name}' not in rules],
          'docs/fleet.md: the recorded series are recorded')


def test_architecture():
    text = text_of(ROOT / 'docs/architecture.md')
    folders = [path.name for path in (ROOT / 'src').iterdir() if path.is_dir()]
    check(differences(folders, re.findall(r'^\| `src/(\w+)`', text, re.M)),
          'docs/architecture.md: the table has each folder')
    row = re.search(r'^\| `src/daemon` \|(.*?)\|', text, re.M)[1]
    parts = [path.stem for path in ROOT.glob('src/daemon/*.c')]
    check(differences(parts, re.findall(r'`([a-z-]+)`', row)), 'docs/architecture.md: and each part of the daemon')
    named = re.findall(r'`((?:src|tests|include|docs|packaging|systemd)/[\w./-]+)`', ''.join(map(text_of, DOCS)))
    check([f'not there: {name}' for name in named if not list(ROOT.glob(name.rstrip('/')))],
          'all documents: the files that they name are there')


def test_figures():
    """The README's sentences about the benchmark: each number is one of the page, rounded or not."""
    page = re.findall(r'(?<![\w.])\d+(?:\.\d+)?', text_of(ROOT / 'docs/policy-standard.md'))
    sentences = re.findall(r'[^\n]*\(docs/policy-standard\.md\)[^\n]*', joined(ROOT / 'README.md'))
    problems = [] if sentences else ['the README has no such sentence']
    for number in re.findall(r'(?<![\w.-])\d+(?:\.\d+)?', ' '.join(re.sub(r'\([^)]*\)', '', s) for s in sentences)):
        digits = len(number.partition('.')[2])
        if not any(round(float(value), digits) == float(number) for value in page):
            problems.append(f'{number} is no number of docs/policy-standard.md')
    check(problems, 'README.md: its figures are those of docs/policy-standard.md')


test_quotes()
test_checks()
test_links()
test_keys()
test_fleet()
test_architecture()
test_figures()
print(f'1..{count}')
sys.exit(1 if failed else 0)
