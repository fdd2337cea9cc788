#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl guests, on made-up hosts: test-guests.py PATH-OF-KSMCTL. Prints TAP."""

import importlib
import json
import os
import pathlib
import pty
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.append(str(pathlib.Path(__file__).resolve().parent))
ctl = importlib.import_module("test-ksmctl")

PAGE = ctl.PAGE_BYTES
MIB = 2**20
NEW = "/machine.slice/machine-qemu.scope/libvirt/emulator"


class Host(ctl.Host):
    """A made-up host with processes."""

    def process(self, pid, *words, comm="qemu-system-x86", rss_mib=1024, shmem_mib=0, merged=0, zero=0,
                profit=0, items=None, mergeable="yes", merge_any="no", stat=None, cgroup=NEW):
        self.write(f"proc/{pid}/comm", comm + "\n")
        self.write(f"proc/{pid}/cmdline", "".join(word + "\0" for word in words))
        self.write(f"proc/{pid}/cgroup", f"0::{cgroup}\n")
        self.write(f"proc/{pid}/status", f"Name:\t{comm}\nVmRSS:\t{rss_mib * 1024} kB\n"
                   f"RssAnon:\t{(rss_mib - shmem_mib) * 1024} kB\nRssFile:\t0 kB\n"
                   f"RssShmem:\t{shmem_mib * 1024} kB\nHugetlbPages:\t0 kB\n")
        if stat is None:
            stat = (f"ksm_rmap_items {merged if items is None else items}\nksm_zero_pages {zero}\n"
                    f"ksm_merging_pages {merged}\nksm_process_profit {profit}\n"
                    f"ksm_merge_any: {merge_any}\nksm_mergeable: {mergeable}\n")
        self.write(f"proc/{pid}/ksm_stat", stat)
        return self

    def guest(self, pid, name, *words, **figures):
        return self.process(pid, "/usr/bin/qemu-system-x86_64", "-name", f"guest={name}", *words, **figures)

    def guests(self, *arguments, user=False, **options):
        return self.run("guests", *arguments, **options, **(self.unprivileged() if user else {}))

    def text(self, *arguments, **options):
        answer = self.guests(*arguments, **options)
        assert answer.returncode == 0 and answer.stderr == "", answer
        return answer.stdout

    def json(self, *arguments, **options):
        return json.loads(self.text("--json", *arguments, **options))


def rows(text):
    """The cells of each line of the table, without its heading."""
    return [line.split() for line in text.split("\n\n")[0].splitlines()[1:]]


def names(text):
    return [cells[0] for cells in rows(text)]


