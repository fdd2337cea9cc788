#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl doctor: conditions of who tunes and how, and its options and output; see doctorhost.py."""

import os
import pathlib
import pty
import subprocess
import sys

from doctorhost import ALL, GIB, KNOBS, Host, finds, hugepages, run, silent


# --- who tunes --------------------------------------------------------------------------------

def test_daemon_absent():
    finds(Host(daemon=False), "daemon", "advice", "does not run",
          remedy=["systemctl enable --now ksmtuned"])
    host = Host(daemon=False)
    host.process(500, "ksmtuned")
    finds(host, "daemon", "advice", "PID 500", "no /run/ksmtuned/state")


def test_daemon_killed():
    finds(Host().remove("proc/4711"), "daemon", "trouble", "PID 4711", "gone", "12 s ago",
          remedy=["systemctl restart"])


def test_daemon_that_hangs():
    found = finds(Host(state={"age": 300}), "daemon", "trouble", "5 min ago", "every 60 s")
    assert 300e6 <= found["value"] < 310e6 and found["unit"] == "usec", found
    silent(Host(state={"age": 100}), "daemon")


def test_state_that_cannot_be_read():
    host = Host()
    host.write("run/ksmtuned/state", "rubbish\n")
    finds(host, "daemon", "unknown", "/run/ksmtuned/state", alone=False)
    host = Host().remove("proc/1").remove("proc/4711")
    finds(host, "daemon", "unknown", "4711", alone=False)


def test_knobs():
    finds(Host(KNOBS | {"pages_to_scan": 777}), "knobs", "advice", "pages_to_scan reads 777",
          "left it at 100", "a program not known", value=777, remedy=["USR1"])
    host = Host(KNOBS | {"run": 0})
    host.process(600, "tuned")
    host.process(601, "libvirtd")
    finds(host, "knobs", "advice", "run reads 0", "tuned (PID 600)", "node-memory-tune", "601")
    finds(Host(KNOBS | {"sleep_millisecs": 1}), "knobs", "advice", "sleep_millisecs reads 1")
    silent(Host(KNOBS | {"sleep_millisecs": 1}).remove("proc/4711"), "knobs")
    silent(Host(KNOBS | {"sleep_millisecs": 1}, daemon=False), "knobs")


def test_rivals():
    for comm, name in (("momd", "oVirt MOM"), ("vdsmd", "oVirt vdsm"),
                       ("virt-handler", "KubeVirt"), ("ksm-throttler", "Kata"),
                       ("ksmtuned", "another ksmtuned")):
        host = Host()
        host.process(600, comm)
        finds(host, "rivals", "trouble", name, "PID 600", value=1,
              remedy=["systemctl disable --now ksmtuned"])
        host = Host(daemon=False)
        host.process(600, comm)
        silent(host, "rivals", "PID 600")
    host = Host(daemon=False)
    host.process(600, "momd")
    host.process(601, "virt-handler")
    finds(host, "rivals", "trouble", "oVirt MOM (PID 600)", "601", alone=False, value=2)
    # Those that write only when they are told to.
    host = Host()
    for pid, comm in enumerate(("libvirtd", "virtqemud", "tuned"), 600):
        host.process(pid, comm)
    silent(host, "rivals", "nobody else")


def test_tuned_profiles():
    for profile, verdict in (("realtime-virtual-host", "advice"), ("cpu-partitioning", "advice"),
                             ("virtual-host", "ok"), ("", "ok"), ("mine\x1b", "ok")):
        host = Host()
        host.process(600, "tuned")
        host.write("etc/tuned/active_profile", profile + "\n")
        found = host.examine()["rivals"]
        assert found["verdict"] == verdict, (profile, found)
    host.remove("proc/600").write("etc/tuned/active_profile", "cpu-partitioning\n")
    silent(host, "rivals")


def test_advisor():
    scan_time = KNOBS | {"advisor_mode": "none [scan-time]"}
    finds(Host(scan_time), "advisor", "advice", "scan-time", "200 s", value=200,
          remedy=["echo none >"])
    silent(Host(scan_time | {"run": 0}, {"RUN": 0}), "advisor", "KSM is off")
    silent(Host(), "advisor", "none")


# --- the configuration ------------------------------------------------------------------------

