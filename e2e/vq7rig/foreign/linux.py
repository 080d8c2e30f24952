# SPDX-License-Identifier: MIT
"""Debian's Linux kernel for clouds, with its own virtio drivers and busybox."""

import lzma
import pathlib
import xml.etree.ElementTree as ET

from ..errors import Lacking
from ..guests.base import Guest
from . import cpio, parts

# In the order in which they need each other.
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "virtio_blk")
FOLDERS = ("bin", "dev", "modules", "mnt", "proc", "sys", "tmp")
# A TSC that is measured while the host is busy makes a clock that is fast, by ten times and more;
# the watchdogs and the timer's check would complain of such a host, too.
LINE = ("console=ttyS1,115200 tsc=unstable clocksource=hpet nowatchdog no_timer_check "
        "rcupdate.rcu_cpu_stall_suppress=1 memhp_default_state=online_movable")
DIMM_MIB = 128                  # a multiple of what Linux takes
DIMM = (f"<memory model='dimm' access='shared'><target><size unit='MiB'>{DIMM_MIB}</size>"
        "<node>0</node></target></memory>")
INIT = pathlib.Path(__file__).with_name("init.sh")


class Linux(Guest):
    """A shell on COM1 (shell.py); what the kernel says is on COM2. `slots`: for memory that comes
    and goes, of DIMM_MIB each."""

    name = "linux"

    def __init__(self, slots=0):
        super().__init__()
        self._slots = slots

    def prepare(self, run, config=None, host=None):
        if not host.embedded:
            raise Lacking("Linux is booted from files that QEMU shares: the embedded driver")
        (run / "linux.cpio").write_bytes(cpio.archive(_entries()))

    def place(self, xml, config, run):
        root = ET.fromstring(xml)
        system = root.find("os")
        system.find("kernel").text = str(parts.find("boot/vmlinuz-*"))
        system.find("initrd").text = str(run / "linux.cpio")
        ET.SubElement(system, "cmdline").text = LINE
        if self._slots:
            self._add_slots(root)
        parts.log_from(root, parts.COM2, run)
        return ET.tostring(root, encoding="unicode")

    def _add_slots(self, root):
        size = int(root.find("memory").text)
        most = ET.SubElement(root, "maxMemory", {"slots": str(self._slots), "unit": "MiB"})
        most.text = str(size + self._slots * DIMM_MIB)
        # libvirt plugs memory into machines with NUMA nodes alone.
        root.append(ET.fromstring(f"<cpu><numa><cell id='0' cpus='0' memory='{size}' unit='MiB' "
                                  "memAccess='shared'/></numa></cpu>"))


def _entries():
    """Of the initramfs."""
    files = {"bin/busybox": parts.find("**/bin/busybox").read_bytes(), "init": INIT.read_bytes()}
    modules = [parts.find(f"**/{name}.ko*") for name in MODULES if name not in _built_in()]
    files |= {f"modules/{_plain(path)}": _module(path) for path in modules}
    files["modules/order"] = "\n".join(map(_plain, modules)).encode()
    return [*((name, cpio.DIRECTORY, b"") for name in FOLDERS),
            *((name, cpio.FILE, content) for name, content in files.items())]


def _built_in():
    """Modules that this kernel has in itself."""
    lines = parts.find("**/modules.builtin").read_text().splitlines()
    return {pathlib.PurePosixPath(line).stem for line in lines}


def _plain(path):
    return path.name.removesuffix(".xz")


def _module(path):
    content = path.read_bytes()
    return lzma.decompress(content) if path.suffix == ".xz" else content    # Debian 13's
