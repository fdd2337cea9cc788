# SPDX-License-Identifier: GPL-2.0-or-later
"""What Grafana expects of a dashboard's file, as far as it can be told without Grafana."""

import re

COLUMNS = 24
SOURCE = {'type': 'prometheus', 'uid': '${datasource}'}
PANELS = {'row', 'stat', 'table', 'timeseries', 'state-timeline'}
# Since this one data sources are objects (Grafana 8.3); nobody has seen one beyond the other.
SCHEMAS = range(33, 100)


def head_problems(board):
    if not re.fullmatch(r'[A-Za-z0-9_-]{1,40}', str(board.get('uid'))):
        yield 'its uid is none'
    if board.get('id') is not None:
        yield 'it has the id of some server'
    if not board.get('title'):
        yield 'it has no title'
    if board.get('schemaVersion') not in SCHEMAS:
        yield f'schemaVersion is {board.get("schemaVersion")!r}'
    if not all(str(board.get('time', {}).get(end, '')).startswith('now') for end in ('from', 'to')):
        yield 'it has no time to show'


def variable_problems(board, text):
    variables = board['templating']['list']
    names = [variable['name'] for variable in variables]
    if len(set(names)) != len(names):
        yield 'two variables have one name'
    if not variables or (names[0], variables[0]['type']) != ('datasource', 'datasource'):
        yield 'the first variable is not the data source'
    for variable in variables[1:]:
        if variable.get('datasource') != SOURCE:
            yield f'variable {variable["name"]} does not take the chosen data source'
    used = set(re.findall(r'\$\{?([a-z]\w*)', text))
    for name in sorted(used ^ set(names)):
        yield f'variable {name} is not ' + ('used' if name in names else 'there')


def place_problems(panels):
    taken = {}
    for panel in panels:
        name, place = panel.get('title'), panel.get('gridPos', {})
        if not all(isinstance(place.get(key), int) for key in 'xywh'):
            yield f'panel {name} has no place'
            continue
        x, y, w, h = (place[key] for key in 'xywh')
        if x < 0 or y < 0 or w < 1 or h < 1 or x + w > COLUMNS:
            yield f'panel {name} does not fit into {COLUMNS} columns'
        for cell in ((i, j) for i in range(x, x + w) for j in range(y, y + h)):
            if taken.setdefault(cell, panel) is not panel:
                yield f'panel {name} lies over {taken[cell].get("title")}'
                break


def target_problems(panel):
    name, targets = panel.get('title'), panel.get('targets') or []
    if not targets:
        yield f'panel {name} asks for nothing'
    if len({target.get('refId') for target in targets}) != len(targets):
        yield f'panel {name} has two queries of one refId'
    for target in targets:
        if not target.get('expr') or not target.get('refId'):
            yield f'panel {name} has an empty query'
    if any(part.get('datasource') != SOURCE for part in (panel, *targets)):
        yield f'panel {name} does not take the chosen data source'


def panel_problems(panels):
    ids = [panel.get('id') for panel in panels]
    if len(set(ids)) != len(ids) or not all(isinstance(number, int) and number > 0 for number in ids):
        yield 'panels have no ids of their own'
    for panel in panels:
        if not panel.get('title'):
            yield f'panel {panel.get("id")} has no title'
        if panel.get('type') not in PANELS:
            yield f'panel {panel.get("title")} is of the unknown type {panel.get("type")}'
        elif panel['type'] != 'row':
            yield from target_problems(panel)
        elif panel.get('panels') or panel.get('collapsed') or panel['gridPos'].get('w') != COLUMNS:
            yield f'row {panel.get("title")} is folded, or not as wide as the page'


def problems(board, text):
    """What is wrong with @board, of which @text is the file."""
    return [*head_problems(board), *variable_problems(board, text), *panel_problems(board['panels']),
            *place_problems(board['panels'])]
