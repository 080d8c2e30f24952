# SPDX-License-Identifier: MIT
"""Names and source lines of a module, from its PDB through LLVM's tools."""

import bisect
import fnmatch
import functools
import re
import shutil
import subprocess
from dataclasses import dataclass

from ..errors import RigError
from .pe import file_image

# Of llvm-pdbutil's dump: a record's kind and name, and where it is, on the next line.
_RECORD = re.compile(r"S_(GPROC32|LPROC32|GDATA32|LDATA32|PUB32) \[size = \d+\] `(.*)`\s*\n"
                     r"(.*)addr = ([0-9A-Fa-f]+):(\d+)(?:, code size = (\d+))?")
_FUNCTIONS = ("GPROC32", "LPROC32")


def tool(name):
    path = shutil.which(name)
    if path is None:
        raise RigError(f"{name} is not installed", "run `ci/setup.sh build`")
    return path


@dataclass(frozen=True)
class Symbol:
    name: str
    rva: int
    size: int                   # 0: not known
    function: bool


@dataclass(frozen=True)
class Line:
    """A function and where in it an address lies; of inlined ones, the innermost first."""
    function: str
    file: str
    line: int

    def __str__(self):
        return f"{self.file} @ {self.line}" if self.line else ""


def identity(path):
    """GUID of a PDB. Raises RigError."""
    return _identity(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _identity(path, _changed):
    ran = subprocess.run([tool("llvm-pdbutil"), "dump", "--summary", str(path)],
                         capture_output=True, text=True, check=False)
    found = re.search(r"GUID: \{([0-9A-F-]+)\}", ran.stdout)
    if not found:
        raise RigError(f"{path} is no PDB: {ran.stderr.strip()}")
    return found[1]


class Symbols:
    """Of one module. `binary` is its image's file, beside its PDB."""

    def __init__(self, binary, pdb):
        self.binary, self.pdb = binary, pdb
        self._symbolizer = None

    @functools.cached_property
    def all(self):
        """Symbols in order of address."""
        return _all(self.binary, self.pdb, identity(self.pdb))

    @functools.cached_property
    def _addresses(self):
        return [symbol.rva for symbol in self.all]

    def near(self, rva):
        """The last symbol at or before an address, or None."""
        at = bisect.bisect_right(self._addresses, rva) - 1
        return self.all[at] if at >= 0 else None

    def named(self, name):
        """The symbol of that very name; of several (static functions) the first. Or None."""
        return next((s for s in self.all if s.name == name), None) or \
            next((s for s in self.all if s.name.rpartition("::")[2] == name), None)

    def like(self, pattern):
        """Symbols whose names match, letters of either case."""
        pattern = pattern.lower()
        return [s for s in self.all if fnmatch.fnmatchcase(s.name.lower(), pattern)]

    def lines(self, rva):
        """Functions and source lines of an address; [] where the PDB has none."""
        if self._symbolizer is None:
            self._symbolizer = subprocess.Popen(
                [tool("llvm-symbolizer"), f"--obj={self.binary}", "--relative-address"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._symbolizer.stdin.write(f"{rva:#x}\n")
        self._symbolizer.stdin.flush()
        said = []
        while (line := self._symbolizer.stdout.readline().rstrip("\n")):
            said.append(line)
        found = []
        for function, where in zip(said[::2], said[1::2]):
            path, line, _ = where.rsplit(":", 2)
            if function != "??":
                found.append(Line(function, path, int(line)))
        return found

    def close(self):
        if self._symbolizer is not None:
            self._symbolizer.stdin.close()
            self._symbolizer.stdout.close()
            self._symbolizer.wait()
            self._symbolizer = None


@functools.lru_cache(maxsize=32)
def _all(binary, pdb, _guid):
    """Public names only for what has no other one."""
    ran = subprocess.run([tool("llvm-pdbutil"), "dump", "--symbols", "--publics", "--globals",
                          str(pdb)], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RigError(f"llvm-pdbutil can't read {pdb}: {ran.stderr.strip()}")
    bases = [section.rva for section in file_image(binary).sections]
    known, public = {}, {}
    for kind, name, before, section, offset, size in _RECORD.findall(ran.stdout):
        if not 1 <= int(section, 16) <= len(bases):
            continue
        rva = bases[int(section, 16) - 1] + int(offset)
        name = name.replace("`anonymous namespace'::", "")
        if kind == "PUB32":
            public[rva] = Symbol(name, rva, 0, "function" in before)
        else:
            known[rva] = Symbol(name, rva, int(size or 0), kind in _FUNCTIONS)
    return sorted((public | known).values(), key=lambda symbol: symbol.rva)
