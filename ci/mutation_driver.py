# SPDX-License-Identifier: MIT
"""What ci/mutate.py builds and runs for guest_driver/driver/. The guest is built once, by
CMake; for a mutant its source is compiled and linked with the rest into vq7test.sys, and
goes into a boot archive: about a second. First the host tests of the source judge it, if
it has any, then the rig, which runs the tests of ci/mutation_e2e.txt on that archive, in
that order, up to the first that fails.

Unless it is a bug check, a failure must show again, in that test alone or else in the
whole list: a machine that is busy with something else kills no mutant. A rig error is
tried again, and never a kill.
"""
import contextlib
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET

from mutation_bench import GTEST, BenchError, Verdict, must, run
from mutation_operators import blanked, closing

RIG_PYTHON = "/usr/bin/python3"
PATIENCE = "0.4"            # of the rig, unless VQ7_PATIENCE says it: some machines hang
UNIT_LIMIT_S = 6            # processor time of a test program that takes milliseconds
RIG_ATTEMPTS = 3
PASS, FAIL, INTERRUPTED = 0, 1, 130     # the rig's exit codes
TOO_LONG = -1                           # what stands for one
E2E_KILLS = ("fail", "crash", "hang")
ORIGINAL_LIMIT_S = 1800
WATCHDOG = "0x00000133"     # the bug check that a busy machine may bring about
DEBUG = {"-g", "-gcodeview"}
GUEST_FILES = ("ntoskrnl.exe", "hal.dll", "WDFLDR.SYS", "vq7test.sys", "vq7agent.sys")


def pack(top, guest, name="guest.cpio", images=GUEST_FILES, inf="package/vq7test.inf"):
    """Makes a boot archive of a folder's images and of an INF, as the guest's build does."""
    archive = guest / name
    archive.unlink(missing_ok=True)
    inf = top / "guest_driver" / inf
    for folder, names, more in ((guest, images, ()), (inf.parent, (inf.name,), ("-A",))):
        subprocess.run(["cpio", "--quiet", "-o", *more, "-H", "newc", "-R", "0:0",
                        "--reproducible", "-D", str(folder), "-F", str(archive)],
                       input="".join(f"{name}\n" for name in names).encode(), check=True)


def logged(source):
    """(start, end) of what is only logged: nothing in it is changed."""
    code = blanked(source)
    return [(m.start(), closing(code, m.end() - 1)) for m in re.finditer(r"\bVq7Log\(", code)]


