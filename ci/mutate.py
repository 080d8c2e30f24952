#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mutation testing of lib/: does a test notice when a line is wrong?

Each mutant changes one place in one source of lib/, is built together with the
unit tests, and must make one of them fail. What survives is printed, and the exit
status is 1 when fewer than --floor percent were killed, or when a survivor is not
listed in ci/mutants-equivalent.txt with the reason why nobody can tell it apart.

    ci/mutate.py [--file virtqueue_split.cpp] [--jobs 2] [--floor 95] [--sample N]

Exit status: 0 enough killed, 1 survivors, 2 wrong use, 3 the unmutated tests fail.
"""
import argparse
import concurrent.futures
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
EQUIVALENT = TOP / "ci" / "mutants-equivalent.txt"
TESTS = sorted((TOP / "unit").glob("*_test.cpp"))
TEST_LIMIT_S = 60
BUILD_LIMIT_S = 1200        # the first build of a worker is the whole of it

# (name, pattern, replacement); the pattern's first group is what is replaced.
OPERATORS = [
    ("eq", r"(?<![=!<>])(==)(?!=)", "!="),
    ("ne", r"(!=)", "=="),
    ("lt", r"(?<![<-])( < )", " <= "),
    ("le", r"( <= )", " < "),
    ("gt", r"(?<![->])( > )", " >= "),
    ("ge", r"( >= )", " > "),
    ("and", r"( && )", " || "),
    ("or", r"( \|\| )", " && "),
    ("plus", r"( \+ )", " - "),
    ("minus", r"( - )", " + "),
    ("times", r"( \* )(?=[a-zA-Z(])", " + "),
    ("bitand", r"( & )", " | "),
    ("bitor", r"( \| )", " & "),
    ("shift", r"( >> )", " << "),
    ("not", r"(!)(?=[A-Za-z(])", ""),
    ("inc", r"(\+\+)", "--"),
    ("dec", r"(--)", "++"),
    ("true", r"\b(TRUE)\b", "FALSE"),
    ("false", r"\b(FALSE)\b", "TRUE"),
    ("zero", r"(?<=[ (])(0)(?=[;,)])", "1"),
    ("one", r"(?<=[ (])(1)(?=[;,)])", "2"),
    ("success", r"return (STATUS_[A-Z_]+|VIRTQ_STATUS_[A-Z_]+);", None),
    ("fence", r"^\s*(VIRTIO_(?:MB|RMB|WMB)\(\);)", ";"),
    ("call", r"^\s+([A-Z]\w+\([^;{}]*\);)$", ";"),
    ("store", r"^\s+(\w[\w>.\[\]()-]* = [^;{}]*;)$", ";"),
    ("update", r"^\s+(\w[\w>.\[\]()-]*(?: [+-]=[^;{}]*|\+\+|--);)$", ";"),
]


class Mutant:
    def __init__(self, path, line, start, end, text, operator, source):
        self.path, self.line, self.start, self.end = path, line, start, end
        self.text, self.operator, self.source = text, operator, source

    def key(self):
        """What names it in the list of equivalents: stable while the line is."""
        line = self.source[self.line]
        before = line[:self.start].count(line[self.start:self.end])
        return f"{self.path.name}: {self.operator}#{before}: {line.strip()}"

    def lines(self):
        line = self.source[self.line]
        changed = line[:self.start] + self.text + line[self.end:]
        return self.source[:self.line] + [changed] + self.source[self.line + 1:]


def strip_comment(line):
    return line.split("//")[0]


def mutants_of(path):
    source = path.read_text().splitlines()
    in_block = False
    for number, line in enumerate(source):
        if in_block or line.lstrip().startswith("/*"):
            in_block = "*/" not in line
            continue
        code = strip_comment(line)
        if code.lstrip().startswith(("#", "typedef")) or "STATIC_ASSERT" in code:
            continue
        for name, pattern, replacement in OPERATORS:
            for m in re.finditer(pattern, code):
                text = replacement
                if text is None:
                    text = ("STATUS_SUCCESS" if m.group(1) != "STATUS_SUCCESS"
                            else "STATUS_UNSUCCESSFUL")
                yield Mutant(path, number, m.start(1), m.end(1), text, name, source)


def tests_of(path):
    """The tests named after the source's family: virtio_pci, virtio_sg, virtqueue."""
    family = re.match(r"virtio_pci|virtio_sg|virtqueue", path.stem).group()
    return sorted(p.stem for p in TESTS if p.stem.startswith(family))


