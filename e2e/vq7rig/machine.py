# SPDX-License-Identifier: MIT
"""Machines as data: qemu_configs/matrix.toml and the domain XML beside it."""

import functools
import itertools
import re
import tomllib
import xml.etree.ElementTree as ET
from dataclasses import dataclass, fields, replace

from . import options as machine_options
from .errors import RigError, UsageError
from .options import QEMU_NS, disk_of, set_property
from .paths import CONFIGS

ET.register_namespace("qemu", QEMU_NS)


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
    options: tuple = ()             # of the machine, see options.py

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
        parts += [(s.partition(".")[2] or s.lstrip("/")).replace("=", "-") for s in self.settings]
        return "-".join(parts + [o.replace("=", "-").replace("/", "-") for o in self.options])

    def option(self, name, otherwise=None):
        """The value of one of its options, as text."""
        return machine_options.get(self.options, name, otherwise)

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
    known = {f.name for f in fields(Config)} - {"settings", "options"}
    if set(axes) != known:
        raise RigError(f"{path}: [axes] must have exactly {sorted(known)}")
    groups = [(f"group.{name}", group) for name, group in matrix.get("group", {}).items()]
    defaults = ("defaults", {k: [v] for k, v in matrix.get("defaults", {}).items()})
    for where, table in groups + [defaults]:
        for axis, values in table.items():
            if axis == "options":
                _check_options(path, where, values)
                continue
            for value in values if isinstance(values, list) else [values]:
                if value not in axes.get(axis, ()):
                    raise RigError(f"{path}: [{where}] {axis} = {value!r} is not among [axes]")
    return matrix


def _check_options(path, where, values):
    try:
        for option in itertools.chain(*values):
            machine_options.parse(option)
    except (TypeError, UsageError) as bad:
        raise RigError(f"{path}: [{where}] options: {bad}") from bad


@functools.cache
def _matrix():
    """It is asked for by each test function."""
    return load_matrix()


def configs(group, matrix=None):
    """The configurations of a group, in the order of the axes."""
    matrix = matrix or _matrix()
    if group not in matrix["group"]:
        raise UsageError(f"unknown group {group!r}; known: {', '.join(matrix['group'])}")
    chosen, defaults = matrix["group"][group], matrix["defaults"]
    axes = [[(axis, value) for value in chosen.get(axis, [defaults[axis]])]
            for axis in matrix["axes"]]
    axes.append([("options", tuple(each)) for each in chosen.get("options", [()])])
    return [Config(**dict(values)) for values in itertools.product(*axes)]


def check_axis(axis, value, matrix=None):
    """Raises UsageError that lists the known values."""
    known = (matrix or _matrix())["axes"][axis]
    if value not in known:
        raise UsageError(f"unknown {axis} {value!r}; known: {', '.join(map(str, known))}")


def check_settings(settings):
    """Raises UsageError unless each is service.Value=text, as the guest's loader wants it."""
    for setting in settings:
        if not re.fullmatch(r"\w+(\.\w+)+=[!-~]*", setting, re.ASCII):
            raise UsageError(f"--set {setting!r}: it must be service.Value=text without spaces, "
                             "as vq7test.Transport=legacy")


def domain_xml(config, name, guest, run, accel="qemu", emulator=None):
    """The domain XML of a configuration: the file, with its paths and properties.

    `guest` and `run` are absolute folders, `accel` is `qemu` (TCG) or `kvm`, `emulator` the
    path of QEMU; without it libvirt chooses.
    """
    path = CONFIGS / f"{config.base}.xml"
    try:
        text = path.read_text()
    except OSError as bad:
        raise RigError(f"can't read {path}: {bad.strerror}") from bad
    for mark, folder in (("@GUEST@", guest), ("@RUN@", run)):
        text = text.replace(mark, escape(str(folder)))
    root = ET.fromstring(text)
    root.set("type", accel)
    root.find("name").text = name
    if config.settings:
        ET.SubElement(root.find("os"), "cmdline").text = " ".join(config.settings)
    if emulator:
        ET.SubElement(root.find("devices"), "emulator").text = emulator
    disk = disk_of(root)
    driver = disk.find("driver")
    driver.set("event_idx", "on" if config.event_idx else "off")
    driver.set("queue_size", str(config.queue_size))
    if config.read_only:
        ET.SubElement(disk, "readonly")
    set_property(root, "indirect_desc", "true" if config.indirect else "false", "bool")
    if config.interrupt == "line":
        set_property(root, "vectors", "0")
    machine_options.apply(root, config.options)
    _leave_out_cpu_properties(root)
    return ET.tostring(root, encoding="unicode")


def _leave_out_cpu_properties(root):
    """Where QEMU can list the features that its CPU lacks, libvirt asks for each property of the
    CPU by a command of its own: 400 of them, a third of all the time that the suite costs.
    Without that capability it asks for the feature words, in two. Nothing here depends on either:
    the machines take QEMU's default CPU."""
    capabilities = ET.SubElement(root, f"{{{QEMU_NS}}}capabilities")
    ET.SubElement(capabilities, f"{{{QEMU_NS}}}del").set("capability", "cpu-unavailable-features")


def escape(text):
    """Text as it is in XML, between tags and apostrophes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;")
