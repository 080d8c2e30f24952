#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# unit/fuzz/afl.sh <name> <build folder> <seconds> <max_len> [<corpus>]: runs AFL++
# on <build folder>/<name>_afl, from the corpus in this folder, unattended. What it
# finds is in <build folder>/afl_found.<name>.
# Exit status: 0 nothing found, 1 a crash or a hang was saved (its files are named),
# 2 wrong use, 3 AFL++ did not run.
set -uo pipefail
[ $# -ge 4 ] || {
    echo "usage: $0 <name> <build folder> <seconds> <max_len> [<corpus>]" >&2
    exit 2
}
name=$1 bin=$2 seconds=$3 max_len=$4
corpus=${5:-$(dirname "$0")/corpus/$name}
out=$bin/afl_found.$name
for needed in "$bin/${name}_afl" "$bin/${name}_afl.so" "$corpus"; do
    [ -e "$needed" ] || { echo "afl: there is no $needed; build the target 'all' first," \
        "with the Debian package afl++ installed" >&2; exit 2; }
done
command -v afl-fuzz >/dev/null || { echo "afl: no afl-fuzz: install Debian's afl++" >&2; exit 2; }

# No terminal, no tuning of the machine, no questions; a core pattern that pipes
# to a program only makes crashes slower to be seen. What takes 1 s is tried again,
# and is a hang after 5: the machine may be busy with something else.
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1
# One core for the fuzzer and the harness, which never run at the same time: waking
# another core takes longer than an input. afl_main.cpp wants SIGTERM at a timeout.
export AFL_TRY_AFFINITY=1 AFL_KILL_SIGNAL=15
export AFL_NO_COLOR=1 AFL_HANG_TMOUT=5000 AFL_CUSTOM_MUTATOR_LIBRARY=$bin/${name}_afl.so
rm -rf "$out"
mkdir -p "$out"
timeout $((seconds + 90)) afl-fuzz -V "$seconds" -t 1000 -m none -g 1 -G "$max_len" -i "$corpus" \
    -o "$out" -- "$bin/${name}_afl" >"$out/log" 2>&1
status=$?

stats=$out/default/fuzzer_stats
if [ ! -s "$stats" ]; then
    tail -n 15 "$out/log" >&2
    echo "afl: afl-fuzz did not run (status $status); its last lines are above, all in $out/log" >&2
    exit 3
fi
value() { awk -v key="$1" '$1 == key { print $3 }' "$stats"; }
echo "afl: $name: $(value execs_done) executions, $(value execs_per_sec) a second," \
    "$(value corpus_count) inputs kept, stability $(value stability)"
mapfile -t saved < <(find "$out/default/crashes" "$out/default/hangs" -type f ! -name README.txt \
    2>/dev/null | sort)
if [ ${#saved[@]} -gt 0 ]; then
    printf 'afl: saved: %s\n' "${saved[@]}" >&2
    echo "afl: to see one: $bin/${name}_afl <file>, or $bin/${name}_fuzz <file>" >&2
    exit 1
fi
if [ "$status" -ne 0 ] || [ "$(value execs_done)" = 0 ]; then
    tail -n 15 "$out/log" >&2
    echo "afl: afl-fuzz ended with status $status; its last lines are above" >&2
    exit 3
fi
