# SPDX-License-Identifier: MIT
"""The prompt's commands that know types: dt, !virtq."""

import fnmatch

from ..errors import UsageError
from ..gdb import virtq
from .show import q
from .types import Array, Bits, Enum, Pointer, Struct
from .values import Aggregate, load

VIRTQ = "_VIRTQ_SPLIT"
SHOWN = 4                       # numbers of an array


class Typed:
    def __init__(self, debugger, out):
        self.d, self.out = debugger, out

    def dt(self, text):
        """dt module!type [address]  a type's fields, or what is there; a pattern* its names"""
        name, _, where = text.strip().partition(" ")
        if not name:
            raise UsageError("dt module!type [address], as dt vq7test!_VIRTQ_SPLIT @rcx")
        if "*" in name:
            self._names(name)
            return
        _, found = self.d.type_named(name)
        if isinstance(found, Enum):
            for number, each in found.values.items():
                self.out(f"   {each} = 0n{number}\n")
            return
        address = self.d.evaluate(where) if where.strip() else None
        for member in found.members:
            what = member.type.name if address is None else self._text(
                member.type, address + member.offset)
            self.out(f"   +0x{member.offset:03x} {member.name:<17}: {what}\n")

    def _names(self, pattern):
        module, mark, name = pattern.partition("!")
        found = self.d.module_list.named(module) if mark else None
        if found is None or found.types is None:
            raise UsageError(f"{pattern}: dt module!pattern*, of a module with symbols")
        for each in found.types.like(lambda known: fnmatch.fnmatchcase(known.lower(),
                                                                       name.lower())):
            self.out(f"          {found.name}!{each}\n")

    def _text(self, type_, address):
        """What is at an address, as dt writes it."""
        if isinstance(type_, Struct):
            return type_.name
        if isinstance(type_, Array):
            return self._array(type_, address)
        value = load(self.d.read, type_, address)
        if isinstance(type_, Pointer):
            target = type_.target()
            known = self.d.name_of(int(value)) if self.d.module_list.holding(int(value)) else ""
            return f"0x{q(int(value))} {target.name} {known}".rstrip()
        if isinstance(type_, Enum):
            return f"{value} ( {type_.values.get(value, 'no name')} )"
        if isinstance(type_, Bits):
            return f"0y{value:0{type_.count}b}"
        if type_.signed:
            return f"0n{value}"
        text = f" '{chr(value)}'" if type_.size == 1 and 32 <= value < 127 else \
            " ''" if type_.size == 1 else ""
        return (f"0x{q(value)}" if value >> 32 else f"{value:#x}") + text

    def _array(self, type_, address):
        element = type_.element()
        if isinstance(element, (Struct, Array)):
            return type_.name
        shown = min(type_.count, SHOWN)
        texts = [self._text(element, address + i * element.size) for i in range(shown)]
        return f"{type_.name} {', '.join(texts)}" + (" ..." if type_.count > shown else "")

    def virtq(self, text):
        """!virtq address   a VIRTQ_SPLIT: indices, free list, chains that the device has"""
        if not text.strip():
            raise UsageError("!virtq address, as !virtq @rcx in VirtqSplitGetUsed")
        _, found = self.d.type_named(VIRTQ)
        queue = Aggregate(self.d.read, found, self.d.evaluate(text))
        if not virtq.possible(queue):
            raise UsageError(f"{text.strip()}: no VIRTQ_SPLIT is there")
        self.out("\n".join(virtq.describe(queue)) + "\n")
