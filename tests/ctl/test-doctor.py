#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""ksmctl doctor: conditions of KSM, guests and memory, made on made-up hosts; see doctorhost.py."""

import os
import shutil
import subprocess
import sys

from doctorhost import (ALL, GIB, KNOBS, KNOBS_2009, PAGE_KB, Host, finds, hugepages, ksmctl_test, run,
                        silent)


# --- the whole --------------------------------------------------------------------------------

def test_healthy_host():
    host = Host()
    checks = host.examine(status=0)
    assert len(checks) == ALL, len(checks)
    bad = [check for check in checks.values() if check["verdict"] != "ok"]
    assert not bad, bad
    assert host.processes == [], host.processes
    assert host.text(status=0) == f"{ALL} checks passed.\n"


def test_verbose_shows_what_passed():
    text = Host().text("--verbose", status=0)
    assert text.count("ok       ") == ALL, text
    assert text == Host().text("-v", status=0)
    assert "ksmtuned runs (PID 4711) and decided 12 s ago" in text, text


def test_kernel_of_2009():
    host = Host(KNOBS_2009, memory={"MemAvailable": None})
    shutil.rmtree(host.root / "proc/pressure")
    for path in ("sys/kernel/mm/transparent_hugepage", "sys/devices", "proc/26/schedstat",
                 "proc/2001/ksm_stat"):
        host.remove(path)
    checks = host.examine(status=0)
    unknown = {key: check["figure"] for key, check in checks.items()
               if check["verdict"] != "ok"}
    assert set(unknown) == {"exposure", "tenants"}, unknown
    assert "3.14" in unknown["exposure"], unknown
    assert "6.4, 6.6, 6.7, 6.8" in checks["kernel"]["figure"], checks["kernel"]
    assert checks["profit"]["value"] == 900 * PAGE_KB * 1024 - 1058 * 64, checks["profit"]
    assert "could not be made" in host.text(status=0)


def test_nothing_but_a_root():
    host = ksmctl_test.Host(knobs=None)
    shutil.rmtree(host.root / "proc")
    answer = host.run("doctor")
    assert answer.returncode == 2 and "has no KSM" in answer.stdout, answer
    assert "unknown  " in answer.stdout and answer.stderr == "", answer


def test_without_permission():
    host = Host()
    for path in ("proc/2001/ksm_stat", f"{ksmctl_test.KSM}/general_profit",
                 f"{ksmctl_test.KSM}/pages_shared"):
        (host.root / path).chmod(0)
    checks = host.examine(status=0, **host.unprivileged())
    unknown = {key: check["figure"] for key, check in checks.items()
               if check["verdict"] == "unknown"}
    assert set(unknown) == {"files", "nothing-mergeable", "profit", "tenants", "smart-scan",
                            "exposure"} - {"exposure"}, unknown
    for key in "files", "profit", "smart-scan", "tenants":
        assert "Permission denied" in unknown[key], unknown
    assert checks["files"]["remedy"] == "Run ksmctl as root.", checks["files"]
    text = host.text(status=0, **host.unprivileged())
    assert "Not checked: " in text and "5 could not be made" in text, text


def test_who_shares_is_not_told_to_everybody():
    host = Host()
    (host.root / "proc/2001/ksm_stat").chmod(0)
    checks = host.examine(status=0, **host.unprivileged())
    assert checks["tenants"]["verdict"] == "unknown", checks["tenants"]
    assert "root" in checks["tenants"]["figure"], checks["tenants"]


# --- KSM itself -------------------------------------------------------------------------------

def test_kernel_without_ksm():
    host = Host(knobs=None)
    checks = host.examine(status=2)
    assert checks["kernel"]["verdict"] == "trouble" and "CONFIG_KSM" in checks["kernel"]["remedy"]
    assert checks["profit"]["verdict"] == "unknown", checks["profit"]
    text = host.text(status=2)
    assert text.count("this kernel has no KSM") == 2, text


def test_folder_that_may_not_be_looked_at():
    host = Host()
    (host.root / "sys/kernel/mm").chmod(0)
    checks = host.examine(**host.unprivileged())
    (host.root / "sys/kernel/mm").chmod(0o755)
    assert checks["kernel"]["verdict"] == "unknown", checks["kernel"]
    assert checks["daemon"]["verdict"] == "ok", "the rest is still checked"


