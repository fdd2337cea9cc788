# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl watch, record and replay on the kernel's own KSM, and what watch costs."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'bench'))

from common import (KSM, Eater, Mergeable, Tap, alone, arguments, cpu_nsec, knob,  # noqa: E402
                    knob_number, live_ksm, need_root, processes_named, read, settled_free_kb, wait_for,
                    write)
from host import Daemon  # noqa: E402
from measure import crowd  # noqa: E402
from terminal import Terminal  # noqa: E402

PAGE_KB = os.sysconf('SC_PAGE_SIZE') // 1024
GUEST_MIB = 128
PROCESSES, GUESTS, CPU_PERCENT_MOST, SECONDS = 5000, 300, 0.5, 8
ATTEMPTS = 3

UNITS = {'kB': 1, 'MiB': 1024, 'GiB': 1024**2, 'TiB': 1024**3}


def kb(text):
    """The first size of a line, in kB."""
    number, unit = re.search(r'(-?[\d.]+) (kB|[MGT]iB)', text).groups()
    return float(number) * UNITS[unit]


def near(shown_kb, real_kb):
    """Equal, as far as one decimal tells."""
    return abs(shown_kb - real_kb) <= 0.051 * max(UNITS[unit] for unit in UNITS
                                                  if UNITS[unit] <= max(1, real_kb * 1.03)) + 1


@contextlib.contextmanager
def two_guests():
    guests = [Mergeable(ARGS, 50), Mergeable(ARGS, 50)]
    try:
        for guest in guests:
            guest.grow(GUEST_MIB)
        yield guests
    finally:
        for guest in guests:
            guest.end()


def ksmd_pid():
    return next(pid for pid in processes_named('ksmd') if read(f'/proc/{pid}/cmdline', '') == '')


def merged_kb(pid):
    text = read(f'/proc/{pid}/ksm_stat', '')
    return sum(int(value) for name, value in re.findall(r'^(\w+) (\d+)$', text, re.M)
               if name in ('ksm_merging_pages', 'ksm_zero_pages')) * PAGE_KB


def check_ksmd(terminal):
    """The share of a CPU that is shown against the clock of ksmd."""
    write(KSM / 'pages_to_scan', 5000)
    ksmd = ksmd_pid()
    terminal.wait_for_picture()
    before, scanned, began = cpu_nsec(ksmd), knob_number('pages_scanned'), time.monotonic()
    shown = []
    while time.monotonic() < began + 3:
        lines = terminal.wait_for_picture()
        found = re.search(r'([\d.]+) % of one CPU, (\d+) pages/s', lines[6])
        shown.append((float(found[1]), int(found[2])))
    seconds = time.monotonic() - began
    percent = (cpu_nsec(ksmd) - before) / seconds / 1e7
    rate = (knob_number('pages_scanned') - scanned) / seconds
    means = [sum(values) / len(values) for values in zip(*shown)]
    TAP.ok(percent > 1 and 0.6 < means[0] / percent < 1.6,
           f'ksmd\'s CPU: {means[0]:.1f} % shown, {percent:.1f} % by its clock', shown)
    TAP.ok(0.6 < means[1] / rate < 1.6, f'{means[1]:.0f} pages/s shown, {rate:.0f} counted', shown)


