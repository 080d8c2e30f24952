# SPDX-License-Identifier: MIT
"""What a debugger finds in the memory of Windows 7 SP1 for x64: the debugger data block, the
module list, processes, threads."""

import struct
from dataclasses import dataclass

from ..errors import ProtocolError
from .messages import AMD64

PROTOCOL = 6
TAG = b"KDBG"
DATA_SIZE = 0x340
LIST_LIMIT = 1000
# Of KDDEBUGGER_DATA64.
MODULE_LIST, PROCESS_HEAD, PROCESSOR_BLOCK, CSD_VERSION = 0x48, 0x50, 0x218, 0x268
# Of LDR_DATA_TABLE_ENTRY, EPROCESS, ETHREAD, KTHREAD.
DLL_BASE, ENTRY_POINT, IMAGE_SIZE, FULL_NAME, BASE_NAME = 0x30, 0x38, 0x40, 0x48, 0x58
PROCESS_PID, PROCESS_LINKS, PROCESS_NAME, PROCESS_THREADS = 0x180, 0x188, 0x2E0, 0x308
DIRECTORY_TABLE = 0x28
THREAD_CID, THREAD_START, THREAD_LINKS = 0x3B0, 0x410, 0x420
THREAD_STATE, THREAD_PRIORITY = 0x164, 0x7B
STACK_LIMIT, KERNEL_STACK, STACK_BASE = 0x30, 0x38, 0x278
# Of the KSWITCH_FRAME that KERNEL_STACK points to, for a thread that doesn't run.
SWITCH_RBP, SWITCH_RETURN, SWITCH_SIZE = 0x30, 0x38, 0x40
STATES = ("Initialized", "Ready", "Running", "Standby", "Terminated", "Waiting", "Transition",
          "DeferredReady", "GateWait")
# Of the KPRCB.
CURRENT_THREAD = 8


class Kernel:
    """`read(address, count)` and `number(address, size)` are the target's memory."""

    def __init__(self, client):
        self._client = client
        self.version = client.version()
        if (self.version.protocol, self.version.machine) != (PROTOCOL, AMD64):
            raise ProtocolError(f"the target speaks version {self.version.protocol} of the "
                                f"protocol, for machine {self.version.machine:#x}; this debugger "
                                f"version {PROTOCOL} for {AMD64:#x} (x64)")
        link = client.number(self.version.debugger_data)
        self.data = client.read(link, DATA_SIZE)
        tag, size = struct.unpack_from("<4sI", self.data, 0x10)
        if tag != TAG or size != DATA_SIZE:
            raise ProtocolError(f"the debugger data block at {link:#x} is tagged {tag!r} and has "
                                f"{size:#x} bytes, not {TAG!r} and {DATA_SIZE:#x}")

    def field(self, offset):
        return struct.unpack_from("<Q", self.data, offset)[0]

    @property
    def service_pack(self):
        """From CmNtCSDVersion, bits 8 to 15."""
        return self._client.number(self.field(CSD_VERSION), 4) >> 8 & 0xFF

    def _list(self, head, what):
        """Addresses of a list's entries, the head left out."""
        at, before, seen = self._client.number(head), head, 0
        while at != head:
            back = self._client.number(at + 8)
            if back != before or seen >= LIST_LIMIT:
                raise ProtocolError(f"the list of {what} is broken at {at:#x}")
            yield at
            before, at, seen = at, self._client.number(at), seen + 1

    def _string(self, address):
        """A UNICODE_STRING."""
        raw = self._client.read(address, 16)
        length, = struct.unpack_from("<H", raw)
        buffer, = struct.unpack_from("<Q", raw, 8)
        return self._client.read(buffer, length).decode("utf-16-le", "replace") if length else ""

    def modules(self):
        """(base, size, base name, full name) of each module; the kernel is the first one."""
        for at in self._list(self.field(MODULE_LIST), "modules"):
            raw = self._client.read(at, BASE_NAME + 16)
            base, _, size = struct.unpack_from("<QQI", raw, DLL_BASE)
            yield base, size, self._string(at + BASE_NAME), self._string(at + FULL_NAME)

    def processes(self):
        return [Process(self._client, link - PROCESS_LINKS, self)
                for link in self._list(self.field(PROCESS_HEAD), "processes")]

    def current_thread(self, processor):
        """Address of the KTHREAD that a CPU executes."""
        prcb = self._client.number(self.field(PROCESSOR_BLOCK) + 8 * processor)
        return self._client.number(prcb + CURRENT_THREAD)

    def stack_of(self, thread):
        """(StackLimit, StackBase)"""
        return (self._client.number(thread + STACK_LIMIT),
                self._client.number(thread + STACK_BASE))


class Process:
    def __init__(self, client, address, kernel):
        self._client, self.address, self._kernel = client, address, kernel
        self.pid = client.number(address + PROCESS_PID)
        raw = client.read(address + PROCESS_NAME, 15)
        self.name = raw.split(b"\0")[0].decode("latin-1")
        self.directory_table = client.number(address + DIRECTORY_TABLE)

    def threads(self):
        links = self._kernel._list(self.address + PROCESS_THREADS, f"threads of {self.name}")
        return [thread(self._client, link - THREAD_LINKS) for link in links]


@dataclass(frozen=True)
class Thread:
    address: int
    process: int                # ids
    id: int
    start: int
    state: str
    priority: int


def start_of(client, address):
    """Where a thread began; of one of the kernel's own, which has none, 0."""
    return client.number(address + THREAD_START)


def switched_out(client, address):
    """(rip, rsp, rbp) of a thread that doesn't run: where it called what took the CPU away."""
    at = client.number(address + KERNEL_STACK)
    return (client.number(at + SWITCH_RETURN), at + SWITCH_SIZE,
            client.number(at + SWITCH_RBP))


def thread(client, address):
    process, id_ = struct.unpack("<QQ", client.read(address + THREAD_CID, 16))
    state = client.number(address + THREAD_STATE, 1)
    return Thread(address, process, id_, client.number(address + THREAD_START),
                  STATES[state] if state < len(STATES) else f"state {state}",
                  client.number(address + THREAD_PRIORITY, 1))