def test_config():
    found = finds(Host().config("KSM_SLEEP_MSEC=soon\nKSM_THRES_COEF=$X\n"), "config", "trouble",
                  "/etc/ksmtuned.conf:1", "soon", "(and more)", alone=False, value=2,
                  remedy=["ksmtuned --check-config"])
    assert found["unit"] == "problems"
    finds(Host().config("KSM_MONITOR_INTERVAL=rubbish\n"), "config", "trouble",
          "KSM_MONITOR_INTERVAL", "'rubbish'", alone=False)
    finds(Host().config("\nKSM_SLEP_MSEC=10\n"), "config", "advice", "/etc/ksmtuned.conf:2",
          "KSM_SLEEP_MSEC", value=1)
    finds(Host().config("KSM_NPAGES_DECAY=50\n", "etc/ksmtuned.conf.d/a.conf"), "config", "advice",
          "/etc/ksmtuned.conf.d/a.conf:1")
    silent(Host().config("KSM_THRES_COEF=30\n"), "config")
    # Without a daemon there is no threshold then.
    checks = Host(daemon=False).config("KSM_THRES_COEF=x\n").examine()
    for key in "threshold", "thres-const", "interval":
        assert checks[key]["verdict"] == "unknown", checks[key]
        assert "broken" in checks[key]["figure"], checks[key]


def test_another_config_file():
    host = Host(daemon=False)
    path = host.base / "other.conf"
    path.write_text("KSM_SLEEP_MSEC=soon\n")
    found = finds(host, "config", "trouble", "other.conf:1", alone=False,
                  arguments=["--config", path])
    assert f"--config {path}" in found["remedy"], found
    path.write_text("KSM_THRES_COEF=50\n")
    assert host.examine("-c", path)["threshold"]["value"] == 16 * GIB
    found = host.examine("-c", host.base / "missing.conf")["config"]
    assert found["verdict"] == "trouble" and "No such file" in found["figure"], found


def test_threshold():
    for state, words in ((dict(THRESHOLD_KB=32 * GIB), ["32.0 GiB", "never stops"]),
                         (dict(THRESHOLD_KB=40 * GIB), ["40.0 GiB", "never stops"])):
        finds(Host(state=state, memory={"Shmem": 0}), "threshold", "advice", *words,
              remedy=["KSM_THRES_COEF"])
    finds(Host(state={"THRESHOLD_KB": 67584}), "threshold", "trouble", "66.0 MiB", "never starts",
          value=67584)
    silent(Host(state={"THRESHOLD_KB": 67585}), "threshold")
    # Without a daemon by the configuration.
    finds(Host(daemon=False).config("KSM_THRES_COEF=100\n"), "threshold", "advice", "never stops",
          alone=False, value=32 * GIB)
    finds(Host(daemon=False).config("KSM_THRES_COEF=0\n"), "threshold", "trouble",
          "never starts", alone=False, value=2048)
    # Huge pages can never be free.
    finds(hugepages(Host(state={"THRESHOLD_KB": 7 * GIB}, memory={"MemFree": GIB}), GIB, 26),
          "threshold", "advice", "6.0 GiB", alone=False)


def test_thres_const():
    finds(Host().config("KSM_THRES_CONST=4096\n"), "thres-const", "advice", "KSM_THRES_CONST=4096",
          value=4096, remedy=["KSM_THRES_CONST=4194304"])
    for kb in 0, 2048, 65536, 4194304:
        silent(Host().config(f"KSM_THRES_CONST={kb}\n"), "thres-const")


def test_interval():
    finds(Host(state={"INTERVAL_USEC": 3600 * 10**6}), "interval", "advice", "60 min",
          value=3600 * 10**6, remedy=["KSM_MONITOR_INTERVAL=60"])
    silent(Host(state={"INTERVAL_USEC": 600 * 10**6}), "interval")
    finds(Host(daemon=False).config("KSM_MONITOR_INTERVAL=2h\n"), "interval", "advice", "2 h",
          alone=False)


def test_psi_and_schedstat():
    host = Host().remove("proc/pressure").remove("proc/26/schedstat")
    silent(host, "psi", "classic policy needs none")
    silent(host, "schedstat", "ticks")
    host = Host(state={"POLICY": "adaptive"}).remove("proc/pressure")
    finds(host, "psi", "advice", "/proc/pressure/memory", remedy=["psi=1"])
    host = Host(state={"POLICY": "adaptive"}).remove("proc/26/schedstat")
    finds(host, "schedstat", "advice", "clock ticks", remedy=["CONFIG_SCHED_INFO"])
    # The kernel has the file and keeps no figures.
    host.write("proc/26/schedstat", "0 0 0\n")
    finds(host, "schedstat", "advice", "clock ticks", remedy=["0 0 0", "delayacct"])
    host = Host()
    host.write("proc/pressure/memory", "rubbish\n")
    finds(host, "psi", "unknown", "makes sense")
    finds(Host().remove("proc/26"), "schedstat", "unknown", "cannot be seen")


