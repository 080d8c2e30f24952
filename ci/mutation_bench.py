# SPDX-License-Identifier: MIT
"""What ci/mutate.py builds and runs. The tests are built once, by CMake; for a mutant
only the sources that it changes are compiled, and linked with the rest: half a second
each. The tests that take longest run last, and the first that fails ends the run.
"""
import contextlib
import hashlib
import json
import pathlib
import re
import resource
import shutil
import subprocess
import tempfile
import threading

FAMILIES = ("virtio_pci", "virtio_sg", "virtqueue")
CXX = "c++"
LIBRARY = ["-std=c++98", "-O2", "-fno-exceptions", "-fno-rtti"]
TEST = ["-std=c++20", "-O2"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all",
            "-fno-omit-frame-pointer"]
# Only compiled, where there are no 32-bit libraries: a mutant may differ there alone.
M32 = ["-m32", "-ffreestanding"]
# An array that ends a structure has its stated length too.
STRICT = LIBRARY + SANITIZE + ["-fsanitize=bounds-strict"]
LINK = ["-fuse-ld=lld", "-Wl,--strip-debug", "-lgtest", "-lgtest_main", "-lpthread"]
MEMORY_BYTES = 12 << 30     # a test maps 8 GiB
COPY_LIMIT_S = 20
TIMED_OUT = (-9, -24, 128 + 9, 128 + 24)
HISTORIES = "VQ7_HISTORY_COUNT=300"
GTEST = ["--gtest_fail_fast", "--gtest_brief=1"]
WALL_LIMIT_S = 900      # of what ought to end by its limit of processor time


class BenchError(Exception):
    """The original does not build, or its tests fail."""


class Verdict(str):
    """What became of a mutant, and which test says so, where that is known."""
    certain = False     # it need not show twice

    def __new__(cls, text, by=""):
        verdict = super().__new__(cls, text)
        verdict.by = by
        return verdict


def run(command, folder=None):
    try:
        return subprocess.run([str(c) for c in command], cwd=folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=WALL_LIMIT_S)
    except subprocess.TimeoutExpired as e:
        return subprocess.CompletedProcess(command, -1, e.output)


def must(command, what, folder=None):
    done = run(command, folder)
    if done.returncode:
        raise BenchError(f"{what}:\n{done.stdout[-4000:]}")
    return done.stdout


def processor_time():
    """Of the programs that ended."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def family_of(test):
    """The family a test belongs to; virtio_ring.h is the queue's."""
    found = re.match("|".join(FAMILIES), test)
    return found.group() if found else "virtqueue"


class Suite:
    """The unit tests of a family, built with one set of flags."""

    def __init__(self, bench, family, folder, flags):
        self.family, self.flags = family, flags
        self.units = folder / "lib" / "CMakeFiles" / "vq7_virtio.dir"
        self.model = folder / "unit" / "libvq7_unit_model.a"
        tests = [t for t in bench.tests if family_of(t) == family]
        self.objects = {t: folder / "unit" / "CMakeFiles" / f"{t}.dir" / f"{t}.cpp.o"
                        for t in tests}
        program = bench.build / f"{folder.name}-{family}"
        times = bench.build / "times.json"
        self.link(program, {}, {})
        before = processor_time()
        must(["env", HISTORIES, *self.memory_limit(), program, "--gtest_brief=1",
              f"--gtest_output=json:{times}"],
             f"the tests of {family} fail without any mutation")
        self.limit_s = 3 + int(3 * (processor_time() - before))
        self.sort(json.loads(times.read_text()))

    def memory_limit(self):
        """AddressSanitizer maps terabytes."""
        return [] if self.flags else ["prlimit", f"--as={MEMORY_BYTES}"]

    def sort(self, report):
        """The longest last: googletest runs them as they are linked."""
        spent = dict.fromkeys(self.objects, 0.0)
        for suite in report["testsuites"]:
            for test in suite["testsuite"]:
                spent[pathlib.Path(test["file"]).stem] += float(test["time"].rstrip("s"))
        self.objects = {t: self.objects[t] for t in sorted(spent, key=spent.get)}

    def link(self, program, units, tests):
        """The program with some objects of the library and of the tests exchanged."""
        library = [units.get(o.name, o) for o in sorted(self.units.glob("*.o"))]
        must([CXX, *self.flags, "-o", program, *(tests.get(t, o) for t, o in
                                                 self.objects.items()),
              *library, self.model, *LINK], f"the tests of {self.family} do not link")


