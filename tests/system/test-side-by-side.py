#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The original script and ours on the same made-up host: the same knobs and the same log."""

import functools
import os
import random
import re
import signal
import subprocess
import sys

from common import Tap, arguments, read, skip_all, together, unpacked_package, wait_for
from host import Daemon, Host, PAGE_KB

STEPS = 500
STEPS_PER_CONFIG = 25
COMPARED = ('pages_to_scan', 'sleep_millisecs', 'run')

# Takes the place of what looks at the machine's own processes, and of the wait between two
# decisions: that ends with each line that is written to the pipe. (Whoever opens the pipe before the
# last writer has closed it is told of its end, and waits again.)
FUNCTIONS = r'''
pgrep () {
    local comm
    cd "@HOST@/proc" || return
    for pid in [0-9]*; do
        read -r comm < "$pid/comm"
        [[ $comm == qemu-system* ]] && printf '%s ' "$pid"
    done
}
ps () {
    local pid resident
    for pid in $2; do
        read -r _ resident _ < "@HOST@/proc/$pid/statm"
        echo $((resident * @PAGE_KB@))
    done
}
sleep () { until read -r _ < "@OWN@/next"; do :; done; }
export LC_ALL=C
'''


class Original:
    """The original script on the host's /proc, with knobs, log and configuration of its own."""

    def __init__(self, script, host):
        self.host = host
        self.own = Host(host.total_kb)
        os.mkfifo(self.own.path / 'next')
        text = script.replace('/sys/kernel/mm/ksm', f'{self.own.path}/sys/kernel/mm/ksm')
        text = text.replace('/proc/meminfo', f'{host.path}/proc/meminfo')
        text = text.replace('/etc/ksmtuned.conf', f'{self.own.path}/etc/ksmtuned.conf')
        functions = FUNCTIONS.replace('@HOST@', str(host.path)).replace('@OWN@', str(self.own.path))
        self.script = self.own.path / 'ksmtuned'
        self.script.write_text(functions.replace('@PAGE_KB@', str(PAGE_KB)) + text)
        self.pid = None

    def start(self, config):
        self.own.config(config + f'LOGFILE={self.own.log}\n'
                                 f'PIDFILE={self.own.path}/run/ksmtune.pid\n')
        subprocess.run(['bash', self.script], check=True, start_new_session=True,
                       stdin=subprocess.DEVNULL)
        self.pid = int(read(self.own.path / 'run/ksmtune.pid'))

    def decide(self):
        """Ends the interval and waits for the last line of the decision."""
        size = self.own.log.stat().st_size
        with open(self.own.path / 'next', 'w', encoding='ascii') as pipe:
            pipe.write('\n')

        def decided():
            with open(self.own.log, 'rb') as log:
                log.seek(size)
                return re.search(rb'(stop ksm|KSMCTL start .*)\n$', log.read())
        return bool(wait_for(decided, 20, 0.002))

    def stop(self):
        if self.pid:
            os.killpg(os.getpgid(self.pid), signal.SIGKILL)
            self.pid = None

    def remove(self):
        self.stop()
        self.own.remove()


def random_config(rng):
    low = rng.choice((1, 64, 100, 1000))
    return {
        'KSM_SLEEP_MSEC': rng.choice((1, 5, 10, 20, 50, 100)),
        'KSM_NPAGES_BOOST': rng.choice((0, 1, 200, 300, 5000)),
        'KSM_NPAGES_DECAY': rng.choice((0, -1, -50, -700)),
        'KSM_NPAGES_MIN': low,
        'KSM_NPAGES_MAX': rng.choice((1000, 1250, 5000, 100000)),
        'KSM_THRES_COEF': rng.choice((1, 10, 20, 50, 80, 99)),
        'KSM_THRES_CONST': rng.choice((0, 2048, 8192, 500000)),
    }