def e2e_tests(path):
    """The pytest ids that the list names, in its order."""
    lines = (line.partition("  # ")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def stale_tests(top, path):
    """Those that are in no file of e2e/tests."""
    gone = []
    for name in e2e_tests(path):
        file, _, test = name.partition("::")
        source = top / "e2e" / file
        function = re.escape(test.partition("[")[0])
        if not source.exists() or not re.search(rf"^def {function}\(", source.read_text(), re.M):
            gone.append(name)
    return gone


class Target:
    """How Ninja makes a program: a compiler's command line for each source, and the link."""

    def __init__(self, folder, name):
        self.folder, self.compile, self.link = folder, {}, None
        for line in must(["ninja", "-C", folder, "-t", "commands", name],
                         f"ninja does not know {name}").splitlines():
            words = shlex.split(line.removeprefix(": && "))
            words = words[:words.index("&&")] if "&&" in words else words
            if "-c" in words and "-o" in words:
                source = pathlib.Path(os.path.normpath(words[words.index("-c") + 1]))
                self.compile[source] = words
            elif "-o" in words:
                self.link = words       # the last one is the program's own

    def object_of(self, source):
        words = self.compile[source]
        return words[words.index("-o") + 1]


def compiled(words, source, target, folders, drop=frozenset()):
    """A compiler's command line for a changed copy of its source."""
    out = []
    skip = False
    for word in words:
        if skip or word in drop:
            skip = False
        elif word in ("-MT", "-MF"):
            skip = True
        elif word not in ("-MD", "-Werror"):
            for old, new in folders:
                word = word.replace(str(old), str(new))
            out.append(word)
    out[out.index("-o") + 1] = str(target)
    out[out.index("-c") + 1] = str(source)
    return out + ["-w"]


class DriverBench:
    """The unmutated guest and tests."""

    def __init__(self, top, build, quick):
        self.top, self.build, self.quick = top, build, quick
        self.driver = top / "guest_driver" / "driver"
        self.guest = build / "guest"
        self.listed = e2e_tests(top / "ci" / "mutation_e2e.txt")
        objects = self.guest / "obj"
        must(["cmake", "-S", top / "guest_driver", "-B", objects, "-G", "Ninja",
              f"-DCMAKE_TOOLCHAIN_FILE={top}/guest_driver/cmake/x64.cmake",
              "-DCMAKE_BUILD_TYPE=None", f"-DVQ7_OUT={self.guest}"], "cmake fails")
        # A driver alone gives the precompiled header that its sources are compiled with.
        targets = ("vq7test",) if quick else ("guest_archive", "ntcompat_loader")
        must(["cmake", "--build", objects, "-j2", "--target", *targets],
             "the unmutated guest does not build")
        self.image = Target(objects, "vq7test")
        self.tests = self.build_tests()
        self.limit_s = ORIGINAL_LIMIT_S
        if not quick:
            self.judge_original()

    def build_tests(self):
        """{name: how it is made} of the host tests that have sources of the driver."""
        unit = self.build / "unit"
        must(["cmake", "-S", self.top, "-B", unit, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=None"],
             "cmake fails")
        listing = json.loads(must(["ctest", "--test-dir", unit, "--show-only=json-v1"],
                                  "ctest does not list its tests"))["tests"]
        names = [t["name"] for t in listing if t["name"].startswith("driver_")]
        must(["cmake", "--build", unit, "-j2", "--target", *names],
             "the unmutated tests do not build")
        for name in names:
            must([unit / "unit" / name, *GTEST], f"{name} fails without any mutation")
        return {name: Target(unit, name) for name in names}

    def judge_original(self):
        """The list passes without any mutation; how long that takes is the measure."""
        place = DriverWorkplace(self, self.build / "original")
        place.archive(self.guest / "vq7test.sys")
        start = time.monotonic()
        verdict = place.rig(self.listed)
        if verdict != "survived":
            raise BenchError(f"the e2e tests fail without any mutation: {verdict} {verdict.by}; "
                             f"see {place.folder}/rig.log")
        self.limit_s = 60 + 4 * int(time.monotonic() - start)

    @contextlib.contextmanager
    def workplaces(self):
        """The folder of the workplaces' folders; libvirt's cache in each is worth keeping."""
        yield self.build

    def users(self, name):
        """The driver's sources that a file of it is compiled into."""
        texts = {p.name: p.read_text() for p in self.driver.iterdir() if p.suffix in (".cpp", ".h")}
        found = {name}
        while True:
            more = {n for n, text in texts.items()
                    if any(f'#include "{f}"' in text for f in found)} - found
            if not more:
                return sorted(n for n in found if n.endswith(".cpp"))
            found |= more


class DriverWorkplace:
    """A copy of the driver, a guest made with it and a build folder for the rig, used by
    one thread at a time."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        self.driver, self.guest = folder / "driver", folder / "guest"
        shutil.rmtree(self.driver, ignore_errors=True)
        shutil.copytree(bench.driver, self.driver)
        self.guest.mkdir(parents=True, exist_ok=True)
        for name in (*GUEST_FILES, "ntcompat.elf") if not bench.quick else ():
            shutil.copy(bench.guest / name, self.guest / name)
        self.originals, self.verdicts = {}, {}
        self.child, self.ended = None, False

    # --- from source to guest ------------------------------------------------

    def compile(self, names):
        """{source's name: object}, or None when one does not compile."""
        objects = {}
        for name in names:
            path = self.folder / f"{name}.obj"
            done = run(compiled(self.bench.image.compile[self.bench.driver / name],
                                self.driver / name, path,
                                [(self.bench.driver, self.driver)], DEBUG),
                       self.bench.image.folder)
            if done.returncode:
                return None
            objects[name] = path
        return objects

    def original(self, names):
        """The code of unmutated sources."""
        objects = self.compile(names)
        if objects is None:
            raise BenchError(f"{', '.join(names)} does not compile without any mutation")
        return self.code(objects)

    @staticmethod
    def code(objects):
        digest = hashlib.sha256()
        for name in sorted(objects):
            digest.update(objects[name].read_bytes())
        return digest.hexdigest()

    def link(self, objects):
        """Makes vq7test.sys; False: it does not link."""
        image = self.bench.image
        exchanged = {image.object_of(self.bench.driver / n): str(o) for n, o in objects.items()}
        words = [exchanged.get(w, w) for w in image.link]
        words = [f"--pdb={self.folder}/vq7test.pdb" if w.startswith("--pdb=") else w for w in words]
        target = self.folder / "vq7test.sys"
        words[words.index("-o") + 1] = str(target)
        if run(words, image.folder).returncode:
            return False
        must([sys.executable, self.bench.top / "guest_driver/package/pe_checksum.py", target],
             "the image gets no checksum")
        self.archive(target)
        return True

    def archive(self, driver):
        if driver != self.guest / "vq7test.sys":
            shutil.copy(driver, self.guest / "vq7test.sys")
        pack(self.bench.top, self.guest)

    # --- judgement -----------------------------------------------------------

    def judge(self, mutant):
        """Killed by a 'unit' test, or by an e2e test with a 'fail', 'crash' or 'hang';
        'survived', 'rig' (which is no kill); or not counted: 'same' code, 'invalid'."""
        target = self.driver / mutant.path.name
        users = self.bench.users(mutant.path.name)
        if mutant.path not in self.originals:
            self.originals[mutant.path] = self.original(users)
        target.write_text(mutant.mutated())
        try:
            # First, since it is the quickest: code that a test tells apart isn't the same.
            found = self.unit_tests_find(users)
            if found:
                return found
            objects = self.compile(users)
            if objects is None:
                return Verdict("invalid")
            code = self.code(objects)
            if code == self.originals[mutant.path]:
                return Verdict("same")
            if code not in self.verdicts:
                self.verdicts[code] = self.e2e_stage(objects)
            return self.verdicts[code]
        finally:
            target.write_text(mutant.source)

    def e2e_stage(self, objects):
        if self.bench.quick:
            return Verdict("survived")
        if not self.link(objects):
            return Verdict("invalid")
        return self.e2e_finds()

    def unit_tests_find(self, users):
        """What a host test says of it; a header counts where it is compiled in."""
        for name, test in self.bench.tests.items():
            exchanged = {}
            for user in users:
                source = self.bench.driver / user
                if source not in test.compile:
                    continue
                path = self.folder / f"{name}-{user}.o"
                words = compiled(test.compile[source], self.driver / user, path,
                                 [(self.bench.driver, self.driver)])
                if run(words, test.folder).returncode:
                    return None         # only the guest's compiler takes it
                exchanged[test.object_of(source)] = str(path)
            if not exchanged:
                continue
            program = self.folder / name
            words = [exchanged.get(w, w) for w in test.link]
            words[words.index("-o") + 1] = str(program)
            must(words, f"{name} does not link", test.folder)
            done = run(["prlimit", f"--cpu={UNIT_LIMIT_S}", program, *GTEST])
            if done.returncode:
                return Verdict("unit", name)
        return None

    def e2e_finds(self):
        first = self.rig(self.bench.listed)
        if first not in E2E_KILLS or not first.by or first.certain:
            return first
        for again in ([first.by], self.bench.listed):
            found = self.rig(again)
            if found in E2E_KILLS:
                return found
        return Verdict("survived", f"{first.by} failed once ({first})")

    def rig(self, tests):
        """What the rig says of the guest. A rig error is tried again."""
        for attempt in range(RIG_ATTEMPTS):
            code = self.run_rig(tests)
            if code == PASS:
                return Verdict("survived")
            if code == TOO_LONG:
                return Verdict("hang")
            if code == INTERRUPTED or self.ended:
                raise BenchError("interrupted; --resume goes on")
            failed = self.first_failure()
            if code == FAIL and failed:
                return failed
        return Verdict("rig")

    def run_rig(self, tests):
        environment = {"VQ7_PATIENCE": PATIENCE, **os.environ, "VQ7_BUILD": str(self.folder)}
        command = [RIG_PYTHON, "-B", "-m", "vq7rig", "run", "--guest", str(self.guest),
                   "--accel", "tcg", "-x", "-m", "nightly or not nightly", *tests]
        with open(self.folder / "rig.log", "w") as log:
            self.child = subprocess.Popen(command, cwd=self.bench.top / "e2e", env=environment,
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            try:
                return self.child.wait(self.bench.limit_s)
            except subprocess.TimeoutExpired:
                return self.end_rig()

    def end_rig(self):
        """The rig removes its machine when it is told to end."""
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        return TOO_LONG

    def stop(self):
        """What it judges now is left; another thread's call."""
        self.ended = True
        if self.child is not None and self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)

    def first_failure(self):
        """From the rig's report, if it wrote one."""
        try:
            cases = ET.parse(self.folder / "e2e" / "latest" / "junit.xml").iter("testcase")
        except (OSError, ET.ParseError):
            return None
        for case in cases:
            verdict = case.find("properties/property[@name='verdict']").get("value")
            if verdict in ("fail", "guest crash", "hang"):
                file = case.get("classname").replace(".", "/") + ".py"
                found = Verdict(verdict.removeprefix("guest "), f"{file}::{case.get('name')}")
                message = case.find("failure").get("message")
                found.certain = "*** STOP: 0x" in message and WATCHDOG not in message
                return found
        return None