def run(command, folder, limit):
    try:
        return subprocess.run(command, cwd=folder, timeout=limit, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    except subprocess.TimeoutExpired:
        return None


class Worker:
    """A copy of the sources with a build folder, used by one thread at a time."""

    def __init__(self, root):
        self.root = root
        for name in ("lib", "unit", "CMakeLists.txt", "guest_driver"):
            src = TOP / name
            if src.is_dir():
                shutil.copytree(src, root / name)
            else:
                shutil.copy(src, root / name)
        done = run(["cmake", "-S", ".", "-B", "b", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug"],
                   root, 120)
        if done is None or done.returncode:
            sys.exit(f"mutate: cmake failed:\n{done.stdout if done else 'time-out'}")

    def verdict(self, tests):
        """'killed', 'survived', or 'invalid' when it does not compile."""
        built = run(["cmake", "--build", "b", "-j1", "--target", *tests], self.root, BUILD_LIMIT_S)
        if built is None or built.returncode:
            return "invalid"
        done = run(["ctest", "--test-dir", "b", "-R", f"^({'|'.join(tests)})$",
                    "--stop-on-failure", "--timeout", str(TEST_LIMIT_S)],
                   self.root, 4 * TEST_LIMIT_S)
        return "survived" if done is not None and done.returncode == 0 else "killed"

    def judge(self, mutant):
        target = self.root / "lib" / mutant.path.name
        original = target.read_text()
        target.write_text("\n".join(mutant.lines()) + "\n")
        try:
            return self.verdict(tests_of(mutant.path))
        finally:
            target.write_text(original)


def equivalents():
    known = {}
    if EQUIVALENT.exists():
        for line in EQUIVALENT.read_text().splitlines():
            if line.strip() and not line.startswith("#"):
                key, _, reason = line.partition("  # ")
                known[key.strip()] = reason.strip()
    return known


def choose(arguments):
    files = sorted((TOP / "lib").glob("*.cpp"))
    if arguments.file:
        files = [f for f in files if f.name == arguments.file]
        if not files:
            print(f"mutate: no lib/{arguments.file}", file=sys.stderr)
            sys.exit(2)
    mutants = [m for f in files for m in mutants_of(f)]
    if arguments.sample and arguments.sample < len(mutants):
        mutants = random.Random(1).sample(mutants, arguments.sample)
    return mutants


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--floor", type=float, default=95.0)
    parser.add_argument("--sample", type=int, default=0)
    arguments = parser.parse_args()
    mutants = choose(arguments)
    known = equivalents()
    results = []
    with tempfile.TemporaryDirectory(prefix="vq7-mutate-") as folder:
        workers = [Worker(pathlib.Path(folder) / str(i)) for i in range(arguments.jobs)]
        first = workers[0].verdict(sorted(p.stem for p in TESTS))
        if first != "survived":
            print(f"mutate: without any mutation the unit tests are {first}", file=sys.stderr)
            return 3

        def work(worker, share):
            return [(m, worker.judge(m)) for m in share]

        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            shares = [mutants[i::arguments.jobs] for i in range(arguments.jobs)]
            for part in pool.map(work, workers, shares):
                results += part
    return report(results, known, arguments.floor)


def report(results, known, floor):
    valid = [(m, v) for m, v in results if v != "invalid"]
    survivors = [m for m, v in valid if v == "survived"]
    unexplained = [m for m in survivors if not known.get(m.key())]
    counted = len(valid) - (len(survivors) - len(unexplained))
    killed = len(valid) - len(survivors)
    for m in unexplained:
        print(f"survived: lib/{m.path.name}:{m.line + 1}: {m.operator}: "
              f"'{m.source[m.line][m.start:m.end].strip()}' -> '{m.text.strip()}'\n"
              f"    key: {m.key()}")
    share = 100.0 * killed / counted if counted else 100.0
    print(f"mutate: {len(valid)} mutants, {killed} killed, {len(survivors)} survived "
          f"({len(survivors) - len(unexplained)} explained): {share:.1f} %")
    return 0 if share >= floor and not unexplained else 1


if __name__ == "__main__":
    sys.exit(main())
