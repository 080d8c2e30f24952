# SPDX-License-Identifier: MIT
"""Single faults of host and operator on each transport and interrupt, as `vq7rig faults` mixes
them at random; and what happens to an image or with error policies."""

import os
import time

import pytest

from vq7rig import fault_steps, hostile, inflight, pressure
from vq7rig.blkdebug import bad_sectors, resume_until
from vq7rig.fault_steps import ROOM, SPAN, Step
from vq7rig.machine import Config
from vq7rig.workload import Workload

READ_ONLY = 30                  # EROFS
PLUGS = 100
MANY = Workload(ops=4000, depth=16, sizes=(512, 4096, 65536), segments=3, seed=150, span=SPAN,
                flush=50)

STEPS = {
    "vCPU starved: QEMU stopped 30 times for 0.2 s":
        ("served", ("stop wait=50 times=30 ms=200",)),
    "host short of memory: QEMU paged out 20 times":
        ("served", ("pressure wait=30 times=5 ms=60",) * 4),
    "real-time clock ahead by 1 s, 3 times": ("served", ("clock wait=50 ms=1000",) * 3),
    "console: noise, half lines, binary":
        ("served", tuple(f"noise wait=60 seed={seed} size={size}"
                         for seed, size in enumerate((1, 10, 300, 1000, 4000, 60)))),
    "console: clients go and come, 5 times": ("served", ("client wait=40 ms=80",) * 5),
    "storage of one operation a second": ("served", ("slow wait=50 iops=1 ms=3000",)),
    "storage slower than the driver's time-out": ("served, recovered",
                                                  ("late wait=50 ms=2500",)),
    "bad sectors, read and written, reported":
        ("request STATUS_IO_DEVICE_ERROR", ("bad-reads wait=30 seed=3 ms=500",
                                            "bad-writes wait=30 seed=4 ms=500")),
    "resized up and down, 5 times": ("served", ("resize wait=50 more=4096 ms=50",) * 5),
    "power down and up": ("served", ("powercycle wait=1 after=50 hold=10",)),
    "driver reloaded between loads": ("served", ("reload wait=50",)),
    "the reset button": ("old or new", ("reset wait=50 ms=150",)),
    "migrated": ("served", ("migrate wait=50", "migrate wait=50")),
}


@pytest.mark.nightly
@pytest.mark.on("interrupts_of_pc", options=fault_steps.OPTIONS)
@pytest.mark.parametrize("name", [pytest.param(name, marks=pytest.mark.fault(name, expected))
                                  for name, (expected, _) in STEPS.items()])
def test_fault(vm, config, name):
    """What is expected of each is in fault_steps: which failures a fault explains, and that
    nothing is lost, done twice or otherwise than the guest was told."""
    number = list(STEPS).index(name)
    course = fault_steps.run(vm, Step(0, 1000 + number, config, "many", STEPS[name][1]))
    assert course.figures["loads"] > 0
    if "recovered" in STEPS[name][0]:
        assert course.figures["restarts"] > 0


# libvirt's overrides are for the devices of a start, so a disk that is plugged in is what it
# is by the driver's settings.
PLUGGED = [Config(flavour="transitional", options=(f"sectors={ROOM}",),
                  settings=(f"vq7test.Transport={transport}", f"vq7test.MSISupported={messages}"))
           for transport in ("legacy", "modern") for messages in (0, 1)]


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault(f"plugged in and out under load, {PLUGS} times", "STATUS_DEVICE_REMOVED once")
@pytest.mark.parametrize("config", PLUGGED, ids=lambda config: config.name)
def test_hot_plug(vm, config):
    """By turns asked out, which the driver refuses while it is in use, and pulled."""
    for number in range(PLUGS):
        rule = f"{('eject', 'pull')[number % 2]} wait={number * 7 % 120}"
        fault_steps.run(vm, Step(0, 2000 + number, config, "many", (rule,)))