class Copy:
    """A test program that has sources of the library of its own."""

    def __init__(self, bench, target, flags, folders, link, runs, hang_kills=True):
        self.flags, self.link, self.runs, self.hang_kills = flags, link, runs, hang_kills
        self.objects = [o for f in folders for o in sorted((bench.plain / f).rglob("*.o"))]
        self.limit_s = COPY_LIMIT_S
        before = processor_time()
        fault = self.fault(bench.build / target, {})
        if fault:
            raise BenchError(f"{target} fails without any mutation:\n{fault}")
        if hang_kills:
            self.limit_s = 3 + int(3 * (processor_time() - before))

    def finds(self, workplace, units):
        objects = workplace.compile([u for u in units if f"{u.name}.o" in
                                     {o.name for o in self.objects}], self.flags)
        return bool(objects) and bool(self.fault(workplace.folder / "copy", objects))

    def fault(self, program, exchanged):
        """What the first run that fails says; None: none does."""
        must([CXX, "-o", program, *(exchanged.get(o.name, o) for o in self.objects), *self.link],
             f"{program.name} does not link")
        for arguments in self.runs:
            done = run(["env", HISTORIES, "prlimit", f"--cpu={self.limit_s}",
                        program, *arguments])
            if done.returncode and (self.hang_kills or done.returncode not in TIMED_OUT):
                return done.stdout[-4000:] or f"exit status {done.returncode}"
        return None


class Bench:
    """The unmutated tests."""

    def __init__(self, top, build, quick):
        self.top, self.build, self.lock = top, build, threading.Lock()
        self.quick = quick
        self.plain = build / "plain"
        self.configure(self.plain)
        listing = json.loads(must(["ctest", "--test-dir", self.plain, "--show-only=json-v1"],
                                  "ctest does not list its tests"))["tests"]
        self.tests = [t["name"] for t in listing if "library" in self.labels(t)]
        self.has_m32 = "library_tests_m32" in {t["name"] for t in listing}
        copies = ["virtqueue_split_order_test", "model_check"]
        copies += ["library_tests_m32"] * self.has_m32
        self.make(self.plain, "library_tests", *copies * (not quick))
        self.suites = {f: Suite(self, f, self.plain, []) for f in FAMILIES}
        self.sanitized_suites = None
        self.includes = self.find_includes()
        if not quick:
            self.add_copies()

    @staticmethod
    @contextlib.contextmanager
    def workplaces():
        """The folder of the workplaces' folders."""
        with tempfile.TemporaryDirectory(prefix="vq7-mutate-") as folder:
            yield pathlib.Path(folder)

    @staticmethod
    def labels(test):
        return [label for p in test["properties"] if p["name"] == "LABELS" for label in p["value"]]

    def configure(self, folder, *options):
        must(["cmake", "-S", self.top, "-B", folder, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Debug",
              *options], "cmake fails")

    def make(self, folder, *targets):
        must(["cmake", "--build", folder, "-j2", "--target", *targets],
             "the unmutated tests do not build")

    def add_copies(self):
        unit = self.top / "unit"
        parts = "unit/CMakeFiles/"
        self.order = Copy(self, "virtqueue_split_order_test",
                          TEST + ["-include", unit / "model" / "traced_osdep.h"],
                          [parts + "virtqueue_split_order_test.dir"],
                          [self.plain / "unit" / "libvq7_unit_model.a", *LINK], [GTEST])
        listing = json.loads(must(["ctest", "--test-dir", self.plain, "--show-only=json-v1",
                                   "-R", "^model_check"], "ctest does not list its tests"))
        runs = [t["command"][1:] for t in listing["tests"]
                if pathlib.Path(t.get("command", [""])[0]).name == "model_check" and
                "--expect-violation" not in t["command"]]
        # What is harmless may cost states: a run that takes too long finds nothing.
        self.model = Copy(self, "model_check",
                          TEST + ["-include", unit / "model_check" / "model_osdep.h"],
                          ["unit/model_check/CMakeFiles/model_check.dir"], ["-fuse-ld=lld"], runs,
                          hang_kills=False)
        self.m32 = Copy(self, "library_tests_m32", LIBRARY + M32,
                        [parts + "library_tests_m32.dir", parts + "vq7_virtio_m32.dir"],
                        ["-m32", self.plain / "unit" / "libvq7_gtest_m32.a", "-lpthread"],
                        [GTEST]) if self.has_m32 else None

    def sanitized(self):
        """Built when the first mutant needs it."""
        with self.lock:
            if self.sanitized_suites is None:
                folder = self.build / "sanitized"
                self.configure(folder, "-DVQ7_SANITIZE=ON")
                self.make(folder, "library_tests")
                self.sanitized_suites = {f: Suite(self, f, folder, SANITIZE) for f in FAMILIES}
        return self.sanitized_suites

    def find_includes(self):
        """What each source of the library and each test includes of the library."""
        includes = {}
        lib = self.top / "lib"
        for source in [*lib.glob("*.cpp"), *(self.top / "unit").glob("*_test.cpp")]:
            listing = must([CXX, "-std=c++20", "-MM", "-I", lib, "-I", self.top / "unit", source],
                           f"{source.name} does not compile")
            includes[source.name] = set(re.findall(r"[\w.]+(?=[\s\\]|$)", listing))
        return includes

    def affected(self, name):
        """The sources and the tests to compile when a file of lib/ changes."""
        users = sorted(f for f, files in self.includes.items() if name in files or f == name)
        return ([u for u in users if not u.endswith("_test.cpp")],
                [u for u in users if u.endswith("_test.cpp")])


