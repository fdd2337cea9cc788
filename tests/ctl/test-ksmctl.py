#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl as a program, on made-up hosts: test-ksmctl.py PATH-OF-KSMCTL. Prints TAP."""

import json
import os
import pathlib
import pty
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

KSMCTL = pathlib.Path(sys.argv[1]).resolve()
KSM = "sys/kernel/mm/ksm"
PAGE_BYTES = os.sysconf("SC_PAGESIZE")

KNOBS_2_6_32 = {"run": 0, "pages_to_scan": 100, "sleep_millisecs": 20, "full_scans": 7,
                "pages_shared": 100, "pages_sharing": 341, "pages_unshared": 55,
                "pages_volatile": 3}
KNOBS_6_8 = KNOBS_2_6_32 | {
    "general_profit": -4096, "pages_scanned": 12345, "ksm_zero_pages": 59, "smart_scan": 1,
    "pages_skipped": 9, "advisor_mode": "[none] scan-time", "merge_across_nodes": 1,
    "advisor_target_scan_time": 200, "advisor_max_cpu": 70, "advisor_min_pages_to_scan": 500,
    "advisor_max_pages_to_scan": 30000, "use_zero_pages": 0, "max_page_sharing": 256,
    "stable_node_chains": 0, "stable_node_dups": 0, "stable_node_chains_prune_millisecs": 2000}
STATE = {"VERSION": "0.1.0", "PID": 4711, "POLICY": "classic", "PHASE": "boost", "RUN": 0,
         "PAGES_TO_SCAN": 100, "SLEEP_MSEC": 20, "TOTAL_KB": 33554432, "FREE_KB": 4194304,
         "COMMITTED_KB": 25165824, "THRESHOLD_KB": 6710886, "GUESTS": 12, "SAVED_BYTES": 1638400,
         "KSMD_CPU_NSEC": 5000000000, "DECISIONS": 3, "TRIGGER": "timer",
         "REASON": "4.0 GiB are free, less than the threshold of 6.4 GiB, and the guests' 24.0 GiB "
                   "would not leave room for it either", "INTERVAL_USEC": 60000000}


class Host:
    """A made-up host, removed at the end of its test."""

    def __init__(self, knobs=KNOBS_6_8, **state):
        # Every user must be able to look into it, and to run the copy of ksmctl.
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="test-ksmctl-"))
        self.base.chmod(0o755)
        self.root = self.base / "root"
        self.write("proc/meminfo", "MemTotal:       16384 kB\nMemFree:        4096 kB\n")
        self.write("proc/1/comm", "init\n")
        if knobs is not None:
            (self.root / KSM).mkdir(parents=True)
            for name, value in knobs.items():
                self.write(f"{KSM}/{name}", f"{value}\n")
        if state:
            age = state.pop("age", 12)
            values = STATE | {"TIME_USEC": int((time.time() - age) * 1e6)} | state
            self.write("run/ksmtuned/state",
                       "".join(f"{key}={value}\n" for key, value in values.items()))

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def knob(self, name):
        return (self.root / KSM / name).read_text().strip()

    def daemon(self, pid=4711, comm="ksmtuned"):
        self.write(f"proc/{pid}/comm", comm + "\n")
        self.write(f"proc/{pid}/stat", f"{pid} ({comm}) S 1" + " 0" * 48 + "\n")
        return self

    def unprivileged(self):
        """A user whom permissions hold back, also where root runs the tests."""
        return {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}

    def run(self, *arguments, environment=None, **options):
        program = KSMCTL
        if "user" in options:
            program = self.base / "ksmctl"
            shutil.copy(KSMCTL, program)
        return subprocess.run([program, "--root", self.root, *arguments], text=True, check=False,
                              capture_output="stdout" not in options, timeout=60,
                              env=os.environ | {"LC_ALL": "C"} | (environment or {}), **options)

    def status(self, *arguments, **options):
        """Standard output of status, which must succeed."""
        answer = self.run("status", *arguments, **options)
        assert answer.returncode == 0, answer
        assert answer.stderr == "", answer.stderr
        return answer.stdout

    def json(self):
        return json.loads(self.status("--json"))


