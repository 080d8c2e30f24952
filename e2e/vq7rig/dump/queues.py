# SPDX-License-Identifier: MIT
"""How the driver's queues stand in a machine that has stopped, whether or not its agent still
answers: each VIRTQ_SPLIT is found in memory by the ring that QEMU's device has been given."""

from ..errors import GuestError, Lacking, RigError, UsageError
from ..features import VirtioView
from ..gdb import virtq
from ..kd.errors import Unreadable
from ..kd.typed import VIRTQ
from ..kd.values import Aggregate

QUEUES = 8                              # of the first device, that are looked at


def rings_of(vm):
    """Addresses of the descriptor tables that the first device uses, by queue."""
    found = {}
    try:
        view = VirtioView(vm)
        for number in range(QUEUES):
            queue = view.queue(number)
            if not queue["vring-desc"]:
                break
            found[number] = queue["vring-desc"]
    except (Lacking, RigError, KeyError, IndexError):
        pass                            # no such device, or no further queue
    return found


def report(debugger, rings):
    """Of each ring the lines of its VIRTQ_SPLIT, the first line with its number."""
    if not rings:
        return []
    try:
        _, struct = debugger.type_named(VIRTQ)
    except (GuestError, RigError, UsageError):
        return []                       # the driver isn't loaded, or it isn't this build
    found = []
    for number, ring in rings.items():
        for queue in _queues(debugger, struct, ring):
            first, *rest = virtq.describe(queue)
            found.append([f"queue {number}, {queue.address:#x}: {first}", *rest])
    return found


def _queues(debugger, struct, ring):
    """Aggregates that say of themselves that this is their descriptor table."""
    at = struct["desc_pa"].offset
    memory, places = debugger.client.memory, debugger.client.virtual_of
    for physical, _ in memory.words_between(ring, ring):
        address = places(physical - at)
        if address is None:
            continue
        queue = Aggregate(debugger.read, struct, address)
        try:
            if virtq.possible(queue) and \
                    debugger.client.physical_of(int(queue["desc"])) == ring:
                yield queue
        except Unreadable:
            continue
