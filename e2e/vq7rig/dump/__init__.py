# SPDX-License-Identifier: MIT
"""Crash dumps: the memory of a machine, taken from outside, in the formats of two debuggers.

elfcore   QEMU's own dump, an ELF core: what gdb opens, and where the rest comes from
paging    virtual memory from physical memory
frozen    a machine that doesn't run, as kd.debugger.Debugger wants its target
windows   the complete memory dump of Windows (PAGEDU64), which WinDbg opens
take      both, and the stack, for a test that failed
"""
