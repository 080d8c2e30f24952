# SPDX-License-Identifier: MIT
"""What the packets say: DBGKD_MANIPULATE_STATE64, state changes, debug I/O."""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

from ..errors import ProtocolError

HEADER_SIZE, UNION, WAIT_SIZE, IO_SIZE = 56, 16, 240, 16
MAX_DATA = 4000 - HEADER_SIZE           # bytes of memory in one packet

EXCEPTION, LOAD_SYMBOLS = 0x3030, 0x3031
PRINT, PROMPT = 0x3230, 0x3231
UNSUCCESSFUL = 0xC0000001

DBG_CONTINUE, DBG_EXCEPTION_NOT_HANDLED = 0x00010002, 0x80010001
BREAKPOINT, SINGLE_STEP = 0x80000003, 0x80000004
EXCEPTION_NAMES = {
    BREAKPOINT: "Break instruction exception", SINGLE_STEP: "Single step exception",
    0xC0000005: "Access violation", 0xC0000094: "Integer divide-by-zero",
    0xC000001D: "Illegal instruction", 0xC0000096: "Privileged instruction",
    0xC0000420: "Assertion failure"}


class Api(IntEnum):
    READ_VIRTUAL = 0x3130
    WRITE_VIRTUAL = 0x3131
    GET_CONTEXT = 0x3132
    SET_CONTEXT = 0x3133
    WRITE_BREAKPOINT = 0x3134
    RESTORE_BREAKPOINT = 0x3135
    CONTINUE = 0x3136
    READ_CONTROL = 0x3137
    WRITE_CONTROL = 0x3138
    READ_IO = 0x3139
    WRITE_IO = 0x313A
    REBOOT = 0x313B
    CONTINUE2 = 0x313C
    READ_PHYSICAL = 0x313D
    WRITE_PHYSICAL = 0x313E
    GET_VERSION = 0x3146
    SWITCH_PROCESSOR = 0x3150
    READ_MSR = 0x3152
    WRITE_MSR = 0x3153
    CHECK_LOW_MEMORY = 0x3159
    CLEAR_ALL_INTERNAL = 0x315A
    QUERY_MEMORY = 0x315C


_HEADER = struct.Struct("<IHHI")


def request(api, processor=0, union=b"", data=b""):
    """A DBGKD_MANIPULATE_STATE64 with the union's first bytes and what follows the header."""
    head = _HEADER.pack(api, 0, processor, 0).ljust(UNION, b"\0") + union
    return head.ljust(HEADER_SIZE, b"\0") + data


@dataclass(frozen=True)
class Reply:
    api: int
    processor: int
    status: int
    union: bytes
    data: bytes

    @property
    def failed(self):
        return self.status >= 0x80000000

    def unpack(self, layout):
        return struct.unpack_from(layout, self.union)


def reply(payload):
    """Raises ProtocolError for one that is too short."""
    if len(payload) < HEADER_SIZE:
        raise ProtocolError(f"a reply of {len(payload)} bytes, not at least {HEADER_SIZE}")
    api, _, processor, status = _HEADER.unpack_from(payload)
    return Reply(api, processor, status, payload[UNION:HEADER_SIZE], payload[HEADER_SIZE:])


@dataclass(frozen=True)
class Stop:
    """What a stopped target says of itself: any state change."""
    processor: int
    processors: int
    thread: int
    pc: int
    dr6: int
    dr7: int
    eflags: int
    instructions: bytes
    cs: int


@dataclass(frozen=True)
class ExceptionStop(Stop):
    code: int
    flags: int
    address: int
    parameters: tuple
    first_chance: bool

    def __str__(self):
        name = EXCEPTION_NAMES.get(self.code, "Exception")
        chance = "first" if self.first_chance else "!!! second"
        return f"{name} - code {self.code:08x} ({chance} chance)"


@dataclass(frozen=True)
class ModuleStop(Stop):
    """A module was loaded or unloaded. The target waits for a continue."""
    path: str
    base: int
    size: int
    checksum: int
    unload: bool

    def __str__(self):
        return (f"{'ModUnload' if self.unload else 'ModLoad'}: {self.base:016x} "
                f"{self.base + self.size:016x}   {self.path}")


def state_change(payload):
    """An ExceptionStop or ModuleStop. Raises ProtocolError."""
    if len(payload) < WAIT_SIZE:
        raise ProtocolError(f"a state change of {len(payload)} bytes, not at least {WAIT_SIZE}")
    kind, _, processor, count, thread, pc = struct.unpack_from("<IHHI4xQQ", payload)
    dr6, dr7, eflags, length = struct.unpack_from("<QQIH", payload, 192)
    (cs,) = struct.unpack_from("<H", payload, 232)
    common = (processor, count, thread, pc, dr6, dr7, eflags,
              payload[216:216 + min(length, 16)], cs)
    if kind == EXCEPTION:
        code, flags, _, address, number = struct.unpack_from("<IIQQI", payload, 32)
        parameters = struct.unpack_from(f"<{min(number, 15)}Q", payload, 64)
        (first,) = struct.unpack_from("<I", payload, 184)
        return ExceptionStop(*common, code, flags, address, parameters, bool(first))
    if kind == LOAD_SYMBOLS:
        length, base, _, total, size, unload = struct.unpack_from("<I4xQQIIB", payload, 32)
        path = payload[WAIT_SIZE:WAIT_SIZE + length].split(b"\0")[0].decode("latin-1")
        return ModuleStop(*common, path, base, size, total, bool(unload))
    raise ProtocolError(f"an unknown state change {kind:#x}")


@dataclass(frozen=True)
class DebugIo:
    api: int
    processor: int
    text: str
    room: int                           # of the answer to a prompt


def debug_io(payload):
    """What the target prints, or asks. Raises ProtocolError."""
    if len(payload) < IO_SIZE:
        raise ProtocolError(f"debug I/O of {len(payload)} bytes, not at least {IO_SIZE}")
    api, _, processor, length, room = struct.unpack_from("<IHHII", payload)
    if api not in (PRINT, PROMPT):
        raise ProtocolError(f"debug I/O with the unknown number {api:#x}")
    text = payload[IO_SIZE:IO_SIZE + length].rstrip(b"\0").decode("latin-1")
    return DebugIo(api, processor, text, room if api == PROMPT else 0)


def prompt_answer(asked, text):
    raw = text.encode("latin-1")[:asked.room]
    return struct.pack("<IHHII", PROMPT, 0, asked.processor, 0, len(raw)) + raw


@dataclass(frozen=True)
class Version:
    """DBGKD_GET_VERSION64."""
    major: int
    minor: int
    protocol: int
    secondary: int
    flags: int
    machine: int
    kernel_base: int
    module_list: int
    debugger_data: int
    raw: bytes = field(repr=False)


def version(union):
    major, minor, protocol, secondary, flags, machine = struct.unpack_from("<HHBBHH", union)
    return Version(major, minor, protocol, secondary, flags, machine,
                   *struct.unpack_from("<QQQ", union, 16), union)


MULTIPROCESSOR = 1                      # of Version.flags
AMD64 = 0x8664
