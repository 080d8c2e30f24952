# SPDX-License-Identifier: MIT
"""x64 instructions as text, by binutils' objdump, which takes bare bytes."""

import re
import subprocess
import tempfile
from dataclasses import dataclass

from .pdb import tool

LONGEST = 15                            # bytes of an instruction
_LINE = re.compile(r"^\s*([0-9a-f]+):\t([0-9a-f ]+)\t(.*)$")
_BRANCH = re.compile(r"(call|jmp|j\w+|loop\w*)\s+0x([0-9a-f]+)")
_PREFIX = re.compile(r"^rex\.?[WRXB]*(?: |$)")            # one that changes nothing
_RELATIVE = re.compile(r"\s*# 0x([0-9a-f]+)")


@dataclass(frozen=True)
class Instruction:
    address: int
    raw: bytes
    text: str
    target: int = None                  # of a direct branch, or of what it addresses by rip

    @property
    def end(self):
        return self.address + len(self.raw)

    @property
    def calls(self):
        """Is it a call, or a string instruction that repeats: what `p` steps over?"""
        return self.text.startswith(("call", "rep"))

    @property
    def returns(self):
        return self.text.startswith(("ret", "iret"))


def instructions(code, address):
    """What these bytes at an address are, up to the first that are no instruction."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        ran = subprocess.run([tool("objdump"), "-D", "-z", "-w", "-b", "binary", "-m",
                              "i386:x86-64", "-M", "intel", f"--adjust-vma={address:#x}",
                              file.name], capture_output=True, text=True, check=True)
    found = []
    for line in ran.stdout.splitlines():
        parsed = _LINE.match(line)
        if not parsed:
            continue
        text = re.sub(r"\s+", " ", parsed[3]).strip()
        if text.startswith(("(bad)", ".byte")) or _PREFIX.fullmatch(text):
            break
        found.append(_instruction(int(parsed[1], 16), bytes.fromhex(parsed[2]),
                                  _PREFIX.sub("", text)))
    return found


def _instruction(address, raw, text):
    branch, relative = _BRANCH.fullmatch(text), _RELATIVE.search(text)
    if branch:
        return Instruction(address, raw, branch[1], int(branch[2], 16))
    if relative:
        return Instruction(address, raw, text[:relative.start()], int(relative[1], 16))
    return Instruction(address, raw, text)
