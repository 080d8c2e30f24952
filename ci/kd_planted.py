#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Do the tests of the kernel debugger's target side see its faults? Plants those of
kd_planted.toml one after the other in a copy of the sources, and runs the test that each
names.

    ci/kd_planted.py [--only TEXT]...    TEXT: of what a fault does, its file or its test
    ci/kd_planted.py --no-original       the tests are known to pass without any fault
    ci/kd_planted.py --check             only whether each can be planted, and its test is there

Needs what `make e2e` needs. Works in build/kd_planted; a log of each fault stays there.

Exit status: 0 all found, 1 some not, 2 one couldn't be judged or wrong use, 3 a fault cannot be
planted, since what it replaces or its test is not in the source any more.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

TOP = pathlib.Path(__file__).resolve().parent.parent
WORK = TOP / "build" / "kd_planted"
PLACE = "guest_driver/ntcompat"
UNIT = TOP / "unit" / "ntcompat"
UNIT_SOURCES = ("kd_packet_test.cpp", "kd_restart_test.cpp")
FLAGS = ["-std=c++20", "-O1", "-I", PLACE]
UNIT_LIMIT_S, E2E_LIMIT_S = 20, 400     # of processor time; of time
PASSED, FAILED = 0, 1                   # the rig's exit codes
ATTEMPTS = 3                            # after a rig error, or without any fault


FOUND, MISSED, UNKNOWN = "found", "NOT FOUND", "UNKNOWN"


class Broken(Exception):
    """Something doesn't build, or the tests fail without any fault, or the rig does."""


def run(command, log, limit=None, **more):
    """The exit code; -1: it took too long."""
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                               stdout=log, stderr=subprocess.STDOUT, **more)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        process.terminate()             # the rig removes its machine
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
        return -1


def must(command, log, **more):
    if run(command, log, **more) != 0:
        raise Broken(f"{' '.join(map(str, command))} fails: {log.name}")


def planted(fault, top):
    """The file and its text with the fault. None: what it replaces isn't there once."""
    path = top / PLACE / fault["file"]
    text = path.read_text()
    if text.count(fault["old"]) != 1:
        return path, None
    return path, text.replace(fault["old"], fault["new"])


def names_a_test(fault):
    """Is the test that it names in the source?"""
    if "unit" in fault:
        suite, _, name = fault["unit"].partition(".")
        return any(f"TEST({suite}, {name})" in (UNIT / each).read_text() for each in UNIT_SOURCES)
    file, _, name = fault["test"].partition("[")[0].partition("::")
    path = TOP / "e2e" / "tests" / file
    return path.exists() and re.search(rf"^def {name}\(", path.read_text(), re.M) is not None


def check(faults):
    stale = 0
    for fault in faults:
        if planted(fault, TOP)[1] is None:
            print(f"kd_planted: {fault['what']}: {fault['file']} doesn't hold once: "
                  f"{fault['old']!r}", file=sys.stderr)
            stale += 1
        if not names_a_test(fault):
            print(f"kd_planted: {fault['what']}: there is no test "
                  f"{fault.get('unit') or fault.get('test')}", file=sys.stderr)
            stale += 1
    return 3 if stale else 0