def random_step(rng, host, config):
    """
    Free and committed memory at and around the thresholds. The sum stays below 2 TiB, from where on
    the original's awk prints it as 2.14748e+09 and the original decides nothing.
    """
    total = host.total_kb
    threshold = max(total * config['KSM_THRES_COEF'] // 100, config['KSM_THRES_CONST'])
    near = (-1, 0, 1, rng.randint(-5000, 5000))
    free = min(max(rng.choice([threshold + d for d in near] + [rng.randint(0, total)]), 0), total)
    cached = rng.randint(0, free)
    buffers = rng.randint(0, free - cached)
    host.memory(free - cached - buffers, buffers, cached)

    committed = rng.choice([total - threshold + PAGE_KB * d for d in (-1, 0, 1)]
                           + [rng.randint(0, total * 19 // 10), 0])
    sizes = []
    for _ in range(rng.randint(1, 5)):
        part = rng.randint(0, max(committed - sum(sizes), 0)) // PAGE_KB * PAGE_KB
        sizes.append(part)
    sizes.append(max(committed - sum(sizes), 0) // PAGE_KB * PAGE_KB)
    host.set_guests(sizes if committed > 0 else [])


def bodies(path):
    return [line.split(': ', 1)[-1] for line in read(path, '').splitlines()]


def decoys(host):
    """Processes that are no guests, some of them beside guests on every host."""
    for i, (comm, cmdline) in enumerate((
            ('systemd', ['/sbin/init']), ('qemu-img', ['qemu-img', 'convert', 'a', 'b']),
            ('qemu-nbd', ['qemu-nbd', '-c', '/dev/nbd0']), ('bash', ['-bash']),
            ('qemu-storage-da', ['qemu-storage-daemon', '--daemonize']),
            ('a) S (b', ['a) S (b']))):
        host.process(i + 1, comm, 123456, cmdline)


def run_block(tap, args, script, block):
    """One configuration: both are started, decide on the same steps, and end."""
    rng = random.Random(f'{args.seed} {block}')
    host = Host(rng.choice((307200, 2097152, 16777216, 268435456, 1073741824)))
    original = Original(script, host)
    config = random_config(rng)
    text = ''.join(f'{key}={value}\n' for key, value in config.items())
    text += 'DEBUG=1\nKSM_MONITOR_INTERVAL=86400\n'
    host.config(text)
    decoys(host)
    daemon = None
    try:
        for step in range(STEPS_PER_CONFIG):
            random_step(rng, host, config)
            if step == 0:
                original.start(text)
                daemon = Daemon(args, host.path)
                decided = True
            else:
                decided = daemon.retune()
            decided = original.decide() and decided
            theirs = [original.own.knob(name) for name in COMPARED]
            ours = [host.knob(name) for name in COMPARED]
            tap.ok(decided and ours == theirs, f'step {block * STEPS_PER_CONFIG + step + 1}',
                   f'total {host.total_kb} kB, {config}\n{read(host.path / "proc/meminfo")}\n'
                   f'state: {daemon.state()}\nours {ours}, theirs {theirs}, decided {decided}')
        status = daemon.stop()
        theirs, ours = bodies(original.own.log), bodies(host.log)
        tap.ok(ours == theirs and len(ours) > 2 * STEPS_PER_CONFIG,
               f'the log of configuration {block + 1}, line by line ({len(theirs)} lines)',
               lambda: '\n'.join(f'{i}: ours {a!r}, theirs {b!r}' for i, (a, b) in
                                 enumerate(zip(ours, theirs)) if a != b)
               + f'\n{len(ours)} and {len(theirs)} lines\n{daemon.said()}')
        tap.equal(status, 0, f'ours ends with 0 after configuration {block + 1}')
    finally:
        if daemon:
            daemon.stop()
        original.remove()
        host.remove()


def main():
    args = arguments(__doc__)
    folder, why = unpacked_package('ksmtuned')
    if not folder:
        skip_all(f'the original is not here: {why}')
    script = folder / 'usr/sbin/ksmtuned'
    if not script.exists() or not read(script).startswith('#!/bin/bash'):
        skip_all(f'the package in {folder} does not hold the original script')
    tap = Tap()
    tap.diag(f'seed {args.seed}')
    together(tap, [functools.partial(run_block, args=args, script=read(script), block=block)
                   for block in range(STEPS // STEPS_PER_CONFIG)])
    return tap.done()


if __name__ == '__main__':
    sys.exit(main())
