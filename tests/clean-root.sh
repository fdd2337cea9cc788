#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What a newcomer does: this tree in a freshly bootstrapped Debian with nothing installed, then
# `./dev run --once` and `./dev test`. Its suites: $CLEAN_ROOT_SUITES (unit).
# Needs root, debootstrap and the network; leaves nothing behind.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

((EUID == 0)) || { echo 'needs root' >&2; exit 1; }
command -v debootstrap >/dev/null || { echo 'debootstrap is not here' >&2; exit 1; }
release=$(. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}")

work=$(mktemp -d /var/tmp/ksmtuned-clean-XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT
root=$work/root
echo "# debootstrap --variant=minbase $release"
debootstrap --variant=minbase "$release" "$root" >"$work/debootstrap.log" 2>&1 ||
        { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }

# A clone where all is committed; else the files as they are, without what builds left behind.
tree=$root/root/ksmtuned
if command -v git >/dev/null && [[ -d .git && -z $(git status --porcelain) ]]; then
        echo '# git clone'
        git clone --quiet --no-local . "$tree"
else
        echo '# a copy of the tree (no clean git checkout)'
        mkdir "$tree"
        tar -c --exclude=./.git --exclude='./build' --exclude='./build-*' --exclude=__pycache__ . | tar -x -C "$tree"
fi

inside() {
        cat <<'INSIDE'
set -e
run() { printf '\n# %s\n' "$*"; "$@"; }
cd /root/ksmtuned
run ./dev run --once
run ./dev test $SUITES
INSIDE
}

# A mount namespace whose root is the new one (not a chroot: containers can be booted in it), but
# no PID namespace, where ksmd could not be seen.
enter='set -e
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
mkdir -p run/lock /run/lock
mount --bind /run/lock run/lock
pivot_root . mnt
umount -l /mnt
exec env -i HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin SUITES="$2" bash -c "$3"'

knobs=/sys/kernel/mm/ksm
saved=()
for knob in run pages_to_scan sleep_millisecs; do
        [[ ! -w $knobs/$knob ]] || saved+=("$knob=$(<"$knobs/$knob")")
done
restore() { for knob in "${saved[@]}"; do echo "${knob#*=}" >"$knobs/${knob%%=*}" || :; done; }
trap 'restore; rm -rf --one-file-system "$work"' EXIT

unshare --mount --fork --kill-child \
        bash -c "$enter" enter "$root" "${CLEAN_ROOT_SUITES:-unit}" "$(inside)"
