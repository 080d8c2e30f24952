# SPDX-License-Identifier: MIT
"""Virtio features by bit, and what QEMU says of a device (QMP x-query-virtio)."""

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


class VirtioView:
    """QEMU's view of the machine's first virtio device."""

    def __init__(self, vm):
        devices = vm.qmp("x-query-virtio")
        if not devices:
            raise RigError("QEMU has no virtio device in this machine")
        self.name, self._path, self._vm = devices[0]["name"], devices[0]["path"], vm
        status = vm.qmp("x-query-virtio-status", path=self._path)
        self.host_features = mask_of(status["host-features"])
        self.guest_features = mask_of(status["guest-features"])
        self.status = status_of(status["status"])
        self.broken = status["broken"]
        self.started = status["started"]

    def queue(self, number=0):
        """QEMU's x-query-virtio-queue-status of one queue."""
        return self._vm.qmp("x-query-virtio-queue-status", path=self._path, queue=number)