class Bench:
    """A copy of the sources, the guest and the unit tests built of it."""

    def __init__(self, faults, original):
        self.tree, self.guest, self.original = WORK / "tree", WORK / "guest", WORK / "original"
        self.good = None if original is False else set()    # tests that pass without any fault
        WORK.mkdir(parents=True, exist_ok=True)
        self.log = open(WORK / "build.log", "w")
        for name in ("guest_driver", "lib"):
            self._copy(name)
        if any("unit" in fault for fault in faults):
            for source in UNIT_SOURCES:
                must(["c++", *FLAGS, "-c", UNIT / source, "-o", WORK / f"{source}.o"], self.log,
                     cwd=self.tree)
            if self.unit("*", self.log) != 0:
                raise Broken(f"the unit tests fail without any fault: {self.log.name}")
        if any("test" in fault for fault in faults):
            must(["cmake", "-S", self.tree / "guest_driver", "-B", self.guest / "obj", "-G",
                  "Ninja", f"-DCMAKE_TOOLCHAIN_FILE={self.tree}/guest_driver/cmake/x64.cmake",
                  "-DCMAKE_BUILD_TYPE=None", f"-DVQ7_OUT={self.guest}"], self.log)
            if not self.build(self.log):
                raise Broken(f"the guest doesn't build: {self.log.name}")
            shutil.rmtree(self.original, ignore_errors=True)
            shutil.copytree(self.guest, self.original, ignore=shutil.ignore_patterns("obj"))

    def _copy(self, name):
        """What is the same stays, and isn't built again; what isn't, as a fault that the last
        run left, is newer than what was built of it, whatever the time of its source."""
        source, target = TOP / name, self.tree / name
        for path in sorted(target.rglob("*"), reverse=True):
            there = source / path.relative_to(target)
            if path.is_dir() and not there.is_dir():
                path.rmdir()
            elif not path.is_dir() and not there.is_file():
                path.unlink()
        for path in source.rglob("*"):
            copy = target / path.relative_to(source)
            if path.is_dir():
                copy.mkdir(parents=True, exist_ok=True)
            elif not copy.is_file() or copy.read_bytes() != path.read_bytes():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)

    def unit(self, pattern, log):
        program = WORK / "kd_test"
        must(["c++", *FLAGS, f"{PLACE}/kd/packet.cpp", *(WORK / f"{s}.o" for s in UNIT_SOURCES),
              "-lgtest", "-lgtest_main", "-lpthread", "-o", program], log, cwd=self.tree)
        return run(["prlimit", f"--cpu={UNIT_LIMIT_S}", program, f"--gtest_filter={pattern}",
                    "--gtest_brief=1"], log)

    def build(self, log):
        return run(["cmake", "--build", self.guest / "obj", "--target", "guest_archive",
                    "ntcompat_loader"], log) == 0

    def rig(self, guest, test, log):
        """Did it pass? Raises Broken for an error of the rig."""
        command = ["/usr/bin/python3", "-B", "-m", "vq7rig", "run", "--guest", guest,
                   "--accel", "tcg", "-x", "-m", "nightly or not nightly", f"tests/{test}"]
        environment = {"VQ7_PATIENCE": "0.5", **os.environ, "VQ7_BUILD": str(WORK / "rig")}
        for _ in range(ATTEMPTS):
            code = run(command, log, E2E_LIMIT_S, cwd=TOP / "e2e", env=environment)
            if code in (PASSED, FAILED, -1):
                return code == PASSED
        raise Broken(f"the rig fails: {log.name}")

    def passes_without(self, test, log):
        """Only then its failure says something."""
        if self.good is not None and test not in self.good:
            if not any(self.rig(self.original, test, log) for _ in range(ATTEMPTS)):
                raise Broken(f"{test} fails without any fault: {log.name}")
            self.good.add(test)
        return True

    def judge(self, fault, log):
        """Found or not."""
        path, text = planted(fault, self.tree)
        original = path.read_text()
        path.write_text(text)
        try:
            if "unit" in fault:
                return self.unit(fault["unit"], log) != 0
            if not self.build(log):
                raise Broken(f"it doesn't build: {log.name}")
            return not self.rig(self.guest, fault["test"], log) and \
                self.passes_without(fault["test"], log)
        finally:
            path.write_text(original)


def verdict(bench, fault, path):
    began, why = time.monotonic(), ""
    try:
        with open(path, "w") as log:
            said = FOUND if bench.judge(fault, log) else MISSED
    except Broken as bad:
        said, why = UNKNOWN, f": {bad}"
    print(f"{said:9} {time.monotonic() - began:6.1f} s  {fault['what']} "
          f"({fault.get('unit') or fault['test']}){why}", flush=True)
    return said


def main():
    parser = argparse.ArgumentParser(description="Plants faults in ntcompat's kernel debugger.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--no-original", dest="original", action="store_false")
    args = parser.parse_args()
    faults = tomllib.loads((TOP / "ci" / "kd_planted.toml").read_text())["fault"]
    if args.check:
        return check(faults)
    faults = [f for f in faults if not args.only or any(
        text in " ".join((f["what"], f["file"], f.get("unit", ""), f.get("test", "")))
        for text in args.only)]
    if not faults:
        parser.error("--only: no fault has that text")
    if check(faults):
        return 3
    try:
        bench = Bench(faults, args.original)
    except Broken as bad:
        print(f"kd_planted: {bad}", file=sys.stderr)
        return 2
    verdicts = [verdict(bench, fault, WORK / f"fault{number:02}.log")
                for number, fault in enumerate(faults)]
    print(f"{verdicts.count(FOUND)} of {len(faults)} faults found")
    return 2 if UNKNOWN in verdicts else 1 if MISSED in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
