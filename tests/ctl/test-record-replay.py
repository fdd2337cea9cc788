#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl record and replay on made-up hosts: KSMCTL KSMTUNED RECORDINGS. Prints TAP."""

import contextlib
import fcntl
import json
import os
import pathlib
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time

from common import Tap
from host import Daemon, Host

KSMCTL, KSMTUNED, RECORDINGS = (pathlib.Path(argument).resolve() for argument in sys.argv[1:4])
EVENING = RECORDINGS / 'evening.tsv'
FACTS = '#format=ksmtuned-recording\n#version=1\n#page_bytes=4096\n#interval_usec=60000000\n'
COLUMNS = ('time_usec monotonic_usec mem_total_kb mem_free_kb buffers_kb cached_kb guests '
           'committed_kb run pages_to_scan sleep_millisecs').split()
TOTAL_KB = 16777216

tap = Tap()


@contextlib.contextmanager
def made_up_host(**arguments):
    host = Host(**arguments)
    try:
        yield host
    finally:
        host.remove()


def environment(extra):
    return os.environ | {'LC_ALL': 'C', 'TZ': 'UTC', 'COLUMNS': '80'} | (extra or {})


def ksmctl(*arguments, root='/nonexistent-root', env=None, **options):
    with tempfile.TemporaryDirectory() as empty:
        where = empty if root == '/nonexistent-root' else str(root)
        return subprocess.run([KSMCTL, '--root', where, *map(str, arguments)], text=True,
                              check=False, capture_output='stdout' not in options, timeout=60,
                              env=environment(env), **options)


def start(root, *arguments, **options):
    return subprocess.Popen([KSMCTL, '--root', str(root), *map(str, arguments)],
                            env=environment(None), stdin=subprocess.DEVNULL, **options)


def fails(name, answer, status, *words):
    """The exit status, and one line that says why; nothing on standard output."""
    said = answer.stderr
    tap.ok(answer.returncode == status and answer.stdout in ('', None)
           and all(word in said for word in words)
           and said.split('usage:')[0].count('\n') == 1 and said.startswith('ksmctl: '),
           name, answer)


def parse(text):
    """The facts, and the rows as dictionaries, of a TSV recording."""
    lines = text.splitlines()
    facts = dict(line[1:].split('=', 1) for line in lines if line.startswith('#'))
    names, *rows = [line.split('\t') for line in lines if not line.startswith('#')]
    return facts, [dict(zip(names, row, strict=True)) for row in rows]


def widest(text):
    """Columns; the first line has the path of the recording."""
    return max(map(len, text.splitlines()[1:]))


# --- record -----------------------------------------------------------------------------------

