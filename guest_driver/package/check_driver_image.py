#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses a driver image that Windows 7 would not load: check_driver_image.py FILE...

Looks at what a build with another toolchain can get wrong and what shows only
on a Windows machine: subsystem and its version, checksum, relocations, unwind
data, imports, thread-local storage, the name of the PDB (Microsoft PE/COFF
specification). One line a fault, exit code 1; 0 without faults.
"""

import struct
import sys

from pe_checksum import checksum, checksum_offset

MODULES = {"ntoskrnl.exe", "hal.dll", "wdfldr.sys"}
WINDOWS_7 = (6, 1)
NATIVE = 1
RELOCS_STRIPPED = 0x0001
WDM_DRIVER = 0x2000
EXECUTE, WRITE = 0x20000000, 0x80000000
DIRECTORIES = {"import": 1, "exception": 3, "relocation": 5, "debug": 6, "tls": 9, "delay": 13}
MACHINES = {0x14C: 0x10B, 0x8664: 0x20B}  # and their optional header's magic


class Image:
    def __init__(self, data):
        self.data = data
        self.checksum_at = checksum_offset(data)
        header = self.checksum_at - 64
        self.machine, sections, _, _, _, size, self.characteristics = self.unpack("<HHIIIHH",
                                                                                  header - 20)
        (magic,) = self.unpack("<H", header)
        if MACHINES.get(self.machine) != magic:
            raise ValueError(f"machine 0x{self.machine:x} with magic 0x{magic:x}")
        self.is_64 = magic == 0x20B
        (self.entry,) = self.unpack("<I", header + 16)
        self.subsystem_version = self.unpack("<HH", header + 48)
        self.subsystem, self.dll_characteristics = self.unpack("<HH", header + 68)
        directories = header + (112 if self.is_64 else 96)
        self.directories = {name: self.unpack("<II", directories + 8 * index)
                            for name, index in DIRECTORIES.items()}
        self.sections = [self.unpack("<8sIIIIIIHHI", header + size + 40 * i)
                         for i in range(sections)]

    def unpack(self, layout, offset):
        return struct.unpack_from(layout, self.data, offset)

    def offset(self, rva):
        for _, size, start, raw_size, raw, *_ in self.sections:
            if start <= rva < start + max(size, raw_size):
                return raw + rva - start
        raise ValueError(f"address 0x{rva:x} is in no section")

    def text(self, offset):
        return self.data[offset:self.data.index(b"\0", offset)].decode("ascii")

    def imports(self):
        at = self.offset(self.directories["import"][0])
        width, by_ordinal = (8, 1 << 63) if self.is_64 else (4, 1 << 31)
        while (fields := self.unpack("<5I", at))[3] != 0:
            entry = self.offset(fields[0])
            names = []
            while (value := int.from_bytes(self.data[entry:entry + width], "little")) != 0:
                names.append(f"#{value & 0xFFFF}" if value & by_ordinal
                             else self.text(self.offset(value) + 2))
                entry += width
            yield self.text(self.offset(fields[3])), names
            at += 20

    def pdb(self):
        address, size = self.directories["debug"]
        for i in range(size // 28):
            kind, _, _, raw = self.unpack("<IIII", self.offset(address) + 28 * i + 12)
            if kind == 2 and self.data[raw:raw + 4] == b"RSDS":
                return self.text(raw + 24)
        return None


def header_faults(image):
    (stored,) = image.unpack("<I", image.checksum_at)
    right = checksum(image.data, image.checksum_at)
    if stored != right:
        yield f"checksum 0x{stored:x} should be 0x{right:x}"
    if image.subsystem != NATIVE:
        yield f"subsystem {image.subsystem} is not native"
    if image.subsystem_version > WINDOWS_7:
        yield "subsystem version %u.%u is above Windows 7's 6.1" % image.subsystem_version
    if not image.dll_characteristics & WDM_DRIVER:
        yield "not marked as a WDM driver: Windows takes it for a legacy one"
    if image.entry == 0:
        yield "no entry point"
    if image.characteristics & RELOCS_STRIPPED or not image.directories["relocation"][1]:
        yield "no relocations: it could be loaded at one address only"
    if image.is_64 and not image.directories["exception"][1]:
        yield "no unwind data"
    for name in ("tls", "delay"):
        if image.directories[name][1]:
            yield f"a {name} directory, which the kernel does not serve"
    for name, *_, characteristics in image.sections:
        if characteristics & EXECUTE and characteristics & WRITE:
            yield f"section {name.rstrip(bytes(1)).decode()} is writable code"


def import_faults(image):
    for module, names in image.imports():
        if module.lower() not in MODULES:
            yield f"imports from {module}"
        for name in names:
            if name.startswith(("#", "_", "?", "@")) or "@" in name:
                yield f"imports {name} of {module}: no name that it exports"


def pdb_faults(image):
    pdb = image.pdb()
    if pdb is None:
        yield "names no PDB"
    elif "/" in pdb or "\\" in pdb:
        yield f"names its PDB by a path of the build machine, {pdb}"


def faults(data):
    image = Image(data)
    for check in (header_faults, import_faults, pdb_faults):
        yield from check(image)


def main(paths):
    if not paths:
        sys.exit("usage: check_driver_image.py FILE...")
    found = False
    for path in paths:
        try:
            with open(path, "rb") as file:
                for fault in faults(file.read()):
                    print(f"{path}: {fault}", file=sys.stderr)
                    found = True
        except (OSError, ValueError, struct.error) as error:
            sys.exit(f"check_driver_image.py: {path}: {error}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
