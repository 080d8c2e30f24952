# SPDX-License-Identifier: MIT
"""Where a function of the guest is: its PDB's public symbols, its image's sections, and the
kernel's log, which says where the image was loaded."""

import re
import shutil
import struct
import subprocess

from .errors import RigError

LOADED = re.compile(r"^ldr: (\S+) at ([0-9a-f]+),", re.M)


def load_address(vm, image):
    """Where the kernel's log says that the image was loaded, the last time."""
    found = [at for name, at in LOADED.findall(vm.kernel_log()) if name == image]
    if not found:
        raise RigError(f"{image} isn't loaded, says the kernel's log")
    return int(found[-1], 16)


def address(vm, image, name):
    """Virtual address of a public symbol of a loaded image. C++ names are the mangled ones."""
    pdb = vm.guest / (image.rpartition(".")[0] + ".pdb")
    section, offset = _public(pdb, name)
    return load_address(vm, image) + _section_at(vm.guest / image, section) + offset


def _public(pdb, name):
    tool = shutil.which("llvm-pdbutil")
    if tool is None:
        raise RigError("llvm-pdbutil is not installed", "run `ci/setup.sh build`")
    ran = subprocess.run([tool, "dump", "--publics", str(pdb)], capture_output=True, text=True,
                         check=False)
    found = re.search(rf"`{re.escape(name)}`\n.*addr = (\d+):(\d+)", ran.stdout)
    if not found:
        raise RigError(f"{pdb} has no public symbol {name}: {ran.stderr.strip()}")
    return int(found[1]), int(found[2])


def _section_at(path, number):
    """Relative address of a section, counted from 1 (PE format, "Section Table")."""
    image = path.read_bytes()
    (header,) = struct.unpack_from("<I", image, 0x3C)
    (optional,) = struct.unpack_from("<H", image, header + 20)
    table = header + 24 + optional
    (at,) = struct.unpack_from("<I", image, table + 40 * (number - 1) + 12)
    return at
