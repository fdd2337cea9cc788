#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl watch on made-up hosts, on terminals and without: KSMCTL. Prints TAP."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys
import time

from common import Tap, for_everyone, wait_for
from host import Host
from terminal import ENTER, LEAVE, Terminal

KSMCTL = pathlib.Path(sys.argv[1]).resolve()
tap = Tap()


@contextlib.contextmanager
def made_up_host(guests=3):
    host = Host(free_kb=2 * 2**20)
    try:
        host.process(1, 'init', 100)
        host.set_guests([400000 + 4000 * i for i in range(guests)])
        for i, pid in enumerate(host.guests):
            merge(host, pid, 256 * (i + 1))
        for name, value in {'run': 1, 'pages_sharing': 25600, 'full_scans': 41, 'pages_scanned': 0,
                            'general_profit': -4096, 'advisor_mode': '[none] scan-time',
                            'ksm_zero_pages': 0}.items():
            host.set_knob(name, value)
        yield host
    finally:
        host.remove()


def merge(host, pid, pages):
    (host.path / f'proc/{pid}/ksm_stat').write_text(
        f'ksm_rmap_items 9000\nksm_zero_pages 0\nksm_merging_pages {pages}\nksm_process_profit 1\n')


def state(host, age=1.0, **changes):
    values = {'VERSION': '1', 'PID': 4711, 'POLICY': 'classic', 'PHASE': 'boost', 'RUN': 1,
              'THRESHOLD_KB': 5 * 2**20, 'FREE_KB': 1, 'REASON': 'the reason of the daemon',
              'INTERVAL_USEC': 60000000, 'TIME_USEC': int((time.time() - age) * 1e6)} | changes
    file = host.path / 'run/ksmtuned/state'
    file.parent.mkdir(exist_ok=True)
    # Replaced at once, as the daemon does it.
    file.with_suffix('.new').write_text(''.join(f'{key}={value}\n' for key, value in values.items()))
    file.with_suffix('.new').rename(file)
    host.process(4711, 'ksmtuned', 2000)


def watch(host, *arguments, **options):
    return Terminal([str(KSMCTL), '--root', str(host.path), 'watch', '-i', '0.1', *arguments],
                    **options)


def fits(terminal, lines):
    return len(lines) <= terminal.rows and all(len(line) <= terminal.columns for line in lines)


def restored(terminal):
    """The alternate screen is left, the cursor is there, keys work as before."""
    return (terminal.text.rfind(ENTER) < terminal.text.rfind(LEAVE)
            and terminal.text.endswith(LEAVE) and terminal.settings() == terminal.before)


# --- The view ---------------------------------------------------------------------------------

def test_what_is_shown():
    with made_up_host() as host, watch(host) as terminal:
        lines = terminal.wait_for(lambda lines: 'kB/s' in lines[5])
        tap.ok(lines and fits(terminal, lines), 'a picture', terminal.text)
        text = '\n'.join(lines)
        for words in ('on (1): 100 pages each 20 ms, advisor none', 'ksmtuned   not running',
                      '2.0 GiB, threshold 3.2 GiB, below it', '100 MiB, 0.6 % of memory',
                      'profit -4 kB', 'ksmd       cannot be seen', 'pass 42', '3 with 1.2 GiB'):
            tap.ok(words in text, words, text)
        names = [line.split() for line in lines if re.match(r'g1\d\d\d ', line)]
        tap.equal([(name[0], name[4:6]) for name in names],
                  [('g1006', ['3.0', 'MiB']), ('g1003', ['2.0', 'MiB']), ('g1000', ['1.0', 'MiB'])],
                  'guests, those with most merged memory first')

        terminal.text = ''
        host.set_knob('pages_sharing', 256000)
        tap.ok(terminal.wait_for(lambda lines: '1.0 GiB, 6.1 % of memory' in lines[4]),
               'what is merged then', terminal.lines())
        tap.ok(re.search(r'[1-9][^,]*iB/s, un-merging 0 kB/s', terminal.text), 'merging a second',
               terminal.text)
        terminal.text = ''
        host.set_knob('pages_sharing', 1)
        terminal.wait_for(lambda lines: 'saved      4 kB' in lines[4])
        tap.ok(re.search(r'0 kB/s, un-merging [1-9]', terminal.text), 'un-merging a second',
               terminal.text)
        merge(host, host.guests[0], 1 << 18)
        tap.ok(terminal.wait_for(lambda lines: any(line.startswith('g1000') and '1.0 GiB' in line
                                                   for line in lines)),
               'a guest that merges comes first', terminal.lines())
        host.set_guests([])
        tap.ok(terminal.wait_for(lambda lines: lines[7] == 'guests     0'), 'guests end',
               terminal.lines())
        terminal.press('q')
        tap.ok(terminal.end() == 0 and restored(terminal), 'q quits and leaves all as it was',
               terminal.text[-300:])


