#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Formatting, lint, and whether the faults that the nightly run plants still fit; the same
# here and in CI. `ci/check.sh --fix` formats.
set -uo pipefail
cd "$(dirname "$0")/.."

mapfile -t cxx < <(git ls-files --cached --others --exclude-standard -- \
    '*.c' '*.cpp' '*.h' '*.hpp')
mapfile -t lib < <(git ls-files --cached --others --exclude-standard -- 'lib/*.cpp')
failed=()

if [ "${1:-}" = --fix ]; then
    clang-format -i "${cxx[@]}"
fi

# Output of a newer clang-format differs in places; CI and this list agree on
# the release that Debian 12 has.
if clang-format --version | grep -q 'version 14\.'; then
    echo "check: clang-format (${#cxx[@]} files)"
    clang-format --dry-run -Werror "${cxx[@]}" 2>&1 | grep -E 'error|warning' | head -n 20
    [ "${PIPESTATUS[0]}" -eq 0 ] || failed+=(clang-format)
else
    echo "check: clang-format skipped: formatting is judged by version 14 (Debian 12)"
fi

echo "check: clang-tidy (lib, ${#lib[@]} files)"
printf '%s\0' "${lib[@]}" | xargs -0 -n 2 -P "$(nproc)" sh -c \
    'clang-tidy --quiet "$@" -- -std=c++98 -Ilib 2>/dev/null' tidy || failed+=(clang-tidy)

echo "check: flake8"
/usr/bin/python3 -m flake8 --max-line-length 100 e2e ci unit guest_driver || failed+=(flake8)

# What the nightly run breaks on purpose is named by the library's own text.
echo "check: planted faults fit the library"
unit/fuzz/planted.py --check || failed+=(planted)
unit/proof/prove.py check || failed+=(planted)
ci/kd_planted.py --check || failed+=(planted)
ci/mutate.py --check || failed+=(planted)
ci/hostile_checks.py --check || failed+=(planted)

echo "check: the nightly run's list of steps"
ci/nightly.sh --check || failed+=(nightly)

echo "check: licence headers"
while IFS= read -r f; do
    echo "no SPDX-License-Identifier: $f"
    failed+=(licence)
done < <(git ls-files --cached --others --exclude-standard -- '*.cpp' '*.h' '*.c' '*.S' '*.py' \
    '*.sh' '*.cmake' '*CMakeLists.txt' Makefile | xargs grep -L 'SPDX-License-Identifier: MIT')

if [ ${#failed[@]} -gt 0 ]; then
    echo "check: failed: $(printf '%s\n' "${failed[@]}" | sort -u | tr '\n' ' ')" >&2
    exit 1
fi
echo "check: ok"
