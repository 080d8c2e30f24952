#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Refuses a driver or a program that Windows 7 would not load: check_image.py FILE...

Looks at what a build with another toolchain can get wrong and what shows only
on a Windows machine: subsystem and its version, checksum, layout of the sections,
relocations, unwind data, imports, thread-local storage, the security cookie, the
name of the PDB (Microsoft PE/COFF specification). A file named .sys is a driver,
any other a program. What may be imported is windows7-exports.txt's. One line a
fault, exit code 1; 0 without faults.
"""

import pathlib
import re
import struct
import sys

from pe_checksum import checksum, checksum_offset

EXPORTS = pathlib.Path(__file__).resolve().parent / "windows7-exports.txt"
WINDOWS_7 = (6, 1)
NATIVE, CONSOLE = 1, 3
RELOCS_STRIPPED = 0x0001
DYNAMIC_BASE, NX_COMPATIBLE, WDM_DRIVER = 0x0040, 0x0100, 0x2000
EXECUTE, WRITE = 0x20000000, 0x80000000
PAGE, SECTOR = 4096, 512
DIRECTORIES = {"import": 1, "exception": 3, "certificate": 4, "relocation": 5, "debug": 6,
               "tls": 9, "configuration": 10, "bound import": 11, "delay import": 13}
MACHINES = {0x14C: 0x10B, 0x8664: 0x20B}  # and their optional header's magic
# What the loader replaces by a random value (Load Configuration Directory, SecurityCookie).
DEFAULT_COOKIE = {False: 0xBB40E64E, True: 0x00002B992DDFA232}


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
        (self.base,) = self.unpack("<Q", header + 24) if self.is_64 else self.unpack("<I",
                                                                                     header + 28)
        self.section_alignment, self.file_alignment = self.unpack("<II", header + 32)
        self.size, self.headers_size = self.unpack("<II", header + 56)
        self.subsystem_version = self.unpack("<HH", header + 48)
        self.subsystem, self.dll_characteristics = self.unpack("<HH", header + 68)
        directories = header + (112 if self.is_64 else 96)
        self.directories = {name: self.unpack("<II", directories + 8 * index)
                            for name, index in DIRECTORIES.items()}
        # name, VirtualSize, VirtualAddress, SizeOfRawData, PointerToRawData, ...
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


def exports():
    """{(module, name): (version since, architecture or None)} of windows7-exports.txt. Raises
    ValueError for a line that doesn't say where its version is from."""
    found = {}
    for line in EXPORTS.read_text(encoding="ascii").splitlines():
        fields = line.partition("#")[0].split()
        if fields:
            if not 4 <= len(fields) <= 5 or not re.fullmatch(r"\d+\.\d+|\(\d+\.\d+\)", fields[2]):
                raise ValueError(f"{EXPORTS.name}: {line!r} isn't module, name, version, source")
            module, name, since, _, *architecture = fields
            found[module.lower(), name] = (tuple(map(int, since.strip("()").split("."))),
                                           architecture)
    return found


def header_faults(image, driver):
    (stored,) = image.unpack("<I", image.checksum_at)
    right = checksum(image.data, image.checksum_at)
    if stored != right:
        yield f"checksum 0x{stored:x} should be 0x{right:x}"
    if image.subsystem != (NATIVE if driver else CONSOLE):
        yield f"subsystem {image.subsystem} is not {'native' if driver else 'the console'}"
    if image.subsystem_version > WINDOWS_7:
        yield "subsystem version %u.%u is above Windows 7's 6.1" % image.subsystem_version
    if driver and not image.dll_characteristics & WDM_DRIVER:
        yield "not marked as a WDM driver: Windows takes it for a legacy one"
    if not image.dll_characteristics & NX_COMPATIBLE:
        yield "not marked as working without executable data (NX)"
    if not image.dll_characteristics & DYNAMIC_BASE:
        yield "not marked as relocatable"
    if image.entry == 0:
        yield "no entry point"
    if image.characteristics & RELOCS_STRIPPED or not image.directories["relocation"][1]:
        yield "no relocations: it could be loaded at one address only"
    if image.is_64 and not image.directories["exception"][1]:
        yield "no unwind data"
    for name in ("tls", "delay import", "bound import"):
        if image.directories[name][1]:
            yield f"a {name} directory, which is not served or not wanted"


