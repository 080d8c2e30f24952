# SPDX-License-Identifier: MIT
"""Any NT that a user has as an image, with driver and agent in it (docs/guests.md)."""

import pathlib
import subprocess
import xml.etree.ElementTree as ET

from ..errors import RigError, UsageError
from . import known, look
from .base import Guest

MEMORY_MIB = 1024
ISO_SECTOR = 2048
ISO_MAGIC_AT = 16 * ISO_SECTOR + 1      # ECMA-119, 8.4.2
BOOTABLE_MAGIC_AT = 510


class Nt(Guest):
    """The image is never written to: an ISO is read only, a disk gets an overlay."""

    name = "nt"
    boot_s = 200            # times pace
    off_s = 180
    pace = 3.0
    memory_mib = MEMORY_MIB
    has_screen = True
    never = frozenset({"settings", "rules", "faults", "kernel log", "debugger", "crash", "sleep",
                       "hotplug", "firmware"})
    missing_image = ("the guest nt needs an image: make e2e GUEST=nt IMAGE=x.iso (or x.qcow2, "
                     "x.img); docs/guests.md says what it must provide")

    def check(self):
        if not self.image:
            raise RigError(self.missing_image)
        self.image = pathlib.Path(self.image).absolute()
        try:
            self.format = _format(self.image)
        except OSError as bad:
            raise RigError(f"can't read the image {self.image}: {bad.strerror}",
                           self.missing_image) from bad
        self.memory = known.Memory(self.image)

    def prepare(self, run, config=None, host=None):
        if self.format == "iso":
            return
        below, form = self.backing(config, host)
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", str(below),
                   str(run / "system.qcow2")]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RigError(f"no overlay of {self.image}: {done.stderr.strip()}")

    def backing(self, config, host):
        """(file, format) below the overlay of a machine."""
        return self.image, self.format

    def place(self, xml, config, run):
        root = ET.fromstring(xml)
        system, devices = root.find("os"), root.find("devices")
        for name in ("kernel", "initrd", "cmdline"):
            for each in system.findall(name):
                system.remove(each)
        devices.insert(0, self._boot_disk(config, run))
        if config.option("memory") is None:
            root.find("memory").text = str(self.memory_mib)
        devices.find("video/model").set("type", "vga")
        self.tune(root)
        return ET.tostring(root, encoding="unicode")

    def _boot_disk(self, config, run):
        """On the board's own controller: IDE, or AHCI on q35."""
        bus, target = ("sata", "sda") if config.machine == "q35" else ("ide", "hda")
        iso = self.format == "iso"
        disk = ET.Element("disk", {"type": "file", "device": "cdrom" if iso else "disk"})
        ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw" if iso else "qcow2"})
        ET.SubElement(disk, "source",
                      {"file": str(self.image if iso else run / "system.qcow2")})
        ET.SubElement(disk, "target", {"dev": target, "bus": bus})
        if iso:
            ET.SubElement(disk, "readonly")
        ET.SubElement(disk, "boot", {"order": "1"})
        return disk

    def tune(self, root):
        """What else this system wants of its machine."""

    def look(self, vm):
        facts = look.at(vm, self.said)
        if self.arch and facts.arch != self.arch:
            raise UsageError(f"ARCH={self.arch}, but the agent in {self.image} is {facts.arch}")
        self.arch, self.missing = facts.arch, facts.missing
        self.lost = self.memory.compare(self.missing)

    def facts(self):
        lacking = "; ".join(f"{name} ({why})" for name, why in self.missing.items())
        return {"guest": f"{self.title} {self.arch or ''}".rstrip(),
                "guest lacks": lacking or "nothing that is looked for"}

    @property
    def title(self):
        return f"{self.name} {pathlib.Path(self.image).name}" if self.image else self.name


def _format(path):
    """iso, qcow2 or raw. Raises UsageError for what can't be booted."""
    with open(path, "rb") as file:
        first = file.read(512)
        file.seek(ISO_MAGIC_AT)
        iso = file.read(5) == b"CD001"
    if first[:4] == b"QFI\xfb":
        return "qcow2"
    if iso:
        return "iso"
    if first[BOOTABLE_MAGIC_AT:] == b"\x55\xaa":
        return "raw"
    raise UsageError(f"{path} is no ISO 9660 image, no qcow2 and no disk with a boot sector")
