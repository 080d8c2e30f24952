# SPDX-License-Identifier: MIT
"""Where the guests' files are, and what is made of a machine's XML for them."""

from ..errors import Lacking
from ..paths import BUILD

FOLDER = BUILD / "other-guests"
ROOT = FOLDER / "root"
COM1, COM2, DEBUG = "0", "1", "2"       # the ports of qemu_configs' machines
LOG = "debug.log"                       # in a machine's folder; goes to the test's


def find(pattern):
    """The one file below the unpacked packages. Raises Lacking."""
    if not (FOLDER / "ready").exists():
        raise Lacking(f"no other guests in {FOLDER}: run `ci/other_guests.sh {FOLDER}`")
    found = sorted(ROOT.glob(pattern))
    if len(found) != 1:
        raise Lacking(f"{len(found)} files {pattern} in {ROOT}: remove {FOLDER}, and run "
                      f"`ci/other_guests.sh {FOLDER}`")
    return found[0]


def log_from(root, port, run):
    """What the guest says on a serial port of its own is its log; ours on port 0xE9 goes."""
    devices = root.find("devices")
    for serial in devices.findall("serial"):
        target = serial.find("target")
        if target.get("port") == DEBUG:
            devices.remove(serial)
        elif target.get("port") == port:
            serial.set("type", "file")
            serial.remove(serial.find("source"))
            source = serial.makeelement("source", {"path": str(run / LOG)})
            serial.insert(0, source)
