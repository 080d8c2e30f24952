# SPDX-License-Identifier: MIT
"""The ELF core of QEMU's dump-guest-memory: physical memory, and each CPU's registers; and
the same with virtual addresses, for gdb.

Layout: ELF-64; the notes named QEMU are `QEMUCPUState` of QEMU's target/i386/arch_dump.c.
"""

import struct
from dataclasses import dataclass

from ..errors import RigError
from ..kd.context import Context, Special
from .paging import PAGE
from .runs import Memory, Run

PAGING = 1 << 31                        # of CR0
PT_LOAD, PT_NOTE = 1, 4
ET_CORE, EM_X86_64 = 4, 62
MAX_PIECES = 0xFFF0                     # a header's count of them has 16 bits
PN_XNUM = 0xFFFF                        # the true number of program headers is elsewhere
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_NOTE = struct.Struct("<III")
# Control registers, integer registers and segments are there (CONTEXT_AMD64 of winnt.h).
CONTEXT_FLAGS = 0x0010_0007
MXCSR = 0x1F80                          # as after a reset: QEMU's note has no SSE state
_GENERAL = ("rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rsp", "rbp") + \
    tuple(f"r{n}" for n in range(8, 16))
_SEGMENT = struct.Struct("<IIIIQ")      # selector, limit, flags, -, base
_SEGMENTS = ("cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt")


@dataclass(frozen=True)
class Cpu:
    context: Context
    special: Special


class Core(Memory):
    """Use as a context manager, or close()."""

    def __init__(self, path):
        super().__init__(path)
        try:
            self._parse()
        except struct.error as bad:
            raise RigError(f"{path} is no ELF core of QEMU's: it is cut short") from bad

    def _parse(self):
        head = _HEADER.unpack_from(self._map)
        if head[0][:6] != b"\x7fELF\2\1":
            raise RigError(f"{self.path} is no ELF core of QEMU's: it isn't ELF-64")
        programs_at, sections_at, count = head[5], head[6], head[10]
        if count == PN_XNUM:
            count, = struct.unpack_from("<I", self._map, sections_at + 44)
        programs = [_PROGRAM.unpack_from(self._map, programs_at + _PROGRAM.size * i)
                    for i in range(count)]
        self._notes = [self._map[at:at + size] for kind, _, at, _, _, size, _, _ in programs
                       if kind == PT_NOTE]
        every = [cpu for notes in self._notes for cpu in _cpus(notes)]
        # One that the kernel hasn't started is as it was after the machine's reset.
        self.cpus = [cpu for cpu in every if cpu.special["cr0"] & PAGING]
        if not every:
            raise RigError(f"{self.path} has no registers in it: QEMU's notes are missing")
        self.set_runs(_merged(Run(physical, size, at) for kind, _, at, _, physical, size, _, _
                              in programs if kind == PT_LOAD and size))


def write_virtual(path, core, mappings):
    """The same memory as an ELF core for gdb: each mapping is a piece with a virtual address
    (see paging.mappings). Zeros take no space. Raises OSError."""
    notes = b"".join(core._notes)
    pieces = list(_pieces(core.runs, mappings))[:MAX_PIECES]
    at_notes = _HEADER.size + _PROGRAM.size * (1 + len(pieces))
    at_memory = -(-(at_notes + len(notes)) // PAGE) * PAGE
    places, end = {}, at_memory
    for run in core.runs:
        places[run.start] = end
        end += run.size
    with open(path, "wb") as file:
        file.write(_HEADER.pack(b"\x7fELF\2\1\1".ljust(16, b"\0"), ET_CORE, EM_X86_64, 1, 0,
                                _HEADER.size, 0, 0, _HEADER.size, _PROGRAM.size, 1 + len(pieces),
                                0, 0, 0))
        file.write(_PROGRAM.pack(PT_NOTE, 0, at_notes, 0, 0, len(notes), len(notes), 0))
        for virtual, run, offset, size in pieces:
            file.write(_PROGRAM.pack(PT_LOAD, 7, places[run.start] + offset, virtual,
                                     run.start + offset, size, size, PAGE))
        file.write(notes)
        for run in core.runs:
            core.copy(run.start, run.size, file, places[run.start])
        file.truncate(end)


def _pieces(runs, mappings):
    """(virtual address, run, offset in it, size) of what mappings have of the memory."""
    for virtual, size, physical in mappings:
        for run in runs:
            start, end = max(physical, run.start), min(physical + size, run.end)
            if start < end:
                yield virtual + start - physical, run, start - run.start, end - start


def _cpus(notes):
    at = 0
    while at < len(notes):
        name_size, size, _ = _NOTE.unpack_from(notes, at)
        name = notes[at + 12:at + 12 + name_size]
        at += 12 + (name_size + 3 & ~3)
        if name == b"QEMU\0":
            yield _cpu(notes[at:at + size])
        at += size + 3 & ~3


def _merged(runs):
    """Each piece of memory once, in order: what is mapped twice is in a core twice, with the
    same place in the file."""
    out = []
    for run in sorted(runs, key=lambda r: (r.start, -r.size)):
        if out and run.start < out[-1].end:
            if run.end <= out[-1].end:
                continue
            beyond = out[-1].end - run.start
            run = Run(out[-1].end, run.size - beyond, run.offset + beyond)
        last = out[-1] if out else None
        if last and last.end == run.start and last.offset + last.size == run.offset:
            out[-1] = Run(last.start, last.size + run.size, last.offset)
        else:
            out.append(run)
    return out


def _cpu(raw):
    general = struct.unpack_from("<18Q", raw, 8)
    segments = {name: _SEGMENT.unpack_from(raw, 152 + 24 * i) for i, name in enumerate(_SEGMENTS)}
    controls = struct.unpack_from("<5Q", raw, 392)
    context, special = Context(bytes(Context.size)), Special(bytes(Special.size))
    for name, value in zip((*_GENERAL, "rip"), general):
        context[name] = value
    context["efl"] = general[17] & 0xFFFFFFFF
    for name in ("cs", "ds", "es", "fs", "gs", "ss"):
        context[name] = segments[name][0] & 0xFFFF
    context["contextflags"], context["mxcsr"] = CONTEXT_FLAGS, MXCSR
    for number in (0, 2, 3, 4):
        special[f"cr{number}"] = controls[number]
    for table, base, limit in (("gdt", "gdtr", "gdtl"), ("idt", "idtr", "idtl")):
        special[base], special[limit] = segments[table][4], segments[table][1] & 0xFFFF
    special["tr"], special["ldtr"] = segments["tr"][0] & 0xFFFF, segments["ldt"][0] & 0xFFFF
    special["gsbase"] = segments["gs"][4]
    if struct.unpack_from("<I", raw, 4)[0] >= 440:
        special["gsswap"], = struct.unpack_from("<Q", raw, 432)
    return Cpu(context, special)
