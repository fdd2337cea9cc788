#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The permitted directions of dependency (docs/architecture.md), read off the #include lines."""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".")

# Which folder a public header belongs to; "common" may be included by everyone but policy.
OWNER = {
    "adaptive.h": "policy", "classic.h": "policy", "decision.h": "policy", "policy.h": "policy", "sample.h": "policy",
    "cgroup.h": "host", "exec-watch.h": "host", "guests.h": "host", "ksm.h": "host",
    "ksm-process.h": "host", "ksm-settings.h": "host", "memory.h": "host", "process.h": "host", "rivals.h": "host",
    "unmerge.h": "host",
    "nearest.h": "config", "reader.h": "config", "settings.h": "config",
    "debug-log.h": "report", "guest-file.h": "report", "journal.h": "report", "metrics.h": "report",
    "reason.h": "report",
    "recording.h": "report", "state.h": "report",
    "cleanup.h": "common", "kernel-settings.h": "common", "sysroot.h": "common",
}
MAY_INCLUDE = {
    "policy": {"policy"},
    "common": {"common"},
    "host": {"host", "policy", "common"},
    "config": {"config", "policy", "common"},
    "report": {"report", "policy", "common"},
    "libvirt": set(),
    "daemon": {"host", "config", "report", "policy", "common"},
    "ctl": {"host", "config", "report", "policy", "common"},
}


def includes(path):
    return re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.M)


def problems_of(path, folder):
    for name in includes(path):
        if name.startswith("ksmtuned/"):
            owner = OWNER.get(name[len("ksmtuned/"):])
            if owner is None:
                yield f"{path}: {name} is not in the table of this test"
            elif owner not in MAY_INCLUDE[folder]:
                yield f"{path}: {folder} may not include {name}, which belongs to {owner}"
        elif "/" in name:
            yield f"{path}: {name} reaches into another folder"
        elif name != "ksmtuned-config.h" and not (path.parent / name).exists():
            yield f"{path}: {name} is not beside it"


def main():
    cases = []
    for header in sorted((ROOT / "include/ksmtuned").glob("*.h")):
        cases.append((header, OWNER.get(header.name, "unknown")))
    for source in sorted((ROOT / "src").glob("*/*.[ch]")):
        cases.append((source, source.parent.name))
    print(f"1..{len(cases)}")
    for number, (path, folder) in enumerate(cases, 1):
        if folder not in MAY_INCLUDE:
            found = [f"{path}: folder {folder} is not in the table of this test"]
        else:
            found = list(problems_of(path, folder))
        print(f"{'not ok' if found else 'ok'} {number} - {path.relative_to(ROOT)}")
        for line in found:
            print(f"# {line}")


main()
