# SPDX-License-Identifier: MIT
"""Disks that are plugged in and out of a running machine."""

import copy
import re
import time
import xml.etree.ElementTree as ET

from .disk import Disk, Expected
from .errors import Hang, Lacking, RigError
from .libvirt_host import libvirt
from .options import ALIAS

EJECT, SELECT = 8, 16           # of QEMU's ACPI hot-plug registers


class Plug:
    """One disk of a machine: number 0 is the first, others come by plug_in()."""

    def __init__(self, vm, number=0):
        self.vm, self.number = vm, number
        self.alias = f"{ALIAS}{number}"
        self.expected = vm.all_expected[number] if number < len(vm.all_expected) else None

    def plug_in(self, slot=None):
        """Attach it, with the first disk's properties; a new image, or the one it had."""
        if self.expected is None:
            disk = Disk(self.vm.run / f"plugged{self.number}.img", self.vm.disk.capacity)
            disk.create()
            self.expected = Expected(disk)
        self._libvirt(self.vm.dom.attachDeviceFlags, self._xml(slot),
                      libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def plug_in_device(self, slot, **properties):
        """Attach it by QEMU's own commands, with properties of the virtio-blk-pci device that
        libvirt has no words for (its overrides are for devices of the start alone)."""
        if not self.vm.host.embedded:
            raise Lacking("QEMU has to open the disk's image by its name: the embedded driver can")
        disk = Disk(self.vm.run / f"plugged{self.number}.img", self.vm.disk.capacity)
        disk.create()
        self.expected = Expected(disk)
        self.vm.qmp("blockdev-add", **{"node-name": self.alias, "driver": "raw", "file": {
            "driver": "file", "filename": str(disk.path), "locking": "off"}})
        self.vm.qmp("device_add", driver="virtio-blk-pci", id=self.alias, drive=self.alias,
                    addr=f"{slot:#x}", serial=f"VQ7-DISK-{self.number}", **properties)

    def ask_out_device(self):
        """The same of one that came by plug_in_device()."""
        self.vm.qmp("device_del", id=self.alias)

    def _xml(self, slot):
        root = ET.fromstring((self.vm.folder / "domain.xml").read_text())
        disk = copy.deepcopy(root.find(f"devices/disk/alias[@name='{ALIAS}0']/.."))
        disk.find("source").set("file", self.expected.disk.path)
        disk.find("target").set("dev", f"vd{chr(ord('a') + self.number)}")
        disk.find("alias").set("name", self.alias)
        disk.find("serial").text = f"VQ7-DISK-{self.number}"
        if slot is not None:
            disk.find("address").set("slot", f"0x{slot:02x}")
        return ET.tostring(disk, encoding="unicode")

    def ask_out(self):
        """Ask the guest to let it go; returns at once."""
        self._libvirt(self.vm.dom.detachDeviceAlias, self.alias, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def pull_out(self):
        """Take it out without asking, as a hand does: the slot's power goes."""
        path = f"/machine/peripheral/{self.alias}"
        bus = self.vm.qmp("qom-get", path=path, property="parent_bus")
        select = self.vm.qmp("qom-get", path=bus, property="acpi-pcihp-bsel")
        slot = self.vm.qmp("qom-get", path=path, property="addr") >> 3      # then the function
        port = self._port()
        self._hmp(f"o/w {port + SELECT:#x} {select}")
        self._hmp(f"o/w {port + EJECT:#x} {1 << slot:#x}")

    def _port(self):
        found = re.search(r"([0-9a-f]{16})-.*: acpi-pci-hotplug\b", self._hmp("info mtree"))
        if not found:
            raise RigError("this machine has no ACPI hot plug")
        return int(found[1], 16)

    def _hmp(self, line):
        return self.vm.qmp("human-monitor-command", **{"command-line": line})

    def is_in(self):
        """Does QEMU have it, or libvirt, which hears of its end a little later?"""
        there = self.vm.qmp("qom-list", path="/machine/peripheral")
        return any(each["name"] == self.alias for each in there) or \
            f"<alias name='{self.alias}'/>" in self.vm.dom.XMLDesc(0)

    def wait_out(self, timeout=10.0):
        """Wait until it is gone. Raises Hang."""
        began = self.vm.now()
        while self.is_in():
            if self.vm.now() - began > timeout:
                raise Hang(f"the guest to let {self.alias} go", timeout, "",
                           self.vm.console.log_path, "the disk is still there")
            time.sleep(0.02)

    def _libvirt(self, call, *arguments):
        try:
            call(*arguments)
        except libvirt.libvirtError as bad:
            raise RigError(f"libvirt can't do that to {self.alias}: {bad}") from bad


def wait_devices(vm, count, timeout=10.0):
    """Wait until the guest counts so many devices; their rows. Raises Hang."""
    began = vm.now()
    while True:
        if vm.console.command("info").num("devices") == count:
            return vm.console.command("devices").rows()
        if vm.now() - began > timeout:
            raise Hang(f"{count} devices", timeout, "", vm.console.log_path, "another number")
        time.sleep(0.05)