def test_view():
    with two_guests() as guests:
        write(KSM / 'pages_to_scan', 5000)
        write(KSM / 'sleep_millisecs', 10)
        write(KSM / 'run', 1)
        command = [ARGS.ksmctl, 'watch', '-i', '0.5']
        with Terminal(command, columns=100, rows=40) as terminal:
            seen = wait_for(lambda: re.search(r'[1-9][^,]*B/s, un-merging 0 kB/s', terminal.read(0.1)),
                            60)
            TAP.ok(seen, 'merging is seen while it happens')
            half_kb = GUEST_MIB * 1024 // 2
            TAP.ok(wait_for(lambda: knob_number('pages_sharing') * PAGE_KB >= half_kb * 0.95, 60),
                   'the common half is merged')
            check_ksmd(terminal)

            write(KSM / 'run', 0)
            terminal.wait_for_picture()
            lines = terminal.wait_for(lambda lines: 'off (0)' in lines[1])
            zero = int(read(KSM / 'ksm_zero_pages', '0'))
            saved_kb = (knob_number('pages_sharing') + zero) * PAGE_KB
            TAP.ok(near(kb(lines[4]), saved_kb), f'saved: {saved_kb} kB by the files', lines[4])
            TAP.ok(f'{knob("pages_to_scan")} pages each {knob("sleep_millisecs")} ms' in lines[1],
                   'the knobs', lines[1])
            TAP.ok(f'pass {knob_number("full_scans") + 1}' in lines[6], 'the pass', lines[6])
            for guest in guests:
                row = [line for line in lines if f' {guest.pid} ' in line]
                TAP.ok(len(row) == 1 and near(kb(row[0][-11:]), merged_kb(guest.pid)),
                       f'the guest {guest.pid}: {merged_kb(guest.pid)} kB merged', row)
            TAP.ok(int(lines[7].split()[1]) >= 2, 'guests are counted', lines[7])
            check_tmux()
            write(KSM / 'run', 2)
            lines = terminal.wait_for(lambda lines: 'all was unmerged' in lines[1]
                                      and 'saved      0 kB' in lines[4])
            TAP.ok(lines, 'unmerged', terminal.lines())
            TAP.ok(re.search(r'un-merging [1-9]', terminal.text), 'un-merging was seen')
            terminal.press('q')
            TAP.ok(terminal.end() == 0 and terminal.settings() == terminal.before, 'q quits')


def check_tmux():
    """The same in a terminal that others have written."""
    if not shutil.which('tmux'):
        TAP.skip('watch in tmux', 'tmux is not here')
        return
    with tempfile.TemporaryDirectory() as folder:
        tmux = ['tmux', '-S', f'{folder}/socket', '-f', '/dev/null']
        environment = os.environ | {'LC_ALL': 'C.UTF-8', 'TERM': 'xterm'}
        subprocess.run([*tmux, 'new-session', '-d', '-x', '80', '-y', '24',
                        f'{ARGS.ksmctl} watch -i 0.3; echo ENDED; exec sleep 60'], check=True,
                       env=environment)

        def screen():
            return subprocess.run([*tmux, 'capture-pane', '-p'], check=True, capture_output=True,
                                  text=True, env=environment).stdout
        try:
            text = wait_for(lambda: screen() if 'un-merging' in screen() else '', 10)
            TAP.ok(text and 'off (0)' in text and '█' in text
                   and max(map(len, text.splitlines())) <= 80, 'watch in tmux', text)
            TAP.diag(text)
            subprocess.run([*tmux, 'send-keys', 'q'], check=True, env=environment)
            TAP.ok(wait_for(lambda: 'ENDED' in screen() and 'un-merging' not in screen(), 10),
                   'the screen is as it was before', screen)
        finally:
            subprocess.run([*tmux, 'kill-server'], check=False, env=environment)


def record(*options):
    return subprocess.run([ARGS.ksmctl, 'record', *options], check=True, capture_output=True,
                          text=True).stdout


def rows_of(text):
    names, *rows = [line.split('\t') for line in text.splitlines() if not line.startswith('#')]
    return [dict(zip(names, row, strict=True)) for row in rows]


def test_record():
    write(KSM / 'run', 1)
    time.sleep(0.2)
    write(KSM / 'run', 0)
    text = record('-n', '4', '-i', '0.2')
    row = rows_of(text)[-1]
    names = {path.name for path in KSM.iterdir()} & set(row) - {'advisor_mode'}
    TAP.ok(len(names) > 8, 'columns are called as the files', names)
    TAP.equal({name: row[name] for name in names}, {name: knob(name) for name in names},
              'every counter and knob is what the kernel\'s file says')
    TAP.equal(int(row['ksmd_cpu_nsec']), cpu_nsec(ksmd_pid()), 'ksmd\'s CPU time')
    TAP.equal(row['mem_total_kb'], re.search(r'MemTotal:\s+(\d+)', read('/proc/meminfo'))[1],
              'memory')
    TAP.ok(f'#kernel={os.uname().release}\n' in text and f'#cpus={os.cpu_count()}\n' in text,
           'facts of the host', text[:400])
    answer = subprocess.run([ARGS.ksmctl, 'replay', '-', '--json', '--at', 'sample'], input=text,
                            text=True, capture_output=True, check=True)
    TAP.equal(json.loads(answer.stdout)['configurations'][1]['decisions'], 4, 'it can be replayed')


