#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each check of what a device says, switched off: does a test of hostile devices fail?

e2e/hostile/checks/*.toml are the list. The driver, vq7lib.sys or a unit test is built from a
copy of the sources, once, and again with each check off. The test that the list names for it,
run in the guest of `make guest-x64`, has to fail, with the verdict and the words given there.

    ci/hostile_checks.py [--only WORDS]   those whose name has the words
                         [--part K/N]     every N-th, from the K-th on
                         [--jobs 1]       so many at a time
                         [--check]        only whether the list fits the sources: each text is
                                          there once, each test exists, and each place where a
                                          device is blamed is listed

Exit status: 0 each was found, 1 one was not, 2 wrong use, 3 what is unchanged fails or
doesn't build. What is built is in build/hostile-checks.
"""
import argparse
import collections
import concurrent.futures
import queue
import subprocess
import sys
import time

import hostile_list
from hostile_bench import BenchError, Workplace, test_of


def part_of(checks, part):
    """What --part leaves of them."""
    if not part:
        return checks
    number, _, count = part.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ValueError(f"--part {part}: must be K/N, such as 1/3")
    return checks[int(number) - 1::int(count)]


def judge_all(checks, jobs):
    """Prints each as soon as it is judged. Returns how many were missed."""
    places = queue.SimpleQueue()
    for number in range(jobs):
        places.put(Workplace(number))
    place = places.get()
    place.passes([test_of(check) for check in checks])
    places.put(place)

    def judge(check):
        began = time.monotonic()
        place = places.get()
        try:
            right, seen = place.judge(check)
        finally:
            places.put(place)
        print(f"{'found ' if right else 'MISSED'}  {check['name']}: {seen}  "
              f"({hostile_list.named(check)}, {time.monotonic() - began:.0f} s)", flush=True)
        return right

    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(judge, checks)).count(False)


def summary(checks, missed):
    kinds = collections.Counter(hostile_list.kind(check) for check in checks)
    return (f"hostile-checks: {len(checks)} switched off, {len(checks) - missed} found ("
            + ", ".join(f"{count} by a {kind}" for kind, count in kinds.most_common()) + ")")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--part", default="")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        listed = hostile_list.load()
        if arguments.check:
            return 0
        checks = part_of([each for each in listed if arguments.only in each["name"]],
                         arguments.part)
        if not checks or arguments.jobs < 1:
            parser.error(f"no check has '{arguments.only}' in its name, or no job is to do it")
        missed = judge_all(checks, arguments.jobs)
    except ValueError as bad:
        parser.error(str(bad))
    except (BenchError, OSError, subprocess.SubprocessError) as bad:
        print(f"hostile-checks: {bad}", file=sys.stderr)
        return 1 if arguments.check else 3
    print(summary(checks, missed))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
