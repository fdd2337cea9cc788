# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of ksmctl doctor share: a healthy host, and what to ask of it. Prints TAP."""

import importlib.util
import json
import os
import pathlib
import shutil
import sys
import tempfile
import traceback

SPEC = importlib.util.spec_from_file_location(
    "ksmctl_test", pathlib.Path(__file__).with_name("test-ksmctl.py"))
ksmctl_test = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(ksmctl_test)

PAGE_KB = os.sysconf("SC_PAGESIZE") // 1024
GIB = 2**20  # in kB
KNOBS = ksmctl_test.KNOBS_6_8 | {
    "run": 1, "general_profit": 4096 * 900, "pages_shared": 100, "pages_sharing": 900,
    "ksm_zero_pages": 0, "pages_unshared": 1000, "pages_volatile": 0, "pages_scanned": 100000,
    "pages_skipped": 1000}
KNOBS_2009 = {"run": 1, "pages_to_scan": 100, "sleep_millisecs": 20, "full_scans": 7,
              "pages_shared": 100, "pages_sharing": 900, "pages_unshared": 55,
              "pages_volatile": 3, "max_kernel_pages": 100000}
STATE = {"RUN": 1, "TOTAL_KB": 32 * GIB, "FREE_KB": 12 * GIB, "THRESHOLD_KB": 6 * GIB,
         "GUESTS": 1, "age": 12}
MEMORY = {"MemTotal": 32 * GIB, "MemFree": 8 * GIB, "MemAvailable": 11 * GIB, "Buffers": GIB,
          "Cached": 3 * GIB, "SwapTotal": GIB, "SwapFree": GIB, "Shmem": 1024, "AnonPages": 16 * GIB,
          "AnonHugePages": 0}
ALL = 27