def test_what_is_recorded():
    with made_up_host(free_kb=5000000) as host:
        host.memory(5000000, 100, 200, 300)
        host.set_guests([400000, 800000])
        for name, value in {'run': 1, 'pages_sharing': 7, 'full_scans': 3, 'general_profit': -1,
                            'advisor_mode': '[none] scan-time', 'smart_scan': 1}.items():
            host.set_knob(name, value)
        for path, text in {'proc/vmstat': 'nr_free_pages 1\ncow_ksm 99\nlast 2\n',
                           'proc/pressure/memory': 'some avg10=1.25 avg60=0.00 avg300=0.10 total=5\n'
                                                   'full avg10=0.00 avg60=0.00 avg300=0.00 total=4\n',
                           'proc/sys/kernel/osrelease': '6.1.2-made-up\n',
                           'sys/devices/system/cpu/online': '0-3,8,10-11\n'}.items():
            file = host.path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        before = {path: (path.stat().st_mtime_ns, path.read_bytes())
                  for path in sorted(host.path.rglob('*')) if path.is_file()}
        answer = ksmctl('record', '-n', 2, '-i', '0.1', root=host.path)
        tap.ok(answer.returncode == 0 and answer.stderr == '', 'a recording is made', answer)
        facts, rows = parse(answer.stdout)
        want = {'format': 'ksmtuned-recording', 'version': '1', 'kernel': '6.1.2-made-up',
                'cpus': '7', 'total_kb': str(TOTAL_KB), 'ps_metric': 'rss',
                'interval_usec': '100000', 'page_bytes': str(os.sysconf('SC_PAGESIZE'))}
        tap.equal({key: facts[key] for key in want}, want, 'facts of the host')
        want = {'mem_total_kb': str(TOTAL_KB), 'mem_free_kb': '5000000', 'buffers_kb': '100',
                'cached_kb': '200', 'mem_available_kb': '300', 'swap_free_kb': '0',
                'guests': '2', 'committed_kb': '1200000', 'run': '1', 'pages_sharing': '7',
                'full_scans': '3', 'general_profit': '-1', 'advisor_mode': '0', 'smart_scan': '1',
                'cow_ksm': '99', 'psi_some_avg10_centi': '125', 'psi_full_total_usec': '4',
                'ksm_zero_pages': 'NA', 'pages_scanned': 'NA', 'ksmd_cpu_nsec': 'NA',
                'daemon_decisions': 'NA'}
        tap.equal([{key: row[key] for key in want} for row in rows], [want, want],
                  'every sample has the figures of the files')
        tap.ok(abs(int(rows[0]['time_usec']) / 1e6 - time.time()) < 60, 'its time is the clock\'s')
        tap.equal({path: (path.stat().st_mtime_ns, path.read_bytes())
                   for path in sorted(host.path.rglob('*')) if path.is_file()}, before,
                  'nothing of the host was written')

        for option in ['-j'], ['--format', 'jsonl']:
            answer = ksmctl('record', '-n', 2, '-i', '0.1', *option, root=host.path)
            head, *samples = map(json.loads, answer.stdout.splitlines())
            tap.ok(head['format'] == 'ksmtuned-recording' and head['version'] == 1
                   and head['cpus'] == 7 and head['columns'].split() == list(samples[0]),
                   f'{option[0]}: the header', head)
            tap.equal([{key: 'NA' if sample[key] is None else str(sample[key]) for key in want}
                       for sample in samples], [want, want], f'{option[0]}: the same figures')


def test_no_drift():
    with made_up_host() as host:
        _, rows = parse(ksmctl('record', '-n', 21, '-i', '0.1', root=host.path).stdout)
        times = [int(row['monotonic_usec']) for row in rows]
        # However late each of them is, the last one is as late as the first.
        tap.ok(1_900_000 < times[-1] - times[0] < 2_150_000, 'twenty intervals are twenty intervals',
               times[-1] - times[0])


def test_output_to_a_file():
    with made_up_host() as host, tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'out.tsv'
        file.write_text('old\n' * 1000)
        answer = ksmctl('record', '-n', 1, '-o', file, root=host.path)
        tap.equal((answer.returncode, answer.stdout), (0, ''), 'a file is written')
        tap.equal(len(parse(file.read_text())[1]), 1, 'what was in it is gone')
        fails('a folder that is not there', ksmctl('record', '-o', f'{folder}/no/x', root=host.path),
              1, '/no/x', 'No such file')

        def small_files():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
        answer = ksmctl('record', '-i', '0.1', '-o', file, root=host.path, preexec_fn=small_files)
        fails('a file that may not grow', answer, 1, 'cannot write to', 'File too large')
        text = file.read_text()
        tap.ok(text.endswith('\n') and 1 < len(text) <= 2000 and len(parse(text)[1]) >= 1,
               'what is in it are whole lines', text[-200:])
        with open('/dev/full', 'wb') as full:
            answer = ksmctl('record', '-n', 1, root=host.path, stdout=full, stderr=subprocess.PIPE)
        fails('a full disk', answer, 1, 'No space left')


def test_signals_end_it():
    for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
        with made_up_host() as host:
            process = start(host.path, 'record', '-i', '0.1', stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)
            for _ in range(13):
                process.stdout.readline()
            process.send_signal(number)
            rest, said = process.communicate(timeout=10)
            tap.ok(process.returncode == 0 and said == '' and (rest == '' or rest.endswith('\n')),
                   f'{number.name} ends it with whole lines', (process.returncode, said, rest))


