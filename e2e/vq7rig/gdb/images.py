# SPDX-License-Identifier: MIT
"""Which file has the DWARF of each module that the kernel has loaded, and where it belongs.

gdb reads no PDB. So the guest is compiled a second time, with DWARF beside it (`make
guest-dwarf`): the same code at the same relative addresses, in images that nobody boots.
"""

import struct
from dataclasses import dataclass

from ..dump.elfcore import Core
from ..dump.frozen import Frozen
from ..errors import RigError
from ..kd.debugger import Debugger
from ..kd.errors import KdError
from ..kd.pe import file_image

DWARF = "dwarf"                         # folder of those images, in the guest's
REMEDY = "run `make guest-x64 guest-dwarf`"
CODE = (".text", ".pdata")              # what must be the same in both


@dataclass(frozen=True)
class Loaded:
    """A module of the kernel. `symbols` is None where there are none; `why_not` says why."""
    file: str
    base: int
    size: int
    symbols: object = None
    why_not: str = ""

    @property
    def offset(self):
        """From the addresses in the file to those in the machine."""
        return self.base - image_base(file_image(self.symbols))


def image_base(image):
    """ImageBase, the address that an image was linked for (PE format, "Optional Header")."""
    header = int.from_bytes(image.bytes_at(0x3C, 4), "little")
    return struct.unpack("<Q", image.bytes_at(header + 24 + 24, 8))[0]


def loaded(core, guest):
    """The modules in an ELF core, each a Loaded. Raises RigError."""
    with Core(core) as memory:
        if not memory.cpus:
            raise RigError(f"{core}: no CPU uses paging: the machine was in its firmware or a "
                           "loader")
        debugger = Debugger(Frozen(memory), [guest])
        try:
            return [of(module, guest) for module in debugger.module_list.all()]
        except KdError as bad:
            raise RigError(f"{core}: {bad}") from bad
        finally:
            debugger.module_list.close()


def need_symbols(modules):
    """Those of the modules that have symbols. Raises RigError where none has."""
    found = [module for module in modules if module.symbols]
    if not found:
        raise RigError("no symbols: " + "; ".join(
            dict.fromkeys(module.why_not for module in modules)) if modules else
            "the kernel has no list of modules yet", REMEDY)
    return found


def of(module, guest):
    """The Loaded of a module with `file`, `base`, `size` and `pdb`."""
    shipped, symbols = _file(guest, module.file), _file(guest / DWARF, module.file)
    if symbols is None:
        why_not = f"{guest / DWARF} has no {module.file}"
    elif shipped is None:
        why_not = f"{guest} has no {module.file}"
    elif module.pdb is None or file_image(shipped).pdb != module.pdb:
        why_not = f"{module.file} in the machine is of another build than {shipped}"
    elif not same_code(file_image(shipped), file_image(symbols)):
        why_not = f"{symbols} is of other sources than {shipped}"
    else:
        return Loaded(module.file, module.base, module.size, symbols)
    return Loaded(module.file, module.base, module.size, None, why_not)


def _file(folder, name):
    """A file of that name, in letters of either case, or None."""
    if not folder.is_dir():
        return None
    return next((each for each in folder.iterdir() if each.name.lower() == name.lower()), None)


def same_code(one, other):
    """Have both images the same functions, at the same addresses?"""
    def code(image):
        return [(section.rva, image.bytes_at(section.rva, section.size))
                for section in image.sections if section.name in CODE]
    return code(one) == code(other)