class Host(ksmctl_test.Host):
    """A healthy host; each test makes one thing of it ill."""

    def __init__(self, knobs=KNOBS, state=None, memory=None, daemon=True):
        super().__init__(knobs, **((STATE | (state or {})) if daemon else {}))
        if daemon:
            self.daemon()
        self.memory(**(memory or {}))
        self.write("proc/sys/vm/min_free_kbytes", "67584\n")
        self.write("proc/pressure/memory", "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
                                           "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
        self.write("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n")
        self.write("sys/devices/system/node/has_memory", "0\n")
        self.write("proc/26/stat", "26 (ksmd) S 2 0 0 0 -1 2097216" + " 0" * 43 + "\n")
        self.write("proc/26/comm", "ksmd\n")
        self.write("proc/26/schedstat", "7500000000 1 2\n")
        self.guest(2001, "web")

    def memory(self, **changes):
        fields = {name: kb for name, kb in (MEMORY | changes).items() if kb is not None}
        self.write("proc/meminfo", "".join(f"{name + ':':<15} {kb:>8} kB\n"
                                           for name, kb in fields.items()))

    def guest(self, pid, name, merged=1000, options=(), mergeable="yes", comm="qemu-system-x86",
              **status):
        """A VM of 4 GiB, half of which ksmd keeps track of."""
        rss_kb = 4 * GIB
        pages = rss_kb // PAGE_KB
        kinds = {"VmRSS": rss_kb, "RssAnon": rss_kb - 1024, "RssFile": 1024, "RssShmem": 0,
                 "HugetlbPages": 0} | status
        folder = f"proc/{pid}"
        self.write(f"{folder}/comm", comm + "\n")
        self.write(f"{folder}/cmdline", "\0".join(
            ["/usr/bin/qemu-system-x86_64", "-name", f"guest={name},debug-threads=on",
             *options]) + "\0")
        self.write(f"{folder}/statm", f"{pages + 9000} {pages} 900 300 0 {pages} 0\n")
        self.write(f"{folder}/status", f"Name:\t{comm}\n" + "".join(
            f"{key}:\t{kb:>8} kB\n" for key, kb in kinds.items()))
        self.write(f"{folder}/stat",
                   f"{pid} ({comm}) S 1 {pid} {pid} 0 -1 4194560 100 0 0 0 50 20 0 0 20 0 1 0 "
                   f"{pid * 7} {(pages + 9000) * PAGE_KB * 1024} {pages} 18446744073709551615 "
                   + "0 " * 26 + "0\n")
        tracked = pages * 3 // 4 if mergeable == "yes" else 0
        self.write(f"{folder}/ksm_stat",
                   f"ksm_rmap_items {tracked}\nksm_zero_pages 0\nksm_merging_pages {merged}\n"
                   f"ksm_process_profit {merged * 4096 - tracked * 64}\nksm_merge_any: no\n"
                   f"ksm_mergeable: {mergeable}\n")

    def process(self, pid, comm):
        self.write(f"proc/{pid}/comm", comm + "\n")
        self.write(f"proc/{pid}/stat", f"{pid} ({comm}) S 1" + " 0" * 48 + "\n")

    def config(self, text, name="etc/ksmtuned.conf"):
        self.write(name, text)
        return self

    def remove(self, path):
        target = self.root / path
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink()
        return self

    def examine(self, *arguments, status=None, **options):
        """What --json tells, by id; checks what holds for every answer."""
        answer = self.run("doctor", "--json", *arguments, **options)
        assert answer.stderr == "", answer.stderr
        told = json.loads(answer.stdout)
        assert set(told) == {"checks", "processes"}, told.keys()
        verdicts = [check["verdict"] for check in told["checks"]]
        assert answer.returncode == (2 if "trouble" in verdicts else
                                     1 if "advice" in verdicts else 0), answer
        if status is not None:
            assert answer.returncode == status, answer
        for check in told["checks"]:
            assert set(check) == {"id", "verdict", "figure", "value", "unit", "remedy"}, check
            assert check["figure"] and len(check["figure"]) < 255, check
            assert check["verdict"] in ("ok", "advice", "trouble", "unknown"), check
            if check["verdict"] in ("advice", "trouble"):
                assert check["remedy"] and len(check["remedy"]) < 255, check
            elif check["verdict"] == "ok":
                assert check["remedy"] is None, check
        self.processes = told["processes"]
        return {check["id"]: check for check in told["checks"]}

    def text(self, *arguments, status=None, **options):
        answer = self.run("doctor", *arguments, **options)
        assert answer.stderr == "", answer.stderr
        if status is not None:
            assert answer.returncode == status, answer
        assert max(map(len, answer.stdout.splitlines())) <= 80, answer.stdout
        return answer.stdout


def finds(host, check_id, verdict, *words, value=None, remedy=(), alone=True, arguments=()):
    """One finding, and all other checks are ok."""
    checks = host.examine(*arguments)
    found = checks[check_id]
    assert found["verdict"] == verdict, found
    for word in words:
        assert word in found["figure"], (word, found)
    for word in remedy:
        assert word in found["remedy"], (word, found)
    if value is not None:
        assert found["value"] == value, (value, found)
    if alone:
        others = {key: check for key, check in checks.items()
                  if key != check_id and check["verdict"] != "ok"}
        assert not others, others
    return found


def silent(host, check_id, *words):
    found = host.examine()[check_id]
    assert found["verdict"] == "ok", found
    for word in words:
        assert word in found["figure"], (word, found)
    return found


def hugepages(host, size_kb, n, free=0, promised=0):
    for name, number in (("nr", n), ("free", free), ("resv", promised)):
        host.write(f"sys/kernel/mm/hugepages/hugepages-{size_kb}kB/{name}_hugepages", f"{number}\n")
    return host


def run(tests):
    """The functions test_… of a file, as TAP. Returns the exit status."""
    tests = [(name, test) for name, test in tests.items() if name.startswith("test_")]
    temporary = tempfile.mkdtemp(prefix="test-doctor-")
    os.chmod(temporary, 0o755)
    tempfile.tempdir = temporary
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        title = name[len("test_"):].replace("_", " ")
        try:
            why = test()
            print(f"ok {number} - {title}" + (f" # SKIP {why}" if why else ""), flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {title}")
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    shutil.rmtree(temporary)
    return 1 if failed else 0