def test_lines_come_at_once():
    with made_up_host() as host:
        process = start(host.path, 'record', '-i', '1h', stdout=subprocess.PIPE, text=True)
        text = ''
        while text.count('\n') < 11 and select.select([process.stdout], [], [], 10)[0]:
            text += os.read(process.stdout.fileno(), 65536).decode()
        tap.equal(len(parse(text)[1]), 1, 'the first sample comes at once, and is not held back')
        process.stdout.close()
        tap.equal(process.wait(10), 0, 'a closed pipe ends it within the interval, and is no failure')


def test_pipe_that_nobody_empties():
    with made_up_host() as host:
        read_end, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, 16384)
        process = start(host.path, 'record', '-i', '0.1', stdout=write_end, stderr=subprocess.PIPE)
        os.close(write_end)
        time.sleep(2)
        running = process.poll() is None
        process.terminate()
        tap.ok(running and process.wait(10) == 0, 'a full pipe does not keep it from ending')
        text = b''
        while chunk := os.read(read_end, 65536):
            text += chunk
        os.close(read_end)
        tap.ok(text.endswith(b'\n') and len(parse(text.decode())[1]) > 1,
               'whole lines are in the pipe', text[-200:])
        process.stderr.close()


def test_hosts_without():
    with made_up_host() as host:
        for name in list((host.path / 'sys/kernel/mm/ksm').iterdir()):
            name.unlink()
        fails('no KSM', ksmctl('record', '-n', 1, root=host.path), 1, 'this kernel has no KSM')
    with made_up_host() as host:
        host.config('KSM_THRES_COEF=many\n')
        answer = ksmctl('record', '-n', 1, root=host.path)
        tap.ok(answer.returncode == 1 and answer.stdout == ''
               and '/etc/ksmtuned.conf:1: error: ' in answer.stderr, 'a bad configuration', answer)
    with made_up_host() as host:
        (host.path / 'proc/meminfo').write_text('MemFree: 1 kB\n')
        fails('meminfo without MemTotal', ksmctl('record', '-n', 1, root=host.path), 1,
              '/proc/meminfo')


def test_a_file_that_goes_and_comes_back():
    with made_up_host() as host:
        process = start(host.path, 'record', '-i', '0.1', stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, text=True)
        for _ in range(12):
            process.stdout.readline()
        (host.path / 'proc/meminfo').rename(host.path / 'proc/gone')
        tap.ok('cannot read /proc/meminfo' in process.stderr.readline(), 'what cannot be read is told')
        time.sleep(0.5)
        (host.path / 'proc/gone').rename(host.path / 'proc/meminfo')
        tap.ok('can be taken again' in process.stderr.readline(), 'that it is back is told')
        process.terminate()
        rest, said = process.communicate(timeout=10)
        tap.ok(process.returncode == 0 and said == '', 'it was told once', said)
        tap.ok(all(line.split('\t')[3] == '12000000' for line in rest.splitlines()),
               'what is recorded is whole', rest)


def test_usage():
    for arguments, words in ((['record', '-i', '0'], ["'0'", '0.1 s to 1 day']),
                             (['record', '-i', 'soon'], ["'soon'"]),
                             (['record', '-n', '0'], ["'0'", 'from 1 on']),
                             (['record', '-n', '-1'], ["'-1'"]),
                             (['record', '-n', '99999999999999999999'], ['999']),
                             (['record', '-f', 'csv'], ["'csv'", 'tsv or jsonl']),
                             (['record', '--fast'], ['--fast']), (['record', 'x'], ["'x'"]),
                             (['replay'], ['FILE is missing']), (['replay', 'a', 'b'], ["'b'"]),
                             (['replay', '--at', 'noon', 'a'], ["'noon'", 'interval, sample or daemon']),
                             (['replay', '--what', 'a'], ['--what']),
                             (['replay', *['-c', 'x'] * 9, 'a'], ['up to 8']),
                             (['watch', '-i', '0.05'], ["'0.05'"]), (['watch', 'x'], ["'x'"])):
        fails(f'usage: {" ".join(arguments)[:40]}', ksmctl(*arguments), 2, *words)
    for verb in 'record', 'replay', 'watch':
        answer = ksmctl(verb, '--help')
        tap.ok(answer.returncode == 0 and answer.stdout.startswith('usage: ksmctl'),
               f'{verb} --help', answer)


