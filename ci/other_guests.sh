#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Puts other people's guests below a folder, whose own virtio-blk drivers are tried on our
# vhost-user device: ci/other_guests.sh FOLDER. Debian's kernel for clouds with busybox, the UEFI
# firmware OVMF, U-Boot, and tools for FAT. Nothing is installed: a kernel's package would make an
# initrd and entries of the boot loader. So apt keeps lists of its own in that folder, and of the
# packages only what is needed is unpacked.
# Exit status: 0 there, 2 wrong use, 3 it can't be had.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: ci/other_guests.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ! -e "$folder/ready" ] || exit 0
fail() { echo "other_guests: $1" >&2; exit 3; }
command -v apt-get >/dev/null || fail "this isn't a Debian system"

own() { # PROGRAM ARGUMENT...: with lists of its own
    local program=$1
    shift
    "$program" -q -o APT::Architectures::=amd64 -o Dir::State="$folder/apt" \
        -o Dir::State::status=/var/lib/dpkg/status -o Dir::State::lists="$folder/apt/lists" \
        -o Dir::Cache="$folder/apt/cache" -o APT::Sandbox::User=root "$@"
}

rm -rf "$folder"/{apt,debs,root}
mkdir -p "$folder"/apt/{lists,cache/archives}/partial "$folder"/{debs,root}
log=$folder/log
echo "other_guests: fetching Linux, OVMF and U-Boot to $folder"
# A list that can't be had now need not be one that is wanted.
own apt-get update >"$log" 2>&1 || own apt-get update >"$log" 2>&1 || true
kernel=$(own apt-cache depends linux-image-cloud-amd64 2>>"$log" |
    awk '$1 == "Depends:" && $2 ~ /^linux-image-[0-9]/ { print $2; exit }')
[ -n "$kernel" ] || fail "apt knows no linux-image-cloud-amd64: its last words are in $log"
(cd "$folder/debs" && own apt-get download "$kernel" busybox-static ovmf u-boot-qemu mtools \
    dosfstools) >>"$log" 2>&1 || { tail -n 5 "$log" >&2; fail "packages can't be had"; }

unpack() { # PACKAGE PATTERN...
    local package=$1
    shift
    dpkg-deb --fsys-tarfile "$folder/debs/$package"_*.deb |
        tar -x -C "$folder/root" --wildcards "$@" || fail "$package isn't as it was: $*"
}

unpack "$kernel" '*/vmlinuz-*' '*/modules.builtin' '*/kernel/drivers/virtio/*' \
    '*/kernel/drivers/block/virtio_blk.ko*'
unpack busybox-static '*bin/busybox'
unpack ovmf '*/OVMF.fd'
unpack u-boot-qemu '*/qemu-x86_64/u-boot.rom'
unpack mtools '*bin/*'
unpack dosfstools '*sbin/*'
rm -rf "$folder"/{apt,debs}
touch "$folder/ready"
echo "other_guests: done"
