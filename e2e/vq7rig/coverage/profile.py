# SPDX-License-Identifier: MIT
"""A raw profile, as clang's own runtime would have written it.

Its header and its records differ between versions of LLVM. Each describes them in the header
that its runtime is made from, profile/InstrProfData.inc, which comes with the compiler: that
description is followed, not a version's number.
"""

import pathlib
import re
import struct
import subprocess

from ..errors import RigError

MAGIC = 0xFF6C70726F667281      # "\xfflprofr\x81", of 64 bits
DATA, COUNTERS, NAMES = ".lprfd", ".lprfc", ".lprfn"
_SIZES = {"uint64_t": 8, "IntPtrT": 8, "uint32_t": 4, "uint16_t": 2}


def description(compiler="clang"):
    """The text of the compiler's InstrProfData.inc. Raises RigError."""
    try:
        said = subprocess.run([compiler, "-print-resource-dir"], capture_output=True, text=True,
                              check=True).stdout.strip()
        return (pathlib.Path(said) / "include/profile/InstrProfData.inc").read_text()
    except (OSError, subprocess.CalledProcessError) as bad:
        raise RigError(f"{compiler}'s profile/InstrProfData.inc can't be read: {bad}",
                       "install libclang-rt-dev (ci/setup.sh build)") from bad


class Layout:
    """What a version of LLVM wants of a raw profile."""

    def __init__(self, text):
        found = re.search(r"#define INSTR_PROF_RAW_VERSION (\d+)", text)
        self.version = int(found[1]) if found else 0
        self.fields = re.findall(r"^INSTR_PROF_RAW_HEADER\(uint64_t, (\w+),", text, re.M)
        kinds = re.findall(r"^VALUE_PROF_KIND\((\w+), (\w+),", text, re.M)
        numbers = {name: int(value) for name, value in kinds if value.isdecimal()}
        self.last_kind = max(numbers.values(), default=0)
        self.record = self._record(text)
        if not found or not self.fields or not self.record:
            raise RigError("the compiler's InstrProfData.inc is of a kind that isn't known here")

    def _record(self, text):
        """Size of a function's record."""
        at = 0
        for kind, count in re.findall(r"^INSTR_PROF_DATA\((?:const )?(\w+), [^,]*(?:\([^)]*\))?, "
                                      r"\w+(\[IPVK_Last\+1\])?,", text, re.M):
            size = _SIZES[kind]
            at = -(-at // size) * size + size * (self.last_kind + 1 if count else 1)
        return -(-at // 8) * 8


def raw_profile(image, counters, layout):
    """The bytes of a raw profile: the image's records and names, and these counters."""
    parts = {each.name: each for each in image.sections}
    missing = {DATA, COUNTERS, NAMES} - set(parts)
    if missing:
        raise RigError(f"the driver has no section {', '.join(sorted(missing))}: it isn't "
                       "instrumented")
    data, names = (image.bytes_at(parts[n].rva, parts[n].size) for n in (DATA, NAMES))
    if len(data) % layout.record:
        raise RigError(f"{len(data)} bytes of {DATA} are no records of {layout.record} bytes")
    names = names[1:]           # without the runtime's own byte
    # A COFF object has 32 bits for the difference of two labels, and so have the records.
    delta = parts[COUNTERS].rva - parts[DATA].rva & (1 << 32) - 1
    values = {
        "Magic": MAGIC, "Version": layout.version,
        "DataSize": len(data) // layout.record, "NumData": len(data) // layout.record,
        "CountersSize": len(counters) // 8, "NumCounters": len(counters) // 8,
        "NamesSize": len(names), "CountersDelta": delta,
        "NamesDelta": parts[NAMES].rva, "ValueKindLast": layout.last_kind}
    header = struct.pack(f"<{len(layout.fields)}Q",
                         *(values.get(name, 0) for name in layout.fields))
    return header + data + counters + names + bytes(-len(names) % 8)
