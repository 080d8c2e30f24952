#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The long run: what `make test` does, and then what takes hours. Each step's
# output is build/nightly/<step>.log; all steps run, whatever an earlier one says.
#
#   VQ7_NIGHTLY_SCALE   default 1.0; stretches or shortens stress and fuzzing
#   VQ7_NIGHTLY_STEPS   default all; names of steps below, with spaces between, to
#                       run these only, as in VQ7_NIGHTLY_STEPS="stress tsan"
#
#   --check             only whether each step is in the list of all, and each of the
#                       list is a step
#
# Exit status: 0 all passed, 1 some did not (their names are the last line), 2 a
# step is named that does not exist, or the scale is no number, 3 the list of all
# and the steps differ.
set -uo pipefail
cd "$(dirname "$0")/.."
logs=build/nightly
mkdir -p "$logs"
scale=${VQ7_NIGHTLY_SCALE:-1.0}
all='test e2e coverage-e2e hostile-fuzz host-faults hostile-checks rig-test kd-planted sanitizers as-written model-check stress tsan proof fuzz mutation mutation-driver'
steps=${VQ7_NIGHTLY_STEPS:-$all}
failed=()

# A step that isn't in the list would be left out every night.
if [ "${1:-}" = --check ]; then
    diff <(grep -v '^ *#' ci/nightly.sh | grep -oE '\bwanted [a-z][a-z0-9-]*' | cut -d' ' -f2 |
        sort -u) <(printf '%s\n' $all | sort) || {
        echo "nightly: the steps (<) and the list of all (>) differ" >&2
        exit 3
    }
    exit 0
fi

for name in $steps; do
    case " $all " in
    *" $name "*) ;;
    *)
        echo "nightly: VQ7_NIGHTLY_STEPS: no step '$name'; there are: $all" >&2
        exit 2
        ;;
    esac
done
if ! [[ $scale =~ ^[0-9]*\.?[0-9]+$ ]]; then
    echo "nightly: VQ7_NIGHTLY_SCALE: '$scale' is no number above 0, such as 0.1" >&2
    exit 2
fi

wanted() { case " $steps " in *" $1 "*) ;; *) return 1 ;; esac; }

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

tsan_runner() {
    sed -n 's/^VQ7_TSAN_RUNNER:INTERNAL=//p' build/unit/CMakeCache.txt | grep -v '^OFF$'
}

# Everything, or what the few steps that are wanted run.
built() {
    local targets=()
    cmake -S . -B build/unit -G Ninja || return
    if wanted test || wanted fuzz; then
        targets=(all)
    else
        wanted stress && targets+=(stress stress_no_{kick,enable,drain}_fence)
        wanted tsan && tsan_runner && targets+=(stress_tsan)
        wanted model-check && targets+=(model_check model_check_sanitized)
    fi
    [ ${#targets[@]} -eq 0 ] || cmake --build build/unit --target "${targets[@]}"
}

# What the other steps run for longer, and what builds without the sanitizers
# anyway, is left out.
sanitized() {
    cmake -S . -B build/sanitize -G Ninja -DVQ7_SANITIZE=ON -DCMAKE_BUILD_TYPE=Debug &&
        cmake --build build/sanitize &&
        ctest --test-dir build/sanitize --output-on-failure \
            -E '^(stress|fuzz|compile|package|model_check|proof)'
}

# no_fence WHICH LOST OPTION...: a library without that fence must hang, and be seen to
# have lost just that.
no_fence() {
    local program="$bin/stress/stress_no_$1_fence" lost=$2 said
    shift 2
    said=$("$program" "$@")
    echo "$said"
    case $said in
    *"a lost $lost") ;;
    *) echo "no $lost was lost without a fence: widen the window"; return 1 ;;
    esac
}

