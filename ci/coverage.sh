#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Line and branch coverage of lib/ by its unit tests, held against the floors in
# ci/coverage-floor.txt. Exit status: 0 at or above them, 1 below, 3 can't build.
set -uo pipefail
cd "$(dirname "$0")/.."
build=build/unit
read -r lines branches < <(grep -v '^#' ci/coverage-floor.txt)

ci/quiet.sh coverage cmake -S . -B "$build" -G Ninja || exit 3
find "$build" -name '*.gcda' -delete
ci/quiet.sh coverage cmake --build "$build" --target library_tests_coverage || exit 3
# Shards, one a CPU: gcov's counters are added up under a lock of their file.
export GTEST_TOTAL_SHARDS GTEST_BRIEF=1
GTEST_TOTAL_SHARDS=$(nproc)
seq 0 $((GTEST_TOTAL_SHARDS - 1)) |
    ci/quiet.sh coverage xargs -P0 -I{} env GTEST_SHARD_INDEX={} \
        "$build/unit/library_tests_coverage" || exit 1

# Branches that only the compiler sees (exceptions, unreachable ones) don't count.
report() {
    gcovr -r . --filter 'lib/.*' --exclude-throw-branches --exclude-unreachable-branches \
        --object-directory "$build" "$@" "$build" | grep -E '^(lib|TOTAL)'
    return "${PIPESTATUS[0]}"
}
echo "coverage: lines, at least $lines %"
report --fail-under-line "$lines" || exit 1
echo "coverage: branches, at least $branches %"
report --branches --fail-under-branch "$branches" || exit 1
