# SPDX-License-Identifier: MIT
"""The bug check of a guest that says nothing of it on COM1, as Windows: found in its memory.

A kernel of NT notes code and parameters in KiBugCheckData before it does anything else, be it
the blue screen, the dump or its debugger, and says where that is in the block it has for
debuggers (KDDEBUGGER_DATA64, the same on 32-bit systems). The way there begins at the interrupt
table, whose breakpoint handler is in the kernel's image. So it needs nothing of the guest, neither
a debugger on COM2, which stays free, nor a picture of its screen.
"""

import re
import struct
from dataclasses import dataclass, field

from .bindings import MonitorError, libvirt
from .channel import SocketChannel
from .dump import paging
from .errors import GuestCrash, GuestError, ProtocolError, RigError
from .kd.client import Client
from .kd.errors import Unreadable
from .kd.link import Link

PAGE, BLOCK = 0x1000, 0x10000
PAGING, LARGE_PAGES_OF_4_MIB, PAE, LONG_MODE = 1 << 31, 1 << 4, 1 << 5, 1 << 10
BREAKPOINT = 3                      # a vector that is the kernel's own on all NTs
MAX_IMAGE, MAX_SECTIONS = 32 << 20, 96   # as many as Windows' loader takes
WRITABLE = 0x8000_0000
TAG = b"KDBG"
TAG_AT, MODULES_AT, BUG_CHECK_AT = 0x10, 0x48, 0x88     # of KDDEBUGGER_DATA64
SIZES = range(0x90, 0x1000)         # of it: it grew with each Windows; it has to have these fields
MAX_MODULES = 500
COM2, CONNECT_S, ANSWER_S = "kd.sock", 1.0, 2.0
# Of LDR_DATA_TABLE_ENTRY: base, size, base name; and the size of a pointer.
ENTRY_X64, ENTRY_X86 = (0x30, 0x40, 0x58, 8), (0x18, 0x20, 0x2C, 4)

# Of bugcodes.h: those that drivers and the verifiers bring about.
NAMES = {
    0x0A: "IRQL_NOT_LESS_OR_EQUAL", 0x18: "REFERENCE_BY_POINTER", 0x19: "BAD_POOL_HEADER",
    0x1A: "MEMORY_MANAGEMENT", 0x1E: "KMODE_EXCEPTION_NOT_HANDLED",
    0x35: "NO_MORE_IRP_STACK_LOCATIONS", 0x3B: "SYSTEM_SERVICE_EXCEPTION",
    0x44: "MULTIPLE_IRP_COMPLETE_REQUESTS", 0x48: "CANCEL_STATE_IN_COMPLETED_IRP",
    0x4E: "PFN_LIST_CORRUPT", 0x50: "PAGE_FAULT_IN_NONPAGED_AREA",
    0x76: "PROCESS_HAS_LOCKED_PAGES", 0x7A: "KERNEL_DATA_INPAGE_ERROR",
    0x7B: "INACCESSIBLE_BOOT_DEVICE", 0x7E: "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED",
    0x7F: "UNEXPECTED_KERNEL_MODE_TRAP", 0x80: "NMI_HARDWARE_FAILURE",
    0x8E: "KERNEL_MODE_EXCEPTION_NOT_HANDLED", 0x9C: "MACHINE_CHECK_EXCEPTION",
    0x9F: "DRIVER_POWER_STATE_FAILURE", 0xA0: "INTERNAL_POWER_ERROR",
    0xBE: "ATTEMPTED_WRITE_TO_READONLY_MEMORY", 0xC1: "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION",
    0xC2: "BAD_POOL_CALLER", 0xC4: "DRIVER_VERIFIER_DETECTED_VIOLATION",
    0xC5: "DRIVER_CORRUPTED_EXPOOL", 0xC6: "DRIVER_CAUGHT_MODIFYING_FREED_POOL",
    0xC7: "TIMER_OR_DPC_INVALID", 0xC8: "IRQL_UNEXPECTED_VALUE",
    0xC9: "DRIVER_VERIFIER_IOMANAGER_VIOLATION", 0xCA: "PNP_DETECTED_FATAL_ERROR",
    0xCB: "DRIVER_LEFT_LOCKED_PAGES_IN_PROCESS",
    0xCC: "PAGE_FAULT_IN_FREED_SPECIAL_POOL",
    0xCE: "DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS",
    0xD1: "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
    0xD5: "DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL",
    0xD6: "DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION", 0xDA: "SYSTEM_PTE_MISUSE",
    0xE2: "MANUALLY_INITIATED_CRASH", 0xE6: "DRIVER_VERIFIER_DMA_VIOLATION",
    0xF4: "CRITICAL_OBJECT_TERMINATION", 0xF7: "DRIVER_OVERRAN_STACK_BUFFER",
    0xFC: "ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY", 0x101: "CLOCK_WATCHDOG_TIMEOUT",
    0x109: "CRITICAL_STRUCTURE_CORRUPTION", 0x10D: "WDF_VIOLATION",
    0x139: "KERNEL_SECURITY_CHECK_FAILURE"}


