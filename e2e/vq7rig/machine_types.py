# SPDX-License-Identifier: MIT
"""Which versioned machine types a QEMU has (emulator.py asks it); `type=oldest` of a
configuration, and what old types need."""

import re
import subprocess

from .errors import Lacking
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


def newest_of_both(emulator, path, machine):
    """The newest versioned type of `pc` or `q35` that this emulator has, and the QEMU at `path`,
    too. Raises Lacking."""
    try:
        said = subprocess.run([path, "-machine", "help"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as bad:
        raise Lacking(f"{path} doesn't say which machine types it has: {bad}") from bad
    there = {line.split()[0] for line in said.splitlines() if line.strip()}
    both = [name for name in versioned(emulator.machines, machine) if name in there]
    if not both:
        raise Lacking(f"{emulator} and {path} have no machine type of {machine} in common")
    return both[-1]


def resolved(config, emulator):
    """The configuration with the name of a type for `oldest`, and what old types need.
    Raises Lacking."""
    name = config.option("type")
    if name == "oldest":
        types = versioned(emulator.machines, config.machine)
        if not types:
            raise Lacking(f"{emulator} has no versioned machine type of {config.machine}")
        name = types[0]
        options = [f"type={name}" if parse(option) == ("type", "oldest") else option
                   for option in config.options]
        config = config.but(options=tuple(options))
    # Types up to 2.4 offer SCSI commands, with which QEMU refuses the modern interface.
    found = VERSIONED.fullmatch(name or "")
    if (found and version(found) < (2, 5) and config.flavour != "legacy"
            and emulator.has_property("virtio-blk-pci", "scsi")):
        config = config.but(options=config.options + ("scsi=off",))
    return config