def test_rates():
    with made_up_host() as host:
        host.process(26, 'ksmd', 0)
        stat = (host.path / 'proc/26/stat').read_text().replace('4194560', '2097216')
        (host.path / 'proc/26/stat').write_text(stat)
        began = time.monotonic()

        def advance():
            now = time.monotonic() - began
            for path, text in (('proc/26/schedstat', f'{int(now * 25e7)} 1 1\n'),
                               ('sys/kernel/mm/ksm/pages_scanned', f'{int(now * 20000)}\n'),
                               ('proc/vmstat', f'x 1\ncow_ksm {int(now * 3000)}\ny 1\n')):
                (host.path / (path + '.new')).write_text(text)
                (host.path / (path + '.new')).rename(host.path / path)
        advance()
        with watch(host, '-i', '1') as terminal:
            figures = []
            while len(figures) < 3 and time.monotonic() < began + 15:
                advance()
                terminal.read(0.01)
                found = re.findall(r'written to (\d+) pages/s.*?([\d.]+) % of one CPU, (\d+) pages/s',
                                   terminal.text, re.S)
                figures = found
            got = [float(figure) for figure in figures[-1]] if figures else []
            tap.ok(len(got) == 3 and abs(got[0] / 3000 - 1) < .2 and abs(got[1] / 25 - 1) < .2
                   and abs(got[2] / 20000 - 1) < .2, 'rates of known counters', figures)


def test_the_daemon():
    with made_up_host() as host:
        state(host)
        with watch(host) as terminal:
            lines = terminal.wait_for(lambda lines: 'boost: the reason of the daemon' in lines[2])
            tap.ok(lines and 'threshold 5.0 GiB' in lines[3], 'the daemon\'s phase, reason, threshold',
                   terminal.lines())
            state(host, age=200)
            lines = terminal.wait_for(lambda lines: 'gone or late' in lines[2])
            tap.ok(lines and 'threshold 3.2 GiB' in lines[3], 'a daemon that hangs', terminal.lines())
            state(host, REASON='a \x1b[31mred\x07 word')
            tap.ok(terminal.wait_for(lambda lines: 'a ?[31mred? word' in lines[2]),
                   'what a state says is no sequence for the terminal', terminal.lines())
            host.config('KSM_THRES_COEF=50\n')
        (host.path / 'run/ksmtuned/state').unlink()
        with watch(host) as terminal:
            tap.ok(terminal.wait_for(lambda lines: 'threshold 8.0 GiB' in lines[3]),
                   'without one, the configuration\'s threshold', terminal.lines())


def test_sizes():
    for columns, rows in (80, 24), (40, 10), (200, 60), (20, 5), (1, 1), (500, 200):
        with made_up_host(guests=100) as host, watch(host, columns=columns, rows=rows) as terminal:
            lines = terminal.wait_for(lambda lines: True) and terminal.wait_for_picture()
            tap.ok(lines and fits(terminal, lines), f'{columns}x{rows}: nothing sticks out', lines)
            if columns >= 40 and rows >= 10:
                text = '\n'.join(lines)
                tap.ok('threshold 3.2 GiB' in text and 'saved' in text and 'merging' in text
                       and lines[7].startswith('guests     100'), f'{columns}x{rows}: what matters', text)
            if rows == 60:
                tap.ok(len(lines) == 60 and sum(line.startswith('g1') for line in lines) > 40,
                       f'{columns}x{rows}: guests fill it', lines)
            terminal.press('q')
            tap.ok(terminal.end() == 0 and restored(terminal), f'{columns}x{rows}: q quits')


def test_resizing():
    with made_up_host() as host, watch(host, '-i', '1h') as terminal:
        tap.ok(terminal.wait_for(lambda lines: len(lines) > 12), 'a large one')
        terminal.resize(40, 10)
        lines = terminal.wait_for(lambda lines: len(lines) <= 10)
        tap.ok(lines and fits(terminal, lines), 'a small one at once, within the interval',
               terminal.lines())
        terminal.resize(100, 40)
        tap.ok(terminal.wait_for(lambda lines: len(lines) > 12), 'and back', terminal.lines())


