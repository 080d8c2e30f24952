# SPDX-License-Identifier: MIT
"""A guest of a few bytes: a PVH kernel that halts, for tests of the machine's life."""

import struct

ENTRY = 0x100000


def elf(code=b"\xfa\xf4\xeb\xfd"):
    """A 32-bit PVH ELF with `code` at 1 MiB; by default cli; hlt; jmp back to hlt."""
    # Xen's ELF note 18, XEN_ELFNOTE_PHYS32_ENTRY: where to start in protected mode.
    note = struct.pack("<III4sI", 4, 4, 18, b"Xen\0", ENTRY)
    head, segment = 52, 32
    at_note = head + 2 * segment
    at_code = at_note + len(note)
    header = struct.pack("<16sHHIIIIIHHHHHH", b"\x7fELF\x01\x01\x01", 2, 3, 1, ENTRY, head, 0, 0,
                         head, segment, 2, 0, 0, 0)
    load = struct.pack("<8I", 1, at_code, ENTRY, ENTRY, len(code), len(code), 7, 4)
    info = struct.pack("<8I", 4, at_note, 0, 0, len(note), len(note), 4, 4)
    return header + load + info + note + code


def serial(text):
    """Code that writes `text` to COM1 and halts."""
    code = b"\x66\xba\xf8\x03"                                  # mov dx, 0x3f8
    for byte in text.encode("ascii"):
        code += bytes([0xB0, byte, 0xEE])                       # mov al, byte; out dx, al
    return code + b"\xfa\xf4\xeb\xfd"
