# SPDX-License-Identifier: MIT
"""What the QEMU at hand can do, asked of it on a scrap machine, once.

Commands that aren't stable may do worse than fail: QEMU 11.1's x-query-virtio-status
ends QEMU. So each that the rig would like to use is tried where it can do no harm.
The answers are kept until the program changes.
"""

import json
import os
import xml.etree.ElementTree as ET

from . import features, scrap
from .bindings import INSTALL, MonitorError, libvirt, words
from .errors import Lacking, RigError, UsageError

FORMAT = 3              # of the cache
DEVICES = (*(f"{kind}-pci{suffix}" for kind in ("virtio-blk", "vhost-user-blk")
             for suffix in ("", "-transitional", "-non-transitional")), "isa-debugcon")
SUFFIXES = {"virtio-transitional": "-transitional",
            "virtio-non-transitional": "-non-transitional"}
FACTS = {"facts": lambda source: source.facts(), "queue": lambda source: source.queue(0)}
DEFAULT_RING = 256      # of virtio-blk: a test that has it doesn't depend on it
QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


class Emulator:
    """Facts about one QEMU. Made by `ask`."""

    def __init__(self, facts):
        self.path, self.version = facts["path"], facts["version"]
        self._sources, self._refusals = facts["sources"], facts["refusals"]
        self.machines, self._properties = facts["machines"], facts["properties"]
        self._ring = facts.get("ring")

    def __str__(self):
        return f"QEMU {self.version}"

    def source(self, fact):
        """The name of the best source (features.SOURCES) of `facts` or `queue`.

        Raises Lacking with QEMU's refusals.
        """
        if self._sources[fact] is None:
            raise Lacking(f"{self} doesn't tell a virtio device's {fact}: "
                          + "; ".join(f"{name}: {why}"
                                      for name, why in self._refusals[fact].items()))
        return self._sources[fact]

    def has_property(self, device, name):
        return name in (self._properties.get(device) or ())

    def need_ring(self, size):
        """Raises Lacking if the rings are of another size whatever is asked for, as in Debian's
        QEMU 10.0.13, where each has 1024 entries."""
        if self._ring not in (None, scrap.RING, size):
            raise Lacking(f"{self} doesn't heed queue-size: rings have {self._ring} entries, "
                          f"not {size}")

    def need(self, xml):
        """Raises Lacking if the QEMU lacks what the XML of a machine asks for."""
        root = ET.fromstring(xml)
        machine = root.find("os/type").get("machine")
        if machine and machine not in self.machines:
            raise Lacking(f"{self} has no machine type {machine}")
        for model in root.iterfind("devices/serial/target/model[@name='isa-debugcon']"):
            self._need_device(model.get("name"))
        models = {}
        for disk in root.iterfind("devices/disk"):
            if disk.find("target").get("bus") == "virtio":
                alias = disk.find("alias")
                kind = "vhost-user-blk" if disk.get("type") == "vhostuser" else "virtio-blk"
                self._need_asked(disk.find("driver").get("queue_size"))
                models[None if alias is None else alias.get("name")] = self._need_device(
                    f"{kind}-pci{SUFFIXES.get(disk.get('model'), '')}")
        for device in root.iter(f"{QEMU}device"):
            model = models.get(device.get("alias"))
            for prop in device.iter(f"{QEMU}property") if model else ():
                if prop.get("name") not in self._properties[model]:
                    raise Lacking(f"{self}'s {model} has no property {prop.get('name')}")
                if prop.get("name") == "queue-size":
                    self._need_asked(prop.get("value"))

    def _need_asked(self, size):
        if size and int(size) != DEFAULT_RING:
            self.need_ring(int(size))

    def _need_device(self, name):
        if self._properties.get(name) is None:
            raise Lacking(f"{self} has no device {name}")
        return name


def ask(host):
    """The Emulator of an open connection. Raises UsageError for a --qemu that is none."""
    path = _path(host)
    cache, key = host.root / "emulators.json", _key(host, path)
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    if key is None or key not in known:
        try:
            facts = _ask(host, path)
        except Lacking as bad:          # not even a scrap machine
            raise RigError(str(bad)) from bad
        if key is None:
            return Emulator(facts)
        known = {**known, key: facts}
        try:
            host.root.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(known))
        except OSError:
            pass                # the next run asks again
    return Emulator(known[key])


def _path(host):
    """The program that libvirt would start."""
    try:
        text = host.conn.getDomainCapabilities(host.qemu, "x86_64", None, "qemu")
    except libvirt.libvirtError as bad:
        if host.qemu:
            raise UsageError(f"--qemu {host.qemu}: libvirt can't use it as a QEMU for x86_64: "
                             f"{words(bad)}") from bad
        raise RigError(f"libvirt can't run QEMU: {words(bad)}",
                       host.space_remedy() or INSTALL) from bad
    return ET.fromstring(text).findtext("path")


def _key(host, path):
    """What the answers depend on; None where it can't be known, as on another machine."""
    try:
        seen = os.stat(path) if host.local else None
    except OSError:
        return None
    return seen and f"{FORMAT} {path} {seen.st_mtime_ns} {seen.st_size} {libvirt.getVersion()}"


class _Scrap:
    """A scrap machine, and another one after something has ended it."""

    def __init__(self, host, path):
        self._host, self._path, self._vm = host, path, None

    def __enter__(self):
        return self

    @property
    def vm(self):
        if self._vm is None:
            self._vm = scrap.Machine(self._host, self._path).__enter__()
        return self._vm

    def ended(self, bad):
        """Why the machine is gone, as QEMU's log or libvirt says."""
        why = str(self.vm.failure() or words(bad))
        self.__exit__()
        return why

    def __exit__(self, *_):
        vm, self._vm = self._vm, None
        if vm is not None:
            vm.__exit__()


def _ask(host, path):
    sources, refusals = {}, {}
    with _Scrap(host, path) as machine:
        vm = machine.vm
        version = vm.qmp("query-version")["qemu"]
        machines = sorted({name for each in vm.qmp("query-machines")
                           for name in (each["name"], each.get("alias")) if name})
        properties = {name: _properties(vm, name) for name in DEVICES}
        for fact in FACTS:
            sources[fact], refusals[fact] = _best(machine, fact)
        queue = features.SOURCES.get(sources["queue"])
        ring = queue(machine.vm).queue(0)["vring-num"] if queue else None
    return {"path": path, "ring": ring, "machines": machines, "properties": properties,
            "sources": sources, "refusals": refusals,
            "version": "{major}.{minor}.{micro}".format(**version)}


def _properties(vm, name):
    try:
        return sorted(each["name"] for each in vm.qmp("device-list-properties", typename=name))
    except MonitorError:
        raise
    except RigError:
        return None             # no such device


def _best(machine, fact):
    """The first source of a fact that does no harm, None without; and why not the others."""
    refusals = {}
    for name, source in features.SOURCES.items():
        try:
            FACTS[fact](source(machine.vm))
            return name, refusals
        except MonitorError as bad:
            refusals[name] = machine.ended(bad)
        except (RigError, Lacking) as bad:
            refusals[name] = str(bad)
    return None, refusals
