# SPDX-License-Identifier: MIT
"""In-guest coverage: reading counters, making a profile of them, judging lines."""

import subprocess
from types import SimpleNamespace

import numpy as np
import pytest

from vq7rig.coverage import counters, lines, profile
from vq7rig.errors import RigError, UsageError
from vq7rig.kd.pe import file_image

TARGET = "--target=x86_64-w64-mingw32"
SOURCE = """\
int __llvm_profile_runtime;
__attribute__((section(".lprfn$A"), used)) const char NamesStart = 0;
int executed(int x) { return x + 1; }
int missed(int x) {
    return x + 2;
}
int start(void) { return executed(1) + missed(2); }
"""


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """A tiny instrumented image, built as the driver is."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "a.c").write_text(SOURCE)
    for words in (["clang", TARGET, "-ffreestanding", "-fprofile-instr-generate",
                   "-fcoverage-mapping", "-c", "a.c", "-o", "a.obj"],
                  ["clang", TARGET, "-fuse-ld=lld", "-nostdlib", "-nostartfiles",
                   "-Wl,--entry,start", "-Wl,--dynamicbase", "a.obj", "-o", counters.IMAGE]):
        subprocess.run(words, cwd=folder, check=True)
    return folder / counters.IMAGE


def test_llvm_reads_what_is_made(image, tmp_path):
    """From an image and its counters to lines, by the tools that are installed."""
    _, size = counters.section_of(image.parent)
    sums = np.zeros(size // 8, np.uint64)
    sums[0] = 5                                 # of the first function
    raw = profile.raw_profile(file_image(image), sums.tobytes(),
                              profile.Layout(profile.description()))
    (tmp_path / "raw").write_bytes(raw)
    subprocess.run(["llvm-profdata", "merge", "-o", "merged", "raw"], cwd=tmp_path, check=True)
    said = subprocess.run(["llvm-cov", "export", "-format=lcov", "-instr-profile=merged",
                           str(image)], cwd=tmp_path, check=True, capture_output=True, text=True)
    assert [line for line in said.stdout.splitlines() if line.startswith("DA:")] == \
        ["DA:3,5", "DA:4,0", "DA:5,0", "DA:6,0", "DA:7,0"]


@pytest.mark.parametrize("version, kinds, more, record", [
    (8, 1, "", 48),
    (10, 2, "INSTR_PROF_DATA(const uint32_t, llvm::Type::getInt32Ty(Ctx), NumBitmapBytes, \\\n",
     64)])
def test_layouts(version, kinds, more, record):
    """LLVM 14's and LLVM 19's records, described as they describe them."""
    bitmap = "INSTR_PROF_DATA(const IntPtrT, IntPtrTy, BitmapPtr, RelativeBitmapPtr)\n" if more \
        else ""
    text = (f"#define INSTR_PROF_RAW_VERSION {version}\n"
            "INSTR_PROF_DATA(const uint64_t, llvm::Type::getInt64Ty(Ctx), NameRef, \\\n"
            "INSTR_PROF_DATA(const uint64_t, llvm::Type::getInt64Ty(Ctx), FuncHash, \\\n"
            f"INSTR_PROF_DATA(const IntPtrT, IntPtrTy, CounterPtr, RelativeCounterPtr)\n{bitmap}"
            "INSTR_PROF_DATA(const IntPtrT, llvm::Type::getInt8PtrTy(Ctx), FunctionPointer, \\\n"
            "INSTR_PROF_DATA(IntPtrT, llvm::Type::getInt8PtrTy(Ctx), Values, \\\n"
            "INSTR_PROF_DATA(const uint32_t, llvm::Type::getInt32Ty(Ctx), NumCounters, \\\n"
            f"INSTR_PROF_DATA(const uint16_t, Int16ArrayTy, NumValueSites[IPVK_Last+1], \\\n{more}"
            "INSTR_PROF_RAW_HEADER(uint64_t, Magic, __llvm_profile_get_magic())\n"
            + "".join(f"VALUE_PROF_KIND(IPVK_{n}, {n}, \"x\")\n" for n in range(kinds + 1)))
    layout = profile.Layout(text)
    assert (layout.version, layout.last_kind, layout.record) == (version, kinds, record)
    with pytest.raises(RigError, match="isn't known"):
        profile.Layout("")


def test_the_compilers_own():
    layout = profile.Layout(profile.description())
    assert layout.version >= 8 and layout.fields[:2] == ["Magic", "Version"]
    with pytest.raises(RigError, match="no-such-clang.*install"):
        profile.description("no-such-clang")


class Machine:
    """As much of a VM as counters need; `memory` is what QEMU would write."""

    def __init__(self, folder):
        self.run, self.dom, self.log, self.memory = folder, "dom", "", None
        self.host = SimpleNamespace(embedded=True, qmp=self._qmp)

    def kernel_log(self):
        return self.log

    def boots(self, number, counts, checksum=7):
        self.log += "ldr: counters of vq7test.sys kept at physical 2c9000\n"
        header = counters.HEADER.pack(counters.MARK, checksum, 8 * len(counts), number)
        self.memory = header.ljust(counters.PAGE, b"\0") + np.array(counts, np.uint64).tobytes()

    def _qmp(self, _dom, command, val, size, filename):
        if self.memory is None:
            raise RigError("QEMU is gone")
        assert (command, val, size) == ("pmemsave", 0x2C9000, len(self.memory))
        with open(filename, "wb") as file:
            file.write(self.memory)


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def read(machine, tmp_path):
    """The counters of that machine, and what has been noted of them."""
    file = tmp_path / "counters" / "00000007" / "001.bin"
    each = counters.Counters(machine, (7, 16), file)

    def noted():
        return list(np.frombuffer(file.read_bytes(), np.uint64)) if file.exists() else None
    each.noted = noted
    return each


def test_starts_are_added_up(machine, read):
    read.read()
    assert read.noted() is None                 # nothing is loaded yet
    machine.boots(1, [1, 0])
    read.read()
    machine.boots(1, [3, 0])                    # the same start: loaded again
    read.read()
    assert read.noted() == [3, 0]
    machine.boots(2, [1, 5])
    read.read()
    assert read.noted() == [4, 5]


def test_what_is_no_counters_is_left(machine, read):
    """A machine that has just started anew, another build, QEMU that is gone."""
    machine.boots(1, [3, 1])
    read.read()
    for memory in (bytes(counters.PAGE + 16), None):
        machine.memory = memory
        read.read()
    machine.boots(2, [9, 9], checksum=8)
    read.read()
    assert read.noted() == [3, 1]


def test_before_a_command_that_ends_it(machine, read):
    machine.boots(1, [1, 1])
    read.before(b"@5 blk read 0 8 *12345678\r\n")
    assert read.noted() is None
    read.before(b"@6 poweroff *12345678\r\n")
    assert read.noted() == [1, 1]


def test_each_image_has_its_own(machine, tmp_path):
    """The driver's, and those of the one that calls all of the library."""
    file = tmp_path / "library.bin"
    each = counters.Counters(machine, (7, 16), file, counters.LIBRARY)
    machine.boots(1, [3, 1])
    each.read()
    assert not file.exists()
    machine.log = machine.log.replace(counters.IMAGE, counters.LIBRARY)
    counters.All([each]).before(b"@6 poweroff *12345678\r\n")
    assert list(np.frombuffer(file.read_bytes(), np.uint64)) == [3, 1]


