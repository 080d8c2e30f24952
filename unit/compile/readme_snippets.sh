#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Compiles every C snippet of a README as the body of a function.
#
#   readme_snippets.sh CC LIB_DIR CONTEXT_H WORK_DIR
set -eu
cc=$1 lib=$2 context=$3 work=$4

rm -rf "$work"
mkdir -p "$work"
awk -v context="$context" '
    BEGIN { print "#include \"" context "\"" }
    /^```c$/ { inside = 1; n++; printf "NTSTATUS snippet_%d(void);\nNTSTATUS snippet_%d(void)\n{\n", n, n; next }
    /^```$/ { if (inside) print "return STATUS_SUCCESS;\n}"; inside = 0; next }
    inside { print }
' "$lib/README.md" >"$work/snippets.c"
# Commands (sh) are run by older_options.sh and nightly; anything else would not be tested.
if awk '/^```/ { if (!open && $0 != "```c" && $0 != "```sh") bad = 1; open = !open }
        END { exit !bad }' "$lib/README.md"; then
    echo "$lib/README.md has a snippet that is neither c nor sh" >&2
    exit 1
fi
if ! grep -q '^NTSTATUS snippet_5(void);$' "$work/snippets.c"; then
    echo "fewer than 5 snippets found in $lib/README.md" >&2
    exit 1
fi
"$cc" -std=c99 -Wall -Wextra -Werror -Wno-unused-variable -Wno-unused-but-set-variable \
    -Wno-multichar -fsyntax-only -I"$lib" "$work/snippets.c"
