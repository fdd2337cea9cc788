#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# test-rpm.sh FOLDER: installs the RPMs in FOLDER into an empty root with a database of its own,
# checks what is there, and removes them. The libraries that they need are not looked for: this
# host's may be another distribution's. Their scripts need a system to run in, and do not run.
set -euo pipefail
folder=$(readlink -f "$1")
root=$(mktemp -d /var/tmp/ksmtuned-rpm-XXXXXX)
trap 'rm -rf "$root"' EXIT

in_root() { rpm --root "$root" --dbpath /var/lib/rpm "$@"; }
arch=$(uname -m)
packages=("$folder"/ksmtuned-[0-9]*."$arch".rpm "$folder"/ksmtuned-libvirt-[0-9]*."$arch".rpm)

set -x
rpm --query --package --requires "${packages[0]}" | tee "$root.requires"
if grep -i libvirt "$root.requires"; then
        echo 'the daemon needs libvirt' >&2
        exit 1
fi
rm "$root.requires"
in_root --initdb
in_root --install --nodeps --noscripts "${packages[0]}"
test ! -e "$root/usr/libexec/ksmtuned-libvirt"
in_root --install --nodeps --noscripts "${packages[1]}"
in_root --query --all
in_root --verify --nodeps ksmtuned ksmtuned-libvirt
"$root/usr/sbin/ksmtuned" --version
"$root/usr/sbin/ksmtuned" --check-config --config "$root/etc/ksmtuned.conf"
"$root/usr/sbin/ksmctl" --version
test -f "$root/usr/lib/systemd/system/ksmtuned.service"
for file in prometheus/ksmtuned.{alerts,rules}.yml grafana/ksmtuned.json; do
        cmp "$root/usr/share/ksmtuned/$file" "$(dirname "$0")/../../packaging/$file"
done
test "$(in_root --query --queryformat '%{URL}' ksmtuned)" = "$(sed -n 's/^URL=//p' "$(dirname "$0")/../../packaging/distributor")"
grep /etc/sysconfig/ksm "$root/usr/lib/systemd/system/ksm.service"

# A configuration that was changed survives an upgrade, and is kept aside at removal.
echo KSM_THRES_COEF=33 >"$root/etc/ksmtuned.conf"
in_root --upgrade --force --nodeps --noscripts "${packages[@]}"
grep -x KSM_THRES_COEF=33 "$root/etc/ksmtuned.conf"
in_root --erase --noscripts ksmtuned-libvirt ksmtuned
test -f "$root/etc/ksmtuned.conf.rpmsave"
left=$(find "$root" -mindepth 1 -name '*ksm*' -not -name ksmtuned.conf.rpmsave)
test -z "$left"