# --- replay -----------------------------------------------------------------------------------

def row(i, free_kb, step=60, committed_kb=0, run=0, pages=100, late_usec=0):
    usec = i * step * 10**6 + late_usec
    return (f'{1795261827000000 + usec}\t{usec}\t{TOTAL_KB}\t{free_kb}'
            f'\t0\t0\t1\t{committed_kb}\t{run}\t{pages}\t20\n')


def recording(rows, facts=FACTS):
    return facts + '\t'.join(COLUMNS) + '\n' + ''.join(rows)


def replay_json(text, *arguments, **options):
    answer = ksmctl('replay', '-', '--json', *arguments, input=text, **options)
    tap.ok(answer.returncode == 0 and answer.stderr == '', 'a replay is made', answer)
    return json.loads(answer.stdout)


def test_evening():
    answer = json.loads(ksmctl('replay', EVENING, '--json', '--decisions').stdout)
    tap.equal([entry['name'] for entry in answer['configurations']], ['recorded', 'defaults'],
              'what the host did stands beside the defaults')
    was, is_now = answer['configurations']
    for key in ('on_percent', 'on_usec', 'switched_on', 'switched_off', 'on_at_end', 'pages_to_scan',
                'pages_to_scan_most', 'sleep_millisecs', 'pages_per_second'):
        tap.equal(is_now[key], was[key], f'{key} is what the daemon did')
    _, rows = parse(EVENING.read_text())
    on_usec = sum(int(after['monotonic_usec']) - int(entry['monotonic_usec'])
                  for entry, after in zip(rows, rows[1:]) if entry['run'] == '1')
    tap.equal((is_now['decisions'], is_now['switched_on'], is_now['switched_off'],
               is_now['pages_to_scan_most'], is_now['threshold_kb'], is_now['on_usec']),
              (40, 1, 1, 1250, 3355443, on_usec), 'its figures')
    tap.equal(answer['recording'][0]['open_loop'], True, 'that it is open loop is told')
    tap.equal([(entry['verdict'] == 'start', entry['time_usec']) for entry in answer['decisions']],
              [(entry['run'] == '1', int(entry['time_usec'])) for entry in rows],
              'decision by decision')
    text = ksmctl('replay', EVENING).stdout
    tap.ok('open loop' in text and text.isascii() and widest(text) <= 80,
           'text in 80 columns of ASCII', text)


def test_configurations_side_by_side():
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, text in enumerate(('KSM_THRES_COEF=90\n', 'KSM_NPAGES_MAX=500\n',
                                       'KSM_MONITOR_INTERVAL=2m\n')):
            files += ['--config', f'{folder}/{number}.conf']
            pathlib.Path(files[-1]).write_text(text)
        answer = json.loads(ksmctl('replay', EVENING, '--json', *files).stdout)
        _, first, second, third = answer['configurations']
        tap.equal([first['name'], second['name'], third['name']], ['0.conf', '1.conf', '2.conf'],
                  'named as their files')
        tap.equal((first['on_percent'], second['pages_to_scan_most'], third['decisions']),
                  (100.0, 500, 20), 'each decides by its own settings')
        for columns in 80, 60, 200:
            text = ksmctl('replay', EVENING, *files, env={'COLUMNS': str(columns)}).stdout
            tap.ok(all(f'{n + 1} {n}.conf' in text for n in range(3))
                   and widest(text) <= max(columns, 80),
                   f'text in {columns} columns', text)
        text = ksmctl('replay', EVENING, *files, env={'LC_ALL': 'C.UTF-8'}).stdout
        tap.ok('█' in text and '─' in text, 'blocks where there is UTF-8', text)
        pathlib.Path(files[1]).write_text('KSM_THRES_COEF=x\n')
        answer = ksmctl('replay', EVENING, *files)
        tap.ok(answer.returncode == 1 and '0.conf:1: error' in answer.stderr and answer.stdout == '',
               'a bad configuration: file and line', answer)
        fails('a configuration that is not there', ksmctl('replay', EVENING, '-c', '/nonexistent'),
              1, '/nonexistent')


