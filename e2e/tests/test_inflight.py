# SPDX-License-Identifier: MIT
"""Requests in flight while the device loses its power, its handle or its machine.

The disk is slow and the ring small, so that there are requests at the device, one that
did not fit, and some that wait in the driver's queue. Each completes exactly once.
"""

import time

import pytest

from vq7rig import inflight
from vq7rig.features import VirtioView
from vq7rig.workload import Workload, operations

from test_workloads import run

# Unload, cancel, close under load: what is left behind, and DMA that goes on.
pytestmark = [pytest.mark.needs("unload", "kernel log"), pytest.mark.watched]

DEPTH, RING = 40, 16
AFTER, SPEED = 8, 20            # operations before the event; a second
STOPPED = "04.0 stopped"        # the driver's word
SHORT = Workload(ops=100, depth=8, sizes=(4096,), seed=91, span=8192)
WRITES = Workload(pattern="sequential", write=100, ops=90, depth=DEPTH, sizes=(4096,), seed=92,
                  span=4096)
MIXED = Workload(ops=90, depth=DEPTH, sizes=(512, 4096, 16384), seed=95,
                 span=65536)


def with_event(load, then, after=AFTER, **more):
    options = "".join(f" {name}={value}" for name, value in more.items())
    return f"{load.command()} then={then} after={after}{options}"


@pytest.fixture
def vm(vm, config):
    """The device works afterwards, and its driver leaves nothing behind when it goes."""
    yield vm
    if vm.usable:
        run(vm, SHORT)
        vm.console.command("driver unload")
        assert VirtioView(vm).status == 0
        vm.console.command("driver load")


def event_run(vm, load, then, said=None, **more):
    """Run it on the slow disk; the answer, with what holds of every event.

    `said`: what the kernel's log says of the event; then the disk is fast again.
    """
    start = (vm.run / "debug.log").stat().st_size
    with vm.slow_disk(SPEED), inflight.background(
            vm.console.command, with_event(load, then, **more), timeout=60) as answer:
        if said:
            inflight.wait_log(vm, said, start)
            vm.host.limit_disk(vm.dom, "vda", 0)
        answer = answer.result()
    assert RING + 4 < answer.num("in_flight") <= load.depth
    assert answer.num("duplicates") == answer.num("miscompares") == 0
    return answer


def order_of(seen, load, capacity):
    """Which operations of the load the device took, in order."""
    done = operations(load, capacity)
    number = {int(place): k for k, place in enumerate(done.place)}
    assert len(number) == load.ops, "the places must tell the operations apart"
    return [number[sector] for _, sector, _ in seen.list()]


@pytest.mark.needs("sleep")
@pytest.mark.on("inflight_one", nightly="inflight")
def test_power_cycle(vm):
    """What was at the device is sent again, the oldest first and before younger ones."""
    with inflight.taken(vm) as seen:
        answer = event_run(vm, WRITES, "powercycle", STOPPED, hold=200)
        taken = order_of(seen, WRITES, vm.disk.capacity)
    assert (answer.num("ops"), answer.num("errors")) == (WRITES.ops, 0)
    again = len(taken) - WRITES.ops
    first = next(i for i, k in enumerate(taken) if i != k)      # until the power went
    kept = taken[first:first + again]
    assert 0 < again <= RING
    assert kept == sorted(set(kept)) and kept[-1] < first, taken
    assert taken[first + again:] == list(range(first, WRITES.ops)), taken
    assert answer.num("submitted") == len(taken)
    assert answer.num("ring_full") > 0
    vm.expected.ran(WRITES)
    vm.expected.check()


@pytest.mark.needs("sleep")
@pytest.mark.on("inflight_one", options=("backend=vhost-user", "sectors=65536"))
def test_power_cycle_of_held_requests(vm):
    """A device that answers nothing any more: all that it had is sent again, and no more."""
    backend, before = vm.backend, vm.backend.status()
    start = (vm.run / "debug.log").stat().st_size
    backend.misbehave("hold", kind="write", when=f"after:{AFTER}")
    with inflight.background(vm.console.command, with_event(WRITES, "powercycle", hold=500),
                             timeout=60) as answer:
        inflight.wait_log(vm, STOPPED, start)
        backend.behave()
        while not answer.done():
            backend.release()           # those that came before the rule had ended
            time.sleep(0.05)
        answer = answer.result()
    after = backend.status()
    again = after["forgotten"] - before["forgotten"]
    # The driver may have sent some that the device hadn't looked at yet.
    assert 1 < again <= answer.num("submitted") - WRITES.ops <= RING
    assert after["write"] - before["write"] == WRITES.ops + again
    assert (answer.num("ops"), answer.num("errors")) == (WRITES.ops, 0)
    assert answer.num("duplicates") == answer.num("miscompares") == 0
    vm.expected.ran(WRITES)
    vm.expected.check()


