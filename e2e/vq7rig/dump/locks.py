# SPDX-License-Identifier: MIT
"""Who holds which lock, and who waits for it: for a machine that hangs.

No list of locks exists. But whoever holds one has left his thread in it, and the memory is
searched for the threads: a spin lock holds its owner's thread with bit 0 set (as in kernels
that check their locks, ntcompat among them), or its queue handle; a mutex, fast mutex, guarded
mutex or a framework's wait lock the thread itself, beside a dispatcher object of that kind.
Layouts: wdm.h of the WDK (DISPATCHER_HEADER, KMUTANT, FAST_MUTEX, KWAIT_BLOCK,
KLOCK_QUEUE_HANDLE), the same on Windows 7.
"""

import struct
from dataclasses import dataclass, field

from ..errors import ProtocolError
from ..kd import nt
from ..kd.errors import Unreadable

EVENT, MUTANT, GATE = 1, 2, 7           # DISPATCHER_HEADER.Type: a synchronization event, ...
EVENT_WORDS, MUTANT_WORDS = 6, 14       # DISPATCHER_HEADER.Size, in 4 bytes
WAITERS = 8                             # of DISPATCHER_HEADER: its list of KWAIT_BLOCKs
WAIT_THREAD = 0x10                      # of KWAIT_BLOCK
MUTANT_OWNER = 0x28
MUTEX_OWNER, MUTEX_EVENT = 8, 0x18      # of FAST_MUTEX and KGUARDED_MUTEX
QUEUE_LOCK = 8                          # of KLOCK_QUEUE_HANDLE: the lock it is of
LIMIT = 32                              # locks, and waiters of one
# The debugger's own data, where what it was asked for lies about in buffers.
DEBUGGERS = "nt!Kdp"


@dataclass(frozen=True)
class Lock:
    kind: str
    address: int
    owner: int                          # thread
    waiters: tuple = ()                 # threads


@dataclass(frozen=True)
class Threads:
    """What is known of the threads: thread -> (StackLimit, StackBase)."""
    stacks: dict
    running: dict = field(default_factory=dict)     # thread -> number of its CPU

    def stack_of(self, address):
        """The thread on whose stack an address is, or None."""
        return next((thread for thread, (low, high) in self.stacks.items()
                     if low <= address < high), None)


def threads_of(kernel, processors):
    """All threads: those of processes, and what each CPU executes (the idle thread, too)."""
    found, running = set(), {kernel.current_thread(n): n for n in range(processors)}
    for process in kernel.processes():
        found |= {each.address for each in process.threads()}
    return Threads({thread: kernel.stack_of(thread) for thread in found | set(running)}, running)


def held(frozen, threads, name_of=hex):
    """The Locks that are held, in order of address. `name_of` gives the name of one."""
    if not threads.stacks:
        return []
    finder = _Finder(frozen, threads, name_of)
    low, high = min(threads.stacks), max(threads.stacks) + 1
    for address, value in frozen.memory.words_between(low, high):
        finder.look(address, value)
    for stack_low, stack_high in threads.stacks.values():       # queue handles are on stacks
        for address, value in _odd_words(frozen, stack_low, stack_high):
            finder.look_at_handle(address, value)
    return sorted(finder.found.values(), key=lambda lock: lock.address)[:LIMIT]


def _odd_words(frozen, low, high):
    """(address of a possible KLOCK_QUEUE_HANDLE, the lock it names) of a stack."""
    try:
        data = frozen.read(low, high - low)
    except Unreadable as bad:
        data = frozen.read(low, bad.done & ~7)
    words = struct.unpack(f"<{len(data) // 8}Q", data[:len(data) & ~7])
    for index, word in enumerate(words[1:]):
        if word >> 47 == 0x1FFFF and not word & 7:
            yield low + 8 * index, word


