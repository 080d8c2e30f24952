# SPDX-License-Identifier: MIT
"""Real mode programs that stand in for Windows."""

import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent


def assemble(folder, name, address):
    """standin(fault): the program's bytes."""
    subprocess.run(["clang", "--target=i386-unknown-none", "-c", HERE / name,
                    "-o", folder / "s.o"], check=True)
    subprocess.run(["ld.lld", "-m", "elf_i386", "--oformat", "binary", "-Ttext", hex(address),
                    "-o", folder / "s.bin", folder / "s.o"], check=True)
    program = (folder / "s.bin").read_bytes()
    assert len(program) % 512 == 0
    return lambda fault: program.replace(b"FAULT=-", b"FAULT=" + fault)
