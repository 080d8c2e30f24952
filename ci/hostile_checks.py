#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Each check of what a device says, switched off: does a test of the hostile device fail?

e2e/hostile/checks.toml is the list. The driver is built from a copy of the sources, once, and
again with each check off, and put into the guest of `make guest-x64`; the rig then runs the
test of the way that needs the check. That test has to fail, with the verdict and the words
that the list gives.

    ci/hostile_checks.py [--only WORDS]   those whose name has the words
                         [--check]        only whether what the list names is there

Exit status: 0 each was found, 1 one was not, 2 wrong use, 3 the unchanged guest fails or
doesn't build. What is built is in build/hostile-checks.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET

from mutation_driver import GUEST_FILES, pack

TOP = pathlib.Path(__file__).resolve().parent.parent
LIST, WAYS = TOP / "e2e/hostile/checks.toml", TOP / "e2e/hostile/ways.toml"
BUILD = TOP / "build" / "hostile-checks"
GUEST = TOP / "build" / "guest" / "x64"
SOURCES = ("lib", "guest_driver")
DEVICE = "pc-modern-backend-vhost-user-sectors-8192"
PASS, FAIL = 0, 1                       # the rig's exit codes
LIMIT_S = 900


class BenchError(Exception):
    """The list or the unchanged guest is at fault."""


def listed():
    """The checks. Raises BenchError where one doesn't fit the sources or the ways."""
    with open(LIST, "rb") as file:
        checks = tomllib.load(file)["check"]
    with open(WAYS, "rb") as file:
        ways = {way["name"] for way in tomllib.load(file)["way"]}
    for check in checks:
        there = (TOP / check["file"]).read_text().count(check["old"])
        if there != 1:
            raise BenchError(f"'{check['name']}': {check['file']} has the text {there} times, "
                             "not once")
        if check["way"] not in ways:
            raise BenchError(f"'{check['name']}': no way '{check['way']}' in {WAYS.name}")
    return checks


def copy_sources():
    """Files that are as they were keep their times, so that little is built again."""
    for folder in SOURCES:
        for path in (TOP / folder).rglob("*"):
            target = BUILD / "source" / path.relative_to(TOP)
            if path.is_file() and (not target.exists()
                                   or target.read_bytes() != path.read_bytes()):
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)


def build():
    """False: it doesn't compile; build.log says why."""
    source, objects = BUILD / "source" / "guest_driver", BUILD / "obj"
    with open(BUILD / "build.log", "w") as log:
        for words in (["cmake", "-S", source, "-B", objects, "-G", "Ninja",
                       f"-DCMAKE_TOOLCHAIN_FILE={source}/cmake/x64.cmake",
                       "-DCMAKE_BUILD_TYPE=None", f"-DVQ7_OUT={BUILD}/guest"],
                      ["cmake", "--build", objects, "--target", "vq7test"]):
            if subprocess.run([str(word) for word in words], stdout=log, stderr=log).returncode:
                return False
    complete()
    return True


def complete():
    """The boot archive: the driver that was built, and the rest of the guest as it is."""
    guest = BUILD / "guest"
    for name in (*GUEST_FILES, "ntcompat.elf"):
        if name != "vq7test.sys":
            shutil.copy(GUEST / name, guest / name)
    pack(TOP, guest)


def rig(ways):
    """(exit code, {way: (verdict, text)}) of their tests."""
    home = BUILD / "rig"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "hostile").exists():
        (home / "hostile").symlink_to(TOP / "build" / "hostile")
    command = ["/usr/bin/python3", "-B", "-m", "vq7rig", "run", "--guest", str(BUILD / "guest"),
               "-m", "nightly or not nightly",
               *(f"tests/test_hostile.py::test_way[{DEVICE}-{way}]" for way in ways)]
    with open(BUILD / "rig.log", "w") as log:
        code = subprocess.run(command, cwd=TOP / "e2e", stdin=subprocess.DEVNULL, stdout=log,
                              stderr=log, timeout=LIMIT_S,
                              env={**os.environ, "VQ7_BUILD": str(home)}).returncode
    found = {}
    report = home / "e2e" / "latest" / "junit.xml"
    for case in ET.parse(report).iter("testcase") if report.exists() else ():
        verdict = case.find("properties/property[@name='verdict']").get("value")
        texts = [node.text or "" for node in case.findall("failure") + case.findall("error")]
        found[case.get("name")[len(f"test_way[{DEVICE}-"):-1]] = verdict, "\n".join(texts)
    return code, found


def judge(check):
    """(whether it was found, what was seen)."""
    path = BUILD / "source" / check["file"]
    original = path.read_text()
    path.write_text(original.replace(check["old"], check["new"]))
    try:
        if not build():
            return False, f"the guest doesn't build: {BUILD}/build.log"
        code, found = rig([check["way"]])
    finally:
        path.write_text(original)
    verdict, text = found.get(check["way"], ("no verdict", ""))
    says = check.get("says", check["way"])
    if code != FAIL or verdict != check["verdict"] or says not in text:
        return False, f"{verdict}, not {check['verdict']} with '{says}': {BUILD}/rig.log"
    return True, verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    try:
        checks = [each for each in listed() if arguments.only in each["name"]]
        if not checks:
            parser.error(f"no check has '{arguments.only}' in its name")
        if arguments.check:
            return 0
        BUILD.mkdir(parents=True, exist_ok=True)
        copy_sources()
        if not build():
            raise BenchError(f"the unchanged driver doesn't build: {BUILD}/build.log")
        code, found = rig(sorted({check["way"] for check in checks}))
        if code != PASS:
            raise BenchError(f"the unchanged guest fails: {BUILD}/rig.log")
    except (BenchError, OSError, subprocess.SubprocessError) as bad:
        print(f"hostile-checks: {bad}", file=sys.stderr)
        return 1 if arguments.check else 3
    missed = 0
    for check in checks:
        right, seen = judge(check)
        missed += not right
        print(f"{'found ' if right else 'MISSED'}  {check['name']}: {seen}  ({check['way']})",
              flush=True)
    print(f"hostile-checks: {len(checks)} switched off, {len(checks) - missed} found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