@dataclass(frozen=True)
class BugCheck:
    code: int
    parameters: tuple
    wide: bool = True                           # of 64 bits?
    blamed: list = field(default_factory=list)  # (module, address, base) of parameters

    def crash(self):
        """The GuestCrash, in the words in which Windows' blue screen says it."""
        width = 16 if self.wide else 8
        shown = ",".join(f"0x{each:0{width}X}" for each in self.parameters)
        lines = [f"*** STOP: 0x{self.code:08X} ({shown})",
                 NAMES.get(self.code, "BUG_CHECK") + ", as its kernel's memory says"]
        lines += [f"*** {name} - Address {address:0{width}x} base at {base:0{width}x}"
                  for name, address, base in self.blamed]
        return GuestCrash("\n".join(lines), self.code)


@dataclass(frozen=True)
class Cpu:
    """Of its registers, as QEMU's monitor shows them, what paging and interrupts need."""
    cr0: int
    cr3: int
    cr4: int
    idt: int
    efer: int

    @property
    def wide(self):
        return bool(self.efer & LONG_MODE)

    @property
    def translate(self):
        if self.wide:
            return paging.translate
        return paging.translate_pae if self.cr4 & PAE else paging.translate_ia32


def cpus(text):
    """The Cpu of each in the answer to `info registers -a`, but for those without paging."""
    for part in re.split(r"(?m)^\s*CPU#\d+", text):
        found = {name.lower(): int(value, 16) for name, value in
                 re.findall(r"\b(CR0|CR3|CR4|EFER|IDT)=\s*([0-9a-fA-F]+)", part)}
        if set(found) == {"cr0", "cr3", "cr4", "idt", "efer"} and found["cr0"] & PAGING:
            yield Cpu(**found)


class Memory:
    """Of the guest as one CPU sees it. `physical(address, count)` reads what QEMU has there."""

    def __init__(self, physical, cpu):
        self._physical, self.cpu = physical, cpu

    def read(self, address, count):
        """Raises Unreadable."""
        return paging.read(self._physical, self.cpu.cr3, address, count, self.cpu.translate)

    def number(self, address, size):
        return int.from_bytes(self.read(address, size), "little")

    def pointer(self, address):
        return self.number(address, 8 if self.cpu.wide else 4)


def _block_of(memory):
    """Address of the block for debuggers, or None. Raises Unreadable."""
    base = _kernel_of(memory, _handler(memory))
    return base and _debugger_data(memory, base)


def found_in(memory):
    """The BugCheck that a kernel of NT has noted in this Memory, or None: it runs, or there is
    none."""
    try:
        block = _block_of(memory)
        if not block:
            return None
        size = 8 if memory.cpu.wide else 4
        raw = memory.read(_address(memory, block + BUG_CHECK_AT), 5 * size)
    except Unreadable:
        return None
    code, *parameters = struct.unpack("<5Q" if size == 8 else "<5I", raw)
    if code == 0:
        return None
    modules = _modules(memory, block)
    blamed = [(name, address, start) for address in parameters
              for name, start, end in modules if start <= address < end]
    return BugCheck(code & 0xFFFFFFFF, tuple(parameters), memory.cpu.wide, blamed)


def _address(memory, at):
    """An address in the debuggers' block, which has 64 bits everywhere, with the sign's."""
    return memory.number(at, 8) & (1 << (64 if memory.cpu.wide else 32)) - 1


def _handler(memory):
    """Address of the breakpoint's handler (Intel SDM volume 3A, 6.11 and 6.14.1)."""
    if memory.cpu.wide:
        low, middle, high = struct.unpack("<H4xHI", memory.read(
            memory.cpu.idt + 16 * BREAKPOINT, 12))
        return high << 32 | middle << 16 | low
    low, high = struct.unpack("<H4xH", memory.read(memory.cpu.idt + 8 * BREAKPOINT, 8))
    return high << 16 | low


def _kernel_of(memory, address):
    """Base of the image that has this address; some pages of it may be gone. None: none has."""
    page = address & ~(PAGE - 1)
    for base in range(page, max(page - MAX_IMAGE, 0), -PAGE):
        header = _header(memory, base)
        if header:
            _, size = header
            return base if address < base + size else None
    return None


def _header(memory, base):
    """(offset of the PE header, size of the image), or None: no image begins here."""
    try:
        if memory.read(base, 2) != b"MZ":
            return None
        at, = struct.unpack("<I", memory.read(base + 0x3C, 4))
        if at >= PAGE or memory.read(base + at, 4) != b"PE\0\0":
            return None
        return at, memory.number(base + at + 24 + 56, 4)
    except Unreadable:
        return None