def test_the_hosts_configuration():
    with made_up_host() as host:
        host.config('KSM_THRES_COEF=90\n')
        answer = json.loads(ksmctl('replay', EVENING, '--json', root=host.path).stdout)
        tap.equal([(entry['name'], entry['on_percent']) for entry in answer['configurations']],
                  [('recorded', 25.64), ('defaults', 25.64), ('ksmtuned.conf', 100.0)],
                  'the host\'s configuration beside the defaults')


def test_intervals():
    often = recording([row(i, 10**6, step=1) for i in range(121)],
                      FACTS.replace('60000000', '1000000'))
    answer = replay_json(often)
    tap.equal(answer['configurations'][1]['decisions'], 3, 'it decides as often as it is configured')
    guest = ''.join(line.replace('\t0\t0\t1\t', '\t0\t0\t2\t') if number > 30 else line
                    for number, line in enumerate(often.splitlines(keepends=True)))
    answer = replay_json(guest, '-d')
    tap.equal([decision['line'] for decision in answer['decisions']], [6, 32, 92],
              'and at once when a guest comes, which begins a new interval')
    tap.equal(replay_json(often, '--at', 'sample')['configurations'][1]['decisions'], 121,
              '--at sample: at every sample')
    late = recording([row(i, 10**6, late_usec=i * 7 % 5 * 10**6) for i in range(10)])
    tap.equal(replay_json(late)['configurations'][1]['decisions'], 10,
              'samples somewhat before and behind their time are not left out')
    seldom = recording([row(i, 10**6, step=600) for i in range(5)], FACTS.replace('60000000', '600000000'))
    tap.equal(replay_json(seldom)['configurations'][1]['decisions'], 5, 'no more often than samples')
    text = ksmctl('replay', '-', input=seldom).stdout
    tap.ok('farther apart' in text, 'which is told', text)


