# SPDX-License-Identifier: MIT
"""Runs in gdb: modules that the kernel loads and unloads while gdb is there get their symbols,
and lose them. So a breakpoint in a driver that isn't loaded yet is set when it comes.

The kernel tells its debugger of each; gdb stops there for a moment, unseen.
"""

import pathlib

import gdb

from ..errors import RigError
from ..kd.errors import KdError
from ..kd.pe import Image
from . import images

EVENTS = {"KdLoadSymbols": "load", "KdUnloadSymbols": "unload"}     # of the kernel


class Module:
    """What images.of wants of one."""

    def __init__(self, symbols):
        """`symbols`: the KD_SYMBOLS that the kernel describes it with."""
        self.file = symbols["path"].string().rpartition("\\")[2]
        self.base, self.size = int(symbols["base"]), int(symbols["size"])

    @property
    def pdb(self):
        return Image(lambda rva, count: bytes(
            gdb.selected_inferior().read_memory(self.base + rva, count))).pdb


class Event(gdb.Breakpoint):
    def __init__(self, name, act):
        super().__init__(f"*{name}", internal=True)
        self.silent = True
        self._act = act

    def stop(self):
        """gdb's: False, it goes on."""
        try:
            # Its first instruction: the first argument is where the calling convention has it.
            symbols = gdb.parse_and_eval("$rcx").cast(gdb.lookup_type("KD_SYMBOLS").pointer())
            self._act(Module(symbols.dereference()))
        except (gdb.error, KdError, RigError, OSError) as bad:
            gdb.write(f"[a module has come or gone, and gdb couldn't follow: {bad}]\n")
        return False


class Loads:
    def __init__(self, modules, guest):
        self._modules, self._guest = modules, pathlib.Path(guest)

    def load(self, module):
        if any(base == module.base for base, _ in self._modules):
            return                          # reported at the start of a debugger's session
        found = images.of(module, self._guest)
        if found.symbols is None:
            gdb.write(f"[{module.file} is loaded; no symbols: {found.why_not}]\n")
            return
        self._modules.append((module.base, module.size))
        gdb.execute(f'add-symbol-file "{_escaped(found.symbols)}" -o {found.offset:#x}',
                    to_string=True)
        gdb.write(f"[{module.file} is loaded at {module.base:#x}]\n")

    def unload(self, module):
        entry = next((each for each in self._modules if each[0] == module.base), None)
        if entry is None:
            return
        self._modules.remove(entry)
        # Its code is in its first section, a page behind the headers.
        gdb.execute(f"remove-symbol-file -a {module.base + 0x1000:#x}", to_string=True)
        gdb.write(f"[{module.file} is unloaded]\n")


def _escaped(path):
    return str(path).replace("\\", "\\\\").replace('"', '\\"')


def install(modules, guest):
    """`modules`: the list that the unwinder has, too."""
    if any(gdb.lookup_global_symbol(name) is None for name in EVENTS):
        gdb.write("[the kernel has no symbols: modules that come later bring none]\n")
        return
    loads = Loads(modules, guest)
    for name, what in EVENTS.items():
        Event(name, getattr(loads, what))
