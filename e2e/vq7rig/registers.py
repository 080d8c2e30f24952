# SPDX-License-Identifier: MIT
"""A virtio-pci device, read through its own registers as a driver would.

Independent of what QEMU's monitor says of a device: only port I/O is needed, by which
PCI configuration space is reached and, through the device's configuration access
capability (Virtio 1.2, section 4.1.4.9), every register in its BARs. The machine is
paused meanwhile, and all selectors are put back, so that its driver sees nothing.
"""

import re
from contextlib import contextmanager

from .errors import Lacking, RigError

VIRTIO = 0x1AF4
CONFIG_ADDRESS, CONFIG_DATA = 0xCF8, 0xCFC
COMMAND, BAR0, CAPABILITIES = 0x04, 0x10, 0x34      # PCI configuration space
VENDOR_CAPABILITY, MSIX_CAPABILITY = 0x09, 0x11
IO_SPACE = 1                                        # of COMMAND
COMMON_CFG, PCI_CFG = 1, 5          # cfg_type, Virtio 1.2, section 4.1.4

# struct virtio_pci_common_cfg (4.1.4.3): offset and size
DEVICE_FEATURE_SELECT, DEVICE_FEATURE = (0, 4), (4, 4)
DRIVER_FEATURE_SELECT, DRIVER_FEATURE = (8, 4), (12, 4)
DEVICE_STATUS = (20, 1)
QUEUE_SELECT, QUEUE_SIZE = (22, 2), (24, 2)
QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE = 32, 40, 48

# The legacy interface's I/O BAR (4.1.4.10)
LEGACY_DEVICE_FEATURES, LEGACY_GUEST_FEATURES = (0, 4), (4, 4)
LEGACY_QUEUE_ADDRESS, LEGACY_QUEUE_SIZE = (8, 4), (12, 2)
LEGACY_QUEUE_SELECT, LEGACY_STATUS = (14, 2), (18, 1)
LEGACY_ALIGN = 4096

FEATURES_OK = 8
_SIZES = {1: "b", 2: "h", 4: "w"}


def devices(vm):
    """(bus, slot, function) of the virtio devices, in the order of their places."""
    def walk(listed):
        for each in listed:
            if each["id"]["vendor"] == VIRTIO and 0x1000 <= each["id"]["device"] < 0x1080:
                yield each["bus"], each["slot"], each["function"]
            yield from walk(each.get("pci_bridge", {}).get("devices", ()))

    return [place for bus in vm.qmp("query-pci") for place in walk(bus["devices"])]


