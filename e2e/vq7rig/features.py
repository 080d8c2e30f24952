# SPDX-License-Identifier: MIT
"""Virtio features by bit, and what the host knows of a device, from several sources."""

import re
from dataclasses import dataclass

from . import registers
from .errors import RigError

# Virtio 1.2, sections 5.2.3 and 6, and those of the legacy interface.
BITS = {
    "VIRTIO_BLK_F_SIZE_MAX": 1, "VIRTIO_BLK_F_SEG_MAX": 2, "VIRTIO_BLK_F_GEOMETRY": 4,
    "VIRTIO_BLK_F_RO": 5, "VIRTIO_BLK_F_BLK_SIZE": 6, "VIRTIO_BLK_F_SCSI": 7,
    "VIRTIO_BLK_F_FLUSH": 9, "VIRTIO_BLK_F_TOPOLOGY": 10, "VIRTIO_BLK_F_CONFIG_WCE": 11,
    "VIRTIO_BLK_F_MQ": 12, "VIRTIO_BLK_F_DISCARD": 13, "VIRTIO_BLK_F_WRITE_ZEROES": 14,
    "VIRTIO_BLK_F_SECURE_ERASE": 16,
    "VIRTIO_F_NOTIFY_ON_EMPTY": 24, "VIRTIO_F_ANY_LAYOUT": 27,
    "VIRTIO_RING_F_INDIRECT_DESC": 28, "VIRTIO_RING_F_EVENT_IDX": 29,
    "VIRTIO_F_VERSION_1": 32, "VIRTIO_F_IOMMU_PLATFORM": 33, "VIRTIO_F_ACCESS_PLATFORM": 33,
    "VIRTIO_F_RING_PACKED": 34, "VIRTIO_F_IN_ORDER": 35, "VIRTIO_F_ORDER_PLATFORM": 36,
    "VIRTIO_F_SR_IOV": 37, "VIRTIO_F_NOTIFICATION_DATA": 38, "VIRTIO_F_RING_RESET": 40,
}
INDIRECT = 1 << 28
EVENT_IDX = 1 << 29
VERSION_1 = 1 << 32
BLK_SIZE_MAX = 1 << 1
BLK_RO = 1 << 5
BLK_FLUSH = 1 << 9

STATUS_BITS = {"ACKNOWLEDGE": 1, "DRIVER": 2, "DRIVER_OK": 4, "FEATURES_OK": 8,
               "NEEDS_RESET": 64, "FAILED": 128}

# The names QEMU gives by which bits this table knows; a name it doesn't know
# is left out of `known`, so that a comparison covers what both sides can say.
NAMED = sum({1 << bit for bit in BITS.values()})


def names(mask):
    """Names of a feature mask, for messages."""
    known = {bit: name for name, bit in BITS.items()}
    return [known.get(bit, f"bit {bit}") for bit in range(64) if mask >> bit & 1]


def mask_of(decoded):
    """A feature mask from QEMU's decoded form: lists of "NAME: text", and as a number
    the bits it has no name for."""
    mask = sum(value for key, value in decoded.items() if key.startswith("unknown-"))
    for text in decoded.get("transports", []) + decoded.get("dev-features", []):
        bit = BITS.get(text.partition(":")[0])
        if bit is not None:
            mask |= 1 << bit
    return mask


def status_of(decoded):
    """The device status byte from QEMU's decoded form."""
    status = 0
    for text in decoded.get("statuses", []):
        name = text.partition(":")[0].removeprefix("VIRTIO_CONFIG_S_")
        status |= STATUS_BITS.get(name, 0)
    return status | decoded.get("unknown-statuses", 0)


@dataclass
class Facts:
    """What the host knows of a virtio device."""
    status: int
    host_features: int
    guest_features: int
    broken: bool
    started: bool


