#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
KSM_METRICS_FILE: what stands in it, when it comes and goes; and that a real node exporter and a
real Prometheus get from it what the dashboard and the rules in packaging/ ask for.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

from common import Tap, arguments, for_everyone, read, unpacked_package, wait_for
from host import Daemon, Host

NOBODY = 65534
PLENTY, SHORT = 12000000, 1000000  # kB free of 16 GiB
FILE = '/var/lib/node-exporter/ksmtuned.prom'
GUESTS = [1048576, 2097152, 524288]
PAGE = os.sysconf('SC_PAGE_SIZE')
# Programs and their packages. As a package of Debian starts a server that listens to the world, none
# is installed for this test: what is not here is unpacked.
PROGRAMS = {'promtool': 'prometheus', 'prometheus': 'prometheus',
            'prometheus-node-exporter': 'prometheus-node-exporter'}


class Missing(Exception):
    pass


def program(name):
    """The path of one of PROGRAMS; or Missing, with the reason."""
    path = shutil.which(name) or (name == 'prometheus-node-exporter' and
                                  shutil.which('node_exporter'))
    if path:
        return path
    if os.geteuid() != 0:
        raise Missing(f'{name} is not here, and only root unpacks the package {PROGRAMS[name]}')
    folder, why = unpacked_package(PROGRAMS[name])
    if not folder:
        raise Missing(why)
    return str(folder / 'usr/bin' / name)


def series(text):
    """{name and labels: value} of a text in Prometheus' format."""
    return {line.rpartition(' ')[0]: float(line.rpartition(' ')[2])
            for line in text.splitlines() if line and not line.startswith('#')}


class MeteredHost(Host):
    """A made-up host that has ksmd, and whose guests tell how much of them is merged."""

    def __init__(self, merged_pages=(), **figures):
        super().__init__(**figures)
        (self.path / 'var/lib').mkdir()
        (self.path / 'proc/26').mkdir()
        (self.path / 'proc/26/comm').write_text('ksmd\n')
        (self.path / 'proc/26/stat').write_text('26 (ksmd) S 2 0 0 0 -1 2097216' + ' 0' * 43 + '\n')
        self.ksmd(1.0)
        self.set_guests(GUESTS)
        for pid, pages in zip(self.guests, merged_pages):
            self.merged(pid, pages)
        self.set_knob('pages_sharing', sum(merged_pages))

    def merged(self, pid, pages):
        (self.path / 'proc' / str(pid) / 'ksm_stat').write_text(
            f'ksm_rmap_items 1000\nksm_zero_pages 0\nksm_merging_pages {pages}\n'
            'ksm_process_profit 0\nksm_merge_any: no\nksm_mergeable: yes\n')

    def ksmd(self, seconds):
        self._replace('proc/26/schedstat', f'{round(seconds * 1e9)} 5 6\n')

    @property
    def file(self):
        return self.path / FILE.lstrip('/')

    def metrics(self):
        return series(read(self.file, ''))


@contextlib.contextmanager
def metered(args, tap, config='', merged_pages=(), free_kb=SHORT, **more):
    host = MeteredHost(merged_pages, free_kb=free_kb)
    try:
        host.config(f'KSM_MONITOR_INTERVAL=60\nKSM_METRICS_FILE={FILE}\n{config}')
        with Daemon(args, host.path, **more) as daemon:
            yield host, daemon
    finally:
        host.remove()


# --- the file alone ---------------------------------------------------------------------------

