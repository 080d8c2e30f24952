# SPDX-License-Identifier: MIT
"""What ci/hostile_checks.py builds and runs: copies of the sources with a check switched off,
made into the driver, into vq7lib.sys or into a unit test, and the test that has to fail.
"""
import dataclasses
import os
import pathlib
import shutil
import subprocess
import xml.etree.ElementTree as ET

from mutation_driver import GUEST_FILES, pack

TOP = pathlib.Path(__file__).resolve().parent.parent
BUILD = TOP / "build" / "hostile-checks"
GUEST = TOP / "build" / "guest" / "x64"
SOURCES = ("lib", "guest_driver", "unit", "CMakeLists.txt")
PASS, FAIL = 0, 1                       # the rig's exit codes
LIMIT_S, UNIT_LIMIT_S = 1800, 30
PATIENCE = "0.4"                        # of the rig, where a hang is what is waited for

DEVICE = "pc-modern-backend-vhost-user-sectors-8192"
LIES = {"modern": "test_modern_registers_lie[pc-modern-{}]",
        "capabilities": "test_capabilities_lie[pc-modern-{}]",
        "legacy": "test_legacy_registers_lie[pc-legacy-{}]"}
LIBRARY = "tests/test_library.py::test_every_case_passes"


class BenchError(Exception):
    """The list or the unchanged sources are at fault."""


@dataclasses.dataclass(frozen=True)
class Test:
    """What has to fail. `target`: what is built for it; `name`: a pytest id, or googletest's."""
    target: str
    name: str
    says: str

    @property
    def is_unit(self):
        return self.target not in ("vq7test", "vq7lib")


def test_of(check):
    """The test that an entry of the list names."""
    for kind in ("way", "start"):
        if kind in check:
            name = f"test_{kind}[{DEVICE}-{check[kind]}]"
            return Test("vq7test", f"tests/test_hostile.py::{name}", check[kind])
    if "lie" in check:
        group, _, name = check["lie"].partition(" ")
        return Test("vq7test", f"tests/test_liar.py::{LIES[group].format(name)}", name)
    if "library" in check:
        return Test("vq7lib", LIBRARY, f"failed ({check['library']})")
    if "unit" in check:
        program, name = check["unit"].split()
        return Test(program, name, name)
    return Test("vq7test", check["test"], "")