class QmpSource:
    """QEMU's x-query-virtio commands, which are not stable."""

    def __init__(self, vm):
        self._vm = vm

    def _path(self):
        return _first([each["path"] for each in self._vm.qmp("x-query-virtio")])

    def facts(self):
        said = self._vm.qmp("x-query-virtio-status", path=self._path())
        return Facts(status_of(said["status"]), mask_of(said["host-features"]),
                     mask_of(said["guest-features"]), said["broken"], said["started"])

    def queue(self, number):
        return self._vm.qmp("x-query-virtio-queue-status", path=self._path(), queue=number)


class HmpSource:
    """The same for people, as text."""

    def __init__(self, vm):
        self._vm = vm

    def _path(self):
        return _first(re.findall(r"^(/\S+) \[", self._vm.hmp("info virtio"), re.M))

    def facts(self):
        text = self._vm.hmp(f"info virtio-status {self._path()}")
        return Facts(status_of({"statuses": _section(text, "status"),
                                "unknown-statuses": _unknown(text, "status")}),
                     mask_of(_features(text, "Host features")),
                     mask_of(_features(text, "Guest features")),
                     _word(text, "broken") == "true", _word(text, "started") == "true")

    def queue(self, number):
        text = self._vm.hmp(f"info virtio-queue-status {self._path()} {number}")
        names = {"num": "vring-num", "num_default": "vring-num-default", "desc": "vring-desc",
                 "avail": "vring-avail", "used": "vring-used"}
        found = {names.get(name, name.replace("_", "-")): int(value, 0) for name, value
                 in re.findall(r"^\s+(\w+):\s+(0x[0-9a-f]+|\d+)$", text, re.M)}
        if "used-idx" not in found:
            raise RigError(f"QEMU's monitor said {text.strip()[:80]!r}")
        return found


class RegisterSource:
    """The device's own registers, and its rings in the guest's memory."""

    def __init__(self, vm):
        self._vm = vm

    def _device(self):
        return registers.Device(self._vm, _first(registers.devices(self._vm)))

    def facts(self):
        with self._device().open() as device:
            status = device.status()
            return Facts(status, *device.features(), bool(status & STATUS_BITS["NEEDS_RESET"]),
                         bool(status & STATUS_BITS["DRIVER_OK"]))

    def queue(self, number):
        with self._device().open() as device:
            return device.queue(number)


# Best first; which of them a QEMU has is asked on a scrap machine (emulator.py).
SOURCES = {"qmp": QmpSource, "hmp": HmpSource, "registers": RegisterSource}


def _first(found):
    if not found:
        raise RigError("QEMU has no virtio device in this machine")
    return found[0]


def _word(text, name):
    found = re.search(rf"^\s*{name}:\s+(\S+)$", text, re.M)
    if not found:
        raise RigError(f"QEMU's monitor doesn't say {name}: {text.strip()[:80]!r}")
    return found[1]


def _section(text, name):
    """The names below a heading; each is followed by what it means."""
    found = re.search(rf"^  {name}:[ ]*\n((?:\t.*\n)*)", text, re.M)
    if not found:
        raise RigError(f"QEMU's monitor doesn't say {name}: {text.strip()[:80]!r}")
    return [line.strip() for line in found[1].splitlines()]


def _unknown(text, name):
    """The number given for bits without a name, which stands below their section."""
    found = re.search(rf"^  {name}:[ ]*\n(?:(?:\t.*)?\n)*  unknown-\w+\((0x[0-9a-f]+)\)",
                      text, re.M)
    return int(found[1], 16) if found else 0


def _features(text, name):
    return {"transports": _section(text, name), "unknown-features": _unknown(text, name)}


class VirtioView:
    """The host's view of the machine's first virtio device, from the best source there is.

    Raises Lacking where this QEMU has no source.
    """

    def __init__(self, vm):
        self._vm = vm
        facts = self._source("facts").facts()
        self.status, self.broken, self.started = facts.status, facts.broken, facts.started
        self.host_features, self.guest_features = facts.host_features, facts.guest_features

    def _source(self, fact):
        return SOURCES[self._vm.host.source(fact)](self._vm)

    def queue(self, number=0):
        """A queue's size, addresses and indices, named as by x-query-virtio-queue-status.

        Not every source has each of them.
        """
        return self._source("queue").queue(number)