def test_files():
    finds(Host(KNOBS | {"stable_node_chains_prune_millisecs": "many"}), "files", "advice",
          "1 of the files", "stable_node_chains_prune_millisecs", "makes sense", value=1)
    host = Host()
    (host.root / ksmctl_test.KSM / "run").chmod(0o444)
    # Nobody but root is told: nobody else could write it anyway.
    assert host.examine(**host.unprivileged())["files"]["verdict"] == "ok"
    silent(Host(), "files", "run can be written" if os.geteuid() == 0 else "can be read")


def test_run_that_root_cannot_write():
    host = Host()
    if os.geteuid() != 0:
        return "only root can see it"
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    answer = subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh",
                             host.root / ksmctl_test.KSM, ksmctl_test.KSMCTL, "--root", host.root,
                             "doctor", "--check", "files"], capture_output=True, text=True,
                            check=False)
    if "unshare" in answer.stderr or "mount" in answer.stderr:
        return "no mount namespace can be had here"
    assert answer.returncode == 1, answer
    assert "Read-only file system" in answer.stdout, answer
    return None


def test_ksm_off():
    off = KNOBS | {"run": 0}
    short = {"MemFree": GIB, "Cached": GIB, "Shmem": 0}
    finds(Host(off, memory=short, daemon=False), "ksm-off", "advice", "3.0 GiB", "6.4 GiB",
          remedy=["systemctl enable --now ksmtuned", "ksmctl start"], alone=False)
    silent(Host(off, daemon=False), "ksm-off", "plentiful")
    silent(Host(off, {"RUN": 0}, memory=short), "ksm-off", "ksmtuned decides")
    finds(Host(KNOBS | {"run": 2}, {"RUN": 2}), "ksm-off", "advice", "run is 2", value=2)


def test_nothing_mergeable():
    nothing = {"pages_shared": 0, "pages_sharing": 0, "pages_unshared": 0, "pages_volatile": 0,
               "general_profit": 0}
    host = Host(KNOBS | nothing)
    host.remove("proc/2001")
    finds(host, "nothing-mergeable", "advice", "0 pages", remedy=["ksmctl stop"], value=0)
    silent(Host(KNOBS | nothing), "nothing-mergeable", "1 processes")
    silent(Host(), "nothing-mergeable", "2000 pages")


def test_profit():
    host = Host(KNOBS | {"general_profit": -123456})
    finds(host, "profit", "advice", "-123456 bytes", "-120 kB", value=-123456,
          remedy=["ksmctl unmerge"])
    silent(Host(KNOBS | {"general_profit": -123456, "full_scans": 1}), "profit", "first passes")
    silent(Host(), "profit", "3.5 MiB")
    # Older kernels leave it to us.
    old = {name: text for name, text in KNOBS.items() if name != "general_profit"}
    finds(Host(old | {"pages_sharing": 1, "pages_unshared": 100000}), "profit", "advice",
          value=PAGE_KB * 1024 - 100101 * 64)


