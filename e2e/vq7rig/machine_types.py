# SPDX-License-Identifier: MIT
"""Which versioned machine types this QEMU has; `type=oldest` of a configuration.

Asked from QEMU itself (QMP `query-machines`), by a machine that never runs.
"""

import re
from dataclasses import dataclass

from .errors import RigError
from .options import parse

VERSIONED = re.compile(r"pc-(i440fx|q35)-(\d+(?:\.\d+)+)")
FAMILY = {"pc": "i440fx", "q35": "q35"}


def versioned(names, machine):
    """Of `names` the versioned types of `pc` or `q35`, oldest first."""
    found = [match for match in map(VERSIONED.fullmatch, names)
             if match and match[1] == FAMILY[machine]]
    return [match[0] for match in sorted(found, key=version)]


def version(match):
    """The numbers of a version, which can be compared."""
    return tuple(int(part) for part in match[2].split("."))


def offered(vm):
    """All machine types of the QEMU that runs this machine, by any name."""
    return [each["name"] for each in vm.qmp("query-machines")]


@dataclass(frozen=True)
class Facts:
    """What a QEMU has."""
    types: tuple            # names of machine types
    scsi: bool              # virtio-blk has the property `scsi`


def resolved(config, facts):
    """The configuration with the name of a type for `oldest`, and what old types need.
    `facts()` gives QEMU's."""
    name = config.option("type")
    if name == "oldest":
        types = versioned(facts().types, config.machine)
        if not types:
            raise RigError(f"this QEMU has no versioned machine type of {config.machine}")
        name = types[0]
        options = [f"type={name}" if parse(option) == ("type", "oldest") else option
                   for option in config.options]
        config = config.but(options=tuple(options))
    # Types up to 2.4 offer SCSI commands, with which QEMU refuses the modern interface.
    found = VERSIONED.fullmatch(name or "")
    if found and version(found) < (2, 5) and config.flavour != "legacy" and facts().scsi:
        config = config.but(options=config.options + ("scsi=off",))
    return config


def config_of(vm):
    """The configuration of a machine that is about to be started, for this QEMU."""
    return resolved(vm.config, lambda: _facts(vm))


_known = {}             # connection -> Facts of its QEMU


def _facts(vm):
    if vm.host.uri not in _known:
        plain = vm.config.but(options=(), settings=())
        with type(vm)(vm.host, plain, vm.guest, vm.folder / "types", disk_mib=1) as other:
            other.start()
            properties = other.qmp("device-list-properties", typename="virtio-blk-pci")
            _known[vm.host.uri] = Facts(tuple(offered(other)),
                                        any(each["name"] == "scsi" for each in properties))
    return _known[vm.host.uri]