def check_figures(args, tap):
    with metered(args, tap, merged_pages=[100, 300, 200]) as (host, daemon):
        seen = host.metrics()
        state = daemon.state()
        for name, value in (('memory_threshold_bytes', int(state['THRESHOLD_KB']) * 1024),
                            ('memory_free_bytes', SHORT * 1024),
                            ('memory_committed_bytes', sum(GUESTS) * 1024),
                            ('saved_bytes', 600 * PAGE),
                            ('memory_unmerged_available_bytes', SHORT * 1024 - 600 * PAGE),
                            ('ksmd_cpu_seconds_total', 1.0), ('ksm_wanted', 1), ('dry_run', 0),
                            ('decision_interval_seconds', 60),
                            ('decisions_total{trigger="start"}', 1),
                            ('phase{phase="boost"}', 1), ('phase{phase="off"}', 0),
                            ('policy_info{policy="classic"}', 1),
                            ('guests_untold', 0), ('foreign_writes_total', 0)):
            tap.equal(seen.get('ksmtuned_' + name), value, f'ksmtuned_{name} is {value}')
        tap.ok(abs(seen['ksmtuned_last_decision_timestamp_seconds'] - time.time()) < 30,
               'the time of the decision is now')
        merged = {name: value for name, value in seen.items() if 'guest_merged' in name}
        pids = host.guests
        tap.equal(merged, {f'ksmtuned_guest_merged_bytes{{guest="g{pid}",pid="{pid}"}}': n * PAGE
                           for pid, n in zip(pids, (100, 300, 200))},
                  'each guest with its merged memory')
        tap.equal(list(merged.values()), sorted(merged.values(), reverse=True),
                  'the one with the most first')
        tap.equal(oct(host.file.stat().st_mode & 0o7777), '0o644', 'mode 0644')
        tap.ok('ksmtuned_libvirt_connected' not in seen, 'no figure of a libvirt that is not asked')

        inode = host.file.stat().st_ino
        host.set_knob('pages_to_scan', 77)
        host.set_guests(GUESTS[:1])
        daemon.retune()
        seen = host.metrics()
        tap.equal(seen['ksmtuned_decisions_total{trigger="signal"}'], 1, 'a decision by a signal')
        tap.equal(seen['ksmtuned_foreign_writes_total'], 1, 'a foreign hand is counted')
        tap.equal(seen['ksmtuned_guest_ends_total'], 2, 'two guests that went are counted')
        tap.ok(host.file.stat().st_ino != inode and len(os.listdir(host.file.parent)) == 1,
               'the file was replaced as a whole, and nothing else is left there')
        host.set_guests(GUESTS)
        host.memory(PLENTY)
        daemon.retune()
        seen = host.metrics()
        tap.equal((seen['ksmtuned_guest_starts_total'], seen['ksmtuned_phase{phase="off"}'],
                   seen['ksmtuned_phase{phase="boost"}'], seen['ksmtuned_ksm_wanted']),
                  (2, 1, 0, 0), 'guests that came, and a phase that is over reads 0')

        (host.path / 'proc/meminfo').rename(host.path / 'proc/meminfo.away')
        os.kill(daemon.pid, signal.SIGUSR1)
        wait_for(lambda: daemon.said_lines('meminfo'), 5)
        (host.path / 'proc/meminfo.away').rename(host.path / 'proc/meminfo')
        daemon.retune()
        tap.equal(host.metrics()['ksmtuned_failed_decisions_total'], 1,
                  'a decision that could not be made is counted')
        check_text(args, tap, read(host.file))
        daemon.stop()
        tap.ok(not host.file.exists(), 'at the end the file is gone')


def check_text(args, tap, text):
    """What promtool says of it, and that docs/fleet.md tells of each family and of no other."""
    try:
        answer = subprocess.run([program('promtool'), 'check', 'metrics'], input=text, text=True,
                                capture_output=True, check=False)
        tap.equal((answer.returncode, answer.stdout + answer.stderr), (0, ''),
                  'promtool check metrics has nothing to say')
    except Missing as missing:
        tap.skip('promtool check metrics', missing)
    page = read(args.source / 'docs/fleet.md')
    table = set(re.findall(r'^\| `(ksmtuned_\w+)', page, re.M))
    # Not on a made-up host.
    families = set(re.findall(r'^# TYPE (\w+)', text, re.M)) | {'ksmtuned_libvirt_connected'}
    tap.equal(table ^ families, set(), f'docs/fleet.md tells of all {len(families)} families')
    own = len([name for name in series(text) if 'ksmtuned_guest_m' not in name])
    tap.ok(f'A host has {own} series' in page, f'and how many series a host has, {own}')


