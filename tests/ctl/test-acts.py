#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What ksmctl does: unmerge, retune, exec, on made-up hosts, the usage, the completion.
test-acts.py PATH-OF-KSMCTL. Prints TAP."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "system"))
ctl = importlib.import_module("test-ksmctl")
Writes = importlib.import_module("inotify").Writes
Host, fails_once = ctl.Host, ctl.fails_once

KSM, STATE, KNOBS = ctl.KSM, ctl.STATE, ctl.KNOBS_6_8
COMPLETION = pathlib.Path(__file__).resolve().parents[2] / "src/ctl/completion/ksmctl.bash"
# pages_sharing 341 + ksm_zero_pages 59 are 400 pages: with a tenth to spare, 440.
SAVED_KB = 400 * ctl.PAGE_BYTES // 1024


def host_with(available_kb, knobs=None, **state):
    host = Host(KNOBS | (knobs or {}), **state)
    available = "" if available_kb is None else f"MemAvailable: {available_kb} kB\n"
    host.write("proc/meminfo", f"MemTotal: 16384 kB\nMemFree: 4096 kB\n{available}"
                               "SwapFree: 1024 kB\n")
    return host


def plan(host, *arguments, status=0):
    answer = host.run("unmerge", "--json", *arguments)
    assert answer.returncode == status, answer
    document = json.loads(answer.stdout)
    assert list(document) == ["plan"] and len(document["plan"]) == 1, document
    return document["plan"][0]


def writes_of_run(host, *arguments):
    """The answer, and whether run was written: inotify tells of writes in a row once."""
    with Writes([host.root / KSM / "run"]) as writes:
        answer = host.run("unmerge", *arguments)
        return answer, len(writes.take())


# --- unmerge ----------------------------------------------------------------------------------

