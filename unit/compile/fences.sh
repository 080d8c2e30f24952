#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Looks at the fences that a compiler makes of the queue's calls, for x86 and for
# a weakly ordered CPU: a full one to kick and to enable interrupts, none to
# publish or to take back, where plain (x86) or acquire and release (ARM64)
# accesses do. How many of them *run* is tested in virtqueue_split_order_test.cpp.
#
#   fences.sh CLANGXX LIB_DIR WORK_DIR
set -eu
clangxx=$1 lib=$2 work=$3

rm -rf "$work"
mkdir -p "$work"

for target in x86_64 i386 aarch64; do
    for source in virtqueue_split virtqueue_split_add virtqueue_split_batch \
        virtqueue_split_wait; do
        "$clangxx" --target=$target-linux-gnu -std=c++98 -O2 -ffreestanding -fno-exceptions \
            -fno-rtti -fno-asynchronous-unwind-tables -I"$lib" -S "$lib/$source.cpp" -o - |
            tee "$work/$target.$source" | awk -v prefix="$work/$target." '
                /^Virtq[A-Za-z]*:/ { file = prefix substr($1, 1, length($1) - 1) }
                $1 == ".size" { file = "" }
                file != "" { print > file }'
    done
done

# expect some|none TARGET PATTERN FUNCTION...
expect() {
    want=$1 target=$2 pattern=$3
    shift 3
    for function in "$@"; do
        if [ ! -s "$work/$target.$function" ]; then
            echo "no $function in the assembly for $target" >&2
            exit 1
        fi
        found=none
        if grep -qE "[[:space:]]$pattern" "$work/$target.$function"; then
            found=some
        fi
        if [ $found != "$want" ]; then
            echo "$target: $function has $found of '$pattern', not $want" >&2
            exit 1
        fi
    done
}

give="VirtqSplitPublish VirtqSplitPublishBatch VirtqSplitSubmitBatch"
take="VirtqSplitGetUsed VirtqSplitGetUsedBatch VirtqSplitPoll"
# What they call is in the whole of that source.
add=virtqueue_split_add
full="VirtqSplitKickPrepare VirtqSplitKick VirtqSplitHasUsed VirtqSplitEnableInterrupts VirtqSplitEnableInterruptsDelayed
 VirtqSplitPrepareWait"
# shellcheck disable=SC2086 # lists of names
for target in x86_64 i386; do
    expect none $target '(lock|mfence|xchg)' $give $take $add VirtqSplitKickCommit \
        VirtqSplitDisableInterrupts
    expect some $target '(lock|mfence)' $full
done
# shellcheck disable=SC2086
{
    expect some aarch64 'stlrh' $give
    expect some aarch64 'ldap?rh' $take
    expect none aarch64 'dmb' $give $take $add VirtqSplitKickCommit VirtqSplitDisableInterrupts
    expect some aarch64 'dmb[[:space:]]+ish$' $full
}
