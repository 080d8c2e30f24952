# SPDX-License-Identifier: MIT
"""Types from a PDB agree with the compiler: the library's own structures, and whatever else a
type can be made of, in a PDB that the test makes."""

import re
import shutil
import struct
import subprocess

import pytest

from vq7rig.errors import UsageError
from vq7rig.gdb import virtq
from vq7rig.kd.debugger import Debugger
from vq7rig.kd.typed import Typed
from vq7rig.kd.types import Array, Bits, Enum, Struct, Types
from vq7rig.kd.values import Aggregate
from vq7rig.paths import ROOT

TOOLS = ("clang++", "ld.lld", "llvm-pdbutil")
pytestmark = pytest.mark.skipif(not all(map(shutil.which, TOOLS)), reason="needs clang and lld")
TARGET = ["clang++", "--target=x86_64-w64-mingw32", "-std=c++17", "-DVIRTIO_OSDEP_USER_MODE",
          f"-I{ROOT / 'lib'}"]
SOURCE = """
#include "virtqueue_split.h"
enum Colour { Red = 1, Green = -5 };
struct Later;
struct Odd {
    signed char small; unsigned short pair[3]; Later *later; volatile long changing;
    unsigned low : 3; unsigned high : 7; Colour colour; double ratio; bool yes;
    union { struct { int left, right; } both; long long whole; } inside;
    Odd *next; VIRTQ_DESC grid[2][4]; void (*call)(int); void *nothing; wchar_t letter;
};
struct Later { int x; };
extern "C" { VIRTQ_SPLIT Queue; VIRTQ_SPLIT_CHAIN Chain; VIRTQ_USED Used; VIRTQ_AVAIL Avail;
             Odd TheOdd; Later TheLater; }
extern "C" int Start(void) { return Queue.qsz + Chain.count + Used.idx + Avail.idx + TheOdd.small
                                  + TheLater.x; }
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Folder with the source and its PDB."""
    folder = tmp_path_factory.mktemp("types")
    (folder / "odd.cpp").write_text(SOURCE)
    subprocess.run([*TARGET, "-g", "-gcodeview", "-O0", "-nostdlib", "-shared", "-fuse-ld=lld",
                    "-Wl,-e,Start", f"-Wl,--pdb={folder}/odd.pdb", "-o", folder / "odd.dll",
                    folder / "odd.cpp"], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def types(built):
    return Types(built / "odd.pdb")


def test_offsets_and_sizes_are_the_compilers(built, types):
    """All of them, said again as assertions for the compiler."""
    lines = []
    for name in ("_VIRTQ_SPLIT", "_VIRTQ_SPLIT_CHAIN", "_VIRTQ_DESC", "_VIRTQ_AVAIL",
                 "_VIRTQ_USED", "_VIRTQ_USED_ELEM", "Odd", "Later"):
        found = types.named(name)
        lines.append(f"static_assert(sizeof({name}) == {found.size});")
        assert len(found.members) > 0
        for member in found.members:
            if isinstance(member.type, Bits):
                continue
            field = f"(({name} *)0)->{member.name}"
            lines.append(f"static_assert(__builtin_offsetof({name}, {member.name}) == "
                         f"{member.offset} && sizeof({field}) == {member.type.size});")
    check = built / "check.cpp"
    check.write_text(SOURCE + "\n".join(lines))
    subprocess.run([*TARGET, "-fsyntax-only", check], check=True)
    header = (ROOT / "lib" / "virtqueue_split.h").read_text()
    body = header[header.index("typedef struct _VIRTQ_SPLIT {"):header.index("} VIRTQ_SPLIT;")]
    fields = re.sub(r"/\*.*?\*/", "", body, flags=re.S).count(";")
    assert len(types.named("VIRTQ_SPLIT").members) == fields, "none is left out"


def test_kinds(types):
    odd = types.named("Odd")
    assert {m.name: m.type.name for m in odd.members} == {
        "small": "Char", "pair": "[3] Uint2B", "later": "Ptr64 Later", "changing": "Int4B",
        "low": "Pos 0, 3 Bits", "high": "Pos 3, 7 Bits", "colour": "Colour", "ratio": "Double",
        "yes": "Bool", "inside": odd["inside"].type.name,
        "next": "Ptr64 Odd", "grid": "[2] [4] _VIRTQ_DESC", "call": "Ptr64 Function",
        "nothing": "Ptr64 Void", "letter": "Wchar"}
    assert isinstance(odd["grid"].type, Array) and odd["grid"].type.element().count == 4
    assert odd["later"].type.target()["x"].type.size == 4       # declared before it is known
    assert isinstance(odd["colour"].type, Enum)
    assert odd["colour"].type.values == {1: "Red", -5: "Green"}
    inside = odd["inside"].type
    assert isinstance(inside, Struct) and inside["both"].offset == inside["whole"].offset == 0
    assert types.named("Nowhere") is None
    with pytest.raises(KeyError, match="Odd has no field 'none'"):
        odd["none"]


class Memory:
    def __init__(self, start, size):
        self.start, self.raw = start, bytearray(size)

    def put(self, address, layout, *values):
        struct.pack_into(layout, self.raw, address - self.start, *values)

    def read(self, address, count):
        at = address - self.start
        assert 0 <= at and at + count <= len(self.raw)
        return bytes(self.raw[at:at + count])


BASE = 0xFFFF800000001000


@pytest.fixture
def memory():
    return Memory(BASE, 0x2000)


def test_values(types, memory):
    odd = types.named("Odd")
    memory.put(BASE, "<b3H", -2, 10, 11, 12)
    memory.put(BASE + odd["low"].offset, "<I", 5 | 0x41 << 3)
    memory.put(BASE + odd["colour"].offset, "<i", -5)
    memory.put(BASE + odd["next"].offset, "<Q", BASE + 0x800)
    memory.put(BASE + odd["grid"].offset + 16 * (4 + 2) + 8, "<I", 77)
    memory.put(BASE + 0x800, "<b", 9)
    memory.put(BASE + odd["pair"].offset, "<3H", 10, 11, 12)
    value = Aggregate(memory.read, odd, BASE)
    assert value["small"] == -2 and value["pair"][2] == 12
    assert (value["low"], value["high"], value["colour"]) == (5, 0x41, -5)
    assert int(value["next"]) == BASE + 0x800 and value["next"]["small"] == 9
    assert value["grid"][1][2]["len"] == 77
    assert value["next"][0]["small"] == 9


def queue(types, memory):
    """4 descriptors, one chain of two in flight, which the device has finished."""
    split, chain = types.named("_VIRTQ_SPLIT"), types.named("_VIRTQ_SPLIT_CHAIN")
    desc, avail, used, chains = (BASE + n for n in (0x400, 0x500, 0x600, 0x700))
    for name, layout, value in (
            ("qsz", "<H", 4), ("mask", "<H", 3), ("event_idx", "<B", 1), ("desc", "<Q", desc),
            ("avail", "<Q", avail), ("used", "<Q", used), ("chains", "<Q", chains),
            ("avail_idx", "<H", 0x10001), ("last_used_idx", "<H", 0), ("num_free", "<H", 2),
            ("free_head", "<H", 2)):
        bits = 8 * struct.calcsize(layout)
        memory.put(BASE + split[name].offset, layout, value & (1 << bits) - 1)
    memory.put(avail, "<HH4HH", 0, 1, 0, 0, 0, 0, 7)
    memory.put(used, "<HHIIIIIIIIH", 0, 1, 0, 513, 0, 0, 0, 0, 0, 0, 5)
    memory.put(desc, "<QIHHQIHH", 0x1000, 16, 1, 1, 0x2000, 513, 2, 0)
    for at, (state, count, next_, cookie) in enumerate(
            ((2, 2, 1, 0xAA0), (0, 0, 0xFFFF, 0), (0, 0, 3, 0), (0, 0, 0xFFFF, 0))):
        here = chains + at * chain.size
        for name, layout, value in (("state", "<H", state), ("count", "<H", count),
                                    ("next", "<H", next_), ("cookie", "<Q", cookie),
                                    ("table", "<H", 0xFFFF)):
            memory.put(here + chain[name].offset, layout, value)


class Target:
    """A debugger's client whose memory this is; no module is read from it."""
    stopped = False

    def __init__(self, memory):
        self.read = memory.read


class Module:
    name, symbols = "vq7test", None

    def __init__(self, types):
        self.types = types

    def __contains__(self, _address):
        return False


class Modules:
    def __init__(self, module):
        self._module = module

    def all(self):
        return [self._module]

    def named(self, name):
        return self._module if name == "vq7test" else None

    def holding(self, _address):
        return None

    def address_of(self, _module, _name):
        return None


@pytest.fixture
def debugger(types, memory):
    made = Debugger(Target(memory), [])
    made.module_list = Modules(Module(types))
    made.read = memory.read
    return made


@pytest.fixture
def typed(debugger):
    said = []
    made = Typed(debugger, said.append)
    made.said = said
    return made


def test_dt(typed, memory):
    typed.dt("vq7test!_VIRTQ_SPLIT_CHAIN")
    assert "".join(typed.said).splitlines()[:2] == ["   +0x000 cookie           : Ptr64 Void",
                                                    "   +0x008 writable         : Uint4B"]
    typed.said.clear()
    memory.put(BASE, "<QIHH", 0xFFFFF80000001234, 77, 1, 2)
    typed.dt(f"VIRTQ_SPLIT_CHAIN {BASE:x}")
    text = "".join(typed.said)
    assert "   +0x000 cookie           : 0xfffff800`00001234 Void\n" in text
    assert "   +0x008 writable         : 0x4d\n" in text
    typed.said.clear()
    typed.dt("vq7test!*chain*")
    assert "".join(typed.said) == "          vq7test!_VIRTQ_SPLIT_CHAIN\n"
    typed.said.clear()
    typed.dt("Colour")
    assert "".join(typed.said) == "   Red = 0n1\n   Green = 0n-5\n"


@pytest.mark.parametrize("text, words", [
    ("vq7test!None", "no type"), ("other!None", "no module 'other'"), ("", "dt module!type"),
    ("other!*", "dt module!pattern")])
def test_dt_of_what_is_not_there(typed, text, words):
    with pytest.raises(UsageError, match=words):
        typed.dt(text)


def test_virtq(typed, types, memory):
    """As gdb's command shows it."""
    queue(types, memory)
    typed.virtq(f"{BASE:x}")
    text = "".join(typed.said)
    for line in ("size 4, 2 free, 1 in flight, avail_idx 1, last_used_idx 0, event_idx",
                 "used[0]: head 0, 513 bytes", "free list: 2 3",
                 "head 0 in flight: 2 descriptor(s)", "desc[0]: 0x1000 16 bytes read, next 1",
                 "desc[1]: 0x2000 513 bytes write"):
        assert line in text, text
    assert virtq.possible(Aggregate(memory.read, types.named("_VIRTQ_SPLIT"), BASE))
    memory.put(BASE, "<H", 5)
    with pytest.raises(UsageError, match="no VIRTQ_SPLIT is there"):
        typed.virtq(f"{BASE:x}")
