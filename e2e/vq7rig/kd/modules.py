# SPDX-License-Identifier: MIT
"""The target's modules, and for each the PDB that is this very build's."""

import functools
import pathlib
import struct

from ..errors import RigError
from .errors import KdError
from .pdb import Symbols, identity
from .pe import Image, file_image
from .types import Types

KERNEL = "nt"           # the kernel's name in expressions, whatever its file's is


class Module:
    def __init__(self, debugger, entry, first, folders):
        self.base, self.size, self.file, self.path = entry
        self.name = KERNEL if first else pathlib.PurePath(self.file).stem
        self._debugger, self._folders = debugger, folders
        self._symbols, self.status = None, ""   # why it has symbols, or none

    def __contains__(self, address):
        return self.base <= address < self.base + self.size

    @functools.cached_property
    def image(self):
        """Its headers and unwind data, as they are in the target; None: they can't be read."""
        try:
            return Image(lambda rva, count: self._debugger.read(self.base + rva, count))
        except (KdError, RigError, struct.error):
            return None

    @property
    def pdb(self):
        """Which PDB it says is its, or None."""
        try:
            return self.image.pdb if self.image else None
        except KdError:
            return None

    @property
    def symbols(self):
        """Its Symbols, or None; `status` says why."""
        if not self.status:
            self._symbols, self.status = self._find()
        return self._symbols

    @functools.cached_property
    def types(self):
        """Its PDB's Types, or None."""
        return Types(self.symbols.pdb) if self.symbols else None

    def _find(self):
        wanted = self.pdb
        if wanted is None:
            return None, "no PDB is named in it"
        why = f"no {wanted.name} in {':'.join(map(str, self._folders))}"
        for folder in self._folders:
            pdb = folder / wanted.name
            if not pdb.exists():
                continue
            if (found := identity(pdb)) != wanted.guid:
                why = f"{pdb} is of another build: {found}, not {wanted.guid}"
                continue
            binary = self._binary(folder)
            if binary is None:
                why = f"{self.file} isn't beside {pdb}"
                continue
            return Symbols(binary, pdb), f"pdb symbols  {pdb}"
        return None, why

    def _binary(self, folder):
        """Its file: sections and lines are looked up there."""
        for each in folder.iterdir():
            if each.name.lower() == self.file.lower():
                theirs = file_image(each).pdb
                return each if theirs and theirs.guid == self.pdb.guid else None
        return None

    def lines(self, address):
        return self.symbols.lines(address - self.base) if self.symbols else []

    def close(self):
        if self._symbols is not None:
            self._symbols.close()


class ModuleList:
    def __init__(self, debugger, folders):
        self._debugger = debugger
        self.folders = [pathlib.Path(folder).absolute() for folder in folders]
        self._modules = None

    def all(self):
        """The modules, the kernel first; as they were when they were last read."""
        return self.reload() if self._modules is None else self._modules

    def reload(self):
        """Read the target's list again; of a module that is still there all is kept."""
        known = {(each.base, each.file): each for each in self._modules or ()}
        fresh = []
        for entry in self._debugger.kernel.modules():
            found = known.pop((entry[0], entry[2]), None)
            fresh.append(found or Module(self._debugger, entry, not fresh, self.folders))
        for gone in known.values():
            gone.close()
        self._modules = fresh
        return fresh

    def changed(self, event):
        """A module has come or is about to go: the same place may hold another build."""
        for each in self._modules or ():
            if each.base == event.base:
                each.close()
        self._modules = [each for each in self._modules or () if each.base != event.base] or None
        if event.unload:
            return
        try:
            self.reload()
        except KdError:
            self._modules = None            # so early that there is no list yet

    def named(self, name):
        name = name.lower()
        for each in self.all():
            if name in (each.name.lower(), each.file.lower(), pathlib.PurePath(each.file).stem
                        .lower()):
                return each
        return None

    def holding(self, address):
        return next((each for each in self.all() if address in each), None)

    def address_of(self, module, name):
        """Of a symbol, of one module or of the first that has it; or a module's base. Or None."""
        if module is None and (found := self.named(name)):
            return found.base
        chosen = self.all() if module is None else filter(None, [self.named(module)])
        for each in chosen:
            symbol = each.symbols.named(name) if each.symbols else None
            if symbol:
                return each.base + symbol.rva
        return None

    def name_of(self, address):
        """module!symbol+displacement, as far as it is known."""
        module = self.holding(address)
        if module is None:
            return f"0x{address:x}"
        symbol = module.symbols.near(address - module.base) if module.symbols else None
        if symbol is None:
            return f"{module.name}+0x{address - module.base:x}"
        beyond = address - module.base - symbol.rva
        return f"{module.name}!{symbol.name}" + (f"+0x{beyond:x}" if beyond else "")

    def close(self):
        for each in self._modules or ():
            each.close()
        self._modules = None
