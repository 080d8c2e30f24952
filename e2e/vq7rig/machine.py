# SPDX-License-Identifier: MIT
"""Machines as data: qemu_configs/matrix.toml and the domain XML beside it."""

import itertools
import re
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import dataclass, fields, replace

from .errors import RigError, UsageError
from .paths import CONFIGS

QEMU_NS = "http://libvirt.org/schemas/domain/qemu/1.0"
ET.register_namespace("qemu", QEMU_NS)

DISK_ALIAS = "ua-blk0"


@dataclass(frozen=True)
class Config:
    """One machine under test; the axes of the matrix, and the guest's settings."""
    machine: str = "pc"
    flavour: str = "modern"
    interrupt: str = "msix"
    event_idx: bool = True
    indirect: bool = True
    queue_size: int = 256
    read_only: bool = False
    settings: tuple = ()            # of the kernel command line

    @property
    def base(self):
        """Name of the domain XML file."""
        return f"{self.machine}-{self.flavour}"

    @property
    def name(self):
        parts = [self.base]
        parts += ["intx"] if self.interrupt == "line" else []
        parts += [] if self.event_idx else ["noevent"]
        parts += [] if self.indirect else ["noindirect"]
        parts += [] if self.queue_size == 256 else [f"q{self.queue_size}"]
        parts += ["ro"] if self.read_only else []
        return "-".join(parts + [s.partition(".")[2].replace("=", "-") for s in self.settings])

    def but(self, **changes):
        return replace(self, **changes)


def load_matrix(path=None):
    """matrix.toml as a dictionary, checked. Raises RigError naming what is wrong."""
    path = path or CONFIGS / "matrix.toml"
    try:
        with open(path, "rb") as file:
            matrix = tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError) as bad:
        raise RigError(f"can't read {path}: {bad}") from bad
    axes = matrix.get("axes", {})
    known = {f.name for f in fields(Config)} - {"settings"}
    if set(axes) != known:
        raise RigError(f"{path}: [axes] must have exactly {sorted(known)}")
    groups = [(f"group.{name}", group) for name, group in matrix.get("group", {}).items()]
    defaults = ("defaults", {k: [v] for k, v in matrix.get("defaults", {}).items()})
    for where, table in groups + [defaults]:
        for axis, values in table.items():
            for value in values if isinstance(values, list) else [values]:
                if value not in axes.get(axis, ()):
                    raise RigError(f"{path}: [{where}] {axis} = {value!r} is not among [axes]")
    return matrix


def configs(group, matrix=None):
    """The configurations of a group, in the order of the axes."""
    matrix = matrix or load_matrix()
    if group not in matrix["group"]:
        raise UsageError(f"unknown group {group!r}; known: {', '.join(matrix['group'])}")
    chosen, defaults = matrix["group"][group], matrix["defaults"]
    axes = [[(axis, value) for value in chosen.get(axis, [defaults[axis]])]
            for axis in matrix["axes"]]
    return [Config(**dict(values)) for values in itertools.product(*axes)]


def check_axis(axis, value, matrix=None):
    """Raises UsageError that lists the known values."""
    known = (matrix or load_matrix())["axes"][axis]
    if value not in known:
        raise UsageError(f"unknown {axis} {value!r}; known: {', '.join(map(str, known))}")


def check_settings(settings):
    """Raises UsageError unless each is service.Value=text, as the guest's loader wants it."""
    for setting in settings:
        if not re.fullmatch(r"\w+(\.\w+)+=[!-~]*", setting, re.ASCII):
            raise UsageError(f"--set {setting!r}: it must be service.Value=text without spaces, "
                             "as vq7test.Transport=legacy")


def domain_xml(config, name, guest, run, accel="qemu"):
    """The domain XML of a configuration: the file, with its paths and properties.

    `guest` and `run` are absolute folders, `accel` is `qemu` (TCG) or `kvm`.
    """
    path = CONFIGS / f"{config.base}.xml"
    try:
        text = path.read_text()
    except OSError as bad:
        raise RigError(f"can't read {path}: {bad.strerror}") from bad
    for mark, folder in (("@GUEST@", guest), ("@RUN@", run)):
        text = text.replace(mark, _escape(str(folder)))
    root = ET.fromstring(text)
    root.set("type", accel)
    root.find("name").text = name
    if config.settings:
        ET.SubElement(root.find("os"), "cmdline").text = " ".join(config.settings)
    disk = root.find(f"devices/disk[alias='{DISK_ALIAS}']")
    disk = disk if disk is not None else root.find("devices/disk")
    driver = disk.find("driver")
    driver.set("event_idx", "on" if config.event_idx else "off")
    driver.set("queue_size", str(config.queue_size))
    if config.read_only:
        ET.SubElement(disk, "readonly")
    _override(root, "indirect_desc", "bool", "true" if config.indirect else "false")
    if config.interrupt == "line":
        _override(root, "vectors", "unsigned", "0")
    return ET.tostring(root, encoding="unicode")


def _escape(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")


def _override(root, name, kind, value):
    """Set a property of the disk's device that domain XML has no name for."""
    q = f"{{{QEMU_NS}}}"
    front = root.find(f"{q}override/{q}device[@alias='{DISK_ALIAS}']/{q}frontend")
    prop = front.find(f"{q}property[@name='{name}']")
    if prop is None:
        prop = ET.SubElement(front, f"{q}property", {"name": name})
    prop.set("type", kind)
    prop.set("value", value)
