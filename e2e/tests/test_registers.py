# SPDX-License-Identifier: MIT
"""How the driver touches the device's registers, as QEMU's trace events show it."""

import re

import pytest

from vq7rig.bindings import MonitorError
from vq7rig.errors import Lacking, RigError

MMIO = ("memory_region_ops_read", "memory_region_ops_write")
ACCESS = re.compile(r"memory_region_ops_(read|write) cpu -?\d+ mr \S+ addr 0x([0-9a-f]+) "
                    r"value 0x([0-9a-f]+) size (\d) name '([\w-]+)'")
LIFE = ("virtio_set_status", "pci_cfg_write")
STATUS = re.compile(r"virtio_set_status vdev \S+ val (\d+)")
# Of the disk, 00:04.0, the command register: its low byte is enough.
COMMAND = re.compile(r"pci_cfg_write \S+ 00:04\.0 @0x4 <- 0x([0-9a-f]+)")
BUS_MASTER = 4

# The only width of each register (Virtio 1.2, 4.1.3.1: the field's own; 64-bit ones in two).
COMMON = {0x00: 4, 0x04: 4, 0x08: 4, 0x0C: 4, 0x10: 2, 0x12: 2, 0x14: 1, 0x15: 1, 0x16: 2,
          0x18: 2, 0x1A: 2, 0x1C: 2, 0x1E: 2, 0x20: 4, 0x24: 4, 0x28: 4, 0x2C: 4, 0x30: 4,
          0x34: 4}                                              # 4.1.4.3
LEGACY = {0x00: 4, 0x04: 4, 0x08: 4, 0x0C: 2, 0x0E: 2, 0x10: 2, 0x12: 1, 0x13: 1, 0x14: 2,
          0x16: 2}                                              # 4.1.4.10
BLOCK = {0x00: 4, 0x04: 4, 0x08: 4, 0x0C: 4, 0x10: 2, 0x12: 1, 0x13: 1, 0x14: 4, 0x18: 1,
         0x19: 1, 0x1A: 2, 0x1C: 4, 0x20: 1, 0x22: 2}           # 5.2.4
LEGACY_REGISTERS = 0x18         # with MSI-X; the device's own follow

ACKNOWLEDGE, DRIVER, DRIVER_OK = 1, 2, 4


def trace(vm, names, enable=True):
    """QEMU writes these events into its log, where libvirt keeps what it says."""
    for name in names:
        try:
            vm.qmp("trace-event-set-state", name=name, enable=enable)
        except MonitorError:
            raise
        except RigError as bad:
            raise Lacking(f"this QEMU doesn't trace {name}: {bad}") from bad


def qemu_log(vm):
    log = vm.host.log_of(vm.name)
    if log is None:
        raise Lacking("QEMU's log can't be read on this connection")
    return log.read_text(errors="replace")


def accesses(vm):
    """(region, offset, size) of each access to a virtio region. QEMU's addresses are absolute,
    its modern regions lie on pages of their own, and the legacy one has 128 bytes."""
    for _, address, _, size, region in ACCESS.findall(qemu_log(vm)):
        if region.startswith("virtio-pci"):
            legacy = region == "virtio-pci"
            yield region, int(address, 16) & (0x7F if legacy else 0xFFF), int(size)


def widths(region):
    """Where a register of a region begins, and how wide it is; None: any 16-bit access."""
    if region == "virtio-pci":
        return {**LEGACY, **{LEGACY_REGISTERS + at: size for at, size in BLOCK.items()}}
    for part, table in (("-common", COMMON), ("-device", BLOCK), ("-isr", {0: 1})):
        if region.startswith("virtio-pci" + part):
            return table
    return None


@pytest.mark.needs("unload")
@pytest.mark.watched
@pytest.mark.fresh
@pytest.mark.on("one", nightly="transports", options=("ioeventfd=off",))  # traced only so
def test_each_register_is_accessed_with_its_own_width(vm, config):
    vm.console.command("driver unload")
    trace(vm, MMIO)
    vm.console.command("driver load")
    vm.console.command("blk write 0 8 seed=3 gen=1")
    vm.console.command("blk verify 0 8 seed=3 gen=1")
    vm.console.command("driver unload")
    trace(vm, MMIO, enable=False)
    seen, wrong = set(), set()
    for region, offset, size in accesses(vm):
        table = widths(region)
        seen.add((region, offset))
        if size != (2 if table is None else table.get(offset)):
            wrong.add(f"{region} {offset:#x}: {size} bytes")
    assert not wrong
    # It was the driver that was watched, over its whole life.
    regions = {region for region, _ in seen}
    if config.flavour == "legacy":
        assert regions == {"virtio-pci"}
        assert {offset for _, offset in seen} >= {0x00, 0x04, 0x08, 0x0C, 0x0E, 0x10, 0x12}
    else:
        assert {region.split("-")[2] for region in regions} >= {"common", "device", "notify"}
        assert {offset for region, offset in seen if "common" in region} >= COMMON.keys() - {0x15}


@pytest.mark.needs("firmware")
@pytest.mark.on("transports")
def test_device_left_running_by_the_firmware_is_reset(blank):
    """The BIOS has driven the disk, and leaves it as it is: the driver must reset it first."""
    blank.start()
    trace(blank, LIFE)
    blank.boot()
    trace(blank, LIFE, enable=False)
    values = [int(value) for value in STATUS.findall(qemu_log(blank))]
    assert values[-1] & DRIVER_OK, values
    reset = len(values) - 1 - values[::-1].index(0)
    before, after = values[:reset], values[reset:]
    while before and before[-1] == 0:
        before.pop()
    # What the firmware has made of it, up to the driver's reset. (QEMU itself takes DRIVER_OK
    # back when bus mastering goes off, and leaves the queues as they are.)
    running = before[len(before) - before[::-1].index(0):] if 0 in before else before
    if not any(value & DRIVER_OK for value in running):
        raise Lacking(f"a firmware that leaves the device running: {values}")
    # Virtio 1.2, 3.1.1: reset, ACKNOWLEDGE, DRIVER, features, DRIVER_OK.
    assert after[:3] == [0, ACKNOWLEDGE, ACKNOWLEDGE | DRIVER], values
    # While it isn't reset, it may not get at memory that is somebody else's by now.
    status = None
    at_bus_master = []
    for line in qemu_log(blank).splitlines():
        if found := STATUS.search(line):
            status = int(found[1])
        elif (found := COMMAND.search(line)) and int(found[1], 16) & BUS_MASTER:
            at_bus_master.append(status)
    assert at_bus_master and at_bus_master[-1] == 0, at_bus_master