def test_unmerge_that_fits():
    host = host_with(SAVED_KB * 12 // 10, {"run": 1})
    answer, writes = writes_of_run(host)
    assert answer.returncode == 0 and answer.stderr == "", answer
    assert host.knob("run") == "0" and writes >= 1, (host.knob("run"), writes)
    assert "fits        yes" in answer.stdout and "run is 1" in answer.stdout, answer.stdout
    # The files of a made-up host stand still.
    assert "unmerged in" in answer.stdout and "still counted as merged" in answer.stdout, answer
    assert max(map(len, answer.stdout.splitlines())) <= 80, answer.stdout


def test_unmerge_that_does_not_fit():
    for available, words in ((SAVED_KB * 11 // 10, "does not fit"), (0, "does not fit"),
                             (None, "not known")):
        host = host_with(available, {"run": 1})
        answer, writes = writes_of_run(host)
        assert (answer.returncode, writes, host.knob("run")) == (1, 0, "1"), (answer, writes)
        assert words in answer.stderr and "--force" in answer.stderr, answer.stderr
        assert answer.stderr.count("\n") == 1, answer.stderr
        assert "fits        " + ("unknown" if available is None else "no") in answer.stdout, answer

        answer, writes = writes_of_run(host, "--force")
        assert answer.returncode == 0 and answer.stderr == "", answer
        assert host.knob("run") == "0" and writes >= 1, (host.knob("run"), writes)


def test_unmerge_dry_run_writes_nothing():
    for options, available, status in ((["-n"], SAVED_KB * 2, 0), (["--dry-run"], 1, 1),
                                       (["-nf"], 1, 0), (["-j"], SAVED_KB * 2, 0),
                                       (["--json", "--force"], 1, 0)):
        host = host_with(available, {"run": 1})
        answer, writes = writes_of_run(host, *options)
        assert (answer.returncode, writes, host.knob("run")) == (status, 0, "1"), (options, answer)


def test_unmerge_plan():
    want = {"run": 1, "merged_bytes": 500 * ctl.PAGE_BYTES, "needed_bytes": 400 * ctl.PAGE_BYTES,
            "available_bytes": SAVED_KB * 2048, "swap_free_bytes": 1024 * 1024, "fits": True,
            "daemon_running": False, "daemon_wants_ksm": False, "daemon_would_start": False,
            "refused": None}
    assert plan(host_with(SAVED_KB * 2, {"run": 1})) == want
    got = plan(host_with(None), status=1)
    assert (got["available_bytes"], got["fits"], got["refused"]) == (None, False, "memory"), got
    oldest = Host(ctl.KNOBS_2_6_32)
    got = plan(oldest, status=1)
    assert (got["needed_bytes"], got["swap_free_bytes"]) == (341 * ctl.PAGE_BYTES, None), got


def test_unmerge_of_nothing():
    """What KSM keeps in mind of pages that are not merged goes all the same."""
    nothing = {"pages_shared": 0, "pages_sharing": 0, "ksm_zero_pages": 0, "run": 1}
    host = host_with(None, nothing)
    answer, writes = writes_of_run(host)
    assert answer.returncode == 0 and "merged      nothing" in answer.stdout, answer
    assert host.knob("run") == "0" and writes >= 1, writes
    assert plan(host_with(None, nothing))["fits"] is True


def test_unmerge_beside_another():
    for options in [], ["--force"]:
        host = host_with(SAVED_KB * 2, {"run": 2})
        answer, writes = writes_of_run(host, *options)
        assert (answer.returncode, writes) == (1, 0), answer
        assert "another process" in answer.stderr, answer
    assert plan(host_with(SAVED_KB * 2, {"run": 2}), status=1)["refused"] == "unmerging"


def test_unmerge_beside_ksmtuned():
    plenty = {"FREE_KB": 30000000, "COMMITTED_KB": 1000}
    # Not running; asleep and with memory to spare; asleep, and awake without what is merged.
    for state, running, words, status in (
            (STATE | {"RUN": 1}, False, None, 0),
            (STATE | plenty, True, "switches KSM on again when memory gets short", 0),
            (STATE | plenty | {"FREE_KB": STATE["THRESHOLD_KB"] + SAVED_KB}, True,
             "would switch KSM on again", 0),
            (STATE | plenty | {"COMMITTED_KB": STATE["TOTAL_KB"] - STATE["THRESHOLD_KB"]}, True,
             "would switch KSM on again", 0),
            (STATE | plenty | {"POLICY": "adaptive", "FREE_KB": 0}, True,
             "switches KSM on again when memory gets short", 0),
            (STATE | {"RUN": 1}, True, "wants KSM on", 1)):
        host = host_with(SAVED_KB * 2, {"run": state["RUN"]}, **state)
        if running:
            host.daemon()
        got = plan(host, status=status)
        assert got["daemon_running"] is running, got
        assert got["daemon_would_start"] is bool(words and words.startswith(("would", "wants"))), (
            words, got)
        answer = host.run("unmerge")
        text = " ".join(answer.stdout.split())
        assert answer.returncode == status, answer
        assert ("systemctl stop ksmtuned" in text) is running, answer.stdout
        assert words is None or words in text, (words, answer.stdout)
        if status:
            assert got["refused"] == "ksmtuned" and "ksmtuned would" in answer.stderr, answer
            assert host.knob("run") == "1"
            assert host.run("unmerge", "-f").returncode == 0 and host.knob("run") == "0"

    host = host_with(SAVED_KB * 2, {"run": 0}, **STATE)
    (host.root / "proc/1/comm").unlink()
    host.write("run/ksmtuned/state", "rubbish\n")
    assert plan(host)["daemon_running"] is None
    assert "cannot be seen" in " ".join(host.run("unmerge", "-n").stdout.split())


def test_unmerge_without_permission():
    host = host_with(SAVED_KB * 2, {"run": 1})
    (host.root / KSM / "run").chmod(0o444)
    answer = host.run("unmerge", **host.unprivileged())
    assert answer.returncode == 1 and "/run: Permission denied" in answer.stderr, answer
    assert "Traceback" not in answer.stderr and answer.stderr.count("\n") == 1, answer.stderr
    assert host.knob("run") == "1" and "unmerged in" not in answer.stdout, answer
    (host.root / KSM / "run").chmod(0o000)
    fails_once(host.run("unmerge", **host.unprivileged()), 1, "cannot read", "Permission denied")


def test_unmerge_without_ksm():
    fails_once(Host(knobs=None).run("unmerge"), 1, "this kernel has no KSM")
    fails_once(Host(knobs=None).run("unmerge", "--json"), 1, "this kernel has no KSM")
    fails_once(host_with(1, {"pages_sharing": "many"}).run("unmerge"), 1, "makes sense")


def test_unmerge_that_nobody_reads():
    """A plan that could not be shown is not carried out."""
    host = host_with(SAVED_KB * 2, {"run": 1})
    with open("/dev/full", "wb") as full:
        answer = host.run("unmerge", stdout=full, stderr=subprocess.PIPE)
    assert answer.returncode == 1 and "No space left" in answer.stderr, answer
    assert host.knob("run") == "1"


# --- retune and exec --------------------------------------------------------------------------

def test_other_roots():
    """PIDs of a made-up host are none of this one's."""
    host = Host(**STATE | {"PID": os.getpid()}).daemon(os.getpid())
    fails_once(host.run("retune"), 2, "--root")
    fails_once(host.run("exec", "true"), 2, "--root")


def test_exec_fails_as_env_does():
    if subprocess.run([ctl.KSMCTL, "exec", "true"], check=False, capture_output=True).returncode:
        print("# without CAP_SYS_RESOURCE, or on this kernel, nothing can be run", flush=True)
        answer = subprocess.run([ctl.KSMCTL, "exec", "true"], check=False, capture_output=True,
                                text=True)
        fails_once(answer, 125, "exec: ")
        return
    folder = pathlib.Path(ctl.tempfile.mkdtemp())
    (folder / "text").write_text("no program\n")
    for command, status in ((["/nonexistent"], 127), (["no-such-command"], 127),
                            ([str(folder / "text")], 126), ([str(folder)], 126),
                            (["sh", "-c", "exit 7"], 7), (["--", "sh", "-c", "exit 8"], 8),
                            (["sh", "-c", 'test "$1" = --help', "sh", "--help"], 0)):
        answer = subprocess.run([ctl.KSMCTL, "exec", *command], check=False, text=True,
                                capture_output=True)
        assert answer.returncode == status, (command, answer)
        if status >= 126:
            fails_once(answer, status, command[0])


# --- the usage --------------------------------------------------------------------------------

def verbs():
    text = subprocess.run([ctl.KSMCTL, "--help"], check=True, capture_output=True, text=True).stdout
    assert max(map(len, text.splitlines())) <= 80, text
    found = re.findall(r"^  ([a-z]+) ", text, re.M)
    assert len(found) >= 6, text
    return found


def test_usage_of_each_verb():
    for verb in verbs():
        for option in "-h", "--help":
            answer = Host().run(verb, option)
            assert answer.returncode == 0 and answer.stderr == "", answer
            root = "" if verb in ("retune", "exec") else "[--root DIR] "
            assert answer.stdout.startswith(f"usage: ksmctl {root}{verb} [-h|--help]"), answer
            assert max(map(len, answer.stdout.splitlines())) <= 80, answer.stdout
        answer = Host().run(verb, "--no-such-option")
        assert answer.returncode == 2 and answer.stdout == "", answer
        assert "--no-such-option" in answer.stderr and "usage: " in answer.stderr, answer


def test_operands_that_are_none():
    for verb in "start", "stop", "status", "unmerge", "retune":
        answer = Host().run(verb, "operand")
        assert answer.returncode == 2 and "'operand'" in answer.stderr, answer
    answer = Host().run("exec")
    assert answer.returncode == 2, answer


def test_verb_that_is_misspelt():
    for word, meant in (("statsu", "status"), ("unmrege", "unmerge"), ("Start", "start"),
                        ("retunes", "retune"), ("frobnicate", None), ("x", None), ("", None),
                        ("s" * 100, None)):
        answer = Host().run(word)
        first = answer.stderr.splitlines()[0]
        assert answer.returncode == 1 and "usage: " in answer.stderr, answer
        assert first == f"ksmctl: there is no verb '{word}'" + (
            f"; did you mean '{meant}'?" if meant else ""), first


# --- the completion ---------------------------------------------------------------------------

def complete(*words, folder="/"):
    """What bash would offer for the last of the words."""
    script = (f'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              f'{"_ksmctl"}; printf "%s\\n" "${{COMPREPLY[@]}}"')
    answer = subprocess.run(["bash", "--norc", "-c", script, COMPLETION, ctl.KSMCTL, *words],
                            check=True, capture_output=True, text=True, cwd=folder)
    assert answer.stderr == "", answer.stderr
    return sorted(word for word in answer.stdout.splitlines() if word)


def options_of(verb):
    text = subprocess.run([ctl.KSMCTL, verb, "--help"], check=True, capture_output=True,
                          text=True).stdout
    return sorted(re.findall(r"(?:\[|\|)(--[a-z-]+)", text.split("\n\n")[0].split(verb, 1)[1]))


def test_completion_of_verbs():
    assert complete("") == sorted(verbs())
    assert complete("sta") == ["start", "status"]
    assert complete("--root", "/tmp", "unm") == ["unmerge"]
    assert complete("--root", "=", "/tmp", "unm") == ["unmerge"]
    assert complete("nothing-like-it") == []
    assert complete("-") == ["--help", "--root", "--version"]


def test_completion_of_options():
    for verb in verbs():
        offered = complete(verb, "--")
        assert [word for word in offered if word != "--"] == options_of(verb), (verb, offered)
    assert complete("unmerge", "--f") == ["--force"]
    assert complete("status", "--json", "--b") == ["--bytes"]
    assert complete("--root", "/tmp", "unmerge", "--d") == ["--dry-run"]


def test_completion_of_folders_and_commands():
    folder = pathlib.Path(ctl.tempfile.mkdtemp())
    (folder / "folder").mkdir()
    (folder / "file").write_text("")
    (folder / "other folder").mkdir()
    assert complete("--root", "o", folder=folder) == ["other folder"]
    assert complete("--root", "f", folder=folder) == ["folder"]
    assert complete("--root", "=", "f", folder=folder) == ["folder"]
    assert "bash" in complete("exec", "bas")
    assert "bash" in complete("exec", "--", "bas")
    assert complete("exec", "bash", "f", folder=folder) == ["file", "folder"]
    assert complete("status", "f", folder=folder) == []


def test_completion_of_values():
    """By a program with the usage that the completion should understand."""
    folder = pathlib.Path(ctl.tempfile.mkdtemp())
    (folder / "file").write_text("")
    program = folder / "program"
    program.write_text("""#!/bin/sh
printf 'usage: ksmctl [--root DIR] guests [-h|--help] [-s|--sort name|pid|saved]
              [-o|--output FILE] [--interval SECONDS]%s\n\n  text [--not-an-option]\n' "$OPERAND"
""")
    program.chmod(0o755)

    def offered(*words, operand=""):
        os.environ["OPERAND"] = operand
        saved, ctl.KSMCTL = ctl.KSMCTL, program
        try:
            return complete("guests", *words, folder=folder)
        finally:
            ctl.KSMCTL = saved

    assert offered("--sort", "") == ["name", "pid", "saved"]
    assert offered("-s", "p") == ["pid"]
    assert offered("--sort", "=", "s") == ["saved"]
    assert offered("--output", "f") == ["file"]
    assert offered("--interval", "") == []
    assert offered("--") == ["--help", "--interval", "--output", "--sort"]
    assert offered("f") == []
    assert offered("f", operand=" FILE...") == ["file"]


if __name__ == "__main__":
    sys.exit(ctl.main(globals()))
