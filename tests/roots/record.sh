#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Records what ksmctl reads of a host, as plain files: record.sh FOLDER [PID…]
#
# FOLDER must not be there. PIDs: guests or other processes that are to be in it. As root, or files
# that only root may read stay out. Command lines are recorded as they are: look at them first.
set -euo pipefail

if (($# < 1)) || [[ -e $1 ]]; then
        echo "usage: record.sh FOLDER [PID...]; FOLDER must not be there" >&2
        exit 2
fi
to=$1
shift

# What this host does not have stays out.
copy() {
        local file
        for file; do
                [[ -f $file && -r $file ]] || continue
                mkdir -p "$to${file%/*}"
                # Not cp: files of /proc are of no size.
                cat "$file" >"$to$file" 2>/dev/null || rm -f "$to$file"
        done
}

copy /proc/{meminfo,loadavg,pressure/memory} /proc/sys/vm/overcommit_memory \
        /sys/kernel/mm/ksm/* /sys/kernel/mm/transparent_hugepage/{enabled,defrag,khugepaged/defrag} \
        /sys/devices/system/node/{online,possible,has_memory}
# Of the counters, those about KSM.
grep -E '^(nr_free_pages|.*ksm.*) ' /proc/vmstat >"$to/proc/vmstat" || rm -f "$to/proc/vmstat"

ksmd=
for folder in /proc/[0-9]*; do
        if [[ $(cat "$folder/comm" 2>/dev/null) == ksmd ]]; then
                ksmd=${folder#/proc/}
                break
        fi
done
for pid in 1 $ksmd; do
        copy /proc/"$pid"/{comm,stat,statm,schedstat}
done
for pid; do
        copy /proc/"$pid"/{comm,cmdline,stat,statm,status,schedstat,ksm_stat,ksm_merging_pages,smaps_rollup,cgroup}
done
chmod -R u=rwX,go=rX "$to"