@pytest.mark.needs("sleep")
@pytest.mark.on("inflight_one")
def test_power_cycle_of_reads_and_writes(vm):
    answer = event_run(vm, MIXED, "powercycle", STOPPED, hold=0)
    assert (answer.num("ops"), answer.num("errors")) == (MIXED.ops, 0)
    vm.expected.ran(MIXED)
    vm.expected.check()


@pytest.mark.needs("sleep")
@pytest.mark.on("inflight_one")
def test_sleeping_device(vm):
    """Down and up between two runs; and down is no reason to keep the driver."""
    vm.console.command("device powerdown")
    assert VirtioView(vm).status == 0
    vm.console.command("device powerup")
    run(vm, SHORT)
    vm.console.command("device powerdown")
    vm.console.command("driver unload")
    vm.console.command("driver load")


@pytest.mark.needs("sleep")
@pytest.mark.nightly
@pytest.mark.on("inflight")
def test_many_power_cycles(vm):
    """At a fast disk's speed, at any moment."""
    for seed in range(30):
        load = Workload(ops=400, depth=DEPTH, sizes=(512, 4096, 262144), seed=200 + seed,
                        span=65536, flush=40)
        answer = vm.console.command(
            f"{load.command()} then=powercycle after={7 * seed} hold={seed % 3}", timeout=60)
        assert (answer.num("ops"), answer.num("errors")) == (load.ops, 0)
        assert answer.num("duplicates") == 0
        vm.expected.ran(load)
        vm.expected.check()


def check_cancelled(vm, answer, seen):
    """Those that the device never had were cancelled, the others are done, once."""
    failed = inflight.settle(vm, MIXED, answer)
    assert set(failed.values()) == {"STATUS_CANCELLED"}
    taken = order_of(seen, MIXED, vm.disk.capacity)
    assert sorted(taken + list(failed)) == list(range(answer.num("ops")))
    assert len(failed) < answer.num("in_flight")


@pytest.mark.on("inflight_one")
def test_cancel(vm):
    """What waits is cancelled; what the device has completes."""
    with inflight.taken(vm) as seen:
        check_cancelled(vm, event_run(vm, MIXED, "cancel"), seen)


@pytest.mark.on("inflight_one")
def test_close(vm):
    """The last handle goes: the same, and nobody is left who would keep the device."""
    with inflight.taken(vm) as seen:
        check_cancelled(vm, event_run(vm, MIXED, "close"), seen)


@pytest.mark.on("inflight_one")
def test_unload_is_refused_while_it_is_in_use(vm):
    answer = event_run(vm, MIXED, "unload", "removal refused: 0x80000011")
    assert answer["event_name"] == "STATUS_DEVICE_BUSY"
    assert (answer.num("ops"), answer.num("errors")) == (MIXED.ops, 0)
    vm.expected.ran(MIXED)
    vm.expected.check()
    assert vm.console.command("info")["driver"] == "loaded"


def check_cut_off(vm, answer):
    """What was in flight at the machine's end may have been done, the rest is."""
    failed = inflight.settle(vm, MIXED, answer)
    assert set(failed.values()) == {"STATUS_PENDING"}
    assert len(failed) == answer.num("in_flight") > RING + 4


@pytest.mark.needs("poweroff")
@pytest.mark.fresh
@pytest.mark.on("inflight_one")
def test_poweroff(vm):
    vm.host.limit_disk(vm.dom, "vda", SPEED)
    answer = vm.console.command(with_event(MIXED, "poweroff"))
    vm.wait_off()
    check_cut_off(vm, answer)


@pytest.mark.needs("restart")
@pytest.mark.on("inflight_one")
def test_reset(vm):
    with vm.slow_disk(SPEED):
        answer = vm.console.command(with_event(MIXED, "reset"))
        vm.console.wait_boot(vm.hello_timeout)
    check_cut_off(vm, answer)


@pytest.mark.on("inflight_one")
def test_reset_button(vm):
    """The machine starts again in the middle of it, without a word to the guest."""
    # Typed: a framed command would be sent again, to the agent of the next start.
    with vm.slow_disk(SPEED), inflight.taken(vm) as seen, \
            inflight.background(vm.console.type, WRITES.command(), timeout=30) as said:
        inflight.wait_until(lambda: len(seen.list()) >= 2 * RING, said)
        vm.dom.reset(0)
        assert any("vq7agent 1 " in line for line in said.result())
    done = operations(WRITES, vm.disk.capacity)
    for k in range(WRITES.ops):
        for sector in range(int(done.place[k]), int(done.place[k] + done.count[k])):
            if inflight.holds(vm.expected, sector, WRITES.seed, k + 1):
                vm.expected.wrote(sector, 1, WRITES.seed, k + 1)
    vm.expected.check()


@pytest.mark.nightly
@pytest.mark.on("inflight")
@pytest.mark.parametrize("each", [test_power_cycle_of_reads_and_writes, test_cancel, test_close,
                                  test_unload_is_refused_while_it_is_in_use, test_reset,
                                  test_reset_button], ids=lambda test: test.__name__)
def test_on_every_device(vm, each):
    each(vm)