class Workplace:
    """A copy of lib/ and the objects made from it, used by one thread at a time."""

    def __init__(self, bench, folder):
        self.bench, self.folder = bench, folder
        self.lib = folder / "lib"
        shutil.copytree(bench.top / "lib", self.lib)
        self.originals, self.verdicts = {}, {}

    def stop(self):
        """Nothing that it runs takes long."""

    def compile(self, sources, flags):
        """{object's name: path}, or None when one does not compile."""
        objects = {}
        for source in sources:
            path = self.folder / f"{source.name}.o"
            done = run([CXX, *flags, "-w", "-I", self.lib, "-I", self.bench.top / "unit", "-c",
                        source, "-o", path])
            if done.returncode:
                return None
            objects[path.name] = path
        return objects

    def code(self, objects):
        digest = hashlib.sha256()
        for path in objects.values():
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def sources(self, mutant):
        units, tests = self.bench.affected(mutant.path.name)
        return [self.lib / u for u in units], [self.bench.top / "unit" / t for t in tests]

    def judge(self, mutant):
        """Killed by 'test', 'time', 'order', 'model', 'm32' or 'sanitizer'; 'survived'; or
        not counted: 'same' code, 'invalid'."""
        target = self.lib / mutant.path.name
        units, _ = self.sources(mutant)
        if mutant.path not in self.originals:
            self.originals[mutant.path] = (self.code(self.compile(units, LIBRARY)),
                                           self.code(self.compile(units, LIBRARY + M32)))
        target.write_text(mutant.mutated())
        try:
            objects = self.compile(units, LIBRARY)
            if objects is None:
                return "invalid"
            code = (mutant.path, self.code(objects))
            header = mutant.path.suffix == ".h"
            differs = code[1] != self.originals[mutant.path][0]
            if header or not differs:
                return self.stages(mutant, objects, differs)
            if code not in self.verdicts:
                self.verdicts[code] = self.stages(mutant, objects, differs)
            return self.verdicts[code]
        finally:
            target.write_text(mutant.source)

    def stages(self, mutant, objects, differs):
        """What kills it; the quickest first."""
        units, tests = self.sources(mutant)
        families = [f for f in FAMILIES if any(u.name.startswith(f) for u in units)] or FAMILIES
        for family in families if differs else []:
            verdict = self.tests_find(self.bench.suites[family], objects, {})
            if verdict:
                return verdict
        if mutant.path.suffix == ".h" and tests and differs:
            # What a header has inline is also compiled into the tests.
            compiled = self.compile(tests, TEST)
            if compiled is None:
                return "invalid"
            compiled = {n[:-len(".cpp.o")]: p for n, p in compiled.items()}
            for family in families:
                verdict = self.tests_find(self.bench.suites[family], objects, compiled)
                if verdict:
                    return verdict
        if self.bench.quick:
            return "survived" if differs or mutant.operator == "order" else "same"
        # On x86 an acquire load is a load: it takes these to tell.
        if differs or mutant.operator == "order":
            if "virtqueue" in families and self.bench.order.finds(self, units):
                return "order"
        if self.code(self.compile(units, LIBRARY + M32) or {}) != self.originals[mutant.path][1]:
            differs = True
            if self.bench.m32 and self.bench.m32.finds(self, units):
                return "m32"
        if differs:
            sanitized = self.compile(units, STRICT)
            for family in families:
                if self.tests_find(self.bench.sanitized()[family], sanitized, {}):
                    return "sanitizer"
        if differs or mutant.operator == "order":
            if "virtqueue" in families and self.bench.model.finds(self, units):
                return "model"
            return "survived"
        return "same"

    def tests_find(self, suite, units, tests):
        program = self.folder / "tests"
        suite.link(program, units, {t: p for t, p in tests.items() if t in suite.objects})
        done = run(["env", HISTORIES, *suite.memory_limit(), "prlimit", f"--cpu={suite.limit_s}",
                    program, *GTEST])
        if done.returncode in TIMED_OUT:
            return "time"
        return "test" if done.returncode else None
