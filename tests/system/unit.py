# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmtuned.service in a booted container."""

import os
import re

from common import KSM, knobs_at_rest, read, wait_for, write

CONF = '/etc/ksmtuned.conf'
# Memory is plentiful above 1 % of the host's, and never above 100 % of it.
PLENTY = 'KSM_THRES_COEF=1\n'
SHORT = 'KSM_THRES_COEF=100\n'
FAST = 'KSM_MONITOR_INTERVAL=0.5\n'


class Unit:
    """ksmtuned.service in the container."""

    def __init__(self, args, container):
        self.args = args
        self.box = container
        self.shipped = read(container.root / CONF[1:])

    def configure(self, text):
        (self.box.root / CONF[1:]).write_text(text)

    def drop_in(self, text):
        path = self.box.inside('/run/systemd/system/ksmtuned.service.d/test.conf')
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        self.box.run('systemctl', 'daemon-reload')

    def state(self):
        text = read(self.box.inside('/run/ksmtuned/state'), '-')
        return dict(re.findall(r'^([A-Z_]+)=(.*)$', text, re.M))

    def number(self, key):
        return int(self.state().get(key, -1))

    def show(self, name):
        return self.box.show('ksmtuned.service', name)

    def pid(self):
        return int(self.show('MainPID') or 0)

    def host_pid(self):
        """The daemon's PID as the host sees it."""
        for entry in os.listdir('/proc'):
            if entry.isdigit() and read(f'/proc/{entry}/comm', '-').strip() == 'ksmtuned':
                return int(entry)
        return 0

    def active(self):
        return self.show('ActiveState') == 'active'

    def systemctl(self, *words):
        return self.box.run('systemctl', *words)

    def fresh(self, text):
        """Starts the unit anew with this configuration, on knobs at rest."""
        self.systemctl('stop', 'ksmtuned.service', 'ksm.service')
        self.systemctl('reset-failed')
        self.drop_in('')
        write(KSM / 'run', 0)
        knobs_at_rest()
        self.configure(text)
        answer = self.systemctl('start', 'ksmtuned.service')
        if answer.returncode != 0:
            raise RuntimeError('start failed: ' + answer.stderr + self.words())

    def wait_decisions(self, n, seconds=20):
        end = self.number('DECISIONS') + n
        return wait_for(lambda: self.number('DECISIONS') >= end, seconds)

    def cursor(self):
        """A place in the journal, for entries() after it."""
        entries = self.box.journal('--lines=1')
        return entries[-1]['__CURSOR']

    def entries(self, cursor):
        """What ksmtuned itself wrote since."""
        # With a match beside a cursor journalctl passes over the first entry.
        entries = self.box.journal('--after-cursor', cursor)
        return [entry for entry in entries if entry.get('SYSLOG_IDENTIFIER') == 'ksmtuned']

    def words(self, cursor=None):
        entries = self.entries(cursor) if cursor else self.box.journal('--lines=20')
        return '\n'.join(str(entry.get('MESSAGE')) for entry in entries)
