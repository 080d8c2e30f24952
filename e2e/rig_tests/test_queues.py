# SPDX-License-Identifier: MIT
"""The driver's queue is found in the memory of a machine by its descriptor table's address."""

import struct
import types

import pytest

from test_dump import LOW, elf, memory
from vq7rig.dump import queues
from vq7rig.dump.elfcore import Core
from vq7rig.dump.frozen import Frozen
from vq7rig.errors import RigError, UsageError
from vq7rig.kd.types import Member, Pointer, Simple, Struct

QUEUE, DESC, CHAINS = 0x400, 0x2A0, 0x300           # physical, where `memory` has nothing
WORD, LONG, BYTE = Simple("Uint2B", 2), Simple("Uint8B", 8), Simple("UChar", 1)
TO = Pointer(lambda: Struct("_VIRTQ_AVAIL", 6, ()))
NAMES = {"qsz": WORD, "mask": WORD, "num_free": WORD, "desc": TO, "desc_pa": LONG}
SPLIT = Struct("_VIRTQ_SPLIT", 40, tuple(
    Member(name, 8 * index, type_) for index, (name, type_) in enumerate(NAMES.items())))


class Debugger:
    def __init__(self, core, struct_=SPLIT):
        self.client = Frozen(core)
        self.read = self.client.read
        self._struct = struct_

    def type_named(self, _name):
        if self._struct is None:
            raise UsageError("no type")
        return None, self._struct


@pytest.fixture
def found(tmp_path, monkeypatch):
    """found(size, desc, desc_pa, ring, struct) are the lines of the queues there."""
    monkeypatch.setattr(queues.virtq, "describe", lambda queue: [f"size {queue['qsz']}", "more"])

    def look(size=4, desc=LOW + DESC, desc_pa=DESC, ring=DESC, struct_=SPLIT):
        raw = bytearray(memory())
        for name, value in zip(NAMES, (size, size - 1, 1, desc, desc_pa)):
            layout = "<Q" if NAMES[name].size == 8 else "<H"
            struct.pack_into(layout, raw, QUEUE + SPLIT[name].offset, value)
        with Core(elf(tmp_path / "core", bytes(raw))) as core:
            return queues.report(Debugger(core, struct_), {3: ring})

    return look


def test_queue_is_found(found):
    assert found() == [[f"queue 3, {LOW + QUEUE:#x}: size 4", "more"]]


@pytest.mark.parametrize("changes", [
    {"size": 5}, {"ring": DESC + 16}, {"desc": LOW + DESC + 16}, {"desc": 0x1234},
    {"struct_": None}])
def test_what_is_no_queue(found, changes):
    assert found(**changes) == []


def test_rings_of_a_device(monkeypatch):
    """As many as it uses; none where QEMU can't say."""
    class View:
        def __init__(self, _vm):
            pass

        def queue(self, number):
            if number == 3:
                raise RigError("no such queue")
            return {"vring-desc": [0x1000, 0x2000, 0x3000][number]}

    monkeypatch.setattr(queues, "VirtioView", View)
    assert queues.rings_of(None) == {0: 0x1000, 1: 0x2000, 2: 0x3000}
    monkeypatch.setattr(View, "queue", lambda self, number: {"vring-desc": 0x1000 * (number < 1)})
    assert queues.rings_of(None) == {0: 0x1000}
    assert queues.report(types.SimpleNamespace(), {}) == []