tsan() {
    local runner
    runner=$(tsan_runner) || { echo "left out: no ThreadSanitizer program runs here"; return 0; }
    TSAN_OPTIONS='exitcode=66 halt_on_error=1' ${runner//;/ } "$bin/stress/stress_tsan" "$@"
}

proof() {
    command -v cbmc >/dev/null || { echo "left out: no program cbmc (Debian 13 has it)"; return 0; }
    mapfile -t names < <(unit/proof/prove.py list --nightly) &&
        unit/proof/prove.py run "${names[@]}" && unit/proof/prove.py mutants
}

# The commands of lib/README.md and unit/Makefile, word for word, in a fresh clone.
as_written() {
    rm -rf "$logs/clone" && git clone -q . "$logs/clone" && (
        cd "$logs/clone" && bash -exc "$(sed -n '/^```sh$/,/^```$/{//!p}' lib/README.md)" &&
            make -C unit test
    ) && rm -rf "$logs/clone"
}

bin=build/unit/unit
step build built
if wanted test; then
    step test make test
fi
if wanted e2e; then
    step e2e make nightly-e2e
fi
# The same once more with counters in the driver: which lines of it and of the library run.
if wanted coverage-e2e; then
    step coverage-e2e make coverage-e2e
fi
# A device that lies at random, a new seed each night; its log names the seed.
if wanted hostile-fuzz; then
    step hostile-fuzz make fuzz-e2e SECONDS="$(scaled 3600)"
fi
# What hosts and operators do, at random, likewise.
if wanted host-faults; then
    step host-faults make faults-e2e SECONDS="$(scaled 3600)"
fi
# Each check of what a device says, switched off: its test fails.
if wanted hostile-checks; then
    step hostile-checks ci/hostile_checks.py --jobs 2
fi
# The rig's long tests, the smoke set through every kind of libvirt connection among them,
# which needs root.
if wanted rig-test; then
    step rig-test make nightly-rig-test
fi
# Faults in the kernel debugger's target side, each of which a test has to find.
if wanted kd-planted; then
    step kd-planted ci/kd_planted.py
fi
if wanted sanitizers; then
    step sanitizers sanitized
fi
if wanted as-written; then
    step as-written as_written
fi
# Depths beyond what ctest sees through; from unit/model_check/CMakeLists.txt.
if wanted model-check; then
    step model-check "$bin/model_check/model_check" --model tso,pso,weak --size 2 \
        --event-idx all --program all --buffers 4 --chains off --limit 100000000
    step model-check-size4 "$bin/model_check/model_check" --model tso,pso --size 4 \
        --event-idx all --program batch,submit --buffers 4 --chains off --limit 100000000
    step model-check-size4-weak "$bin/model_check/model_check" --model weak --size 4 \
        --event-idx all --program has-used,get-used,submit --buffers 3 --chains off \
        --limit 100000000
    step model-check-forged "$bin/model_check/model_check_sanitized" --model sc,tso \
        --adversary 2 --size 1,2 --event-idx all --program all --buffers 2 --chains all \
        --limit 100000000
    step model-check-forged-size4 "$bin/model_check/model_check" --model sc --adversary 1 \
        --size 4 --event-idx all --program all --buffers 2
fi
# Without a full fence a wake-up is lost after some hundred to some million rounds where
# the window is wide, as in unit/stress/; elsewhere after tens of millions: so many
# rounds, and more.
if wanted stress; then
    step stress-no-kick-fence no_fence kick kick --buffers 300000000
    step stress-no-kick-fence-flags no_fence kick kick --no-event-idx --buffers 300000000
    step stress-no-enable-fence no_fence enable interrupt --buffers 300000000
    step stress-no-enable-fence-flags no_fence enable interrupt --no-event-idx \
        --buffers 300000000
    step stress-no-drain-fence no_fence drain interrupt --interrupts-on --depth 8 \
        --buffers 300000000
    step stress-flags "$bin/stress/stress" --no-event-idx --buffers "$(scaled 100000000)"
    step stress-event-idx "$bin/stress/stress" --buffers "$(scaled 100000000)"
    step stress-deep "$bin/stress/stress" --depth 32 --buffers "$(scaled 400000000)"
    step stress-batch "$bin/stress/stress" --batch 8 --depth 16 --segments 4 \
        --buffers "$(scaled 200000000)"
    step stress-interrupts-on "$bin/stress/stress" --interrupts-on --depth 8 \
        --buffers "$(scaled 50000000)"
    step stress-interrupts-on-batch "$bin/stress/stress" --interrupts-on --batch 4 \
        --depth 8 --segments 2 --buffers "$(scaled 50000000)"
    step stress-processes "$bin/stress/stress" --processes --depth 2 \
        --buffers "$(scaled 100000000)"
fi
if wanted tsan; then
    step tsan-flags tsan --no-event-idx --buffers "$(scaled 5000000)"
    step tsan-event-idx tsan --buffers "$(scaled 5000000)"
    step tsan-deep tsan --depth 32 --buffers "$(scaled 20000000)"
    step tsan-batch tsan --batch 8 --depth 16 --segments 4 --buffers "$(scaled 20000000)"
    step tsan-interrupts-on tsan --interrupts-on --depth 8 --buffers "$(scaled 5000000)"
fi
if wanted proof; then
    step proof proof
fi
# What a fuzzer found is named at the end of its log; new inputs stay beside it.
fuzz() {
    local name=$1 max_len=$2 seconds=$3
    mkdir -p "$logs/corpus.$name"
    step "fuzz-$name" "$bin/fuzz/${name}_fuzz" -max_total_time="$(scaled "$seconds")" \
        -max_len="$max_len" -timeout=10 -entropic=0 -artifact_prefix="$logs/" \
        "$logs/corpus.$name" "unit/fuzz/corpus/$name"
}
afl() {
    step "afl-$1" unit/fuzz/afl.sh "$1" "$bin/fuzz" "$(scaled "$3")" "$2"
}
if wanted fuzz; then
    for each in 'virtqueue_split 196 3600' 'virtio_pci 272 1800' 'virtio_sg_pfn 274 600'; do
        # shellcheck disable=SC2086  # three words
        fuzz $each; afl $each
    done
    fuzz kd_packet 600 600
    step fuzz-planted unit/fuzz/planted.py "$bin/fuzz"
fi
if wanted mutation; then
    step mutation ci/mutate.py
fi
# A part of the mutants each night, another one the next: all of them take some hours.
if wanted mutation-driver; then
    seed=$(date +%Y%m%d)
    step mutation-driver ci/mutate.py --tree driver --sample "$(scaled 400)" --seed "$seed"
fi

if [ ${#failed[@]} -gt 0 ]; then
    echo "nightly: failed: ${failed[*]}" >&2
    exit 1
fi
echo "nightly: all passed"
