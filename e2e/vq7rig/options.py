# SPDX-License-Identifier: MIT
"""Options of a machine: `name=value`, each an edit of the domain XML.

Those of OPTIONS change the machine; any other name is a property of the QEMU device of
each disk, as `page-per-vq=on` or `queue-size=8`, given to QEMU as it is.
"""

import copy
import re
import xml.etree.ElementTree as ET

from .errors import UsageError

QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"
Q = f"{{{QEMU_NS}}}"
ALIAS = "ua-blk"                # and the number of the disk
SYNTAX = re.compile(r"([A-Za-z0-9_.-]+)=([!-+\--~]*)")     # no comma: QEMU's own separator

SECTOR = 512
EXTRA_SECTORS = 2048            # size of the disks beyond the first


def parse(option):
    """(name, value). Raises UsageError."""
    found = SYNTAX.fullmatch(option)
    if not found:
        raise UsageError(f"option {option!r}: it must be name=value without spaces and commas, "
                         "as page-per-vq=on")
    name, value = found.groups()
    if name in NUMBERS and not value.isdecimal():
        raise UsageError(f"option {option!r}: the value must be a decimal number")
    if name in CHOICES and value not in CHOICES[name]:
        raise UsageError(f"option {option!r}: known: {', '.join(CHOICES[name])}")
    return name, value


def _not_xml(name):
    return name in NOT_XML or name.startswith(BACKEND)


def get(options, wanted, otherwise=None):
    """The value of an option, the last one if it is given twice."""
    for option in reversed(options):
        name, value = parse(option)
        if name == wanted:
            return value
    return otherwise


def apply(root, options):
    """Edit a domain, in the order of the tables, whatever that of the options. Those that multiply
    disks come last, so that all disks are alike."""
    pairs = [parse(option) for option in options]
    for name, value in pairs:
        if not any(name in table for table in (OPTIONS, REPLACING, LAST)) and not _not_xml(name):
            set_property(root, name, value)
    for table in (OPTIONS, REPLACING, LAST):
        for name, value in pairs:
            if name in table:
                table[name](root, value)


def disk_of(root):
    """The first disk under test."""
    return root.find(f"devices/disk/alias[@name='{ALIAS}0']/..")


def kind_of(value):
    """Type and value of a property as <qemu:property> wants them, from how it is written."""
    if value in ("on", "off"):
        return "bool", "true" if value == "on" else "false"
    return ("unsigned" if value.isdecimal() else "string"), value


def set_property(root, name, value, kind=None):
    """Set a property of the first disk's device that domain XML has no name for."""
    front = root.find(f"{Q}override/{Q}device[@alias='{ALIAS}0']/{Q}frontend")
    prop = front.find(f"{Q}property[@name='{name}']")
    if prop is None:
        prop = ET.SubElement(front, f"{Q}property", {"name": name})
    kind, value = (kind, value) if kind else kind_of(value)
    prop.set("type", kind)
    prop.set("value", value)


# --- the machine -----------------------------------------------------------------

def _type(root, value):
    root.find("os/type").set("machine", value)


def _memory(root, value):
    root.find("memory").text = value            # MiB


def _cpus(root, value):
    root.find("vcpu").text = value


def _memory_backing(root, value):
    """The guest's memory is that of a file, which a host that is short of its own writes it to."""
    for each in root.findall("memoryBacking"):
        root.remove(each)
    memory = ET.SubElement(root, "memoryBacking")
    ET.SubElement(memory, "source", {"type": value})
    ET.SubElement(memory, "access", {"mode": "shared"})


def _boot(root, _value):
    """No kernel of ours: the firmware starts what is in the first sector of the disk."""
    system = root.find("os")
    for name in ("kernel", "initrd", "cmdline"):
        for each in system.findall(name):
            system.remove(each)
    ET.SubElement(system, "boot", {"dev": "hd"})


def _iommu(root, value):
    """A live IOMMU, with address translation on the devices' bus (q35 alone has one)."""
    root.find("features").append(ET.fromstring("<ioapic driver='qemu'/>"))
    iommu = ET.SubElement(root.find("devices"), "iommu", {"model": value})
    ET.SubElement(iommu, "driver", {"intremap": "off", "caching_mode": "off"})


def _big_bar(root, value):
    """A neighbour with a BAR of so many MiB: shared memory that nobody looks at."""
    commands = root.find(f"{Q}commandline")
    if commands is None:
        commands = ET.SubElement(root, f"{Q}commandline")
    for word in ("-object", f"memory-backend-memfd,id=bigbar,size={value}M,share=on",
                 "-device", "ivshmem-plain,memdev=bigbar,addr=0x9"):
        ET.SubElement(commands, f"{Q}arg", {"value": word})


# --- the first disk ----------------------------------------------------------------

