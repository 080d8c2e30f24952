#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Runs a compiler that has to refuse its input with a certain #error.
#
#   must_fail.sh TEXT COMPILER [ARGUMENT...]
set -u
text=$1
shift
if output=$("$@" 2>&1); then
    echo "compiled, though it must not: $*" >&2
    exit 1
fi
if ! printf '%s\n' "$output" | grep -F "#error" | grep -qF "$text"; then
    echo "refused, but not by an #error that says '$text':" >&2
    printf '%s\n' "$output" | head -n 5 >&2
    exit 1
fi
