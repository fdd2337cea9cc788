#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Stands in for ksmtuned-libvirt and misbehaves in the way that its URI, fake://WAY, names. Each of its starts
is told to the socket that FAKE_HELPER_LOG names, since it may write no file.
"""

import os
import socket
import sys
import time


def tell(text):
    os.write(1, text.encode())


def sleep():
    while True:
        time.sleep(3600)


def rubbish():
    tell('hello 1\nconnected\n')
    os.write(1, os.urandom(4096).replace(b'\n', b'') + b'\n')
    sleep()


def megabyte():
    tell('hello 1\n')
    for _ in range(16):
        os.write(1, b'x' * 65536)
    sleep()


def silent():
    sleep()


def closed():
    tell('hello 1\nconnected\n')
    os.close(1)
    sleep()


def polite():
    """Behaves, and hears nothing of libvirt."""
    tell('hello 1\nconnecting\nconnected\n')
    sleep()


def flood(per_second=200):
    """Events in packs of one millisecond's."""
    tell('hello 1\nconnecting\nconnected\n')
    begin, n = time.monotonic(), 0
    while True:
        due = int((time.monotonic() - begin) * per_second)
        if due > n:
            tell('event resumed test\n' * (due - n))
            n = due
        time.sleep(0.001)


def storm():
    flood(20000)


def balloon():
    tell('hello 1\nconnecting\nconnected\n')
    time.sleep(1)
    tell('event balloon test\n')
    sleep()


def halves():
    """A line that comes in pieces."""
    tell('hello 1\nconnecting\nconnec')
    time.sleep(0.2)
    tell('ted\nevent star')
    time.sleep(0.2)
    tell('ted test\n')
    sleep()


def main():
    if path := os.environ.get('FAKE_HELPER_LOG'):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            log.sendto(f'{time.monotonic():.3f} {os.getpid()}'.encode(), path)
    way = sys.argv[1].partition('://')[2]
    ways = {'rubbish': rubbish, 'megabyte': megabyte, 'silent': silent, 'closed': closed,
            'polite': polite, 'flood': flood, 'storm': storm, 'balloon': balloon,
            'halves': halves}
    if way == 'ends':
        sys.exit(3)
    if way == 'unconfined':
        sys.exit(125)
    if way == 'crashes':
        os.kill(os.getpid(), 11)
    ways[way]()


if __name__ == '__main__':
    main()
