#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutation testing of lib/: does a test notice when a line is wrong?

Each mutant changes one place in one file of lib/ (mutation_operators.py says how)
and must make a test fail: first the unit tests of the file's family, then, for the
queue, those that look at the order of accesses, and the model check; then the unit
tests as a 32-bit program, and those with the address and undefined behaviour sanitizers.
A mutant that uses up three times the processor time hangs, and is killed.

A mutant whose optimized machine code is the original's, byte for byte, on 64 and on 32
bits, can't be told apart and does not count; nor does one that does not compile. Any
other survivor is printed, and must be killed by a new test, or be listed in
ci/mutants-equivalent.txt with the reason why no test can tell it apart.

    ci/mutate.py [--file virtqueue_split.cpp]... [--jobs 2] [--floor 95] [--sample N]
                 [--again]                  only those that survived the last run
                 [--quick]                  the family's unit tests alone
                 [--check]                  only whether what the list names is in lib/

Exit status: 0 enough killed and the list is right, 1 not, 2 wrong use, 3 the unmutated
tests fail or do not build. What it builds is in build/mutate; there, verdicts.txt has
each mutant as soon as it is judged: the verdict, the seconds it took, the key.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import random
import sys
import tempfile
import time

import mutation_operators
from mutation_bench import Bench, BenchError, Workplace

TOP = pathlib.Path(__file__).resolve().parent.parent
EQUIVALENT = TOP / "ci" / "mutants-equivalent.txt"
BUILD = TOP / "build" / "mutate"
SURVIVORS = BUILD / "survivors.txt"
VERDICTS = BUILD / "verdicts.txt"
KILLED = ("test", "time", "order", "model", "m32", "sanitizer")


def equivalents():
    known = {}
    for line in EQUIVALENT.read_text().splitlines() if EQUIVALENT.exists() else []:
        if line.strip() and not line.startswith("#"):
            key, _, reason = line.partition("  # ")
            known[key.strip()] = reason.strip()
    return known


def choose(arguments):
    files = sorted((TOP / "lib").glob("virt*.cpp")) + sorted((TOP / "lib").glob("virt*.h"))
    unknown = set(arguments.file or []) - {f.name for f in files}
    if unknown:
        print(f"mutate: not in lib/: {' '.join(sorted(unknown))}", file=sys.stderr)
        sys.exit(2)
    if arguments.file:
        files = [f for f in files if f.name in arguments.file]
    mutants = [m for f in files for m in mutation_operators.mutants_of(f)]
    if arguments.again:
        last = set(SURVIVORS.read_text().splitlines()) if SURVIVORS.exists() else set()
        mutants = [m for m in mutants if m.key() in last]
    if arguments.sample and arguments.sample < len(mutants):
        mutants = random.Random(1).sample(mutants, arguments.sample)
    return mutants


def judge_all(mutants, bench, jobs, known):
    """[(mutant, verdict)]; survivors are printed as they are found."""
    results = []

    def work(workplace, share):
        for mutant in share:
            start = time.monotonic()
            verdict = workplace.judge(mutant)
            results.append((mutant, verdict))
            print(verdict, round(time.monotonic() - start, 1), " ".join(mutant.key().split()),
                  sep="\t", file=verdicts, flush=True)
            if len(results) % 100 == 0:
                print(f"mutate: {len(results)} of {len(mutants)}", file=sys.stderr, flush=True)
            if verdict == "survived" and mutant.key() not in known:
                print(f"survived: lib/{mutant.path.name}:{mutant.line}: {mutant.name()}\n"
                      f"    {mutant.key()}", flush=True)

    with tempfile.TemporaryDirectory(prefix="vq7-mutate-") as folder, \
            open(VERDICTS, "w") as verdicts, \
            concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        workplaces = [Workplace(bench, pathlib.Path(folder) / str(i)) for i in range(jobs)]
        shares = [mutants[i::jobs] for i in range(jobs)]
        for _ in pool.map(work, workplaces, shares):
            pass
    return results


def print_table(results):
    count = collections.Counter((m.path.name, v) for m, v in results)
    columns = ["mutants", *KILLED, "survived", "killed"]
    print(f"{'':28}" + "".join(f"{c:>10}" for c in columns))
    for name in sorted({m.path.name for m, _ in results}):
        numbers = [count[name, v] for v in (*KILLED, "survived")]
        total = sum(numbers)
        if total:
            share = 100.0 * (total - numbers[-1]) / total
            print(f"{name:28}" + "".join(f"{n:10}" for n in [total, *numbers]) + f"{share:8.1f} %")


def report(results, known, arguments):
    """Whether enough were killed, every survivor is explained and no explanation is stale."""
    counted = [(m, v) for m, v in results if v in (*KILLED, "survived")]
    survivors = {m.key() for m, v in counted if v == "survived"}
    judged = {m.key() for m, v in results}
    files = {m.path.name for m, _ in results}
    unexplained = survivors - {k for k, reason in known.items() if reason}
    stale = [k for k in known if k not in survivors and (k in judged or not (
        arguments.again or arguments.sample or k.split(":")[0] not in files))]
    for key in stale:
        print(f"listed as equivalent, but killed, not counted or not there:\n    {key}")
    print_table(results)
    same = sum(v == "same" for _, v in results)
    killed = len(counted) - len(survivors)
    share = 100.0 * killed / len(counted) if counted else 100.0
    print(f"mutate: {len(counted)} mutants, {killed} killed ({share:.1f} %), {len(survivors)} "
          f"survived, {len(survivors) - len(unexplained)} of them explained; not counted: {same} "
          f"with the original's code, {len(results) - len(counted) - same} that do not compile")
    SURVIVORS.write_text("".join(f"{k}\n" for k in sorted(survivors)))
    return share >= arguments.floor and not unexplained and not stale


def check(mutants, known):
    gone = set(known) - {m.key() for m in mutants}
    for key in sorted(gone):
        print(f"listed as equivalent, but not there:\n    {key}")
    return 1 if gone else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--floor", type=float, default=95.0)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    mutants = choose(arguments)
    known = equivalents()
    if arguments.check:
        return check(mutants, known)
    try:
        bench = Bench(TOP, BUILD, arguments.quick)
        results = judge_all(mutants, bench, arguments.jobs, known)
    except BenchError as e:
        print(f"mutate: {e}", file=sys.stderr)
        return 3
    # The share that --floor wants is that of a whole run.
    if arguments.again:
        arguments.floor = 0
    return 0 if report(results, known, arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