def test_ends():
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        with made_up_host() as host, watch(host) as terminal:
            terminal.wait_for(lambda lines: True)
            changed = terminal.settings() != terminal.before
            terminal.process.send_signal(number)
            tap.ok(changed and terminal.end() == 0 and restored(terminal),
                   f'{number.name} leaves all as it was', terminal.text[-300:])
    for name, keys in ('Ctrl-C', '\x03'), ('Q', 'Q'), ('Ctrl-D', '\x04'):
        with made_up_host() as host, watch(host, '-i', '1h') as terminal:
            terminal.wait_for(lambda lines: True)
            terminal.press('x' + keys)
            tap.ok(terminal.end() == 0 and restored(terminal), f'{name} quits', terminal.text[-300:])
    with made_up_host() as host, watch(host, '-n', '3') as terminal:
        tap.ok(terminal.end() == 0 and restored(terminal)
               and terminal.text.count('\x1b[H') == 3, '--count ends it', terminal.text)
    with made_up_host() as host, watch(host) as terminal:
        terminal.wait_for(lambda lines: True)
        os.close(terminal.master)
        os.close(terminal.slave)
        terminal.master = terminal.slave = -1
        tap.ok(wait_for(lambda: terminal.process.poll() is not None, 10)
               and terminal.process.returncode == 0, 'the end of the terminal ends it',
               terminal.process.returncode)


def test_pause():
    with made_up_host() as host, watch(host) as terminal:
        terminal.wait_for(lambda lines: True)
        terminal.press('\x1a')
        stopped = wait_for(lambda: ') T ' in
                           pathlib.Path(f'/proc/{terminal.process.pid}/stat').read_text(), 10)
        terminal.read(0.2)
        tap.ok(stopped and restored(terminal), 'Ctrl-Z gives the terminal back', terminal.text[-300:])
        terminal.process.send_signal(signal.SIGCONT)
        tap.ok(terminal.wait_for_picture() and terminal.settings() != terminal.before,
               'it comes back')
        terminal.press('q')
        tap.ok(terminal.end() == 0 and terminal.settings() == terminal.before, 'and can be quit')


def test_stopped_terminal():
    with made_up_host() as host, watch(host) as terminal:
        terminal.wait_for(lambda lines: True)
        terminal.press('\x13')  # Ctrl-S
        time.sleep(1)
        terminal.process.terminate()
        tap.equal(terminal.end(), 0, 'a terminal that is stopped does not keep it from ending')
        tap.equal(terminal.settings(), terminal.before, 'keys work as before')


def test_a_file_that_goes_and_comes_back():
    with made_up_host() as host, watch(host, columns=120) as terminal:
        terminal.wait_for(lambda lines: True)
        (host.path / 'proc/meminfo').rename(host.path / 'proc/gone')
        tap.ok(terminal.wait_for(lambda lines: 'cannot read /proc/meminfo' in lines[0]),
               'what cannot be read stands in the view', terminal.lines())
        (host.path / 'proc/gone').rename(host.path / 'proc/meminfo')
        tap.ok(terminal.wait_for(lambda lines: 'cannot' not in lines[0]), 'until it can be')


def test_characters_and_colours():
    for env, ascii_only, colours in (({'LC_ALL': 'C'}, True, True),
                                     ({'LC_ALL': 'C.UTF-8'}, False, True),
                                     ({'LC_ALL': 'C', 'NO_COLOR': '1'}, True, False),
                                     ({'LC_ALL': 'C.UTF-8', 'NO_COLOR': '1'}, False, False)):
        with made_up_host() as host, watch(host, env=env) as terminal:
            lines = terminal.wait_for(lambda lines: len(lines) > 10 and 'kB/s' in lines[5])
            terminal.press('q')
            terminal.end()
            tap.equal((terminal.text.isascii(), bool(re.search(r'\x1b\[[1-9]\d*m', terminal.text))),
                      (ascii_only, colours), f'{env}: blocks and colours')
            history = [line for line in lines or [] if ' up to ' in line]
            tap.ok(len(history) == 4 and any(('#' if ascii_only else '█') in line
                                             for line in history), f'{env}: history', lines)


def test_without_keys():
    with made_up_host() as host, watch(host, '-n', '2', keys=False) as terminal:
        tap.ok(terminal.end() == 0 and restored(terminal), 'standard input may be no terminal',
               terminal.text)


def test_an_old_kernel():
    host = Host(free_kb=2 * 2**20)
    try:
        host.set_guests([400000])
        (host.path / 'proc/meminfo').write_text('MemTotal: 16777216 kB\nMemFree: 2097152 kB\n')
        with watch(host) as terminal:
            lines = terminal.wait_for(lambda lines: 'kB/s' in lines[5])
            text = '\n'.join(lines or [])
            tap.ok('advisor' not in text and 'profit' not in text and 'written' not in text
                   and 'pages/s' not in text and 'pass 1' in text and 'not on this kernel' in text
                   and 'threshold 3.2 GiB' in text, 'a kernel of 2009: what it has is shown', text)
    finally:
        host.remove()