def attempt(folder):
    """A daemon that switches KSM on and off, recorded. Returns what it did, and the replay of it."""
    config = pathlib.Path(folder) / 'ksmtuned.conf'
    threshold_kb = settled_free_kb() - 500 * 1024
    config.write_text(f'KSM_MONITOR_INTERVAL=1\nPIDFILE=\nKSM_LIBVIRT_URI=\nKSM_THRES_COEF=1\n'
                      f'KSM_VM_MATCH=no-such-guest\nKSM_THRES_CONST={threshold_kb}\n')
    output = pathlib.Path(folder) / 'recording.tsv'
    with Daemon(ARGS, options=['--config', str(config)]):
        recorder = subprocess.Popen([ARGS.ksmctl, 'record', '-i', '0.1', '-o', str(output),
                                     '-c', str(config)])
        try:
            for _ in range(2):
                time.sleep(2.5)
                eater = Eater(ARGS)
                try:
                    eater.below(threshold_kb)
                    time.sleep(3)
                finally:
                    eater.end()
            time.sleep(2.5)
        finally:
            recorder.terminate()
            recorder.wait()
    answer = subprocess.run([ARGS.ksmctl, 'replay', output, '-c', config, '--at', 'daemon', '-d',
                             '--json'], text=True, capture_output=True, check=True)
    replay = json.loads(answer.stdout)
    lines = output.read_text().splitlines()
    names = next(line for line in lines if not line.startswith('#')).split('\t')
    live, replayed, now = [], [], None
    for decision in replay['decisions']:
        row = dict(zip(names, lines[decision['line'] - 1].split('\t'), strict=True))
        live.append((int(row['run']), int(row['pages_to_scan'])))
        if decision['verdict'] == 'start':
            now = (1, decision['pages_to_scan'])
        else:
            now = (0, now[1] if now else live[0][1])
        replayed.append(now)
    return live, replayed, replay['recording'][0]['missed_decisions']


def test_replay_equals_the_daemon():
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory() as folder:
            live, replayed, missed = attempt(folder)
        TAP.diag(f'the daemon: {live}')
        # Free memory moves by itself in the tenth of a second between decision and sample; a
        # decision right at the threshold may then be another, and a drift hides the threshold.
        switches = sum(a[0] != b[0] for a, b in zip(live, live[1:]))
        if live == replayed and missed == 0 and switches >= 3:
            break
    TAP.equal((replayed, missed), (live, 0), f'{len(live)} decisions are the daemon\'s own')
    TAP.ok(switches >= 3, f'KSM was switched {switches} times meanwhile', live)


def test_cost():
    with alone(), crowd(ARGS, PROCESSES, GUESTS):
        with Terminal([ARGS.ksmctl, 'watch'], columns=100, rows=50) as terminal:
            lines = terminal.wait_for(lambda lines: 'kB/s' in lines[5], 30)
            TAP.ok(int(lines[7].split()[1]) >= GUESTS, f'{GUESTS} guests are counted', lines[7])
            before, began = cpu_nsec(terminal.process.pid), time.monotonic()
            while time.monotonic() < began + SECONDS:
                terminal.read(1)
            percent = (cpu_nsec(terminal.process.pid) - before) / (time.monotonic() - began) / 1e7
            TAP.ok(percent < CPU_PERCENT_MOST, f'watch takes {percent:.2f} % of one CPU with {GUESTS} '
                   f'guests and {PROCESSES} processes, less than {CPU_PERCENT_MOST} %')
            terminal.press('q')
            TAP.equal(terminal.end(), 0, 'q quits')


ARGS = arguments(__doc__)
need_root()
TAP = Tap()
with live_ksm():
    test_view()
    test_record()
    test_replay_equals_the_daemon()
test_cost()
sys.exit(TAP.done())
