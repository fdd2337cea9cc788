#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl settings, on made-up hosts: what it shows, refuses, asks and writes.
test-settings.py PATH-OF-KSMCTL. Prints TAP."""

import importlib
import json
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "system"))
ctl = importlib.import_module("test-ksmctl")
acts = importlib.import_module("test-acts")
Host, fails_once, KNOBS = ctl.Host, ctl.fails_once, ctl.KNOBS_6_8
host_with, SAVED_KB = acts.host_with, acts.SAVED_KB
NOTHING_MERGED = {"pages_shared": 0, "pages_sharing": 0, "ksm_zero_pages": 0}
ROOM_KB = SAVED_KB * 12 // 10


def configured(text, available_kb=ROOM_KB, knobs=None, **state):
    host = host_with(available_kb, knobs, **state)
    host.write("etc/ksmtuned.conf", text)
    return host


def plan(host, *arguments, status=0):
    """What --json tells: the states by name, and the plan."""
    answer = host.run("settings", "--json", *arguments)
    assert answer.returncode == status, answer
    document = json.loads(answer.stdout)
    assert list(document) == ["settings", "plan"] and len(document["plan"]) == 1, document
    return {one["name"]: one for one in document["settings"]}, document["plan"][0]


def states(host):
    settings, _ = plan(host)
    return [settings[name]["state"] for name in
            ("merge_across_nodes", "max_page_sharing", "use_zero_pages", "smart_scan")]


def settings_of(host):
    return [host.knob(name) for name in
            ("merge_across_nodes", "max_page_sharing", "use_zero_pages", "smart_scan", "run")]


def shows(answer, *words):
    assert answer.returncode == 0 and answer.stderr == "", answer
    for word in words:
        assert word in " ".join(answer.stdout.split()), (word, answer.stdout)
    assert max(map(len, answer.stdout.splitlines())) <= 80, answer.stdout


# --- shown ------------------------------------------------------------------------------------

def test_nothing_configured():
    host = configured("")
    shows(host.run("settings"), "max_page_sharing 256 - left alone")
    assert states(host) == ["unset"] * 4
    _, summary = plan(host)
    assert (summary["change"], summary["unmerge"], summary["refused"]) == (False, False, None)
    answer = host.run("settings", "--apply")
    assert answer.returncode == 0 and settings_of(host) == ["1", "256", "0", "1", "0"], answer


def test_cost():
    host = configured("KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\nKSM_SMART_SCAN=1\n",
                      knobs={"run": 1})
    shows(host.run("settings"), "merge_across_nodes 1 - left alone",
          "max_page_sharing 256 1000 takes an unmerge", "use_zero_pages 0 1 can be set at once",
          "smart_scan 1 1 as configured", "fits yes", "merges all anew",
          "to do it ksmctl settings --apply")
    assert states(host) == ["unset", "blocked", "due", "right"]
    settings, summary = plan(host)
    assert settings["max_page_sharing"] == {"name": "max_page_sharing", "now": 256,
                                            "configured": 1000, "state": "blocked"}, settings
    assert settings["merge_across_nodes"]["configured"] is None
    assert summary == {"change": True, "unmerge": True, "run": 1,
                       "merged_bytes": 500 * ctl.PAGE_BYTES, "needed_bytes": 400 * ctl.PAGE_BYTES,
                       "available_bytes": ROOM_KB * 1024, "refused": None}, summary
    assert settings_of(host) == ["1", "256", "0", "1", "1"]


def test_old_kernel():
    host = configured("KSM_MAX_PAGE_SHARING=1000\nKSM_MERGE_ACROSS_NODES=0\n")
    for name in ("max_page_sharing", "merge_across_nodes", "smart_scan"):
        (host.root / ctl.KSM / name).unlink()
    shows(host.run("settings"), "max_page_sharing - 1000 not on this kernel (Linux 4.13)",
          "smart_scan - - not on this kernel (Linux 6.7)")
    assert states(host) == ["absent", "absent", "unset", "unset"]
    assert host.run("settings", "--apply").returncode == 0


def test_unreadable():
    host = configured("KSM_MAX_PAGE_SHARING=1000\n", knobs={"max_page_sharing": "many"})
    shows(host.run("settings"), "max_page_sharing - 1000 holds nothing that makes sense")
    assert states(host)[1] == "unreadable"
    host.write(f"{ctl.KSM}/pages_sharing", "many\n")
    fails_once(host.run("settings"), 1, "holds nothing that makes sense")


def test_no_ksm():
    host = Host(None)
    fails_once(host.run("settings"), 1, "no KSM")


def test_configuration():
    host = configured("KSM_MAX_PAGE_SHARING=1\n")
    fails_once(host.run("settings", "--apply"), 1, "/etc/ksmtuned.conf:1: error:", "from 2 to")
    other = host.base / "other.conf"
    other.write_text("KSM_USE_ZERO_PAGES=1\n")
    assert host.run("settings", "--apply", "--config", other).returncode == 0
    assert host.knob("use_zero_pages") == "1"


def test_adaptive_daemon():
    text = "KSM_POLICY=adaptive\nKSM_SMART_SCAN=0\n"
    host = configured(text, POLICY="adaptive").daemon()
    shows(host.run("settings"), "smart_scan 1 0 ksmtuned's; at its end 0")
    assert states(host)[3] == "policy"
    assert host.run("settings", "--apply").returncode == 0 and host.knob("smart_scan") == "1"
    # Without the daemon it is like the others.
    host = configured(text, POLICY="adaptive")
    assert states(host)[3] == "due"
    assert host.run("settings", "--apply").returncode == 0 and host.knob("smart_scan") == "0"


# --- refused ----------------------------------------------------------------------------------

def refused(host, *words, arguments=("--apply", "--yes"), name=None):
    before = settings_of(host)
    if name:
        assert plan(host, "--apply", status=1)[1]["refused"] == name
    answer = host.run("settings", *arguments, stdin=subprocess.DEVNULL)
    assert answer.returncode == 1 and answer.stderr.count("\n") == 1, answer
    for word in words:
        assert word in answer.stderr, answer
    assert settings_of(host) == before, settings_of(host)


def test_no_room():
    text = "KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\n"
    refused(configured(text, SAVED_KB * 11 // 10, {"run": 1}), "to unmerge takes",
            "nothing was changed", name="memory")
    refused(configured(text, None), "unknown memory", name="memory")


def test_somebody_unmerges():
    refused(configured("KSM_MAX_PAGE_SHARING=1000\n", knobs={"run": 2}), "run is 2",
            name="unmerging")


def test_nobody_to_ask():
    refused(configured("KSM_MAX_PAGE_SHARING=1000\n"), "no terminal", "--yes", arguments=["--apply"])


def test_dry_run():
    host = configured("KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\n", knobs={"run": 1})
    before = settings_of(host)
    shows(host.run("settings", "--apply", "--dry-run"), "takes an unmerge")
    assert settings_of(host) == before
    shows(host.run("settings", "--apply", "--json"))
    assert settings_of(host) == before


# --- done -------------------------------------------------------------------------------------

def test_at_once():
    """Nothing is merged, or it takes no unmerge: nothing is asked, and run is left alone."""
    host = configured("KSM_MAX_PAGE_SHARING=1000\nKSM_MERGE_ACROSS_NODES=0\n", 1,
                      NOTHING_MERGED | {"run": 1})
    shows(host.run("settings", "--apply"), "max_page_sharing is set to 1000; it was 256")
    assert settings_of(host) == ["0", "1000", "0", "1", "1"]
    host = configured("KSM_USE_ZERO_PAGES=1\nKSM_SMART_SCAN=0\n", 1, {"run": 1})
    shows(host.run("settings", "--apply"), "smart_scan is set to 0; it was 1")
    assert settings_of(host) == ["1", "256", "1", "0", "1"]


def test_in_stages():
    """The files of a made-up host stand still, and refuse nothing."""
    for run, then in ((1, "ksmd merges all anew"), (0, "ksmd sleeps, and nothing is merged")):
        host = configured("KSM_MAX_PAGE_SHARING=1000\nKSM_USE_ZERO_PAGES=1\n", knobs={"run": run})
        with acts.Writes([host.root / ctl.KSM / "run"]) as writes:
            answer = host.run("settings", "--apply", "--yes", stdin=subprocess.DEVNULL)
            assert len(writes.take()) >= 1
        shows(answer, "max_page_sharing is set to 1000; it was 256", "unmerged in",
              f"run is {run} as before: {then}")
        assert settings_of(host) == ["1", "1000", "1", "1", str(run)]


def test_not_permitted():
    host = configured("KSM_USE_ZERO_PAGES=1\n")
    answer = host.run("settings", "--apply", **host.unprivileged())
    assert answer.returncode == 1 and "cannot write use_zero_pages: Permission denied" \
        in answer.stderr, answer
    host = configured("KSM_MAX_PAGE_SHARING=1000\n", knobs={"run": 1})
    answer = host.run("settings", "--apply", "--yes", **host.unprivileged())
    assert answer.returncode == 1 and "cannot stop ksmd" in answer.stderr, answer
    assert settings_of(host)[4] == "1"


def test_usage():
    host = configured("")
    assert host.run("settings", "now").returncode == 2
    assert host.run("settings", "--force").returncode == 2
    text = host.run("settings", "--help").stdout
    for option in ("--apply", "--dry-run", "--yes", "--json", "--config"):
        assert option in text, text


# --- status -----------------------------------------------------------------------------------

def test_status():
    host = Host(KNOBS, SETTINGS_OWED="max_page_sharing=1000 use_zero_pages=1").daemon()
    text = host.status()
    assert ctl.row(text, "max_page_sharing") == "256  1000 configured: ksmctl settings", text
    assert "1 configured" in ctl.row(text, "use_zero_pages"), text
    assert max(map(len, text.splitlines())) <= 80, text
    assert host.json()["daemon"][0]["settings_owed"] == "max_page_sharing=1000 use_zero_pages=1"
    # It has come since; others keep their meaning.
    host.write(f"{ctl.KSM}/max_page_sharing", "1000\n")
    text = host.status("--verbose")
    assert "may stand in" in ctl.row(text, "max_page_sharing"), text
    assert "max_page_sharing" not in host.status()
    # Nobody owes any more.
    host = Host(KNOBS, SETTINGS_OWED="use_zero_pages=1")
    assert "configured" not in host.status()


if __name__ == "__main__":
    sys.exit(ctl.main(globals()))
