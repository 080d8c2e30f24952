# SPDX-License-Identifier: MIT
"""Breakpoints: the target's table for those in code, the debug registers for the others.

While the target is stopped none of them is in its memory: they are put there when it goes
on and taken away at each stop, as a debugger for Windows does.
"""

from dataclasses import dataclass

from ..errors import UsageError
from .errors import Refused

KINDS = {"e": 0, "w": 1, "r": 3}        # of Dr7's R/W fields
LENGTHS = {1: 0, 2: 1, 4: 3, 8: 2}      # of its LEN fields
DR7_FIXED, DR6_CLEAR = 0x400, 0xFFFF0FF0
SLOTS = 4
TABLE = 32                              # handles of the target's, from 1


@dataclass
class Breakpoint:
    number: int
    text: str                           # as it was given
    address: int = None                 # None: its module isn't loaded
    kind: str = ""                      # "": in code; otherwise e, r or w
    length: int = 1
    once: bool = False                  # removed at its first hit
    enabled: bool = True
    hits: int = 0
    handle: int = None                  # in the target's table


class Breakpoints:
    def __init__(self, client):
        self._client = client
        self.all = []

    def add(self, text, address, kind="", length=1, once=False):
        """A new one. Raises UsageError where the CPU can't have it."""
        if kind:
            self._check_hardware(address, kind, length)
        numbers = {each.number for each in self.all}
        number = next(n for n in range(len(numbers) + 1) if n not in numbers)
        made = Breakpoint(number, text, address, kind, length, once)
        self.all.append(made)
        return made

    def _check_hardware(self, address, kind, length):
        if kind not in KINDS or length not in LENGTHS:
            raise UsageError("ba: access is e, r or w, and size 1, 2, 4 or 8")
        if kind == "e" and length != 1:
            raise UsageError("ba e: its size is 1")
        if address % length:
            raise UsageError(f"ba: {address:#x} isn't a multiple of {length}")
        if len([each for each in self.all if each.kind]) >= SLOTS:
            raise UsageError(f"ba: the CPU has {SLOTS} of them, all in use")

    def remove(self, breakpoint_):
        self.all.remove(breakpoint_)

    def numbered(self, number):
        found = [each for each in self.all if each.number == number]
        if not found:
            raise UsageError(f"no breakpoint {number}")
        return found[0]

    def _active(self, hardware):
        return [each for each in self.all
                if each.enabled and each.address is not None and bool(each.kind) == hardware]

    def at(self, address):
        """Those that stop before the instruction there."""
        return [each for each in self._active(False) + self._active(True)
                if each.address == address and each.kind in ("", "e")]

    def hit(self, event):
        """Which ones an exception is of; counted."""
        found = [each for each in self._active(False) if each.address == event.pc] \
            if event.code == 0x80000003 else []
        if event.code == 0x80000004:
            found += [each for slot, each in enumerate(self._active(True)[:SLOTS])
                      if event.dr6 >> slot & 1]
        for each in found:
            each.hits += 1
            if each.once:
                self.all.remove(each)
        return found

    # --- into the target, and out of it ----------------------------------------

    def insert(self, but=None):
        """Into the target's memory, but not at the address `but`. Raises Refused."""
        for each in self._active(False):
            if each.handle is None and each.address != but:
                same = [other for other in self._active(False)
                        if other.address == each.address and other.handle is not None]
                each.handle = same[0].handle if same else self._write(each.address)

    def _write(self, address):
        try:
            return self._client.write_breakpoint(address)
        except Refused:
            if not self._clear_foreign():
                raise
            return self._client.write_breakpoint(address)

    def _clear_foreign(self):
        """A debugger that died may have left some, and none can be set twice. Returns whether
        there were any."""
        ours = {each.handle for each in self.all}
        return any([self._client.restore_breakpoint(handle)
                    for handle in range(1, TABLE + 1) if handle not in ours])

    def withdraw(self):
        """Out of it; the target has lifted those near where it stopped by itself."""
        for handle in {each.handle for each in self.all if each.handle is not None}:
            self._client.restore_breakpoint(handle)
        for each in self.all:
            each.handle = None

    @property
    def dr7(self):
        value = DR7_FIXED
        for slot, each in enumerate(self._active(True)[:SLOTS]):
            value |= 2 << 2 * slot
            value |= (KINDS[each.kind] | LENGTHS[each.length] << 2) << 16 + 4 * slot
        return value

    def load_registers(self, processors):
        """The debug registers of every CPU; returns what Dr7 has to be."""
        active = self._active(True)
        for processor in range(processors):
            special = self._client.special(processor)
            before = bytes(special)
            for slot in range(SLOTS):
                special[f"kdr{slot}"] = active[slot].address if slot < len(active) else 0
            special["kdr6"], special["kdr7"] = DR6_CLEAR, self.dr7
            if bytes(special) != before:
                self._client.set_special(special, processor)
        return self.dr7
