# SPDX-License-Identifier: MIT
"""Errors of chosen sectors, by QEMU's blkdebug filter between the device and its disk.

QEMU takes another node for a running device's `drive` since 6.2.
"""

import contextlib
import itertools
import time

from .bindings import libvirt
from .errors import RigError
from .options import ALIAS

EIO, ENOSPC = 5, 28
_numbers = itertools.count(1)


def _top_node(vm):
    """Name of the node that the disk's device has."""
    for entry in vm.qmp("query-block"):
        if entry.get("qdev", "").startswith(f"/machine/peripheral/{ALIAS}0") and \
                "inserted" in entry:
            return entry["qdev"], entry["inserted"]["node-name"]
    raise RigError(f"QEMU has no disk {ALIAS}0 in this machine")


@contextlib.contextmanager
def bad_sectors(vm, *rules, errno=EIO, once=False):
    """Within this, requests that touch these sectors fail as a whole, or only the first of
    each rule. A rule is (sector, "read" or "write"). A machine with `request-merging=off` is
    wanted: else QEMU makes one of neighbours that come together."""
    device, top = _top_node(vm)
    name = f"vq7-bad-{next(_numbers)}"
    vm.qmp("blockdev-add", **{
        "driver": "blkdebug", "node-name": name, "image": top,
        "inject-error": [{"event": "none", "iotype": kind, "sector": sector, "errno": errno,
                          "once": once} for sector, kind in rules]})
    vm.qmp("qom-set", path=device, property="drive", value=name)
    yield
    vm.qmp("qom-set", path=device, property="drive", value=top)
    vm.qmp("blockdev-del", **{"node-name": name})


def stopped_by_error(vm):
    """Has QEMU stopped the machine for an error of its disk (error_policy, enospace)?"""
    return vm.dom.state() == [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_IOERROR]


def resume_until(vm, answer):
    """Let it go on whenever it has been stopped, until the command that goes on in the
    background (inflight.background) has its answer. Returns how often."""
    stops = 0
    while not answer.done():
        if stopped_by_error(vm):
            stops += 1
            vm.resume()
        time.sleep(0.02)
    return stops
