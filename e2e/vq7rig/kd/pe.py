# SPDX-License-Identifier: MIT
"""PE images, in a target's memory or in a file: sections, PDB identity, unwind data
(PE Format; for CodeView records the RSDS layout)."""

import bisect
import struct
import uuid
from dataclasses import dataclass
from functools import cached_property

from ..errors import RigError

EXCEPTION_DIRECTORY, DEBUG_DIRECTORY, CODEVIEW = 3, 6, 2
OPTIONAL_64 = 0x20B
FUNCTION = struct.Struct("<III")        # RUNTIME_FUNCTION


@dataclass(frozen=True)
class Pdb:
    """Which PDB belongs to an image."""
    guid: str
    age: int
    path: str

    @property
    def name(self):
        return self.path.replace("\\", "/").rpartition("/")[2]


@dataclass(frozen=True)
class Section:
    name: str
    rva: int
    size: int
    file_at: int
    file_size: int


class Image:
    """`read(rva, count)` gives bytes of the image as it is mapped."""

    def __init__(self, read):
        self._read = read
        head = read(0, 0x40)
        (at,) = struct.unpack_from("<I", head, 0x3C)
        headers = read(at, 24)
        if head[:2] != b"MZ" or headers[:4] != b"PE\0\0":
            raise RigError("no PE image: its headers aren't one's")
        (self.machine, count, self.time_stamp) = struct.unpack_from("<HHI", headers, 4)
        (optional_size,) = struct.unpack_from("<H", headers, 20)
        optional = read(at + 24, optional_size)
        if struct.unpack_from("<H", optional)[0] != OPTIONAL_64:
            raise RigError("a PE image of another machine than x64")
        self.entry, = struct.unpack_from("<I", optional, 16)
        self.size, _, self.checksum = struct.unpack_from("<III", optional, 56)
        (number,) = struct.unpack_from("<I", optional, 108)
        self._directories = [struct.unpack_from("<II", optional, 112 + 8 * i)
                             for i in range(min(number, 16))]
        table = read(at + 24 + optional_size, 40 * count)
        self.sections = [self._section(table[40 * i:40 * i + 40]) for i in range(count)]

    @staticmethod
    def _section(raw):
        size, rva, file_size, file_at = struct.unpack_from("<IIII", raw, 8)
        return Section(raw[:8].rstrip(b"\0").decode("latin-1"), rva, size, file_at, file_size)

    def bytes_at(self, rva, count):
        return self._read(rva, count)

    def _directory(self, number):
        return self._directories[number] if number < len(self._directories) else (0, 0)

    @cached_property
    def pdb(self):
        """The Pdb of the image, or None."""
        at, size = self._directory(DEBUG_DIRECTORY)
        for entry in struct.iter_unpack("<IIHHIIII", self._read(at, size - size % 28)):
            kind, length, rva = entry[4], entry[5], entry[6]
            if kind == CODEVIEW and length >= 24:
                record = self._read(rva, length)
                if record[:4] == b"RSDS":
                    guid = str(uuid.UUID(bytes_le=record[4:20])).upper()
                    path = record[24:].split(b"\0")[0].decode("utf-8", "replace")
                    return Pdb(guid, struct.unpack_from("<I", record, 20)[0], path)
        return None

    @cached_property
    def functions(self):
        """RUNTIME_FUNCTIONs: (begin, end, unwind info), in order of address."""
        at, size = self._directory(EXCEPTION_DIRECTORY)
        return sorted(FUNCTION.iter_unpack(self._read(at, size - size % 12))) if size else []

    def function(self, rva):
        """The RUNTIME_FUNCTION that holds an address, or None for a leaf."""
        at = bisect.bisect_right(self.functions, rva, key=lambda f: f[0]) - 1
        if at >= 0 and self.functions[at][0] <= rva < self.functions[at][1]:
            return self.functions[at]
        return None


def file_image(path):
    """The Image of a file."""
    try:
        raw = path.read_bytes()
    except OSError as bad:
        raise RigError(f"can't read {path}: {bad.strerror}") from bad
    sections = []

    def read(rva, count):
        for section in sections:
            if section.rva <= rva < section.rva + max(section.size, section.file_size):
                at = section.file_at + rva - section.rva
                stored = raw[at:max(at, min(at + count, section.file_at + section.file_size))]
                return stored.ljust(count, b"\0")
        return raw[rva:rva + count].ljust(count, b"\0")

    try:
        image = Image(read)
    except (RigError, struct.error) as bad:
        raise RigError(f"{path}: {bad}") from bad
    sections += image.sections
    return image