def _debugger_data(memory, base):
    """Address of the kernel's KDDEBUGGER_DATA64, in one of its writable sections; or None."""
    at, _ = _header(memory, base)
    count, optional = struct.unpack("<H12xH", memory.read(base + at + 6, 16))
    table = memory.read(base + at + 24 + optional, 40 * min(count, MAX_SECTIONS))
    left = MAX_IMAGE                    # whatever the sections say, no more is looked through
    for size, start, flags in struct.iter_unpack("<8xII20xI", table):
        if flags & WRITABLE and size <= left:
            left -= size
            found = _tagged(memory, base, base + start, size)
            if found:
                return found
    return None


def _tagged(memory, base, start, count):
    data = b"".join(_page_or_zeros(memory, at) for at in range(start, start + count, PAGE))
    at = data.find(TAG)
    while at >= 0:
        block = start + at - TAG_AT
        if at % 4 == 0 and at >= TAG_AT and at + 12 <= len(data):
            size, kernel = struct.unpack_from("<IQ", data, at + 4)
            if size in SIZES and not (kernel ^ base) & (1 << (64 if memory.cpu.wide else 32)) - 1:
                return block
        at = data.find(TAG, at + 1)
    return None


def _page_or_zeros(memory, at):
    try:
        return memory.read(at, PAGE)
    except Unreadable:
        return bytes(PAGE)


def place_in(memory, address):
    """module+offset of an address in a loaded module, else the address."""
    try:
        block = _block_of(memory)
    except Unreadable:
        block = None
    for name, start, end in _modules(memory, block) if block else ():
        if start <= address < end:
            return f"{name}+{address - start:#x}"
    return f"{address:#x}"


def _modules(memory, block):
    """(name, start, end) of the loaded modules, as far as their list can be read."""
    base_at, size_at, name_at, pointer = ENTRY_X64 if memory.cpu.wide else ENTRY_X86
    found = []
    try:
        head = _address(memory, block + MODULES_AT)
        at = memory.pointer(head)
        while at != head and len(found) < MAX_MODULES:
            base, size = memory.pointer(at + base_at), memory.number(at + size_at, 4)
            length = memory.number(at + name_at, 2)
            text = memory.read(memory.pointer(at + name_at + pointer), min(length, 128))
            found.append((text.decode("utf-16-le", "replace"), base, base + size))
            at = memory.pointer(at)
    except Unreadable:
        pass                # a bug check may come of that very list
    return found


class Physical:
    """What QEMU has at physical addresses, through a file that both can reach."""

    def __init__(self, vm):
        self._vm, self._blocks = vm, {}

    def __call__(self, address, count):
        data = b""
        while len(data) < count:
            at = address + len(data)
            block = self._block(at - at % BLOCK)
            data += block[at % BLOCK:at % BLOCK + count - len(data)]
        return data

    def _block(self, at):
        if at not in self._blocks:
            path = self._vm.run / "physical.memory"
            try:
                self._vm.host.qmp(self._vm.dom, "pmemsave", val=at, size=BLOCK,
                                  filename=str(path))
                self._blocks[at] = path.read_bytes()
            finally:
                path.unlink(missing_ok=True)
            if len(self._blocks[at]) != BLOCK:
                raise Unreadable(at, BLOCK, len(self._blocks[at]))
        return self._blocks[at]


def _first(vm, look):
    """What `look(Memory)` gives for the first CPU for which it gives something."""
    if not vm.host.embedded:
        raise RigError("no file is shared with its QEMU")
    try:
        text = vm.host.hmp(vm.dom, "info registers -a")
        physical = Physical(vm)
        return next(filter(None, (look(Memory(physical, cpu)) for cpu in cpus(text))), None)
    except (libvirt.libvirtError, MonitorError, OSError) as bad:
        raise RigError(str(bad)) from bad


def of(vm):
    """The bug check at which a machine of the rig's stands, or None. It must stand still.
    Raises RigError where its memory can't be looked at."""
    return _first(vm, found_in)


def waiting(vm):
    """The GuestCrash of a kernel that has stopped by itself and waits for a debugger on COM2, as
    at a breakpoint of the framework's verifier; or None. It is asked for its state, and is not
    broken into. Raises RigError."""
    try:
        client = Client(Link(SocketChannel.connect(str(vm.run / COM2), CONNECT_S)))
    except RigError:
        return None                     # a debugger is there
    try:
        if not client.link.resync(ANSWER_S):
            return None
        event = client.wait(ANSWER_S, "its state")
        where = f"{event} at {_first(vm, lambda memory: place_in(memory, event.pc))}"
    except ProtocolError as odd:        # as that of a 32-bit kernel, which has other registers
        where = f"its state is none that this rig reads ({odd})"
    except GuestError:
        return None
    finally:
        client.close()
    return GuestCrash(f"the kernel has stopped and waits for a debugger on COM2: {where}")
