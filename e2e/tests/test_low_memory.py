# SPDX-License-Identifier: MIT
"""Guest memory that runs out: of all allocations that are made for the driver, from loading to
unloading it, the n-th fails, for n = 1 to the last. Whatever was under way ends with an error
or goes on, nothing is left behind (the kernel stops at unload if something is), and without
the fault the driver serves."""

import itertools

import pytest

from vq7rig.workload import Workload

pytestmark = pytest.mark.needs("faults", "unload", "sleep")

# What is done while an allocation may fail: start, I/O of each kind, reset, power, unload.
LIFE = ("driver load", "blk write 0 8 seed=3 gen=1", "blk verify 0 8 seed=3 gen=1",
        "blk write 64 300 seed=3 gen=2 segments=300", "blk flush", "blk id", "device restart",
        "device powerdown", "device powerup", "blk read 0 8 quiet=1", "driver unload")
REFUSALS = ("STATUS_INSUFFICIENT_RESOURCES", "STATUS_NO_MEMORY", "STATUS_DEVICE_NOT_READY",
            "STATUS_IO_DEVICE_ERROR", "NO_DEVICE", "STATUS_INVALID_DEVICE_STATE",
            "STATUS_UNSUCCESSFUL", "STATUS_DEVICE_CONFIGURATION_ERROR")


def live(console):
    """The names of the errors in one life of the driver."""
    errors = []
    for line in LIFE:
        answer = console.command(line, check=False)
        if not answer.ok:
            assert answer.name in REFUSALS, f"{line}: {answer.name}"
            errors.append(answer.name)
    return errors


def walk(vm, stride):
    console = vm.console
    console.command("driver unload")
    failed = {}
    for nth in itertools.count(1, stride):
        console.command(f"lowmemory fail={nth}")
        errors = live(console)
        state = console.command("lowmemory")
        console.command("lowmemory fail=0")
        if state["failed"] == "none":
            assert errors == [] and state.num("calls") < nth
            break
        failed.setdefault(state["failed"], []).append(nth)
    console.command("driver load")
    load = Workload(ops=60, depth=8, seed=92, start=512, span=4096)
    assert console.command(load.command()).num("errors") == 0
    vm.expected.wrote(0, 8, 3, 1)               # by the last life, in which nothing failed
    vm.expected.wrote(64, 300, 3, 2)
    vm.expected.ran(load)
    console.command("blk flush")
    vm.expected.check()
    return nth, failed


@pytest.mark.fresh
@pytest.mark.on("one", nightly="interrupts_of_pc")
@pytest.mark.nightly
def test_each_allocation_fails(vm):
    last, failed = walk(vm, 1)
    assert last > 40
    # Legacy registers are ports: nothing is mapped.
    mapped = set() if vm.config.flavour == "legacy" else {"address-space"}
    assert set(failed) == {"pool", "contiguous-memory"} | mapped


@pytest.mark.on("one")
def test_some_allocations_fail(vm):
    last, failed = walk(vm, 29)
    assert failed
