# SPDX-License-Identifier: MIT
"""Who holds a lock, found in a memory that the tests lay out by wdm.h; and what looks like a
lock and is none."""

import struct

import pytest

from test_dump import KERNEL, LOW, PAGE, elf, memory
from vq7rig.dump import locks
from vq7rig.dump.elfcore import Core
from vq7rig.dump.frozen import Frozen
from vq7rig.dump.locks import Lock, Threads

# Physical addresses; 0xE000 is mapped twice, the second time at KERNEL + PAGE.
HOLDER, WAITER, STACK, WAIT_BLOCK, AT = LOW + 0x400, LOW + 0x600, 0x800, 0xE200, 0xE100
HIGH = KERNEL + PAGE - 0xE000           # what is added to those addresses
THREADS = Threads({HOLDER: (LOW + STACK, LOW + STACK + 0x200), WAITER: (LOW + 0xC00, LOW + 0xD00)},
                  {HOLDER: 0})


class Layout:
    def __init__(self):
        self.raw = bytearray(memory())

    def put(self, at, layout, *values):
        struct.pack_into(layout, self.raw, at, *values)

    def header(self, at, kind, words, signaled=0, waiter=None):
        here = HIGH + at
        block = HIGH + WAIT_BLOCK
        self.put(at, "<BBBBiQQ", kind, 0, words, 0, signaled, *(
            [block, block] if waiter else [here + 8, here + 8]))
        if waiter:
            self.put(WAIT_BLOCK, "<QQQQ", here + 8, here + 8, waiter, here)

    def mutex(self, at, count, owner, kind=1, waiter=None):
        self.put(at, "<iIQI", count, 0, owner, 0)
        self.header(at + 0x18, kind, 6, waiter=waiter)

    def held(self, tmp_path, **more):
        with Core(elf(tmp_path / "core", bytes(self.raw))) as core:
            return locks.held(Frozen(core), THREADS, **more)


@pytest.fixture
def layout():
    return Layout()


def test_spin_lock(layout, tmp_path):
    layout.put(AT, "<Q", HOLDER | 1)
    assert layout.held(tmp_path) == [Lock("spin lock", HIGH + AT, HOLDER)]


def test_queued_spin_lock(layout, tmp_path):
    """The lock holds the address of the handle, which is on the owner's stack."""
    handle = STACK + 0x40
    layout.put(AT, "<Q", LOW + handle | 1)
    layout.put(handle, "<QQB", 0, HIGH + AT, 2)
    assert layout.held(tmp_path) == [Lock("queued spin lock", HIGH + AT, HOLDER)]
    layout.put(AT, "<Q", 0)                     # released: the handle is an old one
    assert layout.held(tmp_path) == []


def test_mutex_and_who_waits(layout, tmp_path):
    layout.header(AT, 2, 14, signaled=0, waiter=WAITER)
    layout.put(AT + 0x28, "<Q", HOLDER)
    assert layout.held(tmp_path) == [Lock("mutex", HIGH + AT, HOLDER, (WAITER,))]


@pytest.mark.parametrize("kind", [1, 7])
def test_fast_and_guarded_mutex(layout, tmp_path, kind):
    layout.mutex(AT, -1, HOLDER, kind, WAITER)
    assert layout.held(tmp_path) == [Lock("fast mutex", HIGH + AT, HOLDER, (WAITER,))]


def test_wait_lock_of_the_framework(layout, tmp_path):
    layout.header(AT, 1, 6, waiter=WAITER)
    layout.put(AT + 0x18, "<Q", HOLDER)
    assert layout.held(tmp_path) == [Lock("wait lock", HIGH + AT, HOLDER, (WAITER,))]


def test_what_is_no_lock(layout, tmp_path):
    layout.put(STACK + 0x80, "<Q", HOLDER | 1)              # a variable
    layout.put(AT + 0x200, "<Q", LOW + 0x500 | 1)           # no thread
    layout.put(AT + 0x208, "<Q", HOLDER)                    # beside no dispatcher object
    layout.mutex(AT + 0x300, 1, HOLDER)                     # free
    layout.header(AT, 1, 6, signaled=1)                     # nobody has it
    layout.put(AT + 0x18, "<Q", HOLDER)
    assert layout.held(tmp_path) == []


def test_copies_in_the_debuggers_buffers(layout, tmp_path):
    layout.put(AT, "<Q", HOLDER | 1)
    assert layout.held(tmp_path, name_of=lambda _: "nt!KdpData+0xa8") == []


def test_broken_list_of_waiters(layout, tmp_path):
    """It runs round and round, or to where nothing is."""
    layout.header(AT, 2, 14, waiter=WAITER)
    layout.put(AT + 0x28, "<Q", HOLDER)
    layout.put(WAIT_BLOCK, "<Q", HIGH + WAIT_BLOCK)
    assert set(layout.held(tmp_path)[0].waiters) == {WAITER}
    layout.put(WAIT_BLOCK, "<Q", 0x1234)
    assert layout.held(tmp_path)[0].waiters == (WAITER,)


def test_no_threads(layout, tmp_path):
    with Core(elf(tmp_path / "core", bytes(layout.raw))) as core:
        assert locks.held(Frozen(core), Threads({})) == []


class Debugger:
    """As far as a description needs one."""
    class module_list:                          # noqa: N801
        @staticmethod
        def holding(address):
            return address == 0x5000

    def name_of(self, address):
        return {0x5000: "vq7test!Lock", 0x77: "vq7agent!AgentThread"}.get(address, hex(address))

    def number(self, address, size=8):
        return 0x77 if address == HOLDER + 0x410 else 0


def test_description():
    found = [Lock("mutex", 0x5000, HOLDER, (WAITER,)), Lock("spin lock", 0x6000, WAITER)]
    assert locks.describe(Debugger(), found, THREADS) == [
        f"mutex vq7test!Lock: held by thread {HOLDER:#x} (vq7agent!AgentThread on CPU 0), "
        f"awaited by thread {WAITER:#x} (0x0)",
        f"spin lock 0x6000: held by thread {WAITER:#x} (0x0)"]
    assert locks.describe(Debugger(), [], THREADS) == ["no lock is held that says by whom"]
