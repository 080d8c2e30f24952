# SPDX-License-Identifier: MIT
"""Runs in gdb: the stack, by the x64 unwind data of the images. gdb knows that data only
where it was built for Windows, and Debian's wasn't; DWARF has none for these images."""

import struct

import gdb
from gdb.unwinder import Unwinder, register_unwinder

from ..errors import RigError
from ..kd import unwind
from ..kd.context import GENERAL
from ..kd.errors import KdError
from ..kd.pe import Image

MASK = (1 << 64) - 1
# What a function may change without giving it back: unknown in its caller.
VOLATILE = ("rax", "rcx", "rdx", "r8", "r9", "r10", "r11")


class FrameId:
    """What gdb tells frames by: the caller's stack pointer, and the function's start."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


def _read(address, count):
    return bytes(gdb.selected_inferior().read_memory(address, count))


def _register(pending, name):
    value = pending.read_register(name)
    # Only a volatile one can be unknown, and no unwind operation looks at those.
    return 0 if value.is_optimized_out else int(value) & MASK


class UnwindData(Unwinder):
    """`modules`: (base, size) of each that was loaded."""

    def __init__(self, modules):
        super().__init__("x64 unwind data")
        self._modules, self._images = modules, {}
        self._returned = set()          # (rip, rsp) of frames that a call returns to

    def forget(self, _event=None):
        """The machine has run: other frames may be at the same places now."""
        self._returned.clear()

    def __call__(self, pending):
        try:
            return self._unwind(pending)
        except (gdb.MemoryError, KdError, RigError, struct.error):
            return None                 # gdb's own guess is all that is left

    def _image(self, base):
        if base not in self._images:
            self._images[base] = Image(lambda rva, count: _read(base + rva, count))
        return self._images[base]

    def _unwind(self, pending):
        rip = _register(pending, "rip")
        base = next((base for base, size in self._modules if base <= rip < base + size), None)
        if base is None:
            return None
        registers = {name: _register(pending, name) for name in GENERAL}
        frame = unwind.Frame(rip, registers, (rip, registers["rsp"]) not in self._returned)
        image = self._image(base)
        caller = unwind.step(frame, image, base, _read)
        if not caller.exact:
            self._returned.add((caller.rip, caller.rsp))
        function = image.function(frame.lookup - base)
        start = base + function[0] if function else rip
        made = pending.create_unwind_info(FrameId(gdb.Value(caller.rsp), gdb.Value(start)))
        integer = pending.architecture().integer_type(64, False)
        for name, value in {**caller.registers, "rip": caller.rip}.items():
            if caller.exact or name not in VOLATILE:
                made.add_saved_register(name, gdb.Value(value).cast(integer))
        return made


def install(modules):
    made = UnwindData(modules)
    register_unwinder(None, made, replace=True)
    gdb.events.cont.connect(made.forget)
