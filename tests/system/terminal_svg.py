# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands on a terminal, with its bold and its colours, as an SVG."""

import re
from xml.sax.saxutils import escape

# Pixels. A run of letters is stretched to its columns, whatever font the viewer has.
COLUMN, ROW, SIZE, MARGIN = 8, 18, 13.5, 14

# The attributes that ksmctl uses, by their number in "\x1b[Nm".
CLASSES = {'1': 'bold', '2': 'dim', '31': 'bad', '32': 'good', '33': 'warn'}

STYLE = """text{font-family:"DejaVu Sans Mono",Menlo,Consolas,monospace;font-size:%spx;fill:#d5d9e0;white-space:pre}
.bold{fill:#ffffff;font-weight:bold}
.dim{fill:#8b949e}
.good{fill:#56d364}
.warn{fill:#e3b341}
.bad{fill:#ff7b72}""" % SIZE


def rows(text):
    """
    What a program wrote, from the last time that it went to the top of the screen: for each row
    the runs of one style, as (column, class or '', text).
    """
    picture = text.split('\x1b[H')[-1].split('\x1b[J')[0]
    found = []
    for line in picture.replace('\r', '').rstrip('\n').split('\n'):
        runs, column, style = [], 0, ''
        for sequence, letter, piece in re.findall(r'\x1b\[([0-9;?]*)([A-Za-z])|([^\x1b]+)', line):
            if letter == 'm':
                style = CLASSES.get(sequence, '')
            if piece:
                runs.append((column, style, piece))
                column += len(piece)
        found.append(runs)
    return found


def words(column, text):
    """A run without its wide gaps, which some viewers would close: (column, text) each."""
    return [(column + match.start(), match[0]) for match in re.finditer(r'\S+(?: \S+)*', text)]


def svg(title, lines, columns):
    """@lines: as rows() has them. The result is a whole document."""
    width, height = columns * COLUMN + 2 * MARGIN, len(lines) * ROW + 2 * MARGIN
    out = ['<?xml version="1.0" encoding="UTF-8"?>',
           f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}" role="img">',
           f'<title>{escape(title)}</title>', f'<style>{STYLE}</style>',
           f'<rect width="{width}" height="{height}" rx="8" fill="#11151c"/>']
    for number, runs in enumerate(lines):
        for start, style, run in runs:
            for column, text in words(start, run):
                kind = f' class="{style}"' if style else ''
                out.append(f'<text x="{MARGIN + column * COLUMN}" y="{MARGIN + number * ROW + 13}"{kind} '
                           f'textLength="{len(text) * COLUMN}" lengthAdjust="spacingAndGlyphs">'
                           f'{escape(text)}</text>')
    return '\n'.join([*out, '</svg>', ''])
