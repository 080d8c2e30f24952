#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Puts Debian's Wine for 32-bit programs below a folder, for the tests of the x86 agent: ci/wine32.sh
# FOLDER. Nothing is installed. (apt can't put wine32:i386 beside wine64 cleanly: on Debian 12 it
# removes wine64, and wants the architecture i386 added to the system.) So apt keeps lists of its own
# in that folder, for amd64 and i386, and its packages are only unpacked: Wine itself, and what it
# links to. glibc for 32 bits is the system's, of g++-multilib.
# Exit status: 0 there, 2 wrong use, 3 it can't be had.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: ci/wine32.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
[ ! -e "$folder/ready" ] || exit 0
fail() { echo "wine32: $1" >&2; exit 3; }
command -v apt-get >/dev/null || fail "this isn't a Debian system"
[ -e /lib/ld-linux.so.2 ] || fail "no 32-bit glibc: ci/setup.sh build"

apt() {
    apt-get -q -o APT::Architectures::=amd64 -o APT::Architectures::=i386 \
        -o Dir::State="$folder/apt" -o Dir::State::status=/var/lib/dpkg/status \
        -o Dir::State::lists="$folder/apt/lists" -o Dir::Cache="$folder/apt/cache" \
        -o APT::Sandbox::User=root "$@"
}

rm -rf "$folder"/{apt,debs,root}
mkdir -p "$folder"/apt/{lists,cache/archives}/partial "$folder"/{debs,root}
log=$folder/log
echo "wine32: fetching Wine for 32-bit programs to $folder"
# A list that can't be had now need not be one that is wanted.
apt update >"$log" 2>&1 || apt update >"$log" 2>&1 || true
(cd "$folder/debs" && apt download libwine:i386 wine32:i386 libunwind8:i386 liblzma5:i386 \
    libgcc-s1:i386 libz-mingw-w64) >>"$log" 2>&1 ||
    { tail -n 5 "$log" >&2; fail "packages for i386 can't be had"; }
for package in "$folder"/debs/*.deb; do
    dpkg -x "$package" "$folder/root"
done

# What libwine's postinst does: zlib is one of Wine's own libraries, if its header says so.
zlib=$folder/root/usr/i686-w64-mingw32/lib/zlib1.dll
{
    head -c 64 "$zlib"
    printf 'Wine builtin DLL'
    head -c 16 /dev/zero
    tail -c +97 "$zlib"
} >"$folder/root/usr/lib/i386-linux-gnu/wine/i386-windows/zlib1.dll"
rm -rf "$folder"/{apt,debs}
touch "$folder/ready"
echo "wine32: done"