def layout_faults(image):
    """Sections lie one after the other, in memory and in the file, and end where they say."""
    if image.section_alignment != PAGE or image.file_alignment != SECTOR:
        yield (f"sections aligned to {image.section_alignment} and {image.file_alignment} bytes "
               f"instead of {PAGE} and {SECTOR}")
        return
    memory, file = up(image.headers_size, PAGE), image.headers_size
    for name, size, start, raw_size, raw, _, _, _, _, characteristics in image.sections:
        name = name.rstrip(bytes(1)).decode()
        if start != memory:
            yield f"section {name} at 0x{start:x} instead of 0x{memory:x}"
        if raw_size and (raw != file or raw_size % SECTOR):
            yield f"section {name} in the file at 0x{raw:x}, {raw_size} bytes, after 0x{file:x}"
        if characteristics & EXECUTE and characteristics & WRITE:
            yield f"section {name} is writable code"
        memory = start + up(max(size, 1), PAGE)
        file += raw_size
    if image.size != memory:
        yield f"image size 0x{image.size:x} should be 0x{memory:x}"
    certificates = image.directories["certificate"]
    end = certificates[0] if certificates[1] else len(image.data)
    if file != end:
        yield f"the file's sections end at 0x{file:x}, its content at 0x{end:x}"
    if sum(certificates) not in (0, len(image.data)):
        yield "the certificate table is not the end of the file"


def cookie_faults(image):
    """A load configuration is not needed; if there is one, its cookie must be one that the
    loader knows to replace: the default value, in a section that can be written."""
    address, size = image.directories["configuration"]
    if not size:
        return
    layout, at = ("<Q", 88) if image.is_64 else ("<I", 60)
    (cookie,) = image.unpack(layout, image.offset(address) + at)
    if cookie:
        offset = image.offset(cookie - image.base)
        (value,) = image.unpack(layout, offset)
        if value != DEFAULT_COOKIE[image.is_64]:
            yield f"security cookie 0x{value:x} is not the default that a loader replaces"


def import_faults(image):
    known = exports()
    architecture = "x64" if image.is_64 else "x86"
    for module, names in image.imports():
        for name in names:
            if name.startswith("#"):
                yield f"imports {module} by ordinal, {name}"
                continue
            since, only = known.get((module.lower(), name), (None, None))
            if since is None or only not in ([], [architecture]):
                yield (f"imports {name} of {module}, which windows7-exports.txt does not list "
                       f"for {architecture}")
            elif since > WINDOWS_7:
                yield f"imports {name} of {module}, which Windows 7 does not have"


def up(value, alignment):
    return (value + alignment - 1) // alignment * alignment


def pdb_faults(image):
    pdb = image.pdb()
    if pdb is None:
        yield "names no PDB"
    elif "/" in pdb or "\\" in pdb:
        yield f"names its PDB by a path of the build machine, {pdb}"


def faults(data, driver):
    image = Image(data)
    yield from header_faults(image, driver)
    for check in (layout_faults, cookie_faults, import_faults, pdb_faults):
        yield from check(image)


def main(paths):
    if not paths:
        sys.exit("usage: check_image.py FILE...")
    found = False
    for path in map(pathlib.Path, paths):
        try:
            for fault in faults(path.read_bytes(), path.suffix.lower() == ".sys"):
                print(f"{path}: {fault}", file=sys.stderr)
                found = True
        except (OSError, ValueError, struct.error) as error:
            sys.exit(f"check_image.py: {path}: {error}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main(sys.argv[1:])
