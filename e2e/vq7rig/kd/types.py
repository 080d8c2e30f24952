# SPDX-License-Identifier: MIT
"""The types of a PDB: its TPI stream, as `llvm-pdbutil dump --types` prints it."""

import functools
import re
import subprocess
from dataclasses import dataclass, field

from ..errors import RigError
from .pdb import identity, tool

POINTER_SIZE = 8
# Kinds of the type indices below 0x1000, as CodeView numbers them: (name in `dt`, size, signed).
_SIMPLE = {0x03: ("Void", 0, False), 0x08: ("Int4B", 4, True), 0x10: ("Char", 1, True),
           0x20: ("UChar", 1, False), 0x68: ("Char", 1, True), 0x69: ("UChar", 1, False),
           0x70: ("Char", 1, True), 0x71: ("Wchar", 2, False), 0x7A: ("Wchar", 2, False),
           0x11: ("Int2B", 2, True), 0x21: ("Uint2B", 2, False), 0x72: ("Int2B", 2, True),
           0x73: ("Uint2B", 2, False), 0x12: ("Int4B", 4, True), 0x22: ("Uint4B", 4, False),
           0x74: ("Int4B", 4, True), 0x75: ("Uint4B", 4, False), 0x13: ("Int8B", 8, True),
           0x23: ("Uint8B", 8, False), 0x76: ("Int8B", 8, True), 0x77: ("Uint8B", 8, False),
           0x30: ("Bool", 1, False), 0x40: ("Float", 4, False), 0x41: ("Double", 8, False)}
_RECORD = re.compile(r"^ *0x([0-9A-F]+) \| LF_(\w+) \[size = \d+\](?: `(.*)`)?$", re.M)
_MEMBER = re.compile(r"LF_MEMBER \[name = `(.*)`, Type = 0x([0-9A-F]+)[^,]*, offset = (\d+)")


@dataclass(frozen=True)
class Simple:
    name: str
    size: int
    signed: bool = False


@dataclass(frozen=True)
class Pointer:
    target: object              # a function that gives the type
    size: int = POINTER_SIZE

    @property
    def name(self):
        return f"Ptr64 {self.target().name}"


@dataclass(frozen=True)
class Array:
    size: int
    element: object             # a function that gives the type

    @property
    def count(self):
        return self.size // self.element().size if self.element().size else 0

    @property
    def name(self):
        return f"[{self.count}] {self.element().name}"


@dataclass(frozen=True)
class Bits:
    base: object
    at: int
    count: int

    @property
    def size(self):
        return self.base.size

    @property
    def name(self):
        return f"Pos {self.at}, {self.count} Bit{'s' if self.count > 1 else ''}"


@dataclass(frozen=True)
class Enum:
    name: str
    base: object
    values: dict = field(hash=False)        # number -> name

    @property
    def size(self):
        return self.base.size


@dataclass(frozen=True)
class Member:
    name: str
    offset: int
    type: object


@dataclass(frozen=True)
class Struct:
    """A structure, class or union. `members` is empty where it is only declared."""
    name: str
    size: int
    members: tuple

    def __getitem__(self, name):
        """Raises KeyError."""
        return next(each for each in self.members if each.name == name) \
            if any(each.name == name for each in self.members) else _missing(self, name)


def _missing(struct, name):
    raise KeyError(f"{struct.name} has no field {name!r}")


class Types:
    """Of one PDB, by name."""

    def __init__(self, pdb):
        self._records = _records(pdb, identity(pdb))
        self._made = {}
        self._names = {}                    # of complete structures and enumerations
        for index, (kind, name, body) in self._records.items():
            if name and kind in ("STRUCTURE", "CLASS", "UNION", "ENUM") \
                    and "forward ref" not in body:
                self._names.setdefault(name, index)

    def named(self, name):
        """The type of that name, or of the one that is `typedef`d so: by habit the same with
        an underscore before it. None: there is none."""
        for each in (name, "_" + name):
            if each in self._names:
                return self._of(self._names[each])
        return None

    def like(self, match):
        """Names for which match(name) is true."""
        return sorted(name for name in self._names if match(name))

    def _of(self, index):
        if index not in self._made:
            self._made[index] = _simple(index) if index < 0x1000 else self._build(index)
        return self._made[index]

    def _later(self, text):
        return functools.partial(self._of, int(text, 16))

    def _build(self, index):
        kind, name, body = self._records[index]
        builder = {"STRUCTURE": self._struct, "CLASS": self._struct, "UNION": self._struct,
                   "ENUM": self._enum, "POINTER": self._pointer, "ARRAY": self._array,
                   "MODIFIER": self._modifier, "BITFIELD": self._bits}.get(kind)
        return builder(name, body) if builder else Simple("Function", 0)

    def _struct(self, name, body):
        if "forward ref" in body:
            index = self._names.get(name)
            return self._of(index) if index is not None else Struct(name, 0, ())
        fields = re.search(r"field list: 0x([0-9A-F]+)", body)
        size = int(re.search(r"sizeof (\d+)", body)[1])
        listed = self._records[int(fields[1], 16)][2] if fields else ""
        return Struct(name, size, tuple(
            Member(each, int(offset), self._of(int(type_, 16)))
            for each, type_, offset in _MEMBER.findall(listed)))

    def _enum(self, name, body):
        if "forward ref" in body:
            return self._of(self._names[name]) if name in self._names else Simple(name, 4)
        fields = re.search(r"field list: 0x([0-9A-F]+)", body)
        base = re.search(r"underlying type: 0x([0-9A-F]+)", body)
        listed = self._records[int(fields[1], 16)][2] if fields else ""
        of = self._of(int(base[1], 16))
        half = 1 << 8 * of.size - 1 if of.signed else 0     # numbers are printed unsigned
        return Enum(name, of, {
            int(number) - (2 * half if half and int(number) >= half else 0): each
            for each, number in re.findall(r"LF_ENUMERATE \[(.*) = (-?\d+)\]", listed)})

    def _pointer(self, _name, body):
        return Pointer(self._later(re.search(r"referent = 0x([0-9A-F]+)", body)[1]))

    def _array(self, _name, body):
        found = re.search(r"size: (\d+), .*element type: 0x([0-9A-F]+)", body)
        return Array(int(found[1]), self._later(found[2]))

    def _modifier(self, _name, body):
        return self._of(int(re.search(r"referent = 0x([0-9A-F]+)", body)[1], 16))

    def _bits(self, _name, body):
        found = re.search(r"type = 0x([0-9A-F]+).*, bit offset = (\d+), # bits = (\d+)", body)
        return Bits(self._of(int(found[1], 16)), int(found[2]), int(found[3]))


def _simple(index):
    """Bits 8 to 11 say which kind of pointer to it is meant; 0: none."""
    name, size, signed = _SIMPLE.get(index & 0xFF, (f"Type{index:#x}", 0, False))
    if index >> 8:
        return Pointer(lambda: Simple(name, size, signed))
    return Simple(name, size, signed)


@functools.lru_cache(maxsize=16)
def _records(pdb, _guid):
    """index -> (kind, name, text behind the first line)"""
    ran = subprocess.run([tool("llvm-pdbutil"), "dump", "--types", str(pdb)],
                         capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RigError(f"llvm-pdbutil can't read {pdb}: {ran.stderr.strip()}")
    found = list(_RECORD.finditer(ran.stdout))
    ends = [each.start() for each in found[1:]] + [len(ran.stdout)]
    return {int(each[1], 16): (each[2], each[3], ran.stdout[each.end():end])
            for each, end in zip(found, ends)}