def check_reload(args, tap):
    with metered(args, tap) as (host, daemon):
        other = host.path / 'run/other.prom'
        for config, there, name in (
                ('KSM_METRICS_FILE=/run/other.prom\n', [False, True], 'another file'),
                ('KSM_METRICS_FILE=\n', [False, False], 'no file'),
                (f'KSM_METRICS_FILE={FILE}\nKSM_METRICS_GUESTS=1\n', [True, False], 'a file again')):
            host.config('KSM_MONITOR_INTERVAL=60\n' + config)
            before = daemon.decisions()
            os.kill(daemon.pid, signal.SIGHUP)
            wait_for(lambda: daemon.decisions() > before)  # noqa: B023
            tap.equal([host.file.exists(), other.exists()], there, f'a reload asks for {name}')
        tap.equal(host.metrics()['ksmtuned_guests_untold'], 2, 'KSM_METRICS_GUESTS=1 leaves out 2')
        daemon.stop(with_signal=signal.SIGKILL)
        tap.ok(host.file.exists(), 'a daemon that is killed leaves its file, with its time')


def check_once(args, tap):
    with metered(args, tap, options=['--dry-run']) as (host, daemon):
        tap.equal(host.metrics()['ksmtuned_dry_run'], 1, 'a dry run says so')
        daemon.stop()
        subprocess.run([args.ksmtuned, '--once', '--root', host.path], check=True,
                       capture_output=True)
        tap.ok(not host.file.exists(), 'a single decision leaves no file that nobody would remove')


def check_unwritable(args, tap):
    """In the place of its folder is a file, and then no more."""
    host = MeteredHost()
    try:
        host.config(f'KSM_MONITOR_INTERVAL=60\nKSM_METRICS_FILE={FILE}\n')
        (host.path / 'var/lib/node-exporter').write_text('')
        with Daemon(args, host.path) as daemon:
            for _ in range(3):
                daemon.retune()
            lines = daemon.said_lines('file of metrics')
            tap.equal(len(lines), 1, 'a file that cannot be written is told once')
            tap.ok(lines and FILE in lines[0] and 'Not a directory' in lines[0], 'and why', lines)
            tap.equal(daemon.decisions(), 4, 'deciding goes on')
            (host.path / 'var/lib/node-exporter').unlink()
            daemon.retune()
            tap.ok(host.file.exists() and daemon.said_lines('file of metrics can be written again'),
                   'once it can be written, it is, and that is told', daemon.said)
    finally:
        host.remove()


def check_denied_knob(args, tap):
    """An ordinary user who may write one knob and not another."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-metrics-') as folder:
        host = MeteredHost(free_kb=SHORT)
        try:
            host.config(f'KSM_MONITOR_INTERVAL=60\nPIDFILE=\nKSM_METRICS_FILE={FILE}\n')
            subprocess.run(['chown', '-R', str(NOBODY), host.path], check=True)
            os.chown(host.knob_path('sleep_millisecs'), 0, 0)
            args.ksmtuned, before = for_everyone(args.ksmtuned, folder), args.ksmtuned
            with Daemon(args, host.path, user=NOBODY) as daemon:
                daemon.retune()
                tap.equal(host.metrics().get('ksmtuned_knob_write_failures_total'), 2,
                          'decisions that could not be applied are counted')
            args.ksmtuned = before
        finally:
            host.remove()


HELPER = """#!/bin/sh
printf 'hello 1\\nconnecting\\nconnected\\n'
read -r word < "$0.fifo"
printf 'failed it is gone\\n'
exec sleep 1000
"""


def check_libvirt(args, tap):
    """On the real host, dry: a helper that says what the real one does."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-metrics-') as folder:
        script, file = pathlib.Path(folder) / 'helper', pathlib.Path(folder) / 'ksmtuned.prom'
        script.write_text(HELPER)
        script.chmod(0o755)
        os.mkfifo(f'{script}.fifo')
        config = pathlib.Path(folder) / 'ksmtuned.conf'
        config.write_text(f'KSM_MONITOR_INTERVAL=3600\nPIDFILE=\nKSM_METRICS_FILE={file}\n')
        with Daemon(args, options=['--dry-run', '--config', str(config)],
                    mounts='mount -t tmpfs none /run',
                    env={'KSMTUNED_LIBVIRT': str(script)}) as daemon:
            def connected():
                daemon.retune()
                return series(read(file, '')).get('ksmtuned_libvirt_connected')
            tap.ok(wait_for(lambda: connected() == 1, 10, 0.1), 'libvirt is connected',
                   daemon.said)
            pathlib.Path(f'{script}.fifo').write_text('go\n')
            tap.ok(wait_for(lambda: connected() == 0, 10, 0.1), 'and then no more', daemon.said)