class _Finder:
    def __init__(self, frozen, threads, name_of):
        self._frozen, self._threads, self._name_of = frozen, threads, name_of
        self.found = {}

    def look(self, physical, value):
        """A word that may be a thread, or one with bit 0."""
        thread = value & ~1
        if thread not in self._threads.stacks:
            return
        address = self._frozen.virtual_of(physical)
        if address is None or self._threads.stack_of(address) is not None:
            return                      # what is on a stack is a variable, or an old one
        if value & 1:
            self._add("spin lock", address, thread)
        elif self._header(address - MUTANT_OWNER) == (MUTANT, MUTANT_WORDS):
            self._add("mutex", address - MUTANT_OWNER, thread, address - MUTANT_OWNER)
        elif self._is_mutex(address - MUTEX_OWNER):
            self._add("fast mutex", address - MUTEX_OWNER, thread,
                      address - MUTEX_OWNER + MUTEX_EVENT)
        elif self._is_taken_event(address - 4 * EVENT_WORDS):
            self._add("wait lock", address - 4 * EVENT_WORDS, thread, address - 4 * EVENT_WORDS)

    def look_at_handle(self, handle, lock):
        """Does a word of a stack belong to the handle that holds a queued spin lock?"""
        if self._number(lock) == handle | 1:
            self._add("queued spin lock", lock, self._threads.stack_of(handle))

    def _add(self, kind, address, owner, dispatcher=None):
        if self._name_of(address).startswith(DEBUGGERS):
            return
        waiters = self._waiters(dispatcher) if dispatcher is not None else ()
        self.found.setdefault(address, Lock(kind, address, owner, waiters))

    def _number(self, address, size=8):
        try:
            return self._frozen.number(address, size)
        except Unreadable:
            return None

    def _header(self, address):
        """(Type, Size) of a dispatcher object that isn't signaled, else None."""
        head = self._number(address)
        if head is None or head >> 32 and not head >> 63:
            return None                 # SignalState is above 0: nobody has it
        return head & 0xFF, head >> 16 & 0xFF

    def _is_mutex(self, address):
        count = self._number(address, 4)
        if count is None or count == 1 or 1 < count < 1 << 31:
            return False                # 1: free
        return self._kind_of(address + MUTEX_EVENT) in (EVENT, GATE) and \
            self._number(address + MUTEX_EVENT + 2, 1) == EVENT_WORDS

    def _kind_of(self, address):
        return self._number(address, 1)

    def _is_taken_event(self, address):
        return self._header(address) == (EVENT, EVENT_WORDS) and \
            self._number(address + 4, 4) == 0

    def _waiters(self, dispatcher):
        """Threads that wait for a dispatcher object."""
        head, found = dispatcher + WAITERS, []
        at = self._number(head)
        while at not in (None, 0, head) and len(found) < LIMIT:
            found.append(self._number(at + WAIT_THREAD))
            at = self._number(at)
        return tuple(thread for thread in found if thread in self._threads.stacks)


def describe(debugger, locks, threads):
    """Lines for a person."""
    def name(thread):
        where = f" on CPU {threads.running[thread]}" if thread in threads.running else ""
        return f"thread {thread:#x} ({debugger.name_of(nt.start_of(debugger, thread))}{where})"

    lines = []
    for lock in locks:
        line = f"{lock.kind} {_place(debugger, lock.address)}: held by {name(lock.owner)}"
        if lock.waiters:
            line += ", awaited by " + " and ".join(map(name, lock.waiters))
        lines.append(line)
    return lines or ["no lock is held that says by whom"]


def _place(debugger, address):
    return debugger.name_of(address) if debugger.module_list.holding(address) \
        else f"{address:#x}"


def report(debugger):
    """Lines on all locks of a Debugger of a Frozen machine; what can't be read is said."""
    frozen = debugger.client
    try:
        threads = threads_of(debugger.kernel, len(frozen.cpus))
        return describe(debugger, held(frozen, threads, debugger.name_of), threads)
    except (Unreadable, ProtocolError) as bad:
        return [f"locks: {bad}"]