@pytest.mark.nightly
@pytest.mark.fault("the guest's memory paged out, 10 times", "served")
@pytest.mark.on("interrupts_of_pc", options=(*fault_steps.OPTIONS, "memory-backing=file"))
def test_memory_paged_out(vm, note):
    """Rings, buffers and the driver's own memory come back from a file, each page when it is
    next touched, by the guest or by the device."""
    process = vm.host.process_of(vm.name)
    memory, = pressure.guest_memory(process)
    shares = []
    with inflight.background(vm.console.command, MANY.command(), timeout=120) as answer:
        while len(shares) < 10:
            assert not answer.done(), f"the load was over after {len(shares)}"
            with vm.stopped():
                before = pressure.cached(memory)
                pressure.page_out(process)
                shares.append(1 - pressure.cached(memory) / before)
            time.sleep(0.1)
        assert answer.result().num("errors") == 0
    note("memory paged out", f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %")
    assert min(shares) > 0.9
    vm.expected.ran(MANY)
    vm.expected.check()


LOAD = Workload(ops=300, depth=16, sizes=(512, 4096), seed=151, span=SPAN, flush=40)


@pytest.mark.nightly
@pytest.mark.fault("the disk becomes read-only", "writes fail, reads don't")
@pytest.mark.on("interrupts_of_pc", options=fault_steps.OPTIONS)
def test_read_only(vm):
    """As a host's file system does after an error: QEMU is told EROFS."""
    hostile.fill(vm, LOAD.seed)
    with bad_sectors(vm, *((sector, "write") for sector in range(SPAN)), errno=READ_ONLY):
        answer = vm.console.command(f"{LOAD.command()} then=removal", check=False)
        rows = [row for row in answer.rows() if row["kind"] != "flush"]
        assert rows and {row["kind"] for row in rows} == {"write"}
        assert {row["name"] for row in rows} == {"STATUS_IO_DEVICE_ERROR"}
        hostile.settle(vm, LOAD, answer)
        vm.console.command(f"blk verify 0 {SPAN} seed={LOAD.seed} gen=0")
    hostile.verify(vm, 152)


@pytest.mark.nightly
@pytest.mark.fault("the image is removed underneath", "served")
@pytest.mark.on("interrupts_of_pc", options=fault_steps.OPTIONS)
def test_image_removed(vm):
    """QEMU has it open. Another name keeps it for the comparison."""
    kept = f"{vm.disk.path}.kept"
    os.link(vm.disk.path, kept)
    try:
        with inflight.background(vm.console.command, LOAD.command()) as answer:
            os.unlink(vm.disk.path)
            assert answer.result().num("errors") == 0
    finally:
        os.replace(kept, vm.disk.path)
    vm.expected.ran(LOAD)
    vm.expected.check()
    hostile.verify(vm, 153)


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.fault("the image is truncated underneath", "zeros are seen, then served")
@pytest.mark.on("interrupts_of_pc", options=fault_steps.OPTIONS)
def test_image_truncated(vm):
    """What is gone is gone: whoever reads it sees that. What is written then is there."""
    hostile.fill(vm, 154)
    os.truncate(vm.disk.path, SPAN // 2 * 512)
    answer = vm.console.command(f"blk verify 0 {SPAN} seed=154 gen=0", check=False)
    assert answer.name == "MISCOMPARE"
    assert min(int(row["sector"]) for row in answer.rows()) == SPAN // 2
    os.truncate(vm.disk.path, ROOM * 512)
    vm.expected.lost(SPAN // 2)
    hostile.verify(vm, 155)


WRITES = Workload(ops=200, depth=8, write=100, seed=156, span=SPAN)
ALL = [(sector, "write") for sector in range(0, SPAN, 16)]


def failing(vm, policy):
    """A load of writes some of which fail in QEMU. Returns its answer and how often the
    machine was stopped for it."""
    with bad_sectors(vm, *ALL, once=True):
        with inflight.background(vm.console.command, f"{WRITES.command()} then=removal",
                                 check=False) as answer:
            stops = resume_until(vm, answer)
            answer = answer.result()
    assert (stops > 0) == (policy == "stop")
    return answer


POLICIES = {"report": "request STATUS_IO_DEVICE_ERROR", "stop": "served when it goes on",
            "ignore": "the guest is told all is well"}


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.parametrize("policy", [
    pytest.param(policy, marks=pytest.mark.fault(f"error policy {policy}", expected))
    for policy, expected in POLICIES.items()])
@pytest.mark.parametrize("config", [
    Config(flavour=flavour, interrupt=interrupt, options=(f"sectors={ROOM}",
                                                          "request-merging=off"))
    for flavour in ("legacy", "modern") for interrupt in ("msix", "line")],
    ids=lambda config: config.name)
def test_error_policy(pool, artefacts, config, policy):
    vm = pool.get(config.but(options=(*config.options, f"werror={policy}")))
    hostile.fill(vm, WRITES.seed)
    answer = failing(vm, policy)
    names = {row["name"] for row in answer.rows()}
    assert names == ({"STATUS_IO_DEVICE_ERROR"} if policy == "report" else set())
    if policy == "ignore":      # the host's word to the guest is no longer true
        with pytest.raises(AssertionError, match="are not what they must be"):
            hostile.settle(vm, WRITES, answer)
        hostile.fill(vm, 157)
    else:
        hostile.settle(vm, WRITES, answer)
    hostile.verify(vm, 158)
