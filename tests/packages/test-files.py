#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
test-files.py SOURCE KSMTUNED: the files in packaging/ by themselves: the dashboard has the form that
Grafana wants, and version, maintainer and URL stand in one place each.
"""

import copy
import json
import os
import pathlib
import re
import subprocess
import sys

from common import Tap, read
from dashboard import problems

# In the tests, recordings and states of made-up hosts have versions. debian/ is made by packaging/package.
PASSED_OVER = re.compile(r'(\.git|build.*|debian|tests|LICENSE)$')


def texts(source):
    """{path: text} of what is released, without the tests, and without what builds left there."""
    found = {}
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if not pathlib.Path(folder, name, 'build.ninja').exists()]
        if folder == str(source):
            folders[:], names = ([name for name in these if not PASSED_OVER.match(name)] for these in (folders, names))
        for path in (pathlib.Path(folder, name) for name in names):
            if path.is_file():
                found[str(path.relative_to(source))] = read(path)
    return found


def places(found, pattern):
    return sorted(path for path, text in found.items() if re.search(pattern, text))


# --- the dashboard ----------------------------------------------------------------------------

def last(board):
    return board['panels'][-1]


# What a hand may do to it, and what is then said.
BROKEN = {
    'have no ids of their own': lambda board: last(board).update(id=board['panels'][1]['id']),
    'lies over': lambda board: last(board)['gridPos'].update(y=last(board)['gridPos']['y'] - 1),
    'does not fit into': lambda board: last(board)['gridPos'].update(x=20, y=900),
    'has no place': lambda board: last(board).pop('gridPos'),
    'panel .* does not take': lambda board: last(board)['targets'][0].update(datasource='-- Mixed --'),
    'variable .* does not take': lambda board: board['templating']['list'][1].pop('datasource'),
    'is not there': lambda board: last(board)['targets'][0].update(expr='up{zone="$zone"}'),
    'is not used': lambda board: board['templating']['list'].append(
        dict(board['templating']['list'][1], name='zone')),
    'asks for nothing': lambda board: last(board).update(targets=[]),
    'has an empty query': lambda board: last(board)['targets'][0].update(expr=''),
    'is of the unknown type': lambda board: last(board).update(type='graph'),
    'is folded': lambda board: board['panels'][0].update(collapsed=True),
    'schemaVersion': lambda board: board.pop('schemaVersion'),
    'the id of some server': lambda board: board.update(id=7),
    'uid is none': lambda board: board.update(uid='a dashboard'),
    'no time': lambda board: board.pop('time'),
}


def check_dashboard(tap, source):
    text = read(source / 'packaging/grafana/ksmtuned.json')
    board = json.loads(text)
    tap.equal(problems(board, text), [], f'the dashboard has the form of one, with {len(board["panels"])} panels')
    for words, hurt in BROKEN.items():
        hurt_board = copy.deepcopy(board)
        hurt(hurt_board)
        said = problems(hurt_board, json.dumps(hurt_board))
        tap.ok(any(re.search(words, line) for line in said), f'one that is hurt is found: {words}', said)


# --- one place --------------------------------------------------------------------------------

def check_distributor(tap, source, found):
    names = dict(re.findall(r'^([A-Z]+)=(.+)$', found['packaging/distributor'], re.M))
    tap.equal(sorted(names), ['MAINTAINER', 'URL'], 'packaging/distributor has a maintainer and a URL')
    for name, value in names.items():
        tap.equal(places(found, re.escape(value)), ['packaging/distributor'], f'{name} stands nowhere else')
    for what, pattern in (('address', r'[\w.+-]+@\w[\w-]*\.[a-z]'), ('made-up host', r'\w\.invalid\b')):
        tap.equal(places(found, pattern), ['packaging/distributor'], f'and no {what} but there')
    for path, pattern in (('packaging/debian/control', r'^Maintainer: @MAINTAINER@$'),
                          ('packaging/debian/control', r'^Homepage: @URL@$'),
                          ('packaging/rpm/ksmtuned.spec.in', r'^URL: +@URL@$')):
        tap.ok(re.search(pattern, found[path], re.M), f'{path} takes it from there: {pattern}')


def check_version(tap, found, ksmtuned):
    version = re.search(r"^ *version: '(\d+\.\d+\.\d+)'", found['meson.build'], re.M)[1]
    said = subprocess.run([ksmtuned, '--version'], capture_output=True, text=True, check=True).stdout
    tap.equal(said, f'ksmtuned {version}\n', 'ksmtuned has the version of meson.build')
    tap.equal(found['NEWS'].partition('\n')[0], f'ksmtuned {version}', 'NEWS begins with it')
    # Pictures show what a program said when they were made.
    told = {path: text for path, text in found.items() if not path.startswith('docs/screenshots/')}
    tap.equal(places(told, rf'(?<![\d.]){re.escape(version)}(?![\d.])'), ['NEWS', 'meson.build'],
              'and it stands nowhere else')


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    tap = Tap()
    source = pathlib.Path(sys.argv[1])
    found = texts(source)
    check_dashboard(tap, source)
    check_distributor(tap, source, found)
    check_version(tap, found, sys.argv[2])
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
