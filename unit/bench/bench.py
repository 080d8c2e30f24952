#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the benchmark, prints library beside floor, compares with a baseline.

bench.py run PROGRAM --save FILE            prints the table, keeps the numbers
bench.py compare PROGRAM --baseline FILE    ... and fails where a ratio got worse

Times differ between machines and between hours; the ratio of the library to
the floor, measured in the same run, is what is compared. Exit status: 0, 1 a
ratio got worse by more than 10 %, 2 wrong use or no usable measurement.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

WORSE = 1.10
NAME = re.compile(r"(?P<threads>\w+ threads?)/(?P<calls>call a \w+)/(?P<side>floor|library|both)/"
                  r"batch:(?P<batch>\d+)/segments:(?P<segments>\d+)/indirect:(?P<indirect>[01])")


def run(program, repetitions, only):
    command = [program, "--benchmark_format=json", "--benchmark_min_time=0.005",
               f"--benchmark_repetitions={repetitions}",
               "--benchmark_enable_random_interleaving=true"]
    if only:
        command.append("--benchmark_filter=" + "|".join(only))
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        print(f"bench: {program} ended with status {done.returncode}", file=sys.stderr)
        raise SystemExit(2)
    return json.loads(done.stdout)["benchmarks"]


def measure(program, rounds, only=None):
    """{row: {"library": ns a buffer, "floor": ..., "ratio": ...}}

    One thread: the least of all repetitions of each side, since all that disturbs
    one makes it slower; the rows are interleaved at random, and each round is a
    process of its own, since where memory happens to be is worth several percent.
    Two threads: the program compares the two sides moment by moment; the median."""
    seen = {}
    for _ in range(rounds):
        for entry in run(program, 3, only):
            match = NAME.match(entry["run_name"])
            if entry["run_type"] != "iteration" or not match:
                continue
            row = (f"{match['threads']}, {match['calls']}, batch {match['batch']}, "
                   f"{match['segments']} seg, "
                   f"{'indirect' if match['indirect'] == '1' else 'direct'}")
            kept = seen.setdefault(row, {})
            if match["side"] == "both":
                for name in ("library", "floor"):
                    kept.setdefault(name, []).append(entry[f"{name}_ns"])
                kept.setdefault("ratio", []).append(entry["ratio"])
            else:
                kept.setdefault(match["side"], []).append(
                    entry["cpu_time"] / int(match["batch"]))
    return {row: summary(kept) for row, kept in seen.items()}


def summary(kept):
    if "ratio" in kept:
        return {name: statistics.median(values) for name, values in kept.items()}
    library, floor = min(kept["library"]), min(kept["floor"])
    return {"library": library, "floor": floor, "ratio": library / floor}


def ratio(sides):
    return sides["ratio"]


def print_table(rows, baseline=None):
    print(f"{'row':<52} {'library ns':>10} {'floor ns':>9} {'ratio':>6}"
          + (f" {'before':>7}" if baseline else ""))
    for row, sides in sorted(rows.items()):
        before = f" {ratio(baseline[row]):7.2f}" if baseline and row in baseline else ""
        print(f"{row:<52} {sides['library']:10.2f} {sides['floor']:9.2f} "
              f"{ratio(sides):6.2f}{before}")


def filters_of(rows):
    """Filters that select just these rows, both sides."""
    result = []
    for row in rows:
        threads, calls, batch, segments, indirect = row.split(", ")
        result.append(f"^{threads}/{calls}/[a-z]*/batch:{batch.split()[1]}/"
                      f"segments:{segments.split()[0]}/indirect:{int(indirect == 'indirect')}(/|$)")
    return result


def worse_rows(rows, baseline):
    return [row for row in rows
            if row in baseline and ratio(rows[row]) > WORSE * ratio(baseline[row])]


def compare(program, rounds, baseline):
    rows = measure(program, rounds)
    suspects = worse_rows(rows, baseline)
    if suspects:
        # Long enough, this time, that a busy machine is not taken for a slow library.
        rows.update(measure(program, 3 * rounds, filters_of(suspects)))
    print_table(rows, baseline)
    gone = sorted(set(baseline) - set(rows))
    for row in gone:
        print(f"bench-compare: {row}: in the baseline, not measured any more")
    failed = worse_rows(rows, baseline)
    for row in failed:
        print(f"bench-compare: {row}: {ratio(baseline[row]):.2f} -> {ratio(rows[row]):.2f} "
              f"x the floor, worse by more than 10 %")
    return 1 if failed or gone else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "compare"])
    parser.add_argument("program")
    parser.add_argument("--save", type=pathlib.Path, help="run: where the numbers go")
    parser.add_argument("--baseline", type=pathlib.Path, help="compare: from an earlier --save")
    parser.add_argument("--rounds", type=int, default=6, help="processes to run")
    args = parser.parse_args()
    if args.what == "compare":
        try:
            baseline = json.loads(args.baseline.read_text())
            if not all("ratio" in sides for sides in baseline.values()):
                raise ValueError("made by another version of this program")
        except (OSError, ValueError, AttributeError) as error:
            parser.error(f"no usable baseline ({error}): `make bench` makes one")
        return compare(args.program, args.rounds, baseline)
    rows = measure(args.program, args.rounds)
    print_table(rows)
    if args.save:
        args.save.parent.mkdir(parents=True, exist_ok=True)
        args.save.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
