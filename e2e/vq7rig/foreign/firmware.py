# SPDX-License-Identifier: MIT
"""Firmware in SeaBIOS' place, with virtio drivers of its own: OVMF and U-Boot."""

import subprocess
import xml.etree.ElementTree as ET

from ..errors import Lacking, RigError
from ..guests.base import Guest
from . import parts

IMAGES = {"ovmf": "**/ovmf/OVMF.fd", "u-boot": "**/qemu-x86_64/u-boot.rom"}


class Firmware(Guest):
    """Its console is COM1 (shell.Text)."""

    def __init__(self, name):
        super().__init__()
        self.name = name

    def prepare(self, run, config=None, host=None):
        if not host.embedded:
            raise Lacking("firmware is a file that QEMU shares: the embedded driver")
        parts.find(IMAGES[self.name])

    def place(self, xml, config, run):
        root = ET.fromstring(xml)
        system = root.find("os")
        for name in ("kernel", "initrd"):
            system.remove(system.find(name))
        loader = ET.SubElement(system, "loader", {"type": "rom"})
        loader.text = str(parts.find(IMAGES[self.name]))
        return ET.tostring(root, encoding="unicode")


class Fat:
    """A FAT file system on the whole of a machine's disk, made and read by the host."""

    def __init__(self, disk):
        self._path = disk.path

    def make(self, files):
        """`files`: name -> content."""
        _run("**/mkfs.fat", "-n", "VQ7", self._path)
        for name, content in files.items():
            _run("**/bin/mtools", "-c", "mcopy", "-i", self._path, "-", f"::{name}", given=content)

    def read(self, name):
        _run("**/fsck.fat", "-n", self._path)
        return _run("**/bin/mtools", "-c", "mcopy", "-i", self._path, f"::{name}", "-")


def _run(pattern, *words, given=None):
    program = parts.find(pattern)
    done = subprocess.run([program, *words], input=given, capture_output=True)
    if done.returncode:
        raise RigError(f"{program.name} {' '.join(words)}: {done.stderr or done.stdout!r}")
    return done.stdout