def check_no_helper(args, tap):
    """On the real host, dry: libvirt would be asked, but the helper's program is not there."""
    with tempfile.TemporaryDirectory(prefix='ksmtuned-metrics-') as folder:
        file, config = pathlib.Path(folder) / 'ksmtuned.prom', pathlib.Path(folder) / 'ksmtuned.conf'
        config.write_text(f'KSM_MONITOR_INTERVAL=3600\nPIDFILE=\nKSM_METRICS_FILE={file}\n')
        with Daemon(args, options=['--dry-run', '--config', str(config)],
                    mounts='mount -t tmpfs none /run',
                    env={'KSMTUNED_LIBVIRT': f'{folder}/helper'}) as daemon:
            first = series(read(file, ''))
            tap.ok(wait_for(lambda: daemon.said_lines('ksmtuned-libvirt is not installed'), 10, 0.1),
                   'without the helper, that is told', daemon.said)
            daemon.retune()
            seen = series(read(file, ''))
            tap.equal(['ksmtuned_build_info' in str(sorted(figures)) for figures in (first, seen)],
                      [True, True], 'there are figures')
            tap.equal([name for figures in (first, seen) for name in figures if 'libvirt_connected' in name],
                      [], 'but none that says that libvirt is lost: no alert comes of it')


# --- with the real ones -----------------------------------------------------------------------

def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def child(command, log, ready_url):
    """A server that is there when its page is, and ends with this."""
    with open(log, 'w', encoding='utf-8') as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        def ready():
            with contextlib.suppress(OSError):
                return bool(get(ready_url))
            return process.poll() is not None
        if not wait_for(ready, 30, 0.1) or process.poll() is not None:
            raise RuntimeError(f'{command[0]} does not start:\n{read(log)}')
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Prometheus:
    def __init__(self, url):
        self.url = url

    def query(self, expr):
        """The samples, or what is wrong with the query."""
        try:
            answer = json.loads(get(f'{self.url}/api/v1/query?'
                                    + urllib.parse.urlencode({'query': expr})))
        except urllib.error.HTTPError as error:
            return error.read().decode()
        return answer['data']['result']

    def label_values(self, selector, label):
        match = urllib.parse.urlencode({'match[]': selector})
        return json.loads(get(f'{self.url}/api/v1/label/{label}/values?{match}'))['data']

    def rules(self):
        groups = json.loads(get(f'{self.url}/api/v1/rules'))['data']['groups']
        return [rule for group in groups for rule in group['rules']]


def dashboard_queries(source):
    """(panel, query) of all panels, with the variables as Grafana would put them in."""
    for panel in dashboard(source)['panels']:
        for target in panel.get('targets', []):
            yield panel['title'], filled_in(target['expr'])


def dashboard(source):
    return json.loads((source / 'packaging/grafana/ksmtuned.json').read_text())


def filled_in(expr):
    for name, value in (('$__rate_interval', '30s'), ('$job', '.+'), ('$host', '.+')):
        expr = expr.replace(name, value)
    return expr


def check_variables(args, tap, prometheus):
    """What is offered to be chosen."""
    for variable in dashboard(args.source)['templating']['list'][1:]:
        selector, label = re.fullmatch(r'label_values\((.+), (\w+)\)', variable['query']['query']).groups()
        tap.ok(prometheus.label_values(filled_in(selector), label),
               f'the dashboard offers a choice of {variable["name"]}')


def check_dashboard_file(args, tap):
    """Its form is seen to by tests/packages/test-files.py."""
    unknown = [expr for _, expr in dashboard_queries(args.source) if '$' in expr]
    tap.equal(unknown, [], 'the queries of the dashboard hold no other variable')


