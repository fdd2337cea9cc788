#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
What tests/system/terminal_svg.py makes of a terminal's text, and the pictures in docs/screenshots.
test-terminal-svg.py SOURCE. Prints TAP.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

from common import Tap
from terminal_svg import COLUMN, MARGIN, ROW, rows, svg

ROOT = pathlib.Path(sys.argv[1])
PICTURES = {'watch': r'free\n.*\n, threshold', 'status': r'policy adaptive', 'doctor': r'checks passed'}
SVG = '{http://www.w3.org/2000/svg}'
TAP = Tap()


def texts(document):
    """(x, y, class, text) of each text element."""
    return [(float(text.get('x')), float(text.get('y')), text.get('class', ''), text.text)
            for text in ElementTree.fromstring(document).iter(f'{SVG}text')]


def test_escapes():
    nasty = '<nosharepages/> & "a" > b'
    document = svg('status & <more>', rows(nasty), 40)
    TAP.ok('&lt;nosharepages/&gt; &amp; "a" &gt; b' in document and '<nosharepages' not in document,
           '&, < and > are escaped', document)
    TAP.equal([text for *_, text in texts(document)], [nasty], 'and read back as they were')
    title = ElementTree.fromstring(document).find(f'{SVG}title')
    TAP.equal(title.text, 'status & <more>', 'in the title, too')


def test_styles():
    text = 'plain \x1b[1mbold\x1b[0m\r\n\x1b[33madvice   \x1b[0m\x1b[2mdim & <>\x1b[0m\r\n\r\nlast\r\n'
    TAP.equal(rows(text), [[(0, '', 'plain '), (6, 'bold', 'bold')],
                           [(0, 'warn', 'advice   '), (9, 'dim', 'dim & <>')], [], [(0, '', 'last')]],
              'runs of one style, with their columns')
    TAP.equal(texts(svg('t', rows(text), 40))[1:4],
              [(MARGIN + 6 * COLUMN, MARGIN + 13, 'bold', 'bold'),
               (MARGIN, MARGIN + ROW + 13, 'warn', 'advice'),
               (MARGIN + 9 * COLUMN, MARGIN + ROW + 13, 'dim', 'dim & <>')],
              'they stand where they stood')
    TAP.equal(texts(svg('t', rows('a    b\x1b[99mc'), 40)), [(MARGIN, MARGIN + 13, '', 'a'),
                                                           (MARGIN + 5 * COLUMN, MARGIN + 13, '', 'b'),
                                                           (MARGIN + 6 * COLUMN, MARGIN + 13, '', 'c')],
              'wide gaps are no text; an unknown style is none')


def test_pictures():
    old = '\x1b[H\x1b[Kold\x1b[J'
    TAP.equal(rows(f'\x1b[?1049h\x1b[?25l{old}\x1b[H\x1b[Knew\r\n\x1b[Kline\x1b[J'),
              [[(0, '', 'new')], [(0, '', 'line')]], 'of a live view, the last picture')


def test_committed(name):
    path = ROOT / 'docs/screenshots' / f'{name}.svg'
    try:
        found = texts(path.read_text(encoding='utf-8'))
    except (OSError, ElementTree.ParseError) as error:
        TAP.ok(False, f'{path.name} is there, and well-formed', error)
        return
    TAP.ok(len(found) > 10, f'{path.name} is there, and well-formed', found)
    shown = '\n'.join(text for *_, text in found)
    TAP.ok(re.search(PICTURES[name], shown), f'{path.name} shows ksmctl {name}', shown)
    TAP.ok('web-1' in shown or name == 'status', f'{path.name} shows guests', shown)
    # A path, a kernel's build (6.18.1-2-amd64), an address of the maker's host.
    TAP.equal(re.findall(r'/(?:home|root|tmp|var|work|build)\b\S*|\b\d+\.\d+\.\d+-\S+|\S+@\S+', shown), [],
              f'{path.name} tells nothing of the host that it was made on')


test_escapes()
test_styles()
test_pictures()
for NAME in PICTURES:
    test_committed(NAME)
sys.exit(TAP.done())