class Device:
    """One virtio device of a machine. Use `with device.open():` around its methods."""

    def __init__(self, vm, place):
        self._vm, self._place = vm, place
        self._common = self._window = self._legacy = None
        self._selected, self._pointed = None, {}
        self.modern = None              # is it driven through the modern interface?

    @contextmanager
    def open(self):
        """Pause the machine, find the device's registers, and leave everything as it was."""
        with self._vm.stopped():
            address = self._port_in(CONFIG_ADDRESS, 4)
            self._selected, self._pointed = None, {}
            command = self._config_in(COMMAND, 2)
            saved = []
            try:
                self._find()
                saved = [(at, size, self._config_in(at, size)) for at, size in self._pointers()]
                if not command & IO_SPACE:      # as after the driver has gone
                    self._config_out(COMMAND, 2, command | IO_SPACE)
                self.modern = self._is_modern()
                yield self
            finally:
                for at, size, value in saved:
                    self._config_out(at, size, value)
                self._config_out(COMMAND, 2, command)
                self._port_out(CONFIG_ADDRESS, 4, address)

    def _find(self):
        at = self._config_in(CAPABILITIES, 1) & 0xFC
        while at:
            if self._config_in(at, 1) == VENDOR_CAPABILITY:
                kind = self._config_in(at + 3, 1)
                if kind == COMMON_CFG and self._common is None:
                    self._common = self._config_in(at + 4, 1), self._config_in(at + 8, 4)
                elif kind == PCI_CFG:
                    self._window = at
            at = self._config_in(at + 1, 1) & 0xFC
        bar = self._config_in(BAR0, 4)
        self._legacy = bar & ~3 if bar & 1 else None
        if self._legacy is None and (self._common is None or self._window is None):
            raise Lacking("this virtio device has no registers that the rig can reach")

    def _is_modern(self):
        """Only the modern interface's driver sets FEATURES_OK."""
        if self._common is None or self._window is None:
            return False
        return self._legacy is None or bool(self._bar_in(DEVICE_STATUS) & FEATURES_OK)

    def _pointers(self):
        """Place and size of the access capability's own fields: bar, offset, length."""
        if self._window is None:
            return []
        return [(self._window + 4, 1), (self._window + 8, 4), (self._window + 12, 4)]

    # --- what is asked ---------------------------------------------------------

    def status(self):
        if self.modern:
            return self._bar_in(DEVICE_STATUS)
        return self._port_in(self._legacy + LEGACY_STATUS[0], LEGACY_STATUS[1])

    def features(self):
        """(offered by the device, accepted by the driver)."""
        if self.modern:
            offered = self._halves(DEVICE_FEATURE_SELECT, DEVICE_FEATURE)
            accepted = self._halves(DRIVER_FEATURE_SELECT, DRIVER_FEATURE)
        else:
            offered, accepted = (self._port_in(self._legacy + at, size) for at, size
                                 in (LEGACY_DEVICE_FEATURES, LEGACY_GUEST_FEATURES))
        # A reset forgets what was accepted, but needn't clear the register (4.1.4.3).
        return offered, accepted if self.status() else 0

    def _halves(self, select, register):
        before = self._bar_in(select)
        value = 0
        for half in (0, 1):
            self._bar_out(select, half)
            value |= self._bar_in(register) << 32 * half
        self._bar_out(select, before)
        return value

    def queue(self, number):
        """A queue's size, its three addresses, and the indices in its rings."""
        size, desc, avail, used = (self._modern_queue if self.modern
                                   else self._legacy_queue)(number)
        found = {"vring-num": size, "vring-desc": desc, "vring-avail": avail, "vring-used": used}
        if used:
            found["avail-idx"] = self._memory16(avail + 2)
            found["used-idx"] = self._memory16(used + 2)
        return found

    def _modern_queue(self, number):
        before = self._bar_in(QUEUE_SELECT)
        self._bar_out(QUEUE_SELECT, number)
        addresses = [self._bar_in((at, 4)) | self._bar_in((at + 4, 4)) << 32
                     for at in (QUEUE_DESC, QUEUE_DRIVER, QUEUE_DEVICE)]
        size = self._bar_in(QUEUE_SIZE)
        self._bar_out(QUEUE_SELECT, before)
        return size, *addresses

    def _legacy_queue(self, number):
        def read(register):
            return self._port_in(self._legacy + register[0], register[1])

        before = read(LEGACY_QUEUE_SELECT)
        self._port_out(self._legacy + LEGACY_QUEUE_SELECT[0], 2, number)
        size, desc = read(LEGACY_QUEUE_SIZE), read(LEGACY_QUEUE_ADDRESS) * LEGACY_ALIGN
        self._port_out(self._legacy + LEGACY_QUEUE_SELECT[0], 2, before)
        avail = desc + 16 * size        # 2.7.2, legacy layout
        used = -(-(avail + 2 * (3 + size)) // LEGACY_ALIGN) * LEGACY_ALIGN
        return (size, desc, avail, used) if desc else (size, 0, 0, 0)

    def structures(self):
        """{cfg_type: (place of its capability, bar, offset)} of the first of each (4.1.4), and
        {"msix": (place,)} where there is one."""
        found, at = {}, self._config_in(CAPABILITIES, 1) & 0xFC
        while at:
            kind = self._config_in(at, 1)
            if kind == VENDOR_CAPABILITY:
                found.setdefault(self._config_in(at + 3, 1),
                                 (at, self._config_in(at + 4, 1), self._config_in(at + 8, 4)))
            elif kind == MSIX_CAPABILITY:
                found["msix"] = (at,)
            at = self._config_in(at + 1, 1) & 0xFC
        return found

    # --- ways to a register ----------------------------------------------------

    def _bar_in(self, register):
        self._point(register)
        return self._config_in(self._window + 16, register[1])

    def _bar_out(self, register, value):
        self._point(register)
        self._config_out(self._window + 16, register[1], value)

    def _point(self, register):
        """Point the configuration access capability at a register of the common structure."""
        bar, offset = self._common
        wanted = (bar, offset + register[0], register[1])
        for (at, size), value in zip(self._pointers(), wanted):
            if self._pointed.get(at) != value:
                self._config_out(at, size, value)
                self._pointed[at] = value

    def _select_config(self, at):
        bus, slot, function = self._place
        address = 1 << 31 | bus << 16 | slot << 11 | function << 8 | at & 0xFC
        if self._selected != address:
            self._port_out(CONFIG_ADDRESS, 4, address)
            self._selected = address

    def _config_in(self, at, size):
        self._select_config(at)
        return self._port_in(CONFIG_DATA + (at & 3), size)

    def _config_out(self, at, size, value):
        self._select_config(at)
        self._port_out(CONFIG_DATA + (at & 3), size, value)

    def _port_in(self, port, size):
        said = self._vm.hmp(f"i /x{_SIZES[size]} {port:#x}")
        return _number(r"= (0x[0-9a-f]+)\s*\Z", said)

    def _port_out(self, port, size, value):
        said = self._vm.hmp(f"o /x{_SIZES[size]} {port:#x} {value:#x}")
        if said.strip():
            raise RigError(f"QEMU's monitor command o: {said.strip()}")

    def _memory16(self, at):
        return _number(r": (0x[0-9a-f]+)\s*\Z", self._vm.hmp(f"xp /1xh {at:#x}"))


def _number(pattern, said):
    found = re.search(pattern, said)
    if not found:
        raise RigError(f"QEMU's monitor said {said.strip()!r}")
    return int(found[1], 16)
