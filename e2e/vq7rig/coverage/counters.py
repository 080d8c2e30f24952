# SPDX-License-Identifier: MIT
"""The counters of one machine: read from its memory, added up over its starts.

The guest's kernel keeps them in pages of their own from the first load of the driver to the
machine's end (ntcompat's ldr/counters.cpp), and its log says where. They are read before
whatever ends or resets the machine.
"""

import re
import struct

import numpy as np

from ..bindings import MonitorError, libvirt
from ..errors import RigError, UsageError
from ..kd.pe import file_image

# The driver under test, and the one that calls all of the library.
IMAGES = IMAGE, LIBRARY = "vq7test.sys", "vq7lib.sys"
SECTION = ".lprfc"
FOLDER = "counters"             # of the results: a file a machine
PAGE = 4096
# The page before the counters: mark, checksum of the image, size in bytes, number of the boot.
HEADER = struct.Struct("<8sIIQ")
MARK = b"VQ7COUNT"
_KEPT = re.compile(r"^ldr: counters of (\S+) kept at physical ([0-9a-f]+)", re.M)
# Commands that end what the counters count.
_ENDING = re.compile(rb"\b(poweroff|reset)\b")


def section_of(guest, name=IMAGE):
    """(the image's checksum, size of its counters); None: it isn't there or not instrumented."""
    path = guest / name
    if not path.exists():
        return None
    image = file_image(path)
    found = [each for each in image.sections if each.name == SECTION]
    return (image.checksum, found[0].size) if found else None


class Counters:
    """Of an image in one machine. `file` gets their sum, each time that they are read."""

    def __init__(self, vm, section, file, image=IMAGE):
        if not vm.host.embedded:
            raise UsageError("counters of an instrumented driver are read through files shared "
                             "with QEMU: run it without --connect")
        self._vm, self._file, self._image = vm, file, image
        self._checksum, self._bytes = section
        self._before = np.zeros(self._bytes // 8, np.uint64)    # of earlier starts
        self._latest, self._boot = self._before, None

    def read(self):
        """Take what the machine has counted so far; quiet where there is nothing to read: its
        QEMU is gone, or the driver has not been loaded since it started."""
        kept = [at for name, at in _KEPT.findall(self._vm.kernel_log()) if name == self._image]
        if kept and self._vm.dom is not None:
            raw = self._memory(int(kept[-1], 16), PAGE + self._bytes)
            if raw is not None:
                self._take(raw)

    def _memory(self, at, count):
        path = self._vm.run / "counters.memory"
        try:
            self._vm.host.qmp(self._vm.dom, "pmemsave", val=at, size=count, filename=str(path))
            return path.read_bytes()
        except (libvirt.libvirtError, MonitorError, RigError, FileNotFoundError):
            return None
        finally:
            path.unlink(missing_ok=True)

    def _take(self, raw):
        mark, checksum, size, boot = HEADER.unpack_from(raw)
        if (mark, checksum, size) != (MARK, self._checksum, self._bytes):
            return              # a start that hasn't come to the driver yet
        if boot != self._boot:
            self._before, self._boot = self._before + self._latest, boot
        self._latest = np.frombuffer(raw, np.uint64, self._bytes // 8, PAGE)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_bytes((self._before + self._latest).tobytes())

    def before(self, data):
        """Called with what is about to be sent to the guest's console."""
        if _ENDING.search(data):
            self.read()


class All:
    """Those of all images of one machine."""

    def __init__(self, each):
        self._each = each

    def read(self):
        for counters in self._each:
            counters.read()

    def before(self, data):
        for counters in self._each:
            counters.before(data)


def of(vm):
    """The counters of a machine, None where none of its images is instrumented."""
    found = []
    for image in IMAGES:
        section = section_of(vm.guest, image)
        if section is not None:
            file = vm.folder.parent.parent / FOLDER / f"{section[0]:08x}" / f"{vm.folder.name}.bin"
            found.append(Counters(vm, section, file, image))
    return All(found) if found else None


def total(folders, section):
    """(the sum over all machines of these results, how many there were)."""
    checksum, size = section
    sums, count = np.zeros(size // 8, np.uint64), 0
    for folder in folders:
        for path in sorted((folder / FOLDER / f"{checksum:08x}").glob("*.bin")):
            sums += np.frombuffer(path.read_bytes(), np.uint64, size // 8)
            count += 1
    return sums, count
