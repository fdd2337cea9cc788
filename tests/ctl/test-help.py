#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Each option stands in the source, in --help and in the man page, and in no one of them alone.
test-help.py KSMCTL KSMTUNED SOURCE. Prints TAP.
"""

import pathlib
import re
import subprocess
import sys

from common import Tap

KSMCTL, KSMTUNED, SOURCE = sys.argv[1:3] + [pathlib.Path(sys.argv[3])]
VALUES = {'no_argument': '', 'required_argument': 'WORD'}
TAP = Tap()


def printed(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shape(short, name, value):
    """An option as all sides can tell it: ('-c', '--config', whether a word follows)."""
    return (f'-{short}' if short else '', f'--{name}', bool(value))


def of_source(path):
    """The table for getopt_long(); what is no letter is of long options alone."""
    text = (SOURCE / path).read_text()
    table = text[text.index('struct option '):]
    # "-n" of a verb's own table may stand for a long option that has no letter in getopt's string.
    letters = re.search(r'getopt_long\(argc, argv, "\+?([A-Za-z:]+)"', text)[1]
    found = re.findall(r'\{"([a-z-]+)", (\w+), NULL, (?:\'(\w)\'|\w+)\}', table)
    return {shape(letter if letter in letters else '', name, VALUES[value]) for name, value, letter in found}


def of_daemon_help():
    return {shape(*match) for match in re.findall(r'^  (?:-(\w),|   ) --([a-z-]+)(?: ([A-Z]+))?',
                                                  printed(KSMTUNED, '--help'), re.M)}


def of_verb_help(verb):
    text = ' '.join(printed(KSMCTL, verb, '--help').split('\n\n')[0].split())
    return {shape(*match) for match in re.findall(r'\[(?:-(\w)\|)?--([a-z-]+)(?: ([^\]]+))?\](?:\.\.\.)?', text)
            if match[1] != 'root'}


def of_items(lines):
    """The options that a list of a man page explains: lines of .It."""
    found = set()
    for line in lines:
        name = re.search(r'Fl Fl ([a-z-]+)', line)
        short = re.search(r'Fl ([A-Za-z])\b', line)
        if line.startswith('.It') and name:
            found.add(shape(short and short[1], name[1], re.search(r' (Ar|Cm) ', line)))
    return found


def of_synopsis(verb):
    """What the synopsis of ksmctl(8) has for a verb: lines of .Op behind its .Cm."""
    text = (SOURCE / 'man/ksmctl.8').read_text()
    synopsis = text[text.index('.Sh SYNOPSIS'):text.index('.Sh DESCRIPTION')]
    entry = synopsis[re.search(rf'^\.Cm {verb}$', synopsis, re.M).end():].split('.Nm')[0]
    return {shape(*match) for match in re.findall(r'^\.Op (?:Fl (\w) \| )?Fl Fl ([a-z-]+)(?: (Ar|Cm) .*)?$',
                                                  entry, re.M)}


def items_of_verb(verb):
    """The options below a verb's own item, in the list of verbs."""
    text = (SOURCE / 'man/ksmctl.8').read_text()
    text = text[text.index('\nThe verbs:\n'):text.index('.Ss Unmerging')]
    entry = re.split(r'^\.It Cm ([a-z]+)$', text, flags=re.M)
    return of_items(dict(zip(entry[1::2], entry[2::2]))[verb].split('\n'))


def files_of(verb):
    return 'src/ctl/main.c' if verb in ('start', 'stop') else f'src/ctl/{verb}.c'


def check_verb(verb):
    told = of_verb_help(verb)
    helps = {shape('h', 'help', '')}
    if verb not in ('start', 'stop'):
        TAP.equal(of_source(files_of(verb)), told, f'ksmctl {verb}: --help tells the options that there are')
    TAP.equal(told & helps, helps, f'ksmctl {verb}: --help itself is told')
    TAP.equal(of_synopsis(verb), told - helps, f'ksmctl {verb}: so does the synopsis of ksmctl(8)')
    TAP.equal(items_of_verb(verb), told - helps, f'ksmctl {verb}: and the page explains each')


def check_daemon():
    told = of_daemon_help()
    TAP.ok(len(told) == 10, 'ksmtuned --help: ten options', told)
    TAP.equal(of_source('src/daemon/options.c'), told, 'ksmtuned --help tells the options that there are')
    text = (SOURCE / 'man/ksmtuned.8').read_text()
    items = text[text.index('The options are:'):text.index('.Ss The classic policy')]
    TAP.equal(of_items(items.split('\n')), told, 'ksmtuned(8) explains each')
    synopsis = text[text.index('.Sh SYNOPSIS'):text.index('.Sh DESCRIPTION')]
    letters = re.search(r'^\.Op Fl (\w+)$', synopsis, re.M)[1]
    letters += ''.join(re.findall(r'^\.Op Fl (\w) Ar', synopsis, re.M))
    TAP.equal(set(letters), {short[1] for short, _, _ in told if short}, 'its synopsis has each letter')
    TAP.equal(set(re.findall(r'Fl Fl ([a-z-]+)', synopsis)), {name[2:] for short, name, _ in told if not short},
              'and each option without one')


def check_verbs():
    verbs = re.findall(r'^  ([a-z]+) ', printed(KSMCTL, '--help'), re.M)
    text = (SOURCE / 'man/ksmctl.8').read_text()
    synopsis = text[text.index('.Sh SYNOPSIS'):text.index('.Sh DESCRIPTION')]
    TAP.equal(re.findall(r'^\.Cm ([a-z]+)$', synopsis, re.M), verbs, 'ksmctl: the synopsis has the verbs, in order')
    with_root = set(re.findall(r'Fl Fl root Ar dir\n\.Cm ([a-z]+)', synopsis))
    TAP.equal({verb for verb in verbs if '[--root DIR]' in printed(KSMCTL, verb, '--help')}, with_root,
              'ksmctl: --root stands where it is taken')
    for verb in verbs:
        check_verb(verb)


check_daemon()
check_verbs()
sys.exit(TAP.done())
