#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutation testing of lib/ and of the driver: does a test notice when a line is wrong?

Each mutant changes one place in one file (mutation_operators.py says how) and must make
a test fail.

--tree lib (the default), lib/: first the unit tests of the file's family, then, for the
queue, those that look at the order of accesses, and the model check; then the unit
tests as a 32-bit program, and those with the address and undefined behaviour sanitizers.
A mutant that uses up three times the processor time hangs, and is killed.

--tree driver, guest_driver/driver/: first the host tests of the file, then the e2e tests
of ci/mutation_e2e.txt, in that order, in a guest that has the mutant as its driver. What
is only logged (the arguments of Vq7Log) is not changed.

A mutant whose optimized machine code is the original's, byte for byte, on 64 and on 32
bits (the driver: on 64), can't be told apart and does not count; nor does one that does
not compile. Any other survivor is printed, and must be killed by a new test, or be listed
in ci/mutants-equivalent.txt (the driver: ci/mutants-equivalent-driver.txt) with the reason
why no test can tell it apart: one that is not listed fails the run.

    ci/mutate.py [--tree lib|driver] [--file NAME.cpp]... [--jobs 2] [--floor 95]
                 [--sample N] [--seed S]    so many, at random; the same ones for a seed
                 [--again]                  only those that survived the last run
                 [--only FILE]              only those whose keys the file has, one a line
                 [--resume]                 go on with a run that was interrupted
                 [--quick]                  unit tests alone (lib: the family's)
                 [--check]                  only whether what the lists name is there

Exit status: 0 enough killed and the list is right, 1 not, 2 wrong use, 3 the unmutated
tests fail or do not build, 130 interrupted. What it builds is in build/mutate, or in
build/mutate-driver; there, verdicts.txt has each mutant as soon as it is judged: the
verdict, the seconds it took, the key, and the test that failed where that is known.
"""
import argparse
import collections
import concurrent.futures
import hashlib
import pathlib
import random
import signal
import sys
import threading
import time

import mutation_driver
import mutation_operators
from mutation_bench import Bench, BenchError, Verdict, Workplace
from mutation_driver import DriverBench, DriverWorkplace

TOP = pathlib.Path(__file__).resolve().parent.parent


class Library:
    """lib/"""
    folder, patterns, floor = TOP / "lib", ("virt*.cpp", "virt*.h"), 95.0
    equivalent = TOP / "ci" / "mutants-equivalent.txt"
    build = TOP / "build" / "mutate"
    killed = ("test", "time", "order", "model", "m32", "sanitizer")
    judges = ("lib", "unit")
    bench, workplace = Bench, Workplace

    @staticmethod
    def mutants_of(path):
        return mutation_operators.mutants_of(path)

    @staticmethod
    def stale_tests():
        return []


class Driver:
    """guest_driver/driver/"""
    folder, patterns, floor = TOP / "guest_driver" / "driver", ("*.cpp", "*.h"), 92.0
    equivalent = TOP / "ci" / "mutants-equivalent-driver.txt"
    build = TOP / "build" / "mutate-driver"
    killed = ("unit", "fail", "crash", "hang")
    judges = ("lib", "guest_driver", "unit/driver", "e2e/tests", "e2e/vq7rig", "qemu_configs", "ci")
    bench, workplace = DriverBench, DriverWorkplace

    @staticmethod
    def mutants_of(path):
        mutants = mutation_operators.mutants_of(path)
        spans = mutation_driver.logged(path.read_text())
        return [m for m in mutants if not any(s <= m.start < e for s, e in spans)]

    @staticmethod
    def stale_tests():
        return mutation_driver.stale_tests(TOP, TOP / "ci" / "mutation_e2e.txt")


TREES = {"lib": Library, "driver": Driver}


def equivalents(tree):
    known = {}
    path = tree.equivalent
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.strip() and not line.startswith("#"):
            key, _, reason = line.partition("  # ")
            known[key.strip()] = reason.strip()
    return known


def usage(text):
    print(f"mutate: {text}", file=sys.stderr)
    sys.exit(2)


def keys_in(path):
    """Of a file of keys, or of verdicts."""
    try:
        lines = path.read_text().splitlines()
    except OSError as bad:
        usage(f"can't read {path}: {bad.strerror}")
    return {line.split("\t")[2] if "\t" in line else " ".join(line.split())
            for line in lines if line.strip() and not line.startswith("#")}


def named(key):
    """A key as it is in a line of verdicts."""
    return " ".join(key.split())


def choose(arguments, tree):
    files = [f for pattern in tree.patterns for f in sorted(tree.folder.glob(pattern))]
    unknown = set(arguments.file or []) - {f.name for f in files}
    if unknown:
        usage(f"not in {tree.folder.relative_to(TOP)}/: {' '.join(sorted(unknown))}")
    if arguments.file:
        files = [f for f in files if f.name in arguments.file]
    mutants = [m for f in files for m in tree.mutants_of(f)]
    survivors = tree.build / "survivors.txt"
    for path in [survivors] * arguments.again + [arguments.only] * bool(arguments.only):
        wanted = keys_in(path) if path != survivors or path.exists() else set()
        mutants = [m for m in mutants if named(m.key()) in wanted]
        gone = wanted - {named(m.key()) for m in mutants}
        if arguments.only and gone:
            print(f"mutate: {len(gone)} of {len(wanted)} that {path} names are not there (any "
                  "more)", file=sys.stderr)
    if arguments.sample and arguments.sample < len(mutants):
        mutants = random.Random(arguments.seed).sample(mutants, arguments.sample)
    return mutants


class Record:
    """verdicts.txt: what has been judged, and of what state of the sources and tests."""

    def __init__(self, tree, resume):
        self.path = tree.build / "verdicts.txt"
        self.state = "# " + fingerprint(tree)
        self.known = self.load() if resume else {}
        self.lock = threading.Lock()
        if not self.known:
            self.path.write_text(self.state + "\n")

    def load(self):
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if lines and lines[0] != self.state:
            usage(f"{self.path} is of another state of the sources or tests: run without --resume")
        return {key: Verdict(verdict, by) for verdict, _, key, by in
                (line.split("\t") for line in lines[1:])}

    def add(self, mutant, verdict, seconds):
        by = getattr(verdict, "by", "")
        with self.lock, open(self.path, "a") as file:
            print(verdict, round(seconds, 1), named(mutant.key()), by, sep="\t", file=file)


def fingerprint(tree):
    digest = hashlib.sha256()
    for folder in tree.judges:
        for path in sorted((TOP / folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc" and path != tree.equivalent:
                digest.update(f"{path} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def judge_all(mutants, bench, arguments, tree, known):
    """[(mutant, verdict)]; survivors are printed as they are found."""
    record = Record(tree, arguments.resume)
    results = [(m, record.known[named(m.key())]) for m in mutants if named(m.key()) in record.known]
    mutants = [m for m in mutants if named(m.key()) not in record.known]
    waiting = iter(mutants)

    def work(workplace):
        while True:
            with record.lock:
                mutant = next(waiting, None)
            if mutant is None:
                return
            start = time.monotonic()
            verdict = workplace.judge(mutant)
            results.append((mutant, verdict))
            record.add(mutant, verdict, time.monotonic() - start)
            if len(results) % 100 == 0:
                print(f"mutate: {len(results)} of {len(mutants)}", file=sys.stderr, flush=True)
            if verdict == "survived" and mutant.key() not in known:
                print(f"survived: {tree.folder.relative_to(TOP)}/{mutant.path.name}:{mutant.line}: "
                      f"{mutant.name()}\n    {mutant.key()}", flush=True)

    with bench.workplaces() as folder, \
            concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        places = [tree.workplace(bench, folder / str(i)) for i in range(arguments.jobs)]
        try:
            for _ in pool.map(work, places):
                pass
        except BaseException:
            waiting = iter(())
            for place in places:
                place.stop()
            raise
    return results


def print_table(results, tree):
    count = collections.Counter((m.path.name, v) for m, v in results)
    ends = (*tree.killed, *alive(tree))
    print(f"{'':28}" + "".join(f"{c:>10}" for c in ("mutants", *ends, "killed")))
    for name in sorted({m.path.name for m, _ in results}):
        numbers = [count[name, v] for v in ends]
        total, killed = sum(numbers), sum(count[name, v] for v in tree.killed)
        if total:
            print(f"{name:28}" + "".join(f"{n:10}" for n in [total, *numbers]) +
                  f"{100.0 * killed / total:8.1f} %")


def alive(tree):
    """What a mutant that counts and is not killed ends as."""
    return ("survived", "rig") if tree is Driver else ("survived",)


def report(results, known, arguments, tree):
    """Whether enough were killed, every survivor is explained and no explanation is stale."""
    counted = [(m, v) for m, v in results if v in (*tree.killed, *alive(tree))]
    survivors = {m.key() for m, v in counted if v in alive(tree)}
    judged = {m.key() for m, v in results}
    files = {m.path.name for m, _ in results}
    # A rig error kills none, and says nothing of the tests either.
    unexplained = {m.key() for m, v in counted if v == "survived"} - {
        k for k, reason in known.items() if reason}
    stale = [k for k in known if k not in survivors and (k in judged or not (
        arguments.part or k.split(":")[0] not in files))]
    for key in stale:
        print(f"listed as equivalent, but killed, not counted or not there:\n    {key}")
    print_table(results, tree)
    same = sum(v == "same" for _, v in results)
    killed = len(counted) - len(survivors)
    share = 100.0 * killed / len(counted) if counted else 100.0
    sample = f"sample of {arguments.sample}, seed {arguments.seed}: " if arguments.sample else ""
    print(f"mutate: {sample}{len(counted)} mutants, {killed} killed ({share:.1f} %), "
          f"{len(survivors)} survived, {len(unexplained)} of them unexplained; "
          f"not counted: {same} with the original's code, {len(results) - len(counted) - same} "
          "that do not compile")
    (tree.build / "survivors.txt").write_text("".join(f"{k}\n" for k in sorted(survivors)))
    return share >= arguments.floor and not stale and not unexplained


def check(mutants, known, tree):
    gone = set(known) - {m.key() for m in mutants}
    for key in sorted(gone):
        print(f"listed as equivalent, but not there:\n    {key}")
    tests = tree.stale_tests()
    for test in tests:
        print(f"listed in ci/mutation_e2e.txt, but not there:\n    {test}")
    return bool(gone or tests)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], epilog="\n".join(
        __doc__.splitlines()[1:]), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tree", choices=TREES, default="lib")
    parser.add_argument("--file", action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--floor", type=float, help="the share that must be killed, %%")
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--only", type=pathlib.Path)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    tree = TREES[arguments.tree]
    arguments.floor = tree.floor if arguments.floor is None else arguments.floor
    # The share that --floor wants is that of a whole run, or of a fair sample of one.
    if arguments.again or arguments.only:
        arguments.floor = 0
    arguments.part = arguments.again or arguments.only or arguments.sample
    return arguments


def interrupt(_number, _frame):
    raise KeyboardInterrupt


def main():
    arguments = parse()
    if arguments.check:
        return 1 if any([check(choose(arguments, t), equivalents(t), t)
                         for t in TREES.values()]) else 0
    tree = TREES[arguments.tree]
    mutants, known = choose(arguments, tree), equivalents(tree)
    signal.signal(signal.SIGTERM, interrupt)
    try:
        tree.build.mkdir(parents=True, exist_ok=True)
        bench = tree.bench(TOP, tree.build, arguments.quick)
        results = judge_all(mutants, bench, arguments, tree, known)
    except BenchError as e:
        print(f"mutate: {e}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        print("mutate: interrupted; --resume goes on", file=sys.stderr)
        return 130
    return 0 if report(results, known, arguments, tree) else 1


if __name__ == "__main__":
    sys.exit(main())
