#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# ci/quiet.sh <name> <command ...>: runs the command with its output in
# build/log/<name>.log, says one line, and shows the output when it fails.
# Exit status: the command's.
set -uo pipefail
name=$1
shift
mkdir -p build/log
log=build/log/$name.log
start=$SECONDS
"$@" >"$log" 2>&1
status=$?
if [ "$status" -ne 0 ]; then
    cat "$log" >&2
    echo "$name: failed with status $status: $*" >&2
    echo "$name: the output above is in $log" >&2
else
    echo "$name: ${*:1:2} done in $((SECONDS - start)) s"
fi
exit "$status"
