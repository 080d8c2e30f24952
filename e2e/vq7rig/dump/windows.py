# SPDX-License-Identifier: MIT
"""Windows' complete memory dump for x64: a header of two pages (DUMP_HEADER64, tagged
`PAGEDU64`), then the pages of each run of physical memory, one after the other."""

import os
import struct
from dataclasses import dataclass, field

from ..errors import RigError
from ..kd.context import CONTEXT_SIZE, Context, Special
from ..kd.nt import CSD_VERSION, MODULE_LIST, PROCESS_HEAD, PROCESSOR_BLOCK, Kernel
from .elfcore import Cpu
from .frozen import Frozen, processor_blocks
from .paging import PAGE
from .runs import Memory, Run

HEADER_SIZE, MAX_RUNS = 2 * PAGE, 42
SIGNATURE = b"PAGEDU64"
FULL = 1                                # DumpType
AMD64 = 0x8664
BREAKPOINT = 0x80000003
# Where things are in DUMP_HEADER64.
HEAD, BUGCHECK, DEBUGGER_DATA, MEMORY, CONTEXT, EXCEPTION, KIND, COMMENT = \
    0, 0x38, 0x80, 0x88, 0x348, 0xF00, 0xF98, 0xFB0
# Of KDDEBUGGER_DATA64.
BUGCHECK_DATA, PFN_DATABASE, PRCB_CONTEXT, PRCB_SPECIAL = 0x88, 0xC0, 0x338, 0x2F2
# KUSER_SHARED_DATA: interrupt time, system time (three times 4 bytes), product type, suites.
SHARED = 0xFFFFF780_00000000
INTERRUPT_TIME, SYSTEM_TIME, PRODUCT, SUITES = 0x8, 0x14, 0x264, 0x2D0
# No RAM is there on a PC, but devices, and the flash ROM of the firmware.
DEVICES_START, DEVICES_END = 0xE0000000, 0x1_0000_0000
COMMENT_TEXT = b"VQ7: taken by the rig from the memory of a virtual machine\0"


