# SPDX-License-Identifier: MIT
"""A machine that doesn't run: the target of a kd.debugger.Debugger, from a dump."""

import functools
import struct

from ..kd import messages as m
from ..kd.errors import KdError, Unreadable
from ..kd.nt import PROCESSOR_BLOCK, Kernel
from . import paging

# Of the KPCR of Windows 7 x64: where the kernel's version block is, and where the PRCB.
VERSION_BLOCK, PRCB = 0x108, 0x180
VERSION_SIZE = 40
SPACE_PCR, SPACE_PRCB, SPACE_SPECIAL, SPACE_THREAD = range(4)


class Frozen:
    """`memory.read` is physical memory; `memory.cpus` the registers of each CPU.

    It has the methods of kd.client.Client that only look.
    """

    stopped = True

    def __init__(self, memory, processor=0):
        self._memory = memory
        self.processor = processor
        context = memory.cpus[processor].context if memory.cpus else {"rip": 0, "efl": 0, "cs": 0}
        # As after a break-in: what the machine stopped at, the dump's header says.
        self.event = m.ExceptionStop(processor, len(memory.cpus), 0, context["rip"], 0, 0,
                                     context["efl"], b"", context["cs"], m.BREAKPOINT, 0,
                                     context["rip"], (), True)

    @property
    def memory(self):
        """What is physical: read, words_between."""
        return self._memory

    @property
    def cpus(self):
        return self._memory.cpus

    @property
    def root(self):
        return self.cpus[0].special["cr3"]

    def read_physical(self, address, count):
        return self._memory.read(address, count)

    def read(self, address, count):
        """Virtual memory. Raises Unreadable with the count that could be read."""
        return paging.read(self._memory.read, self.root, address, count)

    def number(self, address, size=8):
        return int.from_bytes(self.read(address, size), "little")

    def physical_of(self, address):
        """Raises Unreadable."""
        found = paging.translate(self._memory.read, self.root, address)
        if found is None:
            raise Unreadable(address, 1, 0)
        return found[0]

    @functools.cached_property
    def _mappings(self):
        return paging.mappings(self._memory.read, self.root)

    def virtual_of(self, physical):
        """An address that is mapped there, or None; of several the highest: images and pools
        lie above a direct map of all memory."""
        found = [virtual + physical - start for virtual, size, start in self._mappings
                 if start <= physical < start + size]
        return max(found, default=None)

    def _pcr(self, processor):
        return self.cpus[self.processor if processor is None else processor].special["gsbase"]

    def version(self):
        """Raises KdError where the machine runs no kernel of NT."""
        for processor in range(len(self.cpus)):
            try:
                block = self.number(self._pcr(processor) + VERSION_BLOCK)
                return m.version(self.read(block, VERSION_SIZE))
            except Unreadable:
                continue
        raise KdError("no CPU points to a kernel's version block: it hasn't started, or has lost "
                      "its page tables")

    def context(self, processor=None):
        return self.cpus[self.processor if processor is None else processor].context

    def special(self, processor=None):
        return self.cpus[self.processor if processor is None else processor].special

    def control_space(self, space, count, processor=None):
        if space == SPACE_SPECIAL:
            return bytes(self.special(processor))[:count]
        pcr = self._pcr(processor)
        value = {SPACE_PCR: pcr, SPACE_PRCB: pcr + PRCB,
                 SPACE_THREAD: self.number(pcr + PRCB + 8)}[space]
        return struct.pack("<Q", value)[:count]

    def refuse(self, *_args, **_named):
        raise KdError("this is a dump: it can be looked at and nothing more")

    go = write = write_physical = set_context = set_special = write_breakpoint = refuse
    read_msr = write_msr = read_io = write_io = reboot = query_memory = refuse

    def switch_processor(self, number):
        if not 0 <= number < len(self.cpus):
            raise KdError(f"no CPU {number}: there are {len(self.cpus)}")
        self.processor = number
        return self.event

    def poll(self, _timeout=0.0):
        return self.event

    def close(self):
        self._memory.close()


def processor_blocks(frozen, kernel: Kernel):
    """Address of the KPRCB of each CPU, from KiProcessorBlock."""
    table = kernel.field(PROCESSOR_BLOCK)
    return [frozen.number(table + 8 * i) for i in range(len(frozen.cpus))]
