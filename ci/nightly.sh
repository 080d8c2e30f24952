#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The long run: what `make test` does, and then what takes hours. Each step's
# output is build/nightly/<step>.log; all steps run, whatever an earlier one says.
# VQ7_NIGHTLY_SCALE (default 1.0) stretches or shortens stress and fuzzing.
# Exit status: 0 all passed, 1 some did not (their names are the last line).
set -uo pipefail
cd "$(dirname "$0")/.."
logs=build/nightly
mkdir -p "$logs"
scale=${VQ7_NIGHTLY_SCALE:-1.0}
failed=()

scaled() { awk -v n="$1" -v s="$scale" 'BEGIN { printf "%d", n * s < 1 ? 1 : n * s }'; }

step() {
    local name=$1 start=$SECONDS
    shift
    if "$@" >"$logs/$name.log" 2>&1; then
        echo "nightly: pass $name ($((SECONDS - start)) s)"
    else
        echo "nightly: FAIL $name ($((SECONDS - start)) s): $logs/$name.log; its last lines:"
        tail -n 5 "$logs/$name.log"
        failed+=("$name")
    fi
}

sanitized() {
    cmake -S . -B build/sanitize -G Ninja -DVQ7_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug &&
        cmake --build build/sanitize &&
        ctest --test-dir build/sanitize --output-on-failure -E '^(stress|fuzz|compile|package)'
}

# The commands of lib/README.md and unit/Makefile, word for word, in a fresh clone.
as_written() {
    rm -rf "$logs/clone" && git clone -q . "$logs/clone" && (
        cd "$logs/clone" && bash -exc "$(sed -n '/^```sh$/,/^```$/{//!p}' lib/README.md)" &&
            make -C unit test
    ) && rm -rf "$logs/clone"
}

bin=build/unit/unit
step test make test
step e2e make nightly-e2e
step sanitizers sanitized
step as-written as_written
# Without the full fence a kick is lost about once in tens of millions of rounds
# on hardware with short store buffers: so many rounds, and more.
step stress-flags "$bin/stress/stress" --no-event-idx --buffers "$(scaled 100000000)"
step stress-event-idx "$bin/stress/stress" --buffers "$(scaled 100000000)"
step stress-deep "$bin/stress/stress" --depth 32 --buffers "$(scaled 400000000)"
step stress-processes "$bin/stress/stress" --processes --depth 2 --buffers "$(scaled 100000000)"
# What a fuzzer found is named at the end of its log; new inputs stay beside it.
fuzz() {
    local name=$1 max_len=$2 seconds=$3
    mkdir -p "$logs/corpus.$name"
    step "fuzz-$name" "$bin/fuzz/${name}_fuzz" -max_total_time="$(scaled "$seconds")" \
        -max_len="$max_len" -timeout=10 -entropic=0 -artifact_prefix="$logs/" \
        "$logs/corpus.$name" "unit/fuzz/corpus/$name"
    step "afl-$name" unit/fuzz/afl.sh "$name" "$bin/fuzz" "$(scaled "$seconds")" "$max_len"
}
fuzz virtqueue_split 196 3600
fuzz virtio_pci 272 1800
fuzz virtio_sg_pfn 274 600
step fuzz-planted unit/fuzz/planted.py "$bin/fuzz"
step mutation ci/mutate.py

if [ ${#failed[@]} -gt 0 ]; then
    echo "nightly: failed: ${failed[*]}" >&2
    exit 1
fi
echo "nightly: all passed"