def test_an_ordinary_user():
    with made_up_host() as host:
        for pid in host.guests:
            (host.path / f'proc/{pid}/ksm_stat').chmod(0)
        command = [for_everyone(KSMCTL, host.path)]
        if os.geteuid() == 0:
            command = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', *command]
        with Terminal([*command, '--root', str(host.path), 'watch', '-i', '0.1']) as terminal:
            lines = terminal.wait_for(lambda lines: 'kB/s' in lines[5])
            tap.ok(lines and sum('not permitted' in line for line in lines) == 3
                   and '100 MiB, 0.6 % of memory' in lines[4],
                   'what an ordinary user may not read is told, the rest is shown',
                   lines or terminal.text)


# --- Without a terminal -----------------------------------------------------------------------

def run(host, *arguments, **options):
    environment = os.environ | {'LC_ALL': 'C', 'TZ': 'UTC', 'TERM': 'xterm'}
    return subprocess.run([KSMCTL, '--root', host.path, 'watch', *arguments], text=True, check=False,
                          capture_output=True, timeout=60, env=environment, **options)


def test_no_terminal():
    with made_up_host() as host:
        answer = run(host)
        tap.ok(answer.returncode == 1 and answer.stdout == '' and '--log' in answer.stderr
               and answer.stderr.count('\n') == 1, 'no terminal: told, with the way out', answer)
        for term in 'dumb', '':
            with watch(host, env={'TERM': term}) as terminal:
                tap.ok(terminal.end() == 1 and '--log' in terminal.text and '\x1b' not in terminal.text,
                       f'TERM={term}: likewise', terminal.text)
    with made_up_host() as host:
        (host.path / 'sys/kernel/mm/ksm/run').unlink()
        with watch(host) as terminal:
            tap.ok(terminal.end() == 1 and 'no KSM' in terminal.text and '\x1b' not in terminal.text,
                   'a kernel without KSM: told, the terminal is left alone', terminal.text)


LINE = (r'2\d\d\d-\d\d-\d\d \d\d:\d\d:\d\d KSM (running|not running), (\d+) MB saved, (\d+) MB free'
        r'(?:, ksmtuned: (\w+))?$')


def test_log():
    with made_up_host() as host:
        answer = run(host, '--log', '-n', '3', '-i', '0.1')
        found = re.match(LINE, answer.stdout)
        tap.ok(answer.returncode == 0 and answer.stderr == '' and answer.stdout.count('\n') == 1
               and found and found.groups() == ('running', '100', '2048', None),
               'one line where nothing changes', answer)

        process = subprocess.Popen([KSMCTL, '--root', host.path, 'watch', '--log', '-i', '0.1'],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=os.environ | {'LC_ALL': 'C'})
        lines = [process.stdout.readline()]
        for act in (lambda: host.set_knob('run', 0), lambda: host.set_knob('run', 1),
                    lambda: state(host), lambda: state(host, PHASE='off'),
                    lambda: host.set_knob('run', 2)):
            act()
            lines.append(process.stdout.readline())
        found = [re.match(LINE, line) for line in lines]
        tap.equal([match and (match[1], match[4]) for match in found],
                  [('running', None), ('not running', None), ('running', None), ('running', 'boost'),
                   ('running', 'off'), ('not running', 'off')], 'a line for each change, at once')
        process.terminate()
        tap.equal((process.wait(10), process.stdout.read(), process.stderr.read()), (0, '', ''),
                  'SIGTERM ends it')
        process.stdout.close()
        process.stderr.close()

        process = subprocess.Popen([KSMCTL, '--root', host.path, 'watch', '--log', '-i', '1h'],
                                   stdout=subprocess.PIPE)
        process.stdout.readline()
        process.stdout.close()
        tap.equal(process.wait(10), 0, 'a closed pipe ends it, and is no failure')
        with open('/dev/full', 'wb') as full:
            answer = subprocess.run([KSMCTL, '--root', host.path, 'watch', '--log'], stdout=full,
                                    stderr=subprocess.PIPE, text=True, check=False, timeout=60)
        tap.ok(answer.returncode == 1 and 'No space left' in answer.stderr, 'a full disk', answer)


for test_name, test in list(globals().items()):
    if test_name.startswith('test_'):
        tap.diag(test_name)
        test()
sys.exit(tap.done())
