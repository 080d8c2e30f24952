#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Every barrier in the library says, on its line or in the comment before it, which of
# the pairs of virtqueue_split_private.h it serves; there each pair says what it meets.
#
#   barriers.sh LIB_DIR
set -eu
cd "$1"
for pair in A B C D; do
    sed -n "/^ \*   $pair  /,/^ \*   [A-Z]  /p" virtqueue_split_private.h |
        grep -q "here meets the device's" || {
        echo "virtqueue_split_private.h does not say what pair $pair meets" >&2
        exit 1
    }
done
awk '
    FNR == 1 { said = -100 }
    /[Pp]air [ABCD]/ { said = FNR }
    /(VIRTIO_(MB|RMB|WMB)|Virtio(LoadAcquire|StoreRelease)U16)\(/ {
        found++
        if (FNR - said > 14) {
            print FILENAME ":" FNR ": a barrier that does not say which pair it serves"
            bad = 1
        }
    }
    /^}/ { said = -100 } # the next function says it anew
    END {
        if (found < 5) { print "found only " found " barriers"; bad = 1 }
        exit bad
    }' virtqueue_split*.cpp virtqueue_split_private.h virtio_sg_pfn.cpp virtio_pci*.cpp >&2