def test_passes():
    knobs = "sys/kernel/mm/ksm"
    silent(Host(), "passes", "are there")
    silent(Host().remove(f"{knobs}/pages_scanned"), "passes", "does not mind")
    adaptive = {"POLICY": "adaptive"}
    finds(Host(state=adaptive).remove(f"{knobs}/smart_scan"), "passes", "advice",
          "no smart_scan", remedy=["6.7"])
    finds(Host(state=adaptive).remove(f"{knobs}/pages_scanned"), "passes", "advice",
          "no pages_scanned", remedy=["6.6"], alone=False)


# --- options and output -----------------------------------------------------------------------

def test_choice_of_checks():
    host = Host(KNOBS | {"general_profit": -123456, "pages_to_scan": 777})
    assert list(host.examine("--check", "profit", status=1)) == ["profit"]
    assert list(host.examine("--check", "thp", "--check", "profit", status=1)) == ["profit", "thp"]
    assert list(host.examine("--check", "thp", status=0)) == ["thp"]
    assert len(host.examine("--skip", "thp", status=1)) == ALL - 1
    assert host.text("--skip", "profit", "--skip=knobs", status=0) == f"{ALL - 2} checks passed.\n"
    assert host.text("--check", "thp", status=0) == "1 check passed.\n"
    assert host.examine("--check", "thp", "--skip", "thp", status=0) == {}


def test_list():
    answer = Host().run("doctor", "--list")
    assert answer.returncode == 0, answer
    ids = [line.split()[0] for line in answer.stdout.splitlines()]
    assert ids == list(Host().examine()), ids
    assert max(map(len, answer.stdout.splitlines())) <= 80, answer


def test_manual():
    """Every check has its entry in ksmctl(8), and there are no others."""
    page = pathlib.Path(__file__).parents[2] / "man/ksmctl.8"
    part = page.read_text().split(".Ss The checks of doctor")[1].split("\n.S")[0]
    told = [line[len(".It Cm "):] for line in part.splitlines() if line.startswith(".It Cm ")]
    assert told == list(Host().examine()), told


def test_misuse():
    host = Host()
    for arguments in (("now",), ("--csv",), ("-x",), ("--check",), ("--check", "nothing"),
                      ("--skip", ""), ("--config",)):
        answer = host.run("doctor", *arguments)
        assert answer.returncode == 2 and answer.stdout == "", answer
        assert answer.stderr.startswith("ksmctl: "), answer
    assert "--list" in host.run("doctor", "--check", "nothing").stderr


def test_output_that_nobody_takes():
    for arguments in (), ("--json",), ("--list",):
        with open("/dev/full", "wb") as full:
            answer = Host().run("doctor", *arguments, stdout=full, stderr=subprocess.PIPE)
        assert answer.returncode != 0 and "No space left" in answer.stderr, answer


def on_terminal(host, environment):
    master, slave = pty.openpty()
    answer = host.run("doctor", stdout=slave, stderr=slave, environment=environment)
    os.close(slave)
    text = b""
    try:
        while chunk := os.read(master, 65536):
            text += chunk
    except OSError:  # EIO: the other end is closed and all is read
        pass
    os.close(master)
    assert answer.returncode == 1, answer
    return text.decode().replace("\r\n", "\n")


def test_colours_and_widths():
    host = Host(KNOBS | {"general_profit": -123456})
    plain = host.text(status=1)
    assert plain.isascii() and "\x1b" not in plain, plain
    for columns in "80", "200":
        for locale in "C", "C.UTF-8":
            environment = {"TERM": "xterm-256color", "COLUMNS": columns, "LC_ALL": locale,
                           "NO_COLOR": ""}
            coloured = on_terminal(host, environment)
            assert "\x1b[33madvice" in coloured, coloured
            assert on_terminal(host, environment | {"NO_COLOR": "1"}) == plain


if __name__ == "__main__":
    sys.exit(run(globals()))