def test_only_where_files_are_shared(machine, tmp_path):
    machine.host.embedded = False
    with pytest.raises(UsageError, match="without --connect"):
        counters.Counters(machine, (7, 16), tmp_path / "x")


def test_machines_are_added_up(tmp_path):
    for run, counts in (("a", [1, 2]), ("b", [4, 0])):
        folder = tmp_path / run / counters.FOLDER / "00000007"
        folder.mkdir(parents=True)
        (folder / "001.bin").write_bytes(np.array(counts, np.uint64).tobytes())
    sums, count = counters.total([tmp_path / "a", tmp_path / "b"], (7, 16))
    assert list(sums) == [5, 2] and count == 2


# --- lines ------------------------------------------------------------------------

NAME = "lib/virtio_ring.h"
LCOV = f"""\
SF:{lines.ROOT}/{NAME}
DA:1,0
DA:2,7
end_of_record
SF:{lines.ROOT}/lib/sub/other.h
DA:1,0
end_of_record
SF:{lines.ROOT}/{NAME}
DA:1,2
DA:3,0
"""


def test_files_of_a_report():
    """A header counts once, and only the two folders count."""
    (one,) = lines.files_of(LCOV)
    assert one.name == NAME and one.counts == {1: 2, 2: 7, 3: 0} and one.missed == [3]
    text = lines.table([one], 4)
    assert f"{NAME}" in text and "66.7 %" in text and text.endswith("from 4 machines")
    assert lines.percentage("lib", [one]) == pytest.approx(66.67, abs=0.01)
    assert lines.percentage("guest_driver/driver", [one]) == 0


def test_reasons():
    source = (lines.ROOT / NAME).read_text().splitlines()
    (one,) = lines.files_of(LCOV)
    assert lines.judge([one], []) == ([(NAME, 3, source[2].strip())], [])
    reason = lines.Reason(NAME, source[2].strip(), "x")
    gone = lines.Reason(NAME, "no such line", "x")
    assert lines.judge([one], [reason]) == ([], [])
    assert lines.judge([one], [reason, gone]) == ([], [gone])


def test_the_list_is_whole():
    rules = lines.load_rules()
    assert rules.least >= 95
    for each in rules.unreached:
        text = (lines.ROOT / each.file).read_text()
        assert each.text in text, f"{each.file} hasn't {each.text!r}"
        assert len(each.reason) > 20


@pytest.mark.parametrize("text", ["", "least = 'x'", "least = 95\nunlisted = 0\n[[unreached]]\n"
                                  "file = 'a'"])
def test_a_bad_list(tmp_path, text):
    (tmp_path / "list").write_text(text)
    with pytest.raises(RigError, match="list"):
        lines.load_rules(tmp_path / "list")