def three():
    return (Host().guest(20, "beta", rss_mib=1024, merged=256 * MIB // PAGE, zero=10, profit=268369920)
            .guest(10, "alpha", "-machine", "q35,mem-merge=off", rss_mib=2048, mergeable="no")
            .guest(30, "gamma", rss_mib=512, merged=MIB // PAGE, profit=-64))


def test_the_table():
    text = three().text()
    assert text.splitlines()[0].split() == ["NAME", "PID", "RSS", "MERGEABLE", "MERGED", "ZERO",
                                            "PROFIT", "SHARE"], text
    zero = f"{10 * PAGE / 1024:.1f}K"
    assert rows(text) == [
        ["beta", "20", "1.0G", "yes", "256M", zero, "255M", "25.0%"],
        ["gamma", "30", "512M", "yes", "1.0M", "0", "-64", "0.1%"],
        ["alpha", "10", "2.0G", "mem-merge=off", "0", "0", "0", "0.0%"],
        ["total", "3.5G", "257M", zero, "255M", "7.1%"]], text
    assert "\n\nmem-merge=off: QEMU was told not to offer" in text and text.count("mem-merge=off: ") == 1
    assert max(map(len, text.splitlines())) <= 80, text


def test_bytes():
    for option in "-b", "--bytes":
        assert rows(three().text(option))[0] == [
            "beta", "20", str(1024 * MIB), "yes", str(256 * MIB), str(10 * PAGE), "268369920", "25.0%"]


def test_json():
    answer = three().json()
    beta = answer["guests"][0]
    assert beta == {"name": "beta", "pid": 20, "guest": True, "mergeable": True, "why_not": None,
                    "rss_bytes": 1024 * MIB, "merged_bytes": 256 * MIB, "zero_bytes": 10 * PAGE,
                    "profit_bytes": 268369920, "share_percent": 25.0, "merging_pages": 256 * MIB // PAGE,
                    "zero_pages": 10, "rmap_items": 256 * MIB // PAGE, "unit": None, "cgroup": None}, beta
    assert (answer["guests"][2]["mergeable"], answer["guests"][2]["why_not"]) == (False, "mem-merge=off")
    assert answer["total"] == [{"count": 3, "rss_bytes": 3584 * MIB, "merged_bytes": 257 * MIB,
                                "zero_bytes": 10 * PAGE, "profit_bytes": 268369856,
                                "share_percent": 7.17}], answer["total"]
    assert answer["unreadable"] == []


def test_sorting():
    for option, order in (("name", "alpha beta gamma"), ("pid", "alpha beta gamma"),
                          ("rss", "alpha beta gamma"), ("merged", "beta gamma alpha"),
                          ("profit", "beta alpha gamma"), ("share", "beta gamma alpha"),
                          ("zero", "beta alpha gamma"), ("mergeable", "alpha beta gamma")):
        text = three().text("--sort", option)
        assert names(text)[:3] == order.split(), (option, text)
        assert names(three().text("-s", option, "--reverse"))[:3] != order.split(), option
        assert names(text)[3] == "total"
    assert names(three().text("-r"))[:3] == ["alpha", "gamma", "beta"]
    # What is not known comes last, either way.
    host = three().guest(5, "old", stat="ksm_rmap_items 7\n")
    assert names(host.text())[3] == "old" and names(host.text("-r"))[3] == "old"


def test_reasons():
    for words, figures, why in (
            ((), {}, None),
            (("-machine", "mem-merge=off"), {"mergeable": "no"}, "mem-merge=off"),
            (("-M", "memory-backend=m", "-object", "memory-backend-memfd,id=m,share=on"), {}, "shared"),
            (("-M", "memory-backend=m", "-object", "memory-backend-memfd,id=m,share=off,merge=off"), {}, "merge=off"),
            (("-M", "memory-backend=m", "-object", "memory-backend-memfd,id=m,share=off,hugetlb=on"), {}, "hugetlbfs"),
            ((), {"shmem_mib": 1000}, "shared"),
            ((), {"mergeable": "no"}, "not asked"),
            ((), {"mergeable": "no", "merge_any": "yes"}, None)):
        host = Host().guest(7, "x", *words, **figures)
        row = host.json()["guests"][0]
        assert (row["mergeable"], row["why_not"]) == (why is None, why), (words, row)
        assert (f"\n\n{why}: " in host.text()) == (why is not None), host.text()


def test_of_older_kernels():
    host = Host().guest(7, "x", stat="ksm_rmap_items 7\n")
    row = host.json()["guests"][0]
    assert row["mergeable"] is True and row["merged_bytes"] is None and row["profit_bytes"] is None
    assert rows(host.text())[0] == ["x", "7", "1.0G", "yes", "-", "-", "-", "-"]
    host.write("proc/7/ksm_merging_pages", "256\n")
    assert host.json()["guests"][0]["merged_bytes"] == 256 * PAGE
    # 2009: neither file; a VMM that nothing is known of.
    host = Host().process(7, "crosvm", comm="crosvm")
    (host.root / "proc/7/ksm_stat").unlink()
    row = host.json()["guests"][0]
    assert (row["mergeable"], row["why_not"], row["name"]) == (None, "unknown", "crosvm")
    assert "\n\nunknown: this kernel does not tell" in host.text()


def all_kinds():
    return (three().process(40, "app", comm="java", merged=50, cgroup="/system.slice/app.service")
            .process(41, "x", comm="y", mergeable="no", merge_any="yes", cgroup="/a/b")
            .process(42, "bash", comm="bash", mergeable="no")
            .process(43, "old", comm="old", stat="ksm_rmap_items 3\nksm_merging_pages 2\n", cgroup="/user.slice/user@7.service/app.slice/x.scope/y"))


def test_all():
    assert len(all_kinds().json()["guests"]) == 3, "without --all: guests only"
    for option in "-a", "--all":
        text = all_kinds().text(option, "--sort", "pid")
        assert text.splitlines()[0].split()[-1] == "UNIT", text
        units = {cells[0]: cells[-1] for cells in rows(text)}
        assert units == {"alpha": "machine-qemu.scope", "beta": "machine-qemu.scope",
                         "gamma": "machine-qemu.scope", "java": "app.service", "y": "/a/b",
                         "old": "x.scope", "total": units["total"]}, units
    answer = all_kinds().json("--all", "--sort", "unit")["guests"]
    assert [row["name"] for row in answer][:2] == ["y", "java"], answer
    java = answer[1]
    assert (java["guest"], java["unit"], java["cgroup"]) == (False, "app.service", "/system.slice/app.service")


def test_nobody():
    assert Host().text() == "No virtual machine runs.\n"
    assert "no other process is mergeable" in Host().text("--all")
    answer = Host().json()
    assert answer["guests"] == [] and answer["total"][0]["count"] == 0
    assert answer["total"][0]["rss_bytes"] is None


def test_without_permission():
    host = three()
    host.guest(50, "mine", merged=256)
    for pid in 10, 20, 30:
        (host.root / f"proc/{pid}/ksm_stat").chmod(0)
    text = host.text(user=True)
    assert rows(text)[0][:5] == ["mine", "50", "1.0G", "yes", f"{256 * PAGE / MIB:.1f}M"], text
    assert [cells[4:] for cells in rows(text)[1:4]] == [["-"] * 4] * 3, text
    last = text.splitlines()[-1]
    assert last == "Of 3 processes only root and the owner may know what KSM does.", text
    answer = host.json(user=True)
    assert answer["unreadable"][0]["processes"] == 3 and answer["unreadable"][0]["name"] == "ksm_stat"
    alpha = [row for row in answer["guests"] if row["name"] == "alpha"][0]
    assert (alpha["why_not"], alpha["merged_bytes"]) == ("mem-merge=off", None), alpha
    host.process(60, "firecracker", comm="firecracker")
    (host.root / "proc/60/ksm_stat").chmod(0)
    row = [row for row in host.json(user=True)["guests"] if row["pid"] == 60][0]
    assert (row["mergeable"], row["why_not"]) == (None, "not permitted"), row


def test_processes_that_end():
    host = three()
    (host.root / "proc/20/status").unlink()  # between the two files
    host.write("proc/30/ksm_stat", "")  # a zombie
    assert names(host.text()) == ["alpha", "total"]


def test_figures_that_make_no_sense():
    host = three()
    host.write("proc/20/ksm_stat", "ksm_rmap_items many\n")
    row = [row for row in host.json()["guests"] if row["pid"] == 20][0]
    assert row["merged_bytes"] is None and row["rss_bytes"] == 1024 * MIB, row
    most = 2**63 - 1
    host.guest(20, "beta", merged=most, zero=most, profit=-2**63)
    row = host.json("--sort", "merged")["guests"][0]
    assert (row["merged_bytes"], row["profit_bytes"]) == (most, -2**63), row
    assert "8192P" not in host.text() and "-8.0E" in host.text(), host.text()


def test_widths():
    host = three().guest(9, "a-name-so-long-that-it-fills-the-line-of-a-terminal-by-itself-or-nearly")
    for locale in "C", "C.UTF-8":
        for options in (), ("--all",):
            narrow = host.text(*options, environment={"COLUMNS": "80", "LC_ALL": locale})
            table = narrow.split("\n\n")[0]
            assert max(map(len, table.splitlines())) <= 80 and "-nearly" not in table, narrow
            assert "beta" in table and "25.0%" in table, narrow
        for environment in {"COLUMNS": "200"}, {}:
            wide = host.text(environment=environment | {"LC_ALL": locale})
            assert "a-name-so-long-that-it-fills-the-line-of-a-terminal-by-itself-o" in wide, wide


def test_hostile_names():
    host = Host().guest(7, "a\x1b[31m\u00e9\n\"x\\").process(8, "x", comm="\x1b[7m evil", merge_any="yes")
    for locale in "C", "C.UTF-8":
        text = host.text("-a", environment={"LC_ALL": locale})
        assert text.isascii() and "\x1b" not in text and 'a?[31m???"x\\' in text, text
    assert {row["name"] for row in host.json("-a")["guests"]} == {'a?[31m???"x\\', "?[7m evil"}


def test_configuration():
    host = three().process(70, "vm", comm="my-vmm")
    host.write("etc/ksmtuned.conf", "KSM_VM_MATCH=my-*\n")
    assert names(host.text()) == ["my-vmm", "total"]
    host.write("etc/ksmtuned.conf", "# one\nKSM_VM_MATCH=$(rm)\nKSM_NPAGES_MAX=many\n")
    answer = host.guests()
    assert answer.returncode == 0 and names(answer.stdout)[:3] == ["beta", "gamma", "alpha"], answer
    assert "/etc/ksmtuned.conf:2: " in answer.stderr and "/etc/ksmtuned.conf:3: " in answer.stderr, answer
    assert answer.stderr.endswith("ksmctl: going on with the default of KSM_VM_MATCH\n"), answer
    assert all(line.startswith("ksmctl: ") for line in answer.stderr.splitlines())


def beside_a_daemon(listed=(10, 20, 30), header="# ksmtuned-guests 1 4711 {}", age=1, stranger=True, **state):
    """The three, started at 100 times their PIDs and published by a daemon; the stranger is not."""
    host = Host(age=age, **state).daemon()
    for pid, name in (10, "alpha"), (20, "beta"), (30, "gamma"), (25, "stranger"):
        if name != "stranger" or stranger:
            host.guest(pid, name, merged=pid)
            started(host, pid, pid * 100)
    publish(host, [(pid, pid * 100) for pid in listed], header)
    return host


def started(host, pid, ticks, comm="qemu-system-x86"):
    host.write(f"proc/{pid}/stat", f"{pid} ({comm}) S 1" + " 0" * 17 + f" {ticks}" + " 0" * 30 + "\n")


def publish(host, guests, header="# ksmtuned-guests 1 4711 {}"):
    host.write("run/ksmtuned/guests", header.format(len(guests)) + "\n"
               + "".join(f"{pid} {ticks}\n" for pid, ticks in guests))


def shown(host, *options):
    return {row["name"] for row in host.json(*options)["guests"]}


THREE, FOUR = {"alpha", "beta", "gamma"}, {"alpha", "beta", "gamma", "stranger"}


def test_the_daemons_word():
    host = beside_a_daemon()
    assert shown(host) == THREE and names(host.text()) == ["gamma", "beta", "alpha", "total"]
    assert host.json()["total"][0]["merged_bytes"] == 60 * PAGE
    assert shown(host, "--scan") == shown(host, "--all") == shown(host, "--all", "--scan") == FOUR
    # By its own KSM_VM_MATCH, also where the file has another now, or none that can be read.
    for text in "KSM_VM_MATCH=nothing*\n", "KSM_VM_MATCH=$(rm)\n":
        host.write("etc/ksmtuned.conf", text)
        assert shown(host) == THREE, text
    assert host.guests("--scan").stderr.endswith("going on with the default of KSM_VM_MATCH\n")
    # Everybody may ask.
    assert names(host.text(user=True))[-1] == "total" and len(names(host.text(user=True))) == 4


def test_a_daemon_that_knows_of_none():
    host = beside_a_daemon(())
    assert host.text() == "No virtual machine runs.\n" and host.json()["guests"] == []
    assert shown(host, "--scan") == FOUR
    ours, theirs = pty.openpty()
    assert host.guests(stdout=theirs, environment={"TERM": "xterm", "NO_COLOR": ""}).returncode == 0
    text = os.read(ours, 4096).decode().replace("\r", "")
    assert text == ("No virtual machine runs.\n\x1b[2mksmtuned knows of none; --scan looks at every "
                    "process.\x1b[0m\n"), text
    os.close(ours)
    os.close(theirs)


def test_a_daemon_whose_word_does_not_count():
    host = beside_a_daemon()
    (host.root / "run/ksmtuned/guests").unlink()
    assert shown(host) == FOUR, "no list"
    host = beside_a_daemon()
    (host.root / "run/ksmtuned/state").unlink()
    assert shown(host) == FOUR, "no state"
    host = beside_a_daemon()
    host.write("proc/4711/comm", "bash\n")
    assert shown(host) == FOUR, "a PID that another process has now"
    host = beside_a_daemon()
    shutil.rmtree(host.root / "proc/4711")
    assert shown(host) == FOUR, "a daemon that has ended"
    assert shown(beside_a_daemon(age=120)) == THREE and shown(beside_a_daemon(age=130)) == FOUR, "stale"
    assert shown(beside_a_daemon(header="# ksmtuned-guests 1 4712 {}")) == FOUR, "of an earlier daemon"
    host = beside_a_daemon()
    (host.root / "proc/1/comm").unlink()
    assert shown(host) == FOUR, "hidden processes"


def test_a_bad_list():
    for header in "# ksmtuned-guests 2 4711 {}", "", "# ksmtuned-guests 1 4711 2", "# ksmtuned-guests 1 4711":
        assert shown(beside_a_daemon(header=header)) == FOUR, header
    for text in "", "\0", "# ksmtuned-guests 1 4711 1\n10", "# ksmtuned-guests 1 4711 1\n-10 1000\n", "\n" * 3000000:
        host = beside_a_daemon()
        host.write("run/ksmtuned/guests", text)
        assert shown(host) == FOUR, text[:40]
    host = beside_a_daemon()
    (host.root / "run/ksmtuned/guests").unlink()
    (host.root / "run/ksmtuned/guests").mkdir()
    assert shown(host) == FOUR


def test_guests_that_ended_since():
    host = beside_a_daemon()
    shutil.rmtree(host.root / "proc/20")
    assert shown(host) == {"alpha", "gamma"}
    for pid in 10, 30:
        shutil.rmtree(host.root / f"proc/{pid}")
    assert host.text() == "No virtual machine runs.\n"


def test_pids_that_were_given_out_again():
    # The last of the list: what was read before does not count twice.
    for pid in 10, 30:
        host = beside_a_daemon().process(pid, "bash", comm="bash")
        started(host, pid, pid * 100 + 1, "bash")
        assert shown(host) == FOUR - {"alpha" if pid == 10 else "gamma"}, pid
        assert len(host.json()["guests"]) == 3
    host = beside_a_daemon()
    started(host, 20, 99)
    assert shown(host) == FOUR, "by another guest"
    host.write("proc/20/stat", "rubbish\n")
    assert shown(host) == FOUR


def test_without_ksm():
    answer = Host(knobs=None).guests()
    assert answer.returncode == 1 and answer.stdout == "" and "no KSM" in answer.stderr, answer


def test_misuse():
    for arguments in ("--sort", "size"), ("-s", ""), ("--sort",), ("x",), ("--csv",), ("-x",):
        answer = three().guests(*arguments)
        assert answer.returncode == 2 and answer.stdout == "", answer
        assert answer.stderr.startswith("ksmctl: guests: "), answer
    assert "there are name, pid, rss" in three().guests("--sort", "size").stderr
    assert three().guests("--help").stdout.startswith("usage: ksmctl [--root DIR] guests")


if __name__ == "__main__":
    sys.exit(ctl.main(globals()))
