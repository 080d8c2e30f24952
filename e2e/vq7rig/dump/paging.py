# SPDX-License-Identifier: MIT
"""Virtual memory of x64 with four levels of tables (Intel SDM volume 3A, "4-level paging"), and
that of 32-bit systems ("32-bit paging", "PAE paging")."""

import struct

from ..kd.errors import Unreadable

PAGE = 0x1000
PRESENT, LARGE = 1, 0x80
ADDRESS = 0x000F_FFFF_FFFF_F000
_SHIFTS = (39, 30, 21, 12)


def translate(read_physical, root, address):
    """(physical address, bytes from there to the end of the page), or None: not mapped.

    `root` is CR3. `read_physical(address, count)` raises Unreadable.
    """
    if address >> 47 not in (0, 0x1FFFF):
        return None                     # not canonical
    table = root & ADDRESS
    for shift in _SHIFTS:
        try:
            entry, = struct.unpack("<Q", read_physical(table + (address >> shift & 0x1FF) * 8, 8))
        except Unreadable:
            return None
        if not entry & PRESENT:
            return None
        if shift == 12 or (entry & LARGE and shift in (21, 30)):
            size = 1 << shift
            return (entry & ADDRESS & ~(size - 1)) + (address & size - 1), \
                size - (address & size - 1)
        table = entry & ADDRESS
    return None


def translate_ia32(read_physical, root, address):
    """The same of a 32-bit system without PAE: two levels, entries of 4 bytes, pages of 4 MiB."""
    if address >> 32:
        return None
    table = root & 0xFFFF_F000
    for shift in (22, 12):
        try:
            entry, = struct.unpack("<I", read_physical(table + (address >> shift & 0x3FF) * 4, 4))
        except Unreadable:
            return None
        if not entry & PRESENT:
            return None
        if shift == 12 or entry & LARGE:
            size = 1 << shift
            # Bits 39 to 32 of a large page's address are in bits 20 to 13.
            high = (entry >> 13 & 0xFF) << 32 if shift == 22 else 0
            return high + (entry & ~(size - 1)) + (address & size - 1), \
                size - (address & size - 1)
        table = entry & 0xFFFF_F000
    return None


def translate_pae(read_physical, root, address):
    """The same with PAE: four pointers, then two levels with entries of 8 bytes."""
    if address >> 32:
        return None
    table = (root & 0xFFFF_FFE0) + (address >> 30) * 8
    for shift in (30, 21, 12):
        try:
            entry, = struct.unpack("<Q", read_physical(table, 8))
        except Unreadable:
            return None
        if not entry & PRESENT:
            return None
        if shift == 12 or (shift == 21 and entry & LARGE):
            size = 1 << shift
            return (entry & ADDRESS & ~(size - 1)) + (address & size - 1), \
                size - (address & size - 1)
        table = (entry & ADDRESS) + (address >> {30: 21, 21: 12}[shift] & 0x1FF) * 8
    return None


def read(read_physical, root, address, count, translated=translate):
    """Virtual memory. Raises Unreadable, with the count that could be read."""
    data = bytearray()
    while len(data) < count:
        found = translated(read_physical, root, address + len(data) & (1 << 64) - 1)
        if found is None:
            raise Unreadable(address, count, len(data))
        at, left = found
        try:
            data += read_physical(at, min(left, count - len(data)))
        except Unreadable as bad:
            raise Unreadable(address, count, len(data) + bad.done) from None
    return bytes(data)


def mappings(read_physical, root):
    """What is mapped: (virtual address, size, physical address), in order; pieces that are
    neighbours on both sides as one. Tables that can't be read map nothing."""
    found = []
    for virtual, size, physical in _entries(read_physical, root & ADDRESS, 0, 0):
        if found and sum(found[-1][:2]) == virtual and found[-1][2] + found[-1][1] == physical:
            found[-1] = (found[-1][0], found[-1][1] + size, found[-1][2])
        else:
            found.append((virtual, size, physical))
    return found


def _entries(read_physical, table, level, base):
    try:
        raw = read_physical(table, PAGE)
    except Unreadable:
        return
    shift = _SHIFTS[level]
    for index, entry in enumerate(struct.unpack("<512Q", raw)):
        if not entry & PRESENT:
            continue
        virtual = base | index << shift
        if level == 0 and index >= 256:
            virtual |= 0xFFFF << 48     # canonical
        if level == 3 or (entry & LARGE and level in (1, 2)):
            yield virtual, 1 << shift, entry & ADDRESS & ~((1 << shift) - 1)
        else:
            yield from _entries(read_physical, entry & ADDRESS, level + 1, virtual)
