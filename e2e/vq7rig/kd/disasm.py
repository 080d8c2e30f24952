# SPDX-License-Identifier: MIT
"""x64 instructions as text, by llvm-mc."""

import re
import subprocess
from dataclasses import dataclass

from .pdb import tool

LONGEST = 15                            # bytes of an instruction
_LINE = re.compile(r"^\s*(.*?)\s*[#;] encoding: \[([^\]]*)\]")
_RIP = re.compile(r"\[rip ([+-]) (\d+)\]")


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
    ran = subprocess.run([tool("llvm-mc"), "--disassemble", "--triple=x86_64",
                          "--output-asm-variant=1", "--show-encoding"],
                         input=" ".join(f"{byte:#04x}" for byte in code),
                         capture_output=True, text=True, check=False)
    found, at = [], 0
    for line in ran.stdout.splitlines():
        parsed = _LINE.match(line)
        if not parsed:
            continue
        raw = bytes(int(byte, 16) for byte in parsed[2].split(","))
        if code[at:at + len(raw)] != raw:       # llvm-mc has passed over a byte
            break
        found.append(_instruction(address + at, raw, re.sub(r"\s+", " ", parsed[1])))
        at += len(raw)
    return found


def _instruction(address, raw, text):
    end = address + len(raw)
    branch = re.fullmatch(r"(call|j\w+) (-?\d+)", text)
    if branch:
        target = end + int(branch[2]) & (1 << 64) - 1
        return Instruction(address, raw, branch[1], target)
    relative = _RIP.search(text)
    if relative:
        offset = int(relative[2]) * (1 if relative[1] == "+" else -1)
        return Instruction(address, raw, text, end + offset & (1 << 64) - 1)
    return Instruction(address, raw, text)
