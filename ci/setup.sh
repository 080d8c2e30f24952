#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Installs what the named groups of ci/packages-debian.txt need, and nothing
# when it is there already. Usage: ci/setup.sh build|rig|check ...
# Exit status: 0 done, 2 wrong use, 3 something can't be installed.
set -euo pipefail
cd "$(dirname "$0")"

list=packages-debian.txt
[ $# -gt 0 ] || { echo "setup: name a group: build, rig or check" >&2; exit 2; }

wanted=() optional=()
for group in "$@"; do
    mapfile -t found < <(awk -v g="$group" '$1 == g { print $2 }' "$list")
    mapfile -t -O "${#optional[@]}" optional < <(awk -v g="$group?" '$1 == g { print $2 }' "$list")
    [ ${#found[@]} -gt 0 ] || { echo "setup: no group '$group' in ci/$list" >&2; exit 2; }
    wanted+=("${found[@]}")
done

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this isn't a Debian system; install by hand what ci/$list names, then" >&2
    echo "setup: run the target again with VQ7_NO_SETUP=1" >&2
    exit 3
fi

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=()
for package in "${wanted[@]}"; do
    installed "$package" || missing+=("$package")
done
# Optional packages are installed where this release has them.
find_optional() {
    for package in "${optional[@]}"; do
        installed "$package" || [ -z "$(apt-cache madison "$package" 2>/dev/null)" ] ||
            echo "$package"
    done
}
mapfile -t found < <(find_optional)
missing+=("${found[@]}")
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "setup: packages are missing and neither root nor sudo is there; as root run:" >&2
        echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
        exit 3
    }
    as_root=(sudo)
fi

echo "setup: installing ${#missing[@]} Debian packages: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    "${as_root[@]}" apt-get update -q || return
    # Before that, a new system has no list to find them in.
    mapfile -t found < <(find_optional)
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" "${found[@]}"
}
if ! install >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    echo "setup: apt-get failed (its last lines are above); packages: ${missing[*]}" >&2
    exit 3
fi
echo "setup: done"
