# SPDX-License-Identifier: MIT
"""The CPU's state as Windows lays it out: CONTEXT and KSPECIAL_REGISTERS of x64."""

import struct

from ..errors import ProtocolError

CONTEXT_SIZE, SPECIAL_SIZE = 0x4D0, 0xD8

# name -> (offset, size)
_CONTEXT = {"contextflags": (0x30, 4), "mxcsr": (0x34, 4)}
_CONTEXT |= {name: (0x38 + 2 * i, 2) for i, name in
             enumerate(("cs", "ds", "es", "fs", "gs", "ss"))}
_CONTEXT["efl"] = (0x44, 4)
_CONTEXT |= {name: (0x48 + 8 * i, 8) for i, name in
             enumerate(("dr0", "dr1", "dr2", "dr3", "dr6", "dr7"))}
GENERAL = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi") + \
    tuple(f"r{n}" for n in range(8, 16))
_CONTEXT |= {name: (0x78 + 8 * i, 8) for i, name in enumerate(GENERAL)}
_CONTEXT["rip"] = (0xF8, 8)
_CONTEXT |= {f"xmm{n}": (0x1A0 + 16 * n, 16) for n in range(16)}

_SPECIAL = {"cr0": (0, 8), "cr2": (8, 8), "cr3": (0x10, 8), "cr4": (0x18, 8),
            "kdr0": (0x20, 8), "kdr1": (0x28, 8), "kdr2": (0x30, 8), "kdr3": (0x38, 8),
            "kdr6": (0x40, 8), "kdr7": (0x48, 8), "gdtl": (0x56, 2), "gdtr": (0x58, 8),
            "idtl": (0x66, 2), "idtr": (0x68, 8), "tr": (0x70, 2), "ldtr": (0x72, 2),
            "cr8": (0xA0, 8), "gsbase": (0xA8, 8), "gsswap": (0xB0, 8)}


class _Registers:
    """A block of bytes with named fields: `block["rip"]`."""
    fields, size, what = {}, 0, ""

    def __init__(self, raw):
        if len(raw) < self.size:
            raise ProtocolError(f"{self.what} of {len(raw)} bytes, not {self.size}")
        self.raw = bytearray(raw[:self.size])

    def __contains__(self, name):
        return name in self.fields

    def __getitem__(self, name):
        at, size = self.fields[name]
        return int.from_bytes(self.raw[at:at + size], "little")

    def __setitem__(self, name, value):
        at, size = self.fields[name]
        if not 0 <= value < 1 << 8 * size:
            raise ValueError(f"{name} has {8 * size} bits; {value:#x} doesn't fit")
        self.raw[at:at + size] = value.to_bytes(size, "little")

    def __bytes__(self):
        return bytes(self.raw)


class Context(_Registers):
    fields, size, what = _CONTEXT, CONTEXT_SIZE, "a CONTEXT"


class Special(_Registers):
    fields, size, what = _SPECIAL, SPECIAL_SIZE, "KSPECIAL_REGISTERS"


_FLAGS = ((11, "ov", "nv"), (10, "dn", "up"), (9, "ei", "di"), (7, "ng", "pl"),
          (6, "zr", "nz"), (4, "ac", "na"), (2, "pe", "po"), (0, "cy", "nc"))


def flag_names(efl):
    return " ".join(on if efl >> bit & 1 else off for bit, on, off in _FLAGS)


def control_set(trace, dr7):
    """The control set of a Continue2 after its status: no symbol range."""
    return struct.pack("<IQQQ", int(trace), dr7, 0, 0)
