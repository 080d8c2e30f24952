#!/bin/sh
# SPDX-License-Identifier: MIT
#
# WDK 7.1's `sources` lists the files of lib/ and of the driver, all of them and no
# others.
#
#   wdk_sources.sh REPOSITORY
set -eu
cd "$1"
list=guest_driver/package/wdk71/sources
listed=$(sed -n '/^SOURCES=/,/[^\\]$/p' $list | grep -o '[A-Za-z0-9_]*\.cpp' | sort)
there=$(ls lib/*.cpp guest_driver/driver/*.cpp | xargs -n 1 basename | sort)
if [ "$listed" != "$there" ]; then
    echo "$list does not list the sources of lib/ and guest_driver/driver/:" >&2
    echo "listed: " $listed >&2
    echo "there:  " $there >&2
    exit 1
fi