def test_one_sample_and_extremes():
    for free in 0, 2**63 - 1:
        text = recording([row(0, free)])
        answer = replay_json(text)
        tap.equal((answer['configurations'][1]['on_percent'], answer['recording'][0]['duration_usec']),
                  (None, 0), f'one sample with {free} kB free has no length')
        tap.equal(ksmctl('replay', '-', input=text).returncode, 0, 'and can be shown')
    text = recording([row(0, 5), row(2**63 // 60000000 - 40000000, 2**63 - 1)]).replace(
        '\t0\t0\t1\t0\t0\t100', f'\t{2**63 - 1}\t0\t1\t{2**63 - 1}\t1\t{2**32 - 1}')
    tap.equal(ksmctl('replay', '-', '-d', input=text).returncode, 0, '290,000 years can be shown')
    replay_json(text, '-d')


def test_what_happened_between():
    text = EVENING.read_text()
    twice = replay_json(text + text)
    tap.equal((twice['recording'][0]['recordings'], twice['configurations'][1]['decisions'],
               twice['configurations'][1]['switched_on']), (2, 80, 2), 'two recordings, each afresh')
    lines = text.splitlines(keepends=True)
    fields = lines[35].split('\t')
    fields[14] = '0'
    back = replay_json(''.join(lines[:35]) + '\t'.join(fields) + ''.join(lines[36:]))
    tap.ok(len(back['notes']) == 1 and back['notes'][0]['line'] == 36
           and 'KSM was unmerged' in back['notes'][0]['text'], 'an unmerge is told', back['notes'])


def test_bad_recordings():
    good = recording([row(0, 5), row(1, 5)])
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / 'bad.tsv'
        for name, text, line, words in (
                ('empty', '', 0, 'is empty'),
                ('cut in mid-line', good[:-5], 7, 'is cut'),
                ('a missing column', good.replace('\trun', ''), 5, 'column run is missing'),
                ('another version', good.replace('version=1', 'version=2'), 2, 'version 1 is accepted'),
                ('time that goes back', recording([row(1, 5), row(0, 5)]), 7, 'the time goes back'),
                ('a number over range', recording([row(0, 10**19)]), 6, 'mem_free_kb is'),
                ('no number', recording([row(0, 'x')]), 6, "mem_free_kb is 'x'"),
                ('a header alone', recording([]), 5, 'no sample'),
                ('a picture', '\x89PNG\n', 1, 'is no recording')):
            file.write_text(text, encoding='latin-1')
            fails(name, ksmctl('replay', file), 1, f'{file}:{line}: ', words)
            answer = ksmctl('replay', '-', '--json', input=text)
            fails(f'{name}, from standard input', answer, 1, f'standard input:{line}: ', words)
        fails('a recording that is not there', ksmctl('replay', f'{folder}/no.tsv'), 1, 'no.tsv')
        fails('a folder', ksmctl('replay', folder), 1, folder)
        fails('no daemon while it was recorded', ksmctl('replay', '--at', 'daemon', '-', input=good),
              1, 'no daemon ran')
        answer = replay_json(recording([row(0, 5).replace('\n', '\tx\n')]).replace(
            'sleep_millisecs', 'sleep_millisecs\tlater'))
        tap.ok('later' in answer['notes'][0]['text'], 'an unknown column is passed over, and told')
    with open('/dev/full', 'wb') as full:
        answer = ksmctl('replay', EVENING, stdout=full, stderr=subprocess.PIPE)
    fails('output that nobody takes', answer, 1, 'No space left')


def test_replay_equals_the_daemon():
    """The daemon decides, what it saw is recorded, and the replay decides the same, each time."""
    args = type('Arguments', (), {'ksmtuned': str(KSMTUNED)})()
    free = [9, 8, 3, 2, 1, 1, 3, 3.2, 3.3, 9, 2, 9, 3, 3, 1, 12, 1, 4]
    committed = [1, 2, 9, 12, 12, 13, 12.8, 12.9, 13, 3, 2, 2, 14, 10, 9, 1, 12, 13]
    with made_up_host() as host:
        host.config('KSM_MONITOR_INTERVAL=86400\nPIDFILE=\nKSM_LIBVIRT_URI=\nKSM_NPAGES_MAX=777\n')
        host.memory(10 * 2**20)
        host.process(1, 'init', 100)
        daemon = Daemon(args, root=host.path)
        host.process(daemon.pid, 'ksmtuned', 2000)
        live, text = [], ''

        def take():
            nonlocal text
            part = ksmctl('record', '-n', 1, root=host.path).stdout
            text += part if not text else part.splitlines(keepends=True)[-1]
            live.append({name: daemon.number(name) for name in
                         ('RUN', 'PAGES_TO_SCAN', 'SLEEP_MSEC', 'FREE_KB', 'COMMITTED_KB',
                          'THRESHOLD_KB')})
        try:
            take()
            for free_gib, committed_gib in zip(free, committed):
                host.memory(int(free_gib * 2**20))
                host.set_guests([int(committed_gib * 2**20) // 8 * 4] * 2)
                daemon.retune()
                take()
        finally:
            daemon.stop()
        for at in 'sample', 'daemon':
            answer = replay_json(text, '--at', at, '-d', '-c', host.path / 'etc/ksmtuned.conf')
            now = {'RUN': 0, 'PAGES_TO_SCAN': 100, 'SLEEP_MSEC': 20}
            replayed = []
            for decision in answer['decisions']:
                if decision['verdict'] == 'start':
                    now = {'RUN': 1, 'PAGES_TO_SCAN': decision['pages_to_scan'],
                           'SLEEP_MSEC': decision['sleep_millisecs']}
                else:
                    now = now | {'RUN': 0}
                replayed.append(now | {'FREE_KB': decision['free_kb'],
                                       'COMMITTED_KB': decision['committed_kb'],
                                       'THRESHOLD_KB': decision['threshold_kb']})
            tap.equal(replayed, live, f'--at {at}: {len(live)} decisions are the daemon\'s own')
        tap.ok(any(entry['RUN'] for entry in live) and not all(entry['RUN'] for entry in live),
               'of both kinds', live)


for test_name, test in list(globals().items()):
    if test_name.startswith('test_'):
        tap.diag(test_name)
        test()
sys.exit(tap.done())