def _block(root, value):
    disk = disk_of(root)
    ET.SubElement(disk, "blockio", {"logical_block_size": value, "physical_block_size": value})


def _format(root, value):
    """Of the image."""
    disk_of(root).find("driver").set("type", value)


def _serial(root, value):
    serial = disk_of(root).find("serial")
    if value:
        serial.text = value
    else:
        disk_of(root).remove(serial)


def _place(root, value):
    """Somewhere else than on the root bus in a slot of its own."""
    devices, address = root.find("devices"), disk_of(root).find("address")
    if value == "function":             # of a device with others: function 0 has to be there
        address.set("slot", "0x07")
        address.set("function", "0x3")
        devices.append(ET.fromstring(
            "<watchdog model='i6300esb' action='none'><address type='pci' domain='0x0000' "
            "bus='0x00' slot='0x07' function='0x0' multifunction='on'/></watchdog>"))
        return
    express = "q35" in root.find("os/type").get("machine")
    if value == "root-port" and not express:
        raise UsageError("option place=root-port: q35 alone has PCI Express ports")
    models = ["pcie-root-port"] if value == "root-port" else \
        ["dmi-to-pci-bridge", "pci-bridge"] if express else ["pci-bridge", "pci-bridge"]
    for index, model in enumerate(models, 1):
        devices.append(ET.fromstring(f"<controller type='pci' index='{index}' model='{model}'/>"))
    address.set("bus", f"0x{len(models):02x}")
    address.set("slot", "0x00" if value == "root-port" else "0x03")


def _backend(root, _value):
    """The disk is our own vhost-user device (e2e/hostile); for that the guest's memory is
    shared. What libvirt knows of disks it refuses here, so it goes to QEMU as it is."""
    disk, driver = disk_of(root), disk_of(root).find("driver")
    if root.find("memoryBacking") is None:
        _memory_backing(root, "memfd")
    set_property(root, "event_idx", driver.get("event_idx"))
    set_property(root, "queue-size", driver.get("queue_size"))
    driver.attrib.clear()
    driver.attrib.update({"name": "qemu", "type": "raw"})
    disk.set("type", "vhostuser")
    source = disk.find("source")
    image = source.attrib.pop("file")
    source.attrib.update({"type": "unix", "path": image.replace("disk.img", "blk.sock")})
    ET.SubElement(source, "reconnect", {"enabled": "yes", "timeout": "1"})
    for name in ("serial", "readonly", "blockio"):
        for each in disk.findall(name):
            disk.remove(each)


# --- more disks ----------------------------------------------------------------------

def _target(number):
    """vda, vdb, ..., vdz, vdaa, ..."""
    letters = ""
    number += 1
    while number:
        number, letter = divmod(number - 1, 26)
        letters = chr(ord("a") + letter) + letters
    return "vd" + letters


def _disks(root, value):
    """Copies of the first disk, with an image each, wherever libvirt puts them."""
    devices, first = root.find("devices"), disk_of(root)
    if first.find("source").get("file") is None:
        raise UsageError("option disks: a vhost-user back end has one disk")
    override = root.find(f"{Q}override")
    front = override.find(f"{Q}device[@alias='{ALIAS}0']")
    at = list(devices).index(first)
    for number in range(1, int(value)):
        disk = copy.deepcopy(first)
        source = disk.find("source")
        source.set("file", source.get("file").replace("disk.img", f"disk{number}.img"))
        disk.find("target").set("dev", _target(number))
        disk.find("alias").set("name", f"{ALIAS}{number}")
        if disk.find("serial") is not None:
            disk.find("serial").text = f"VQ7-DISK-{number}"
        disk.remove(disk.find("address"))
        devices.insert(at + number, disk)
        device = copy.deepcopy(front)
        device.set("alias", f"{ALIAS}{number}")
        override.append(device)


OPTIONS = {"type": _type, "memory": _memory, "memory-backing": _memory_backing,
           "cpus": _cpus, "iommu": _iommu, "big-bar": _big_bar, "block": _block,
           "serial": _serial, "place": _place, "boot": _boot, "format": _format}
REPLACING = {"backend": _backend}       # what the others have changed
LAST = {"disks": _disks}
NOT_XML = ("sectors",           # of the image, in 512 bytes
           "verifier")          # of the guest's system: guests/win7.py
BACKEND = "backend."            # and a property of the vhost-user back end's device
NUMBERS = ("memory", "cpus", "big-bar", "block", "disks", "sectors")
CHOICES = {"backend": ("vhost-user",), "memory-backing": ("file",), "boot": ("disk",),
           "iommu": ("intel", "virtio"), "format": ("raw", "qcow2"),
           "verifier": ("on",), "place": ("bridge", "root-port", "function")}