def check_promtool(args, tap):
    folder = args.source / 'packaging/prometheus'
    try:
        promtool = program('promtool')
    except Missing as missing:
        tap.skip('rules and alerts, as promtool sees them', missing)
        return
    for command in (['check', 'rules', 'ksmtuned.rules.yml', 'ksmtuned.alerts.yml'],
                    ['test', 'rules', 'ksmtuned.rules.test.yml', 'ksmtuned.alerts.test.yml']):
        answer = subprocess.run([promtool, *command], cwd=folder, capture_output=True, text=True,
                                check=False)
        tap.equal(answer.returncode, 0, 'promtool ' + ' '.join(command[:2]))
        if answer.returncode != 0:
            tap.diag(answer.stdout + answer.stderr)
    # Each alert has a test that sees it come.
    alerts = re.findall(r'- alert: (\w+)', read(folder / 'ksmtuned.alerts.yml'))
    tested = set(re.findall(r'exp_labels', read(folder / 'ksmtuned.alerts.test.yml')))
    seen = set(re.findall(r'alertname: (\w+)\n\s+eval_time: \w+\n\s+exp_alerts:',
                          read(folder / 'ksmtuned.alerts.test.yml')))
    tap.ok(tested and set(alerts) == seen, 'each alert is seen to come in a test',
           set(alerts) ^ seen)
    records = set(re.findall(r'- record: (\S+)', read(folder / 'ksmtuned.rules.yml')))
    tests = read(folder / 'ksmtuned.rules.test.yml')
    tap.equal([record for record in records if f'expr: {record}' not in tests], [],
              'each recording rule has a test')


