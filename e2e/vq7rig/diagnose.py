# SPDX-License-Identifier: MIT
"""Why a guest hangs: where its driver and QEMU's device stand, and what that says."""

import re

from . import features
from .errors import GuestError, RigError

WAIT = 3.0              # seconds for the agent to give the driver's counters
KNOWN = ("last-avail-idx", "shadow-avail-idx", "used-idx", "signalled-used", "inuse")
KERNEL_LINES = 8


def of_queue(vm):
    """One line on queue 0: the device's indices, the driver's counters, and the verdict."""
    device, text = _device(vm)
    driver, more = _driver(vm)
    parts = [f"device: {text}", f"driver: {more}"]
    if device and driver:
        parts.append(reading(device, driver))
    return "; ".join(parts)


def reading(device, driver):
    """What the device's indices and the driver's counters say together.

    `device` is QEMU's x-query-virtio-queue-status, `driver` the fields of `stats`.
    The counters run from the start of the driver, as the indices do, unless a test
    cleared them.
    """
    waiting, taken, used = driver["in_flight"], device["last-avail-idx"], device["used-idx"]
    if waiting == 0:
        return "the driver waits for no request"
    if device.get("inuse", 0) >= waiting:
        return f"the device has all {waiting} requests in flight and does not complete them"
    if (driver["submitted"] - taken) % 65536 != 0:
        return (f"of {waiting} requests in flight the device took only {device.get('inuse', 0)}: "
                "avail->idx was not published, or the device not notified")
    if (used - driver["completed"]) % 65536 != 0:
        return (f"the device completed {(used - driver['completed']) % 65536} requests that the "
                "driver did not drain: an interrupt got lost, or was not asked for again "
                "(used_event, avail->flags)")
    return f"{waiting} requests in flight"


def _device(vm):
    try:
        queue = features.VirtioView(vm).queue(0)
    except (RigError, KeyError) as bad:
        return None, f"unknown ({bad})"
    return (queue if set(KNOWN[:3]) <= set(queue) else None,
            ", ".join(f"{name} {queue[name]}" for name in KNOWN if name in queue))


def _driver(vm):
    if vm.console is None or vm.console.hello == {}:
        return None, "unknown (no agent)"
    try:
        answer = vm.console.command("stats", timeout=WAIT, quiet=WAIT)
        names = ("in_flight", "submitted", "completed", "notifications", "interrupts")
        counters = {name: answer.num(name) for name in names}
    except (GuestError, RigError, KeyError, ValueError) as bad:
        return None, f"unknown ({str(bad).splitlines()[0]})"
    return counters, ", ".join(f"{name} {value}" for name, value in counters.items())


def of_kernel(path):
    """The last lines of the kernel's log, for a guest whose console says nothing."""
    try:
        with open(path, "rb") as file:
            text = file.read().decode("ascii", "replace")
    except OSError:
        return ""
    lines = [re.sub(r"[^ -~]", "?", line) for line in text.splitlines() if line.strip()]
    return "\n".join(f"  | {line}" for line in lines[-KERNEL_LINES:])
