#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Configures as lib/README.md tells, and looks whether the library's tests are there;
# and that `make test` in unit/ would configure, build and run them.
#
#   older_options.sh REPOSITORY BUILD
set -eu
cd "$1"
rm -rf "$2"
command=$(grep -h '^cmake -S ' lib/README.md)
for option in -DAERO_VIRTIO_BUILD_TESTS=ON -DAERO_AEROGPU_BUILD_TESTS=OFF; do
    case $command in
    *"-B build-virtio-tests"*"$option"*) ;;
    *) echo "lib/README.md no longer has $option" >&2 && exit 1 ;;
    esac
done
sh -c "$(printf '%s' "$command" | sed "s|-B build-virtio-tests|-B '$2'|")"
tests=$(ctest --test-dir "$2" -N -C Release)
for source in unit/*_test.cpp; do
    name=$(basename "$source" .cpp)
    printf '%s\n' "$tests" | grep -q " $name\$" || {
        echo "$name is no test" >&2
        exit 1
    }
done
plan=$(make -n -C unit test BUILD="$2")
for step in "cmake -S .. -B $2" "cmake --build $2" "ctest --test-dir $2"; do
    printf '%s\n' "$plan" | grep -qF -- "$step" || {
        echo "make test in unit/ does not run '$step'" >&2
        exit 1
    }
done