def prometheus_config(folder, source, ports):
    targets = ', '.join(f"'127.0.0.1:{port}'" for port in ports)
    path = folder / 'prometheus.yml'
    path.write_text(f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: ['{source}/packaging/prometheus/ksmtuned.rules.yml',
             '{source}/packaging/prometheus/ksmtuned.alerts.yml']
scrape_configs:
  - job_name: node
    static_configs: [{{targets: [{targets}]}}]
""")
    return path


@contextlib.contextmanager
def servers(args, hosts, prometheus, exporter, folder):
    """A node exporter for each host, and a Prometheus that asks them all."""
    with contextlib.ExitStack() as stack:
        ports = []
        for number, host in enumerate(hosts):
            ports.append(free_port())
            stack.enter_context(child(
                [exporter, '--collector.disable-defaults', '--collector.textfile',
                 f'--collector.textfile.directory={host.file.parent}',
                 f'--web.listen-address=127.0.0.1:{ports[-1]}'],
                folder / f'exporter-{number}.log', f'http://127.0.0.1:{ports[-1]}/metrics'))
        port = free_port()
        config = prometheus_config(folder, args.source.resolve(), ports)
        stack.enter_context(child(
            [prometheus, f'--config.file={config}', f'--storage.tsdb.path={folder}/data',
             f'--web.listen-address=127.0.0.1:{port}'],
            folder / 'prometheus.log', f'http://127.0.0.1:{port}/-/ready'))
        yield Prometheus(f'http://127.0.0.1:{port}'), ports


def check_queries(tap, prometheus, hosts, queries):
    """ksmd works and the daemons decide, until all queries have an answer."""
    seconds, left, answers = 1.0, dict.fromkeys(queries), {}
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        seconds += 0.1
        for host in hosts:
            host.ksmd(seconds)
        time.sleep(0.2)
        for query in list(left):
            answers[query] = prometheus.query(query)
            if isinstance(answers[query], list) and answers[query]:
                del left[query]
    for query, name in queries.items():
        tap.ok(query not in left, f'has data: {name}', f'{query}\n{answers.get(query)}')


def check_real(args, tap):
    try:
        binary, exporter = program('prometheus'), program('prometheus-node-exporter')
    except Missing as missing:
        tap.skip('a real node exporter and a real Prometheus', missing)
        return
    queries = {}
    for title, expr in dashboard_queries(args.source):
        queries.setdefault(expr, f'{title}: {expr}')
    for record in re.findall(r'- record: (\S+)',
                             read(args.source / 'packaging/prometheus/ksmtuned.rules.yml')):
        queries.setdefault(record, f'rule {record}')
    often = 'KSM_MONITOR_INTERVAL=0.5\n'
    with tempfile.TemporaryDirectory(prefix='ksmtuned-metrics-') as name, \
            metered(args, tap, often, merged_pages=[100000, 300000, 200000]) as (merging, _), \
            metered(args, tap, often) as (idle, idle_daemon), \
            servers(args, [merging, idle], binary, exporter,
                    pathlib.Path(name)) as (prometheus, ports):
        check_queries(tap, prometheus, [merging, idle], queries)
        check_variables(args, tap, prometheus)
        exported = get(f'http://127.0.0.1:{ports[0]}/metrics')
        tap.equal(series(exported).get('node_textfile_scrape_error'), 0,
                  'the node exporter reads the file without an error')
        ours = {line.split()[2] for line in read(merging.file).splitlines()
                if line.startswith('# HELP')}
        tap.ok(ours and all(f'# HELP {family} ' in exported for family in ours),
               f'it tells all {len(ours)} families')
        told = {sample['metric']['instance']: float(sample['value'][1])
                for sample in prometheus.query('ksmtuned_saved_bytes')}
        tap.equal(told, {f'127.0.0.1:{ports[0]}': 600000 * PAGE, f'127.0.0.1:{ports[1]}': 0},
                  'Prometheus has what the hosts have saved')
        bad = [rule for rule in prometheus.rules() if rule['health'] != 'ok']
        tap.equal(bad, [], f'all {len(prometheus.rules())} rules are evaluated without an error')
        pending = prometheus.query('ALERTS{alertname="KsmtunedNothingMerges"}')
        tap.equal([alert['metric']['instance'] for alert in pending], [f'127.0.0.1:{ports[1]}'],
                  'the host where nothing merges, and no other, is on its way to an alert')
        idle_daemon.stop()
        gone = wait_for(lambda: len(prometheus.query('ksmtuned_build_info')) == 1, 15, 0.2)
        tap.ok(gone, 'a daemon that ends takes its figures along')
        tap.ok(wait_for(lambda: prometheus.query('ALERTS{alertname="KsmtunedGone"}'), 15, 0.2),
               'and that it has ended is on its way to an alert')


def check_troubleshooting(args, tap):
    """The checks that docs/troubleshooting.md and the alerts name are those that there are."""
    answer = subprocess.run([args.ksmctl, 'doctor', '--list'], capture_output=True, text=True,
                            check=False) if args.ksmctl and os.path.exists(args.ksmctl) else None
    if not answer or answer.returncode != 0:
        tap.skip('the checks that are named in docs/', 'this ksmctl has no doctor')
        return
    there = {line.split()[0] for line in answer.stdout.splitlines() if line.strip()}
    page = read(args.source / 'docs/troubleshooting.md')
    table = set(re.findall(r'`([a-z-]+)`', ' '.join(re.findall(r'^\| \[.*$', page, re.M))))
    tap.equal(table - there, set(), 'docs/troubleshooting.md names checks of ksmctl doctor')
    tap.equal(there - table, set(), 'and all of them')
    others = read(args.source / 'docs/fleet.md') \
        + read(args.source / 'packaging/prometheus/ksmtuned.alerts.yml')
    named = set(re.findall(r'--check ([a-z-]+)', page + others))
    tap.equal(named - there, set(), 'and so do fleet.md and the alerts')


def main():
    args = arguments(__doc__)
    tap = Tap()
    check_troubleshooting(args, tap)
    check_dashboard_file(args, tap)
    check_promtool(args, tap)
    check_figures(args, tap)
    check_reload(args, tap)
    check_once(args, tap)
    check_unwritable(args, tap)
    if os.geteuid() == 0:
        check_denied_knob(args, tap)
        check_libvirt(args, tap)
        check_no_helper(args, tap)
    else:
        tap.skip('knobs that are denied, and libvirt', 'needs root')
    check_real(args, tap)
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