def row(text, name):
    """The columns behind a name of the table."""
    lines = [line for line in text.splitlines() if line.startswith(name + "  ")]
    assert len(lines) == 1, f"{len(lines)} rows of {name} in:\n{text}"
    return lines[0][len(name):].strip()


def value(text, name):
    """The value beside a name of the table, without its meaning."""
    return row(text, name).split("  ")[0]


def fails_once(answer, status, *words):
    """The exit status, nothing on standard output, and one line that tells why."""
    assert answer.returncode == status, answer
    assert answer.stdout == "", answer
    assert answer.stderr.count("\n") == 1 and answer.stderr.startswith("ksmctl: "), answer
    for word in words:
        assert word in answer.stderr, (word, answer.stderr)


def succeeds_silently(answer):
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", ""), answer


# --- start and stop ---------------------------------------------------------------------------

def test_start_writes_run():
    host = Host()
    succeeds_silently(host.run("start"))
    assert host.knob("run") == "1"
    assert not (host.root / KSM / "max_kernel_pages").exists(), "no file may be made"


def test_stop_writes_run():
    host = Host(KNOBS_6_8 | {"run": 1})
    succeeds_silently(host.run("stop"))
    assert host.knob("run") == "0"


def test_max_kernel_pages():
    half = str(16384 * 1024 // PAGE_BYTES // 2)
    for text, pages in [("1000", "1000"), ("0x20", "32"), ("010", "8"), (" 5", "5"), ("0", "0"),
                        ("9223372036854775806", "9223372036854775806"), (None, half), ("", half),
                        ("abc", half), ("12 ", half), ("12k", half), ("-1", half), ("0x", half),
                        (" ", half), ("9223372036854775807", half),
                        ("99999999999999999999", half)]:
        host = Host(KNOBS_2_6_32 | {"max_kernel_pages": 0})
        variable = {} if text is None else {"KSM_MAX_KERNEL_PAGES": text}
        succeeds_silently(host.run("start", environment=variable))
        assert host.knob("max_kernel_pages") == pages, (text, host.knob("max_kernel_pages"))
        assert host.knob("run") == "1", text


def test_max_kernel_pages_may_fail():
    host = Host(KNOBS_2_6_32)
    (host.root / KSM / "max_kernel_pages").mkdir()
    succeeds_silently(host.run("start"))
    assert host.knob("run") == "1"

    host = Host(KNOBS_2_6_32 | {"max_kernel_pages": 7})
    (host.root / "proc/meminfo").unlink()
    succeeds_silently(host.run("start"))
    assert (host.knob("max_kernel_pages"), host.knob("run")) == ("7", "1")


def test_run_that_cannot_be_written():
    for verb in "start", "stop":
        fails_once(Host(knobs=None).run(verb), 1, "no KSM")

        host = Host()
        (host.root / KSM / "run").unlink()
        (host.root / KSM / "run").mkdir()
        fails_once(host.run(verb), 1, "/sys/kernel/mm/ksm/run", "directory")

        host = Host()
        (host.root / KSM / "run").chmod(0o444)
        fails_once(host.run(verb, **host.unprivileged()), 1, "run", "Permission denied")
        assert host.knob("run") == "0"


# --- usage ------------------------------------------------------------------------------------

def test_no_verb_and_unknown_verbs():
    host = Host()
    for arguments in (), ("restart",), ("",), ("--start",), ("-x",), ("START",):
        answer = host.run(*arguments)
        assert answer.returncode == 1, answer
        assert answer.stdout == "" and "usage: ksmctl" in answer.stderr, answer
    assert host.knob("run") == "0"


def test_unknown_options_of_verbs():
    host = Host()
    for arguments in (("start", "now"), ("stop", "--force"), ("status", "--csv"),
                      ("status", "-x"), ("status", "run"), ("start", "-b"), ("status", "--json=1")):
        answer = host.run(*arguments)
        assert answer.returncode == 2, answer
        assert answer.stdout == "" and f"usage: ksmctl [--root DIR] {arguments[0]}" in answer.stderr
        assert arguments[1] in answer.stderr, answer
    assert host.knob("run") == "0"


def test_help_and_version():
    host = Host()
    for arguments in ("--help",), ("-h",), ("start", "--help"), ("stop", "-h"), ("status", "--help"):
        answer = host.run(*arguments)
        assert answer.returncode == 0 and answer.stderr == "", answer
        assert answer.stdout.startswith("usage: ksmctl"), answer
    assert host.run("--version").stdout.startswith("ksmctl ")
    assert host.knob("run") == "0"


def test_root_that_is_not_there():
    answer = subprocess.run([KSMCTL, "--root", "/nonexistent", "status"], text=True, check=False,
                            capture_output=True, timeout=60)
    fails_once(answer, 1, "/nonexistent")


# --- status, the kernel's part ----------------------------------------------------------------

def test_status_of_a_new_kernel():
    text = Host().status("--verbose")
    expected = {"ksmtuned": "not running", "run": "0", "sharing rate": "3.41",
                "pages_shared": "100", "pages_sharing": "341", "ksm_zero_pages": "59",
                "pages_unshared": "55", "pages_volatile": "3", "full_scans": "7",
                "pages_to_scan": "100", "sleep_millisecs": "20", "smart_scan": "1",
                "advisor_mode": "none"}
    assert {name: value(text, name) for name in expected} == expected, text
    # 400 pages of 4 KiB, or of what this machine has
    kib = 400 * PAGE_BYTES // 1024
    assert value(text, "saved") == f"{kib / 1024:.1f} MiB", text
    assert f"{kib * 10000 // 16384 / 100:.2f} % of memory" in row(text, "saved"), text
    assert value(text, "general_profit").startswith("-"), text


def test_status_fits_one_screen():
    for knobs in KNOBS_2_6_32, KNOBS_6_8, KNOBS_6_8 | {"run": 1, "pages_to_scan": 2000}:
        host = Host(knobs, **STATE).daemon()
        text = host.status()
        assert text.count("\n") <= 23, "more than one screen:\n" + text
        assert max(map(len, text.splitlines())) <= 80, text
        whole = host.status("-v")
        figures = text.split("\n\n")[1]
        assert whole.split("\n\n")[1].startswith(figures) and len(whole) > len(text), whole
        assert max(map(len, whole.splitlines())) <= 80, whole


def test_status_of_the_host():
    host = Host()
    assert value(host.status(), "huge pages") == "unknown"
    kernel = host.json()["kernel"][0]
    assert kernel["transparent_hugepage"] is None and kernel["numa_nodes"] is None
    assert kernel["memory_bytes"] == 16384 * 1024
    for text, mode in (("[always] madvise never", "always"), ("always madvise [never]", "never"),
                       ("always madvise never", None), ("]never[", None), ("[" + "x" * 40 + "]", None)):
        host.write("sys/kernel/mm/transparent_hugepage/enabled", text + "\n")
        assert host.json()["kernel"][0]["transparent_hugepage"] == mode, text
        assert value(host.status(), "huge pages") == (mode or "unknown"), text
    for text, nodes in (("0", 1), ("0-1", 2), ("0-3,8", 5), ("", None), ("x", None), ("0-", None),
                        ("3-1", None), ("0,,1", None)):
        host.write("sys/devices/system/node/online", text + "\n")
        assert host.json()["kernel"][0]["numa_nodes"] == nodes, text
    host.write("sys/devices/system/node/online", "0-1\n")
    assert "between the NUMA nodes" in row(host.status(), "merge_across_nodes")
    host.write("sys/devices/system/node/online", "0\n")
    assert "one NUMA node" in row(host.status(), "merge_across_nodes")
    (host.root / "proc/meminfo").unlink()
    assert "gained by merging" in row(host.status(), "saved")
    assert host.json()["kernel"][0]["saved_percent"] is None


def test_status_of_ksmd_at_work():
    host = Host(KNOBS_6_8 | {"run": 1})
    host.write("proc/26/stat", "26 (ksmd) S 2 0 0 0 -1 2097216" + " 0" * 43 + "\n")
    host.write("proc/26/comm", "ksmd\n")
    host.write("proc/26/schedstat", "7500000000 1 2\n")
    kernel = host.json()["kernel"][0]
    # Nothing moves here, so the pass is reckoned by the knobs: 499 pages, 100 in 20 ms.
    assert kernel["ksmd_cpu_percent"] == 0 and kernel["pages_scanned_per_second"] == 0, kernel
    assert kernel["pass_seconds"] == 0
    assert "less than a second" in row(host.status(), "full_scans")
    host = Host(KNOBS_6_8 | {"run": 1, "pages_unshared": 10**9})
    assert host.json()["kernel"][0]["pass_seconds"] == 200000
    assert "one takes about 2 days" in row(host.status(), "full_scans")
    for knobs in {"pages_to_scan": 0}, {"pages_unshared": "x"}:
        assert Host(KNOBS_6_8 | {"run": 1} | knobs).json()["kernel"][0]["pass_seconds"] is None
    kernel = Host(KNOBS_2_6_32 | {"run": 1}).json()["kernel"][0]
    assert kernel["pages_scanned_per_second"] is None and kernel["ksmd_cpu_percent"] is None
    assert "6.6" in row(Host(KNOBS_2_6_32 | {"run": 1}).status(), "scanning")


def test_counters_that_go_backwards():
    host = Host(KNOBS_6_8 | {"run": 1, "pages_scanned": 1000})
    process = subprocess.Popen([KSMCTL, "--root", host.root, "status", "--json"],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(0.15)
    host.write(f"{KSM}/pages_scanned", "5\n")
    kernel = json.loads(process.communicate(timeout=60)[0])["kernel"][0]
    assert kernel["pages_scanned_per_second"] is None, kernel
    process = subprocess.Popen([KSMCTL, "--root", host.root, "status", "--json"],
                               stdout=subprocess.PIPE, text=True)
    time.sleep(0.15)
    host.write(f"{KSM}/pages_scanned", "300005\n")
    kernel = json.loads(process.communicate(timeout=60)[0])["kernel"][0]
    assert 100000 < kernel["pages_scanned_per_second"] <= 1000000, kernel


def test_next_decision():
    host = Host(**STATE).daemon()
    assert "; next one in 4" in row(host.status(), "decided"), host.status()
    assert 40e6 < host.json()["daemon"][0]["due_usec"] < 48.1e6
    host = Host(**STATE | {"age": 70}).daemon()
    assert "; next one due now" in row(host.status(), "decided"), host.status()
    assert host.json()["daemon"][0]["due_usec"] < 0
    assert "next" not in Host(**STATE).status()
    # A policy that drives passes says itself when it decides next, and when the next pass is due.
    now = int(time.time() * 1e6)
    host = Host(**STATE | {"NEXT_USEC": now + 5500000, "PASS_DUE_USEC": now + 600500000}).daemon()
    text = " ".join(host.status().split())
    assert "phase boost; next one in 5 s; next pass in 10 min reason" in text, host.status()
    assert 3e6 < host.json()["daemon"][0]["due_usec"] < 5.6e6
    assert 590e6 < host.json()["daemon"][0]["pass_due_usec"] < 600.6e6
    assert Host(**STATE).daemon().json()["daemon"][0]["pass_due_usec"] is None


def test_status_exact_sizes():
    for option in "--bytes", "-b":
        text = Host(**STATE).daemon().status(option)
        assert value(text, "saved") == str(400 * PAGE_BYTES)
        assert value(text, "general_profit") == "-4096"
        assert str(33554432 * 1024) in row(text, "memory")
        assert str(25165824 * 1024) in row(text, "guests")


def test_status_of_an_old_kernel():
    host = Host(KNOBS_2_6_32)
    text = host.status("-v")
    for name, since in (("general_profit", "6.4"), ("ksm_zero_pages", "6.6"),
                        ("smart_scan", "6.7"), ("advisor_mode", "6.8")):
        assert value(text, name) == "not on this kernel", text
        assert since in row(text, name), text
    kernel = host.json()["kernel"][0]
    assert kernel["general_profit"] is None and kernel["smart_scan"] is None
    assert kernel["saved_bytes"] == 341 * PAGE_BYTES
    assert host.json()["unreadable"] == []


def test_status_with_nothing_merged():
    host = Host(KNOBS_6_8 | {"pages_shared": 0, "pages_sharing": 0, "ksm_zero_pages": 0})
    assert value(host.status(), "sharing rate") == "none"
    assert host.json()["kernel"][0]["sharing_rate"] is None
    assert host.json()["kernel"][0]["saved_bytes"] == 0


def test_status_of_extremes():
    most = 2**63 - 1
    for knobs in ({"pages_shared": 1, "pages_sharing": most, "ksm_zero_pages": most},
                  {"pages_shared": most, "pages_sharing": most, "full_scans": most},
                  {"general_profit": -2**63}, {"general_profit": most},
                  {"pages_to_scan": 2**32 - 1, "sleep_millisecs": 2**32 - 1}):
        host = Host(KNOBS_6_8 | knobs)
        text = host.status("--bytes", "-v")  # such numbers may be wider than the screen, but are whole
        for name in set(knobs) - {"general_profit"}:
            assert value(text, name) == str(knobs[name]), text
        kernel = host.json()["kernel"][0]
        assert {name: kernel[name] for name in knobs} == knobs
        assert 0 <= kernel["saved_bytes"] <= most


def test_status_of_other_modes():
    text = Host(KNOBS_6_8 | {"run": 2, "advisor_mode": "none [scan-time]", "smart_scan": 0}).status()
    assert value(text, "advisor_mode") == "scan-time", text
    assert "unmerged" in row(text, "run") and "every page" in row(text, "smart_scan"), text


def test_status_names_what_cannot_be_read():
    host = Host(KNOBS_6_8 | {"full_scans": "many"})
    (host.root / KSM / "pages_volatile").unlink()
    (host.root / KSM / "pages_volatile").mkdir()
    for name in "general_profit", "pages_shared":
        (host.root / KSM / name).chmod(0o000)
    text = host.status("-v", **host.unprivileged())
    for name, why in (("pages_volatile", "directory"), ("general_profit", "Permission denied"),
                      ("pages_shared", "Permission denied"),
                      ("full_scans", "nothing that makes sense")):
        assert value(text, name) == "cannot be read" and why in row(text, name), text
    assert value(text, "pages_sharing") == "341" and value(text, "sharing rate") == "unknown", text
    answer = json.loads(host.status("--json", **host.unprivileged()))
    assert {entry["name"] for entry in answer["unreadable"]} == {
        "pages_volatile", "general_profit", "pages_shared", "full_scans"}
    assert all(entry["why"] for entry in answer["unreadable"])
    assert answer["kernel"][0]["pages_shared"] is None
    assert answer["kernel"][0]["pages_sharing"] == 341


def test_status_without_permission_for_anything():
    host = Host()
    for name in KNOBS_6_8:
        (host.root / KSM / name).chmod(0o000)
    fails_once(host.run("status", **host.unprivileged()), 1, "Permission denied")
    (host.root / KSM).chmod(0o000)
    answer = host.run("status", **host.unprivileged())
    (host.root / KSM).chmod(0o755)
    fails_once(answer, 1, "Permission denied")


def test_status_without_ksm():
    host = Host(knobs=None, **STATE).daemon()
    fails_once(host.run("status"), 1, "this kernel has no KSM")
    answer = host.run("status", "--json")
    assert answer.returncode == 1 and "no KSM" in answer.stderr, answer
    assert json.loads(answer.stdout)["kernel"] == []
    assert json.loads(answer.stdout)["daemon"][0]["running"] is True


def test_status_of_ksmd():
    host = Host()
    host.write("proc/26/stat", "26 (ksmd) S 2 0 0 0 -1 2097216" + " 0" * 43 + "\n")
    host.write("proc/26/comm", "ksmd\n")
    host.write("proc/26/schedstat", "7500000000 1 2\n")
    assert host.json()["kernel"][0]["ksmd_cpu_nsec"] == 7500000000
    assert "7.5 s" in value(host.status(), "ksmd"), host.status()
    assert Host().json()["kernel"][0]["ksmd_cpu_nsec"] is None
    assert value(Host().status(), "ksmd") == "cannot be seen"


# --- status, the daemon's part ----------------------------------------------------------------

def test_daemon_that_runs():
    host = Host(**STATE).daemon()
    text = host.status()
    assert "running as process 4711, version 0.1.0, policy classic" in row(text, "ksmtuned"), text
    assert "12 s ago, trigger timer, phase boost" in row(text, "decided"), text
    assert row(text, "reason").startswith("4.0 GiB are free, less than the threshold"), text
    assert "32.0 GiB, of which free: 4.0 GiB; threshold: 6.4 GiB" in row(text, "memory"), text
    assert "12, with 24.0 GiB committed" in row(text, "guests"), text
    assert text.count("\n") <= 23, text

    daemon = host.json()["daemon"][0]
    expected = {key.lower(): entry for key, entry in STATE.items()}
    assert {key: daemon[key] for key in expected} == expected
    assert daemon["running"] is True and daemon["stale"] is False
    assert 12e6 <= daemon["age_usec"] < 60e6
    assert daemon["time_usec"] < time.time() * 1e6


def test_daemon_that_is_gone():
    for host in (Host(**STATE), Host(**STATE).daemon(comm="bash"), Host(**STATE | {"age": 86400})):
        text = host.status()
        assert row(text, "ksmtuned").startswith("not running; its last decision"), text
        assert "hangs" not in text, text
        assert row(text, "reason") != "", text
        assert host.json()["daemon"][0]["running"] is False


def test_daemon_that_hangs():
    for interval, age, stale in ((60, 124, False), (60, 126, True), (1, 6.5, False), (1, 8, True)):
        host = Host(**STATE | {"INTERVAL_USEC": interval * 10**6, "age": age}).daemon()
        assert host.json()["daemon"][0]["stale"] is stale, (interval, age)
        assert ("hangs" in host.status()) is stale, (interval, age)


def test_daemon_that_cannot_be_seen():
    host = Host(**STATE)
    (host.root / "proc/1/comm").unlink()
    (host.root / "proc/1").rmdir()
    assert "cannot be seen from here" in row(host.status(), "ksmtuned")
    assert host.json()["daemon"][0]["running"] is None


def test_decision_of_this_moment():
    host = Host(**STATE | {"age": 0}).daemon()
    host.write("run/ksmtuned/state", "PID=4711\nTIME_USEC=%d\n" % (time.time() * 1e6))
    # A machine too busy to answer within a second may say so.
    assert row(host.status(), "decided") in ("just now", "1 s ago", "2 s ago"), host.status()


def test_decision_in_the_future():
    host = Host(**STATE | {"age": -3600}).daemon()
    assert "the clock was set back" in row(host.status(), "decided")
    daemon = host.json()["daemon"][0]
    assert (daemon["age_usec"], daemon["stale"]) == (None, False)


def test_knobs_written_by_others():
    text = Host(KNOBS_6_8 | {"pages_to_scan": 2000}, **STATE).daemon().status()
    assert "ksmtuned left pages_to_scan at 100, others set it to 2000" in row(text, "note"), text
    text = Host(KNOBS_6_8 | {"pages_to_scan": 2000}, **STATE).status()
    assert "note" not in text, "a daemon that is gone left nothing to defend"


def test_state_that_cannot_be_read():
    host = Host()
    host.write("run/ksmtuned/state/file", "")
    text = host.status()
    assert row(text, "ksmtuned").startswith("unknown: /run/ksmtuned/state cannot be read"), text
    assert value(text, "run") == "0", text
    answer = host.json()
    assert answer["daemon"][0]["running"] is None
    assert [entry["name"] for entry in answer["unreadable"]] == ["/run/ksmtuned/state"]


def test_state_of_an_older_version():
    host = Host()
    host.write("run/ksmtuned/state", "PID=4711\nSOMETHING=new\n")
    host.daemon()
    text = host.status()
    assert "running as process 4711, version unknown" in row(text, "ksmtuned"), text
    assert "unknown time" in row(text, "decided"), text
    daemon = host.json()["daemon"][0]
    assert daemon["running"] is True and daemon["reason"] is None and daemon["guests"] is None


def test_state_with_hostile_text():
    host = Host(**STATE | {"REASON": "a \"quoted\" \\ \x1b[31mred\x7f w\u00f6rd", "POLICY": "\t"})
    host.daemon()
    for locale in "C", "C.UTF-8":
        text = host.status(environment={"LC_ALL": locale})
        assert text.isascii() and "\x1b" not in text and "\x7f" not in text, text
        assert 'a "quoted" \\ ?[31mred? w??rd' in text, text
    assert host.json()["daemon"][0]["reason"] == 'a "quoted" \\ ?[31mred? w??rd'


# --- status, the output -----------------------------------------------------------------------

def test_numbers_in_other_locales():
    for locale in "C", "C.UTF-8", "de_DE.UTF-8", "nonsense":
        text = Host().status("--json", environment={"LC_ALL": locale, "LC_NUMERIC": locale})
        assert json.loads(text)["kernel"][0]["sharing_rate"] == 3.41


def on_terminal(host, columns):
    """What status prints to a terminal of so many columns."""
    master, slave = pty.openpty()
    answer = host.run("status", stdout=slave, stderr=slave,
                      environment={"TERM": "xterm-256color", "COLUMNS": str(columns)})
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 65536):
            text += chunk
    except OSError:  # EIO: the other end is closed and all is read
        pass
    os.close(master)
    assert answer.returncode == 0, answer
    return text.decode().replace("\r\n", "\n")


def test_terminals_and_files_get_the_same():
    host = Host(**STATE | {"age": 1}).daemon()

    def without_age(text):
        return [line for line in text.splitlines() if not line.startswith("decided")]

    expected = without_age(host.status())
    assert max(map(len, expected)) <= 80 and not any(line.endswith(" ") for line in expected)
    for columns in 200, 80, 40:
        text = on_terminal(host, columns)
        assert without_age(text) == expected, text


def test_long_reasons_are_wrapped_at_words():
    for reason in ("word " * 50, "x" * 250, "x" * 70 + " " + "y" * 30, " " * 200):
        text = Host(**STATE | {"REASON": reason.rstrip(" ") or "-"}).daemon().status()
        words = " ".join(text.split()).replace(" ", "")
        assert (reason.replace(" ", "") or "-") in words, text
        if "x" not in reason:
            assert max(map(len, text.splitlines())) <= 80, text


def test_output_that_nobody_takes():
    for arguments in ("status",), ("status", "--json"), ("--help",), ("status", "--help"):
        with open("/dev/full", "wb") as full:
            answer = Host().run(*arguments, stdout=full, stderr=subprocess.PIPE)
        assert answer.returncode == 1 and "No space left" in answer.stderr, answer


def main(namespace):
    """Runs the functions called test_… of a module."""
    tests = [(name, test) for name, test in namespace.items() if name.startswith("test_")]
    temporary = tempfile.mkdtemp(prefix="test-ksmctl-")
    os.chmod(temporary, 0o755)
    tempfile.tempdir = temporary
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, test) in enumerate(tests, 1):
        title = name[len("test_"):].replace("_", " ")
        try:
            test()
            print(f"ok {number} - {title}", flush=True)
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"not ok {number} - {title}")
            for line in traceback.format_exc().splitlines():
                print("# " + line, flush=True)
    shutil.rmtree(temporary)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
