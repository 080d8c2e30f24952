# SPDX-License-Identifier: MIT
"""Memory of the target as what its types say it is: `value["chains"][3]["state"]`."""

from .types import Array, Bits, Enum, Pointer, Struct


class Aggregate:
    """A structure or an array in the target's memory. `read(address, count)` reads it."""

    def __init__(self, read, type_, address):
        self._read, self.type, self.address = read, type_, address

    def __getitem__(self, key):
        """A field by name, an element by number; beyond an array's end, too: rings are declared
        with one. Raises KeyError, Unreadable."""
        if isinstance(key, str):
            member = self.type[key]
            return load(self._read, member.type, self.address + member.offset)
        element = self.type.element()
        return load(self._read, element, self.address + key * element.size)


class Address:
    """A pointer: a number, and what is there."""

    def __init__(self, read, type_, value):
        self._read, self.type, self.value = read, type_, value

    def __int__(self):
        return self.value

    def __getitem__(self, key):
        target = self.type.target()
        if isinstance(key, str):
            return Aggregate(self._read, target, self.value)[key]
        return load(self._read, target, self.value + key * target.size)


def load(read, type_, address):
    """An int, an Address or an Aggregate."""
    if isinstance(type_, (Struct, Array)):
        return Aggregate(read, type_, address)
    raw = int.from_bytes(read(address, type_.size), "little") if type_.size else 0
    if isinstance(type_, Pointer):
        return Address(read, type_, raw)
    if isinstance(type_, Bits):
        return raw >> type_.at & (1 << type_.count) - 1
    base = type_.base if isinstance(type_, Enum) else type_
    negative = base.signed and raw >> 8 * type_.size - 1
    return raw - (1 << 8 * type_.size) if negative else raw
