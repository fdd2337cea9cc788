#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The closing table of `./dev test`, of programs that meson runs: test-results.py RESULTS.PY."""

import pathlib
import subprocess
import sys
import tempfile

RESULTS = sys.argv[1]

MESON = """project('talking')
python = find_program('python3')
foreach name : ['good', 'bad', 'dies', 'shaky']
  test(name, python, args: files(name + '.py'), protocol: 'tap')
endforeach
"""

GOOD = """print('ok 1 - is well')
print('# of no interest')
print('ok 2 - is not for here # SKIP no such thing')
print('1..2')
"""

BAD = """print('ok 1 - begins')
print('# said before')
print('not ok 2 - finds nothing')
for i in range(20):
    print(f'# line {i}.')
print('ok 3 - goes on')
print('# said between')
print('not ok 4 - happens again')
print('# the first time')
print('not ok 5 - happens again')
print('# got:\\t1')
print('#')
print('# want:  2')
print('not ok 6 - says nothing')
print('1..6')
raise SystemExit(1)
"""

DIES = """print('ok 1 - begins', flush=True)
raise RuntimeError('out of luck')
"""

SHAKY = """import os
again = os.path.exists(__file__ + '.ran')
open(__file__ + '.ran', 'w').close()
print('ok 1 - is firm')
print(f'{"" if again else "not "}ok 2 - wavers')
print(f'# seen {"again" if again else "first"}')
print('not ok 3 - never works')
print('1..3')
raise SystemExit(1)
"""

FAILED = """  demo: bad: finds nothing
      line 0.
      line 1.
      line 2.
      line 3.
      line 4.
      line 5.
      line 6.
      line 7.
  demo: bad: happens again
      the first time
  demo: bad: happens again
      got: 1
      want:  2
  demo: bad: says nothing
"""


def answer_of(*words):
    return subprocess.run([sys.executable, RESULTS, *words], check=False, capture_output=True, text=True)


def table(folder):
    """The table, its exit status, and the same after a second run of what failed."""
    for name, text in (('meson.build', MESON), ('good.py', GOOD), ('bad.py', BAD),
                       ('dies.py', DIES), ('shaky.py', SHAKY)):
        (folder / name).write_text(text)
    build = folder / 'build'
    subprocess.run(['meson', 'setup', build, folder], check=True, capture_output=True)
    def ran(name, *programs):
        status = subprocess.run(['meson', 'test', '-C', build, *programs], check=False,
                                capture_output=True).returncode
        log = build / 'meson-logs/testlog'
        lines = answer_of('meson', 'demo', log, str(status)).stdout
        (folder / name).write_text(lines)
        return answer_of('failed', log).stdout.split()
    failed = ran('first.tsv')
    (folder / 'results.tsv').write_text((folder / 'first.tsv').read_text() + 'demo\ttime\t3\n')
    first = answer_of('table', folder / 'results.tsv')
    ran('second.tsv', 'shaky')
    (folder / 'both.tsv').write_text(answer_of('again', folder / 'first.tsv',
                                               folder / 'second.tsv').stdout)
    return first.stdout, first.returncode, sorted(failed), answer_of('table', folder / 'both.tsv')


def main():
    with tempfile.TemporaryDirectory(prefix='test-results-') as folder:
        text, status, names, both = table(pathlib.Path(folder))
    skipped, _, rest = text.partition('\nFailed:\n')
    failed, _, figures = rest.partition('\n\n')
    # The programs stand in the order in which they ended.
    dead = failed[failed.find('  demo: dies ('):].split('\n  demo: bad')[0].splitlines()
    cases = (
        ('it ends with 1', status == 1),
        ('what was skipped, and why', skipped == '\nSkipped:\n  demo: good: is not for here '
         '(no such thing)\n'),
        ('what failed, each with what it said, 8 lines at most', FAILED in failed + '\n'),
        ('a program that died, with its last words', 'exit status 1)' in dead[0]
         and '      RuntimeError: out of luck' in dead and len(dead) <= 9),
        ('nothing of what went well', 'interest' not in text and 'said' not in text),
        ('the figures', figures.splitlines()[1].split() == ['demo', '13', '5', '7', '1', '3']),
        ('programs that failed', names == ['bad', 'dies', 'shaky']),
        ('a second run: what passed then is told, and is no failure',
         '\nFailed the first time, not the second:\n  demo: shaky: wavers\n      seen first\n\n'
         in both.stdout and 'demo 13 6 6 1 0' in ' '.join(both.stdout.split())
         and '6 failed, 1 skipped, 1 failed the first time only' in both.stdout),
        ('what failed again has failed', both.returncode == 1
         and both.stdout.count('shaky: never works') == 1),
    )
    print(f'1..{len(cases)}')
    for number, (name, good) in enumerate(cases, 1):
        print(f'{"ok" if good else "not ok"} {number} - {name}')
        if not good:
            print('\n'.join(f'# {line}' for line in text.splitlines()))
    return 0 if all(good for _, good in cases) else 1


if __name__ == '__main__':
    sys.exit(main())
