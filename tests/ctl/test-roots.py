#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Every verb of ksmctl that only looks, on hosts of 2009 and of today: test-roots.py
PATH-OF-KSMCTL. Prints TAP."""

import concurrent.futures
import itertools
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unicodedata

KSMCTL = pathlib.Path(sys.argv[1]).resolve()
ROOTS = pathlib.Path(__file__).resolve().parents[1] / "roots"

# What to run, what it may end with, and whether it prints lines for people, JSON, or JSON lines.
# An option that a verb's --help does not name skips its line.
COMMANDS = (
    (["status"], {0}, "people"),
    (["status", "--bytes"], {0}, "people"),
    (["status", "--json"], {0}, "json"),
    (["guests"], {0}, "people"),
    (["guests", "--all"], {0}, "people"),
    (["guests", "--bytes"], {0}, "people"),
    (["guests", "--json"], {0}, "json"),
    (["guests", "--all", "--json"], {0}, "json"),
    (["watch", "--log", "--count", "1"], {0}, "people"),
    (["doctor"], {0, 1, 2}, "people"),
    (["doctor", "--verbose"], {0, 1, 2}, "people"),
    (["doctor", "--json"], {0, 1, 2}, "json"),
    (["record", "--count", "1", "--interval", "0.1"], {0}, "data"),
    (["record", "--count", "1", "--interval", "0.1", "--format", "jsonl"], {0}, "lines"),
    (["unmerge", "--dry-run"], {0, 1}, "people"),
    (["unmerge", "--json"], {0, 1}, "json"),
    (["retune"], {2}, "people"),
    (["exec", "true"], {2}, "people"),
)


def run(*words, root=None, **environment):
    return subprocess.run([KSMCTL, *(["--root", root] if root else []), *words], timeout=60,
                          capture_output=True, check=False, stdin=subprocess.DEVNULL,
                          env=os.environ | {"NO_COLOR": "1"} | environment)


def missing(words):
    """Which of the words this ksmctl does not know."""
    if not re.search(rf"^  {words[0]} ", run("--help").stdout.decode(), re.M):
        return f"the verb {words[0]}"
    usage = run(words[0], "--help").stdout.decode()
    for word in words[1:]:
        if word.startswith("--") and word not in usage:
            return f"the option {word} of {words[0]}"
    return None


def width(line):
    """Columns of a terminal: marks that combine take none, wide characters two."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF"
               else 1 for c in line)


def files_of(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check(words, statuses, kind, root, locale, columns):
    before = files_of(root)
    answer = run(*words, root=root, LC_ALL=locale, COLUMNS=str(columns))
    assert answer.returncode in statuses, answer
    assert files_of(root) == before, "it wrote to the host"
    encoding = "utf-8" if locale.endswith("UTF-8") else "ascii"
    text, errors = answer.stdout.decode(encoding), answer.stderr.decode(encoding)
    assert "\033" not in text, answer
    if kind == "json":
        assert isinstance(json.loads(text), dict), answer
    elif kind == "lines":
        assert len([json.loads(line) for line in text.splitlines()]) >= 1, answer
    elif kind == "people":
        long = [line for line in text.splitlines() if width(line) > columns]
        assert not long, f"over {columns} columns: {long}"
    assert text or answer.returncode != 0, "it says nothing"
    if answer.returncode not in (0, 1, 2) or not text:
        assert errors.startswith("ksmctl: "), answer


def test(words, statuses, kind, root):
    with tempfile.TemporaryDirectory(prefix="test-roots-") as folder:
        copy = pathlib.Path(folder) / "root"
        shutil.copytree(root, copy)
        # At once: most of the time they wait, to see how fast something goes.
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda shape: check(words, statuses, kind, copy, *shape),
                          itertools.product(("C.UTF-8", "C"), (80, 200))))


def cases(roots):
    """The names of the tests, and each as a function; or why it cannot be done."""
    for root in roots:
        for words, statuses, kind in COMMANDS:
            lack = missing(words)
            yield (f"{root.name}: {' '.join(words)}", lack and f"ksmctl does not have {lack}",
                   lambda words=words, statuses=statuses, kind=kind, root=root:
                   test(words, statuses, kind, root))


def record(folder):
    """This host as record.sh sees it, with one process. Returns why not."""
    if not pathlib.Path("/sys/kernel/mm/ksm").is_dir():
        return "this kernel has no KSM"
    answer = subprocess.run([ROOTS / "record.sh", folder, str(os.getpid())], check=False, text=True,
                            capture_output=True)
    assert answer.returncode == 0 and answer.stderr == "", answer
    assert (folder / f"proc/{os.getpid()}/stat").exists(), "the process is not in it"
    assert (folder / "sys/kernel/mm/ksm/pages_sharing").exists(), "KSM is not in it"
    again = subprocess.run([ROOTS / "record.sh", folder], check=False, capture_output=True)
    assert again.returncode == 2 and b"usage" in again.stderr, again
    return None


def main():
    roots = sorted(path for path in ROOTS.iterdir() if path.is_dir())
    assert len(roots) >= 2, roots
    with tempfile.TemporaryDirectory(prefix="test-roots-") as folder:
        here = pathlib.Path(folder) / "this host"
        why = record(here)
        todo = list(cases(roots + ([] if why else [here])))
        if why:
            todo.append(("this host, recorded", why, None))
        print(f"1..{len(todo)}")
        failed = 0
        for number, (name, lack, function) in enumerate(todo, 1):
            if lack:
                print(f"ok {number} - {name} # SKIP {lack}", flush=True)
                continue
            try:
                function()
                print(f"ok {number} - {name}", flush=True)
            except (AssertionError, ValueError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"not ok {number} - {name}")
                for line in str(error).splitlines():
                    print(f"# {line}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