@dataclass
class Header:
    """What the header says, as numbers."""
    major: int = 0
    minor: int = 0
    root: int = 0                       # CR3
    pfn_database: int = 0
    modules: int = 0
    processes: int = 0
    machine: int = AMD64
    processors: int = 0
    bugcheck: tuple = (0, 0, 0, 0, 0)   # code, and four parameters
    debugger_data: int = 0
    runs: list = field(default_factory=list)    # (first page, pages)
    context: Context = None
    exception: tuple = (BREAKPOINT, 0)  # code, address
    system_time: int = 0
    up_time: int = 0
    product: int = 0
    suites: int = 0

    @property
    def pages(self):
        return sum(count for _, count in self.runs)

    def bytes(self):
        raw = bytearray(b"PAGE" * (HEADER_SIZE // 4))
        struct.pack_into("<8sIIQQQQII", raw, HEAD, SIGNATURE, self.major, self.minor, self.root,
                         self.pfn_database, self.modules, self.processes, self.machine,
                         self.processors)
        code, *parameters = self.bugcheck
        struct.pack_into("<II4Q32s", raw, BUGCHECK, code & 0xFFFFFFFF, 0, *parameters, b"")
        struct.pack_into("<QIIQ", raw, DEBUGGER_DATA, self.debugger_data, len(self.runs), 0,
                         self.pages)
        for number, run in enumerate(self.runs):
            struct.pack_into("<QQ", raw, MEMORY + 16 + 16 * number, *run)
        raw[CONTEXT:CONTEXT + CONTEXT_SIZE] = bytes(self.context)
        code, address = self.exception
        struct.pack_into("<IIQQII15Q", raw, EXCEPTION, code, 0, 0, address, 0, 0, *[0] * 15)
        struct.pack_into("<IIQQ128sQIIIIIBB", raw, KIND, FULL, 0,
                         HEADER_SIZE + PAGE * self.pages, self.system_time, COMMENT_TEXT,
                         self.up_time, 0, 0, self.product, self.suites, 0, 0, 0)
        return bytes(raw)

    @classmethod
    def of(cls, raw, path="the dump"):
        """Raises RigError."""
        if len(raw) < HEADER_SIZE or raw[:8] != SIGNATURE:
            raise RigError(f"{path} is no complete memory dump of x64 Windows: it doesn't begin "
                           f"with {SIGNATURE.decode()}")
        kind, = struct.unpack_from("<I", raw, KIND)
        count, _, pages = struct.unpack_from("<IIQ", raw, MEMORY)
        if kind != FULL or count > MAX_RUNS + 1:
            raise RigError(f"{path} is no complete memory dump: its type is {kind}, and it has "
                           f"{count} runs of memory")
        made = cls()
        (_, made.major, made.minor, made.root, made.pfn_database, made.modules, made.processes,
         made.machine, made.processors) = struct.unpack_from("<8sIIQQQQII", raw)
        code, _, *parameters = struct.unpack_from("<II4Q", raw, BUGCHECK)
        made.bugcheck = (code, *parameters)
        made.debugger_data, = struct.unpack_from("<Q", raw, DEBUGGER_DATA)
        made.runs = [struct.unpack_from("<QQ", raw, MEMORY + 16 + 16 * i) for i in range(count)]
        made.context = Context(raw[CONTEXT:CONTEXT + CONTEXT_SIZE])
        code, _, _, address = struct.unpack_from("<IIQQ", raw, EXCEPTION)
        made.exception = (code, address)
        _, made.system_time = struct.unpack_from("<QQ", raw, KIND + 8)
        made.up_time, = struct.unpack_from("<Q", raw, COMMENT + 128)
        if pages != made.pages:
            raise RigError(f"{path} is damaged: {made.pages} pages in its runs, {pages} in all")
        return made


def header_of(frozen, processor):
    """The Header for a machine of Windows 7's structures. Raises KdError, Unreadable."""
    kernel = Kernel(frozen)
    version = kernel.version
    context = frozen.context(processor)
    return Header(
        major=version.major, minor=version.minor, root=frozen.root,
        pfn_database=_through(frozen, kernel.field(PFN_DATABASE)),
        modules=kernel.field(MODULE_LIST), processes=kernel.field(PROCESS_HEAD),
        processors=len(frozen.cpus),
        bugcheck=struct.unpack("<5Q", frozen.read(kernel.field(BUGCHECK_DATA), 40)),
        debugger_data=frozen.number(version.debugger_data), context=context,
        exception=(BREAKPOINT, context["rip"]), system_time=frozen.number(SHARED + SYSTEM_TIME),
        up_time=frozen.number(SHARED + INTERRUPT_TIME), product=frozen.number(SHARED + PRODUCT, 4),
        suites=frozen.number(SHARED + SUITES, 4))


def _through(frozen, pointer):
    return frozen.number(pointer) if pointer else 0


def write(path, core, processor=0):
    """Write the dump of a Core. `processor` is the CPU that a debugger shows first.

    Pages of zeros take no space. Raises KdError where there is no kernel of Windows 7's kind,
    OSError where there is no space.
    """
    frozen = Frozen(core)
    runs = page_runs(core.runs)
    header = header_of(frozen, processor)
    header.runs = [(run.start // PAGE, run.size // PAGE) for run in runs]
    with open(path, "wb") as file:
        file.write(header.bytes())
        at = HEADER_SIZE
        for run in runs:
            core.copy(run.start, run.size, file, at)
            at += run.size
        file.truncate(at)
        _write_contexts(file, frozen, runs)
    return header


def page_runs(runs):
    """Whole pages of RAM, pieces that touch each other as one; at most MAX_RUNS.

    Where there are more (a memory in many pieces), the smallest are left out.
    """
    out = []
    for start, end in _ram(runs):
        start, end = -(-start // PAGE) * PAGE, end // PAGE * PAGE
        if start >= end:
            continue
        if out and out[-1].end == start:
            out[-1] = Run(out[-1].start, out[-1].size + end - start, 0)
        else:
            out.append(Run(start, end - start, 0))
    kept = sorted(out, key=lambda run: -run.size)[:MAX_RUNS]
    return [run for run in out if run in kept]


def _ram(runs):
    """(start, end) of what is memory, without the devices' addresses."""
    for run in runs:
        yield run.start, min(run.end, DEVICES_START)
        yield max(run.start, DEVICES_END), run.end


def _write_contexts(file, frozen, runs):
    """Where the debugger looks for the registers of each CPU: where Windows would have saved
    them. A CPU that was never told to stop has nothing there."""
    file.flush()
    kernel = Kernel(frozen)
    at_context, = struct.unpack_from("<H", kernel.data, PRCB_CONTEXT)
    at_special, = struct.unpack_from("<H", kernel.data, PRCB_SPECIAL)
    for number, prcb in enumerate(processor_blocks(frozen, kernel)):
        pointer = frozen.number(prcb + at_context) if at_context else 0
        if pointer:
            _patch(file, frozen, runs, pointer, bytes(frozen.context(number)))
        if at_special:
            _patch(file, frozen, runs, prcb + at_special, bytes(frozen.special(number)))


def _patch(file, frozen, runs, address, data):
    """Change what the dump has at a virtual address."""
    done = 0
    while done < len(data):
        physical = frozen.physical_of(address + done)
        size = min(len(data) - done, PAGE - physical % PAGE)
        base = HEADER_SIZE
        for run in runs:
            if run.start <= physical < run.end:
                os.pwrite(file.fileno(), data[done:done + size], base + physical - run.start)
                break
            base += run.size
        done += size


class Dump(Memory):
    """A complete memory dump, to be read: physical memory and the CPUs' registers."""

    def __init__(self, path):
        super().__init__(path)
        self.header = Header.of(self._map[:HEADER_SIZE], path)
        runs, at = [], HEADER_SIZE
        for first, pages in self.header.runs:
            runs.append(Run(first * PAGE, pages * PAGE, at))
            at += pages * PAGE
        if at > len(self._map):
            raise RigError(f"{path} is cut short: {len(self._map)} bytes, {at} needed")
        self.set_runs(runs)
        special = Special(bytes(Special.size))
        special["cr3"] = self.header.root
        self.cpus = [Cpu(self.header.context, special)]
        self.cpus = self._all_cpus()

    def _all_cpus(self):
        """As the PRCBs have them."""
        frozen = Frozen(self)
        data = frozen.read(self.header.debugger_data, 0x340)
        table, = struct.unpack_from("<Q", data, PROCESSOR_BLOCK)
        at_context, = struct.unpack_from("<H", data, PRCB_CONTEXT)
        at_special, = struct.unpack_from("<H", data, PRCB_SPECIAL)
        found = []
        for number in range(self.header.processors):
            prcb = frozen.number(table + 8 * number)
            pointer = frozen.number(prcb + at_context)
            found.append(Cpu(
                Context(frozen.read(pointer, CONTEXT_SIZE)) if pointer else self.header.context,
                Special(frozen.read(prcb + at_special, Special.size))))
        return found

    @property
    def service_pack(self):
        kernel = Kernel(Frozen(self))
        return Frozen(self).number(kernel.field(CSD_VERSION), 4) >> 8 & 0xFF