class Workplace:
    """A copy of the sources and what is made of it, used by one thread."""

    def __init__(self, number):
        self.home = BUILD / str(number)
        self.source, self.guest = self.home / "source", self.home / "guest"
        self.home.mkdir(parents=True, exist_ok=True)
        self._copy_sources()

    def _copy_sources(self):
        """Files that are as they were keep their times, so that little is built again."""
        for name in SOURCES:
            root = TOP / name
            for path in root.rglob("*") if root.is_dir() else [root]:
                target = self.source / path.relative_to(TOP)
                if path.is_file() and (not target.exists()
                                       or target.read_bytes() != path.read_bytes()):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, target)

    def _run(self, log, *words, **more):
        with open(self.home / f"{log}.log", "w") as out:
            return subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL,
                                  stdout=out, stderr=out, **more).returncode

    def build(self, target):
        """False: it doesn't compile; build.log says why."""
        unit = target not in ("vq7test", "vq7lib")
        objects = self.home / ("unit" if unit else "obj")
        if not (objects / "build.ninja").exists():
            source = self.source if unit else self.source / "guest_driver"
            options = [] if unit else [f"-DCMAKE_TOOLCHAIN_FILE={source}/cmake/x64.cmake",
                                       f"-DVQ7_OUT={self.guest}"]
            if self._run("cmake", "cmake", "-S", source, "-B", objects, "-G", "Ninja",
                         "-DCMAKE_BUILD_TYPE=None", *options):
                raise BenchError(f"cmake fails: {self.home}/cmake.log")
        if self._run("build", "cmake", "--build", objects, "-j2", "--target", target):
            return False
        if not unit:
            self._complete(target)
        return True

    def _complete(self, target):
        """The boot archives: the image that was built, and the rest of the guest as it is."""
        for name in (*GUEST_FILES, "ntcompat.elf"):
            if name != f"{target}.sys" and (target == "vq7lib" or name != "vq7test.sys"):
                shutil.copy(GUEST / name, self.guest / name)
        if target == "vq7test":
            pack(TOP, self.guest)
            return
        images = [name for name in GUEST_FILES if name != "vq7test.sys"] + ["vq7lib.sys"]
        pack(TOP, self.guest, "guest_library.cpio", images, "libtest/vq7lib.inf")

    def rig(self, names, **environment):
        """(exit code, {pytest id: (verdict, text)})."""
        home = self.home / "rig"
        home.mkdir(parents=True, exist_ok=True)
        if not (home / "hostile").exists():
            (home / "hostile").symlink_to(TOP / "build" / "hostile")
        report = home / "e2e" / "latest" / "junit.xml"
        report.unlink(missing_ok=True)
        code = self._run("rig", "/usr/bin/python3", "-B", "-m", "vq7rig", "run", "--guest",
                         self.guest, "--accel", "tcg", "-m", "nightly or not nightly", *names,
                         cwd=TOP / "e2e", timeout=LIMIT_S,
                         env={**os.environ, **environment, "VQ7_BUILD": str(home)})
        found = {}
        for case in ET.parse(report).iter("testcase") if report.exists() else ():
            verdict = case.find("properties/property[@name='verdict']").get("value")
            texts = [node.text or "" for node in case.findall("failure") + case.findall("error")]
            file = case.get("classname").replace(".", "/") + ".py"
            found[f"{file}::{case.get('name')}"] = verdict, "\n".join(texts)
        return code, found

    def unit(self, target, name):
        """(verdict, text) of a program's test, with each of its parameters."""
        try:
            code = self._run("unit", self.home / "unit" / "unit" / target,
                             f"--gtest_filter={name}:*/{name}/*", timeout=UNIT_LIMIT_S)
        except subprocess.TimeoutExpired:
            return "hang", name
        text = (self.home / "unit.log").read_text(errors="replace")
        if code:
            return ("crash" if code < 0 else "fail"), text
        return ("no test" if "Running 0 tests" in text else "pass"), text

    def passes(self, tests):
        """All of them, with the sources as they are. Raises BenchError."""
        for target in sorted({test.target for test in tests}):
            if not self.build(target):
                raise BenchError(f"the unchanged {target} doesn't build: {self.home}/build.log")
        self._unchanged_units(tests)
        names = sorted({test.name for test in tests if not test.is_unit})
        code, found = self.rig(names) if names else (PASS, {})
        if code != PASS or len(found) < len(names):
            raise BenchError(f"the unchanged guest fails: {self.home}/rig.log")

    def _unchanged_units(self, tests):
        for target in sorted({test.target for test in tests if test.is_unit}):
            for name in sorted({test.name for test in tests if test.target == target}):
                verdict, _ = self.unit(target, name)
                if verdict != "pass":
                    raise BenchError(f"{target}, {name}: {verdict} without any change")

    def judge(self, check):
        """(whether it was found, what was seen)."""
        test = test_of(check)
        path = self.source / check["file"]
        original = path.read_text()
        path.write_text(original.replace(check["old"], check["new"]))
        try:
            if not self.build(test.target):
                return False, f"it doesn't build: {self.home}/build.log"
            verdict, text = self._verdict(test, check.get("verdict") == "hang")
        except subprocess.TimeoutExpired:
            return False, f"no end in {LIMIT_S} s"
        finally:
            path.write_text(original)
        wanted, says = check.get("verdict", "fail"), check.get("says", test.says)
        if verdict != wanted or says not in text:
            return False, f"{verdict}, not {wanted} with '{says}': {self.home}"
        return True, verdict

    def _verdict(self, test, hangs):
        if test.is_unit:
            return self.unit(test.target, test.name)
        code, found = self.rig([test.name], **({"VQ7_PATIENCE": PATIENCE} if hangs else {}))
        verdict, text = found.get(test.name, ("no verdict", ""))
        return (verdict if code == FAIL else f"exit {code}, {verdict}"), text