def test_max_page_sharing():
    knobs = KNOBS | {"pages_sharing": 2000000, "general_profit": 10**9, "max_page_sharing": 2,
                     "stable_node_chains": 1000, "stable_node_dups": 21000}
    found = finds(Host(knobs, memory={"MemAvailable": 20 * GIB}), "max-page-sharing", "advice",
                  "1000 contents", "21000 pages", "max_page_sharing is 2",
                  value=20000 * PAGE_KB * 1024, remedy=["KSM_MAX_PAGE_SHARING=256.", "ksmctl settings --apply"])
    assert "78.1 MiB" in found["figure"] or PAGE_KB != 4, found
    # Less than 1 % of what is saved; less than 16 MiB.
    silent(Host(knobs | {"pages_sharing": 2100000}, memory={"MemAvailable": 20 * GIB}),
           "max-page-sharing")
    silent(Host(KNOBS | {"stable_node_chains": 1, "stable_node_dups": 4000 // PAGE_KB}),
           "max-page-sharing")
    finds(Host(knobs | {"max_page_sharing": 256}, memory={"MemAvailable": 20 * GIB}),
          "max-page-sharing", "advice", remedy=["KSM_MAX_PAGE_SHARING=4096."])


def test_settings():
    merged = KNOBS | {"pages_sharing": 2000000, "pages_shared": 1000, "general_profit": 10**9}
    room = {"MemAvailable": 20 * GIB}
    found = finds(Host(merged, memory=room).config("KSM_MAX_PAGE_SHARING=1000\n"), "settings",
                  "advice", "max_page_sharing is 256 (1000 configured): needs", "unmerged, and "
                  "20.0 GiB available", value=2000000 * PAGE_KB * 1024,
                  remedy=["ksmctl settings --apply", "as at boot"])
    assert "7.6 GiB" in found["figure"] or PAGE_KB != 4, found
    finds(Host(merged, memory={"MemAvailable": GIB, "SwapFree": 60 * GIB})
          .config("KSM_MAX_PAGE_SHARING=1000\nKSM_MERGE_ACROSS_NODES=0\n"), "settings", "advice",
          "merge_across_nodes is 1 (0 configured) and max_page_sharing is 256 (1000 configured)",
          remedy=["not room enough"], alone=False)
    # What takes no unmerge; nothing is merged; as configured; nothing configured.
    finds(Host(merged, memory=room).config("KSM_USE_ZERO_PAGES=1\n"), "settings", "advice",
          "use_zero_pages is 0 (1 configured)", remedy=["Nothing has to be unmerged"])
    finds(Host(KNOBS | {"pages_shared": 0, "pages_sharing": 0})
          .config("KSM_MAX_PAGE_SHARING=1000\n"), "settings", "advice",
          "max_page_sharing is 256 (1000 configured)", remedy=["Nothing has to be unmerged"],
          alone=False)
    silent(Host(merged, memory=room).config("KSM_MAX_PAGE_SHARING=256\n"), "settings")
    silent(Host(merged, memory=room), "settings")


def test_smart_scan():
    blind = KNOBS | {"pages_skipped": 300000, "pages_unshared": 2000, "pages_volatile": 60000}
    # 7.5 s for 100000 pages: 75 µs for each of 63000
    finds(Host(blind), "smart-scan", "advice", "75 %", "pages_skipped 300000",
          "pages_scanned 100000", "62000 unmerged", value=75,
          remedy=["echo 0 > /sys/kernel/mm/ksm/smart_scan", "4.7 s of CPU"])
    silent(Host(blind | {"smart_scan": 0}), "smart-scan", "off")
    silent(Host(blind | {"run": 0}, {"RUN": 0}), "smart-scan")
    silent(Host(blind | {"pages_skipped": 90000}), "smart-scan", "pages_skipped is 90000")
    silent(Host(blind | {"pages_sharing": 100000}, memory={"MemAvailable": 20 * GIB}),
           "smart-scan")


# --- guests -----------------------------------------------------------------------------------

def test_guests_that_cannot_be_merged():
    host = Host()
    host.guest(2002, "off", merged=0, mergeable="no", options=["-machine", "q35,mem-merge=off"])
    host.guest(2003, "vhost", merged=0, mergeable="no", RssAnon=1024, RssShmem=4 * GIB - 2048)
    host.guest(2004, "huge", merged=0, mergeable="no", VmRSS=2048, RssAnon=1024,
               HugetlbPages=4 * GIB)
    finds(host, "guests", "advice", "3 of 4 guests", value=3, remedy=["mem-merge=off"])
    assert {(p["name"], p["mergeable"], p["check"], p["guest"]) for p in host.processes} == {
        ("off", "mem-merge=off", "guests", True), ("vhost", "shared", "guests", True),
        ("huge", "hugetlbfs", "guests", True)}, host.processes
    text = host.text(status=1)
    for line in ("off (PID 2002): mem-merge=off", "vhost (PID 2003): shared",
                 "huge (PID 2004): hugetlbfs"):
        assert line in text, text


def test_many_guests():
    host = Host()
    for pid in range(3000, 3030):
        host.guest(pid, f"vm{pid}", merged=0, mergeable="no",
                   options=["-machine", "q35,mem-merge=off"])
    text = host.text(status=1)
    assert text.count("(PID 30") == 10 and "and 20 more, with --verbose" in text, text
    assert host.text("-v", status=1).count("(PID 30") == 30
    host.examine()
    assert len(host.processes) == 30


def test_guest_with_a_hostile_name():
    host = Host()
    host.guest(2002, "long " * 9 + "a\x1b[31m\"\\\n\u00f6", merged=0, mergeable="no",
               options=["-machine", "mem-merge=off"])
    text = host.text(status=1)
    assert text.isascii() and "\x1b" not in text, text
    host.examine()
    assert "\x1b" not in host.processes[0]["name"], host.processes


def test_tenants():
    host = Host()
    host.guest(2002, "db", merged=500)
    host.guest(2003, "idle", merged=0)
    host.process(2004, "browser")
    host.write("proc/2004/ksm_stat", "ksm_rmap_items 70\nksm_merging_pages 7\n")
    host.write("proc/2004/status", "Name:\tbrowser\nVmRSS:\t   99999 kB\n")
    finds(host, "tenants", "advice", "3 processes", "CVE-2015-2877", value=3,
          remedy=["--skip tenants", "<nosharepages/>"])
    assert {(p["name"], p["merged_bytes"], p["guest"]) for p in host.processes} == {
        ("web", 1000 * PAGE_KB * 1024, True), ("db", 500 * PAGE_KB * 1024, True),
        ("browser", 7 * PAGE_KB * 1024, False)}, host.processes
    text = host.text(status=1)
    assert "web (PID 2001): 3.9 MiB merged" in text or PAGE_KB != 4, text
    assert host.run("doctor", "--skip", "tenants").returncode == 0
    silent(Host(), "tenants", "no two")
    silent(Host(KNOBS | {"pages_shared": 0, "pages_sharing": 0}), "tenants", "nobody")


# --- memory -----------------------------------------------------------------------------------

def test_exposure():
    pages = 10 * GIB // PAGE_KB
    merged = KNOBS | {"pages_sharing": pages}
    state = {"FREE_KB": 12 * GIB}
    finds(Host(merged, state, {"MemAvailable": 10 * GIB, "SwapFree": 2 * GIB}), "exposure",
          "advice", "10.0 GiB more", "2.0 GiB of swap", value=pages * PAGE_KB * 1024,
          remedy=["swap"])
    finds(Host(merged, state, {"MemAvailable": 9 * GIB, "SwapFree": GIB}), "exposure",
          "trouble", "9.0 GiB are available", "1.0 GiB of swap", remedy=["kill"])
    silent(Host(merged, state, {"MemAvailable": 12 * GIB}), "exposure", "12.0 GiB are available")
    zeros = KNOBS | {"ksm_zero_pages": pages}
    finds(Host(zeros, state, {"MemAvailable": 8 * GIB, "SwapFree": 0}), "exposure", "trouble",
          value=(pages + 900) * PAGE_KB * 1024)
    finds(Host(memory={"MemAvailable": None}), "exposure", "unknown", "Linux 3.14")


def test_thp():
    host = Host(memory={"AnonHugePages": 8 * GIB})
    host.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    finds(host, "thp", "advice", "8.0 GiB", value=8 * GIB, remedy=["echo madvise >"])
    host = Host(memory={"AnonHugePages": 3 * GIB})
    host.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    silent(host, "thp", "always", "3.0 GiB")
    host = Host(KNOBS | {"run": 0}, {"RUN": 0}, memory={"AnonHugePages": 8 * GIB})
    host.write("sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never\n")
    silent(host, "thp")
    silent(Host(memory={"AnonHugePages": 8 * GIB}), "thp", "madvise")
    host = Host()
    host.write("sys/kernel/mm/transparent_hugepage/enabled", "sometimes\n")
    finds(host, "thp", "unknown", "makes sense")


def test_hugepages():
    finds(hugepages(Host(), 2048, 2048, 1024), "hugepages", "advice", "4.0 GiB are reserved",
          "2.0 GiB of them are unused", value=4 * GIB, remedy=["vm.nr_hugepages"])
    silent(hugepages(Host(), 2048, 2048, 1024, 1000), "hugepages", "48.0 MiB")
    # 5 GiB are free, with the 4 that are reserved it would be above the threshold of 6.
    host = hugepages(Host(memory={"MemFree": GIB}), GIB, 4)
    finds(host, "hugepages", "advice", "4.0 GiB are reserved", value=4 * GIB,
          remedy=["KSM_THRES_COEF=17"])
    silent(hugepages(Host(memory={"MemFree": GIB}), 2048, 256), "hugepages")
    silent(Host(), "hugepages", "no huge pages")
    host = hugepages(Host(), 2048, 5)
    host.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "many\n")
    finds(host, "hugepages", "unknown")


def test_numa():
    host = Host(KNOBS | {"pages_shared": 100000})
    host.write("sys/devices/system/node/has_memory", "0-1,3\n")
    finds(host, "numa", "advice", "3 NUMA nodes", "merge_across_nodes is 1", value=3,
          remedy=["KSM_MERGE_ACROSS_NODES=0.", "ksmctl settings --apply"])
    host = Host(KNOBS | {"pages_shared": 3 * GIB // PAGE_KB, "merge_across_nodes": 0})
    host.write("sys/devices/system/node/has_memory", "0-2\n")
    finds(host, "numa", "advice", "3 NUMA nodes", "merge_across_nodes is 0", "2.0 GiB",
          remedy=["KSM_MERGE_ACROSS_NODES=1."])
    host = Host(KNOBS | {"pages_shared": 0, "pages_sharing": 0})
    host.write("sys/devices/system/node/has_memory", "0-1\n")
    silent(host, "numa", "2 NUMA nodes")
    silent(Host(), "numa", "one NUMA node")
    silent(Host().remove("sys/devices"), "numa", "one NUMA node")
    for text in "", "1-0\n", "0-\n", "a\n", "0 1\n", "9999999999999999999\n":
        host = Host()
        host.write("sys/devices/system/node/has_memory", text)
        finds(host, "numa", "unknown", "makes sense")


def arcstats(host, size, c_min):
    host.write("proc/spl/kstat/zfs/arcstats",
               "13 1 0x01 147 39984 1 2\nname                            type data\n"
               "hits                            4    99\n"
               f"c_min                           4    {c_min}\n"
               f"size                            4    {size}\n"
               "data_size                       4    5\n")
    return host


def test_zfs_arc():
    low = {"MemFree": GIB}  # 5 GiB free against 6
    finds(arcstats(Host(memory=low), 4 * 2**30, 2**30), "zfs-arc", "advice", "4.0 GiB", "5.0 GiB",
          "6.0 GiB", value=4 * GIB, remedy=["zfs_arc_max", "KSM_THRES_COEF to 10"])
    silent(arcstats(Host(memory=low), 4 * 2**30, 3 * 2**30), "zfs-arc", "no difference")
    silent(arcstats(Host(), 4 * 2**30, 2**30), "zfs-arc", "no difference")
    silent(Host(), "zfs-arc", "no ZFS")
    host = Host()
    host.write("proc/spl/kstat/zfs/arcstats", "rubbish\n")
    finds(host, "zfs-arc", "unknown")


def test_shmem():
    # 8 GiB free of which 3 are in tmpfs, against 6
    memory = {"MemFree": 4 * GIB, "Shmem": 3 * GIB}
    finds(Host(memory=memory), "shmem", "advice", "3.0 GiB", "8.0 GiB", "6.0 GiB", value=3 * GIB,
          remedy=["KSM_THRES_COEF to 29"])
    silent(Host(memory={"MemFree": 4 * GIB, "Shmem": GIB}), "shmem")
    silent(Host(memory={"Shmem": 3 * GIB}), "shmem")
    silent(Host(state={"POLICY": "adaptive"}, memory=memory), "shmem")


def test_meminfo_that_cannot_be_read():
    for text in "", "MemTotal: 1 MB\n":
        host = Host()
        host.write("proc/meminfo", text)
        checks = host.examine(status=0)
        for key in "exposure", "shmem", "threshold":
            assert checks[key]["verdict"] == "unknown", checks[key]
            assert "/proc/meminfo" in checks[key]["figure"], checks[key]


if __name__ == "__main__":
    sys.exit(run(globals()))
