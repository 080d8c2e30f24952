# SPDX-License-Identifier: MIT
"""Disks that come and go while the machine runs: asked for, refused, and pulled."""

import pytest

from vq7rig import inflight
from vq7rig.features import VirtioView
from vq7rig.hotplug import Plug, wait_devices
from vq7rig.workload import Workload, expected_counts

from test_inflight import MIXED, RING, SPEED, with_event

# Removal: what is left behind, and DMA that goes on.
pytestmark = [pytest.mark.needs("hotplug"), pytest.mark.watched]

SHORT = Workload(ops=100, depth=8, sizes=(4096,), seed=97, span=8192)


def run_on(vm, plug, dev):
    """A workload on one of several disks, judged by its image."""
    answer = vm.console.command(SHORT.command(dev))
    vm.console.command(f"blk flush dev={dev}")
    want = expected_counts(SHORT, plug.expected.disk.capacity)
    assert {name: answer.num(name) for name in want} == want
    plug.expected.ran(SHORT)
    plug.expected.check()


def reload(vm, devices):
    """The driver leaves nothing behind, and finds what is there."""
    vm.console.command("driver unload")
    assert vm.console.command("driver load").num("devices") == devices


def come_and_go(vm, slot):
    first, second = Plug(vm), Plug(vm, 1)
    before = vm.console.command("devices").rows()[0]
    for _ in range(2):
        second.plug_in(slot)
        rows = wait_devices(vm, 2)
        assert rows[0]["pci"] == before["pci"]
        for name in ("transport", "interrupt", "vectors"):
            assert rows[1][name] == before[name]
        run_on(vm, second, 1)
        run_on(vm, first, 0)
        second.ask_out()
        second.wait_out()
        wait_devices(vm, 1)
    run_on(vm, first, 0)
    reload(vm, 1)


@pytest.mark.fresh
@pytest.mark.on("one")
def test_a_second_disk_comes_and_goes(vm):
    """Addresses and interrupts are the guest's to find: no firmware sees it come."""
    come_and_go(vm, slot=9)


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.on("transitional", settings=("vq7test.Transport=legacy", "vq7test.MSISupported=0"))
def test_a_second_disk_with_ports_and_a_line(vm):
    come_and_go(vm, slot=10)


@pytest.mark.fresh
@pytest.mark.on("one")
def test_a_second_disk_of_the_legacy_interface_alone(vm):
    """disable-modern=on beside a modern one: its registers are ports that the guest finds."""
    second = Plug(vm, 1)
    second.plug_in_device(11, **{"disable-modern": True})
    rows = wait_devices(vm, 2)
    assert [row["transport"] for row in rows] == ["modern", "legacy"]
    assert rows[1]["id"] == "1af4:1001"
    run_on(vm, second, 1)
    run_on(vm, Plug(vm), 0)
    second.ask_out_device()
    second.wait_out()
    wait_devices(vm, 1)
    reload(vm, 1)


@pytest.mark.fresh
@pytest.mark.on("inflight_one")
def test_ejection_is_refused_while_it_is_in_use(vm):
    """The open handle keeps it; afterwards it goes, and may come again."""
    plug = Plug(vm)
    with vm.slow_disk(SPEED), inflight.taken(vm) as seen, \
            inflight.background(vm.console.command, MIXED.command()) as answer:
        inflight.wait_until(lambda: len(seen.list()) >= RING, answer)
        plug.ask_out()
        inflight.wait_log(vm, "removal refused: 0x80000011")
        vm.host.limit_disk(vm.dom, "vda", 0)
        answer = answer.result()
        assert (answer.num("ops"), answer.num("errors")) == (MIXED.ops, 0)
    vm.expected.ran(MIXED)
    vm.expected.check()
    plug.ask_out()
    plug.wait_out()
    wait_devices(vm, 0)
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
    reload(vm, 1)


def without_late(failed, issued):
    """Leave out those that came when the driver's queues were closed already: issued on a
    completion from before, so the last ones, with nothing else among them."""
    late = {k for k, name in failed.items() if name == "STATUS_INVALID_DEVICE_STATE"}
    assert late == set(range(issued - len(late), issued)), failed
    return {k: name for k, name in failed.items() if k not in late}


def pull(vm, then, ready, load=MIXED, speed=SPEED, **more):
    """Take the disk away under a workload; every request comes back, once.

    Returns what those that failed have failed with.
    """
    plug = Plug(vm)
    vm.host.limit_disk(vm.dom, "vda", speed)
    with inflight.taken(vm) as seen, \
            inflight.background(vm.console.command, with_event(load, then, **more),
                                timeout=60) as answer:
        inflight.wait_until(lambda: ready(vm, seen), answer)
        plug.pull_out()
        answer = answer.result()
    assert answer.num("duplicates") == answer.num("miscompares") == 0
    failed = inflight.settle(vm, load, answer)
    failed = without_late(failed, answer.num("ops"))
    # What was in flight then: but for those that the device did, all of it.
    assert len(failed) > max(2, load.depth - RING)
    wait_devices(vm, 0)
    reload(vm, 0)
    plug.wait_out()
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
    reload(vm, 1)
    return set(failed.values())


def is_busy(_, seen):
    return len(seen.list()) > 2 * RING


def is_down(vm, _):
    return VirtioView(vm).status == 0


def assert_pulled(statuses):
    """The driver gives one status. What the framework hasn't given it yet, as where a request
    comes while the queue is off already, is cancelled by the framework (WdfIoQueuePurge)."""
    assert {"STATUS_DEVICE_REMOVED"} <= statuses
    assert statuses <= {"STATUS_DEVICE_REMOVED", "STATUS_CANCELLED"}


@pytest.mark.fresh
@pytest.mark.on("inflight_one", nightly="inflight")
def test_pulled_under_load(vm):
    """At the device, next and waiting: all of them fail."""
    assert_pulled(pull(vm, "removal", is_busy))


@pytest.mark.fresh
@pytest.mark.on("inflight_one")
def test_pulled_while_it_sleeps(vm):
    """Requests that were kept for the power-up that does not come are cancelled."""
    assert pull(vm, "powerdown", is_down) == {"STATUS_CANCELLED"}


# Nine virtio requests each: in a ring of 16 there is the rest of one, another, and the
# beginning of a third. Sent again from the start, the third does not fit.
LARGE = Workload(write=100, ops=40, depth=8, sizes=(126 * 4096,), seed=98)


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.on("inflight_one", options=("request-merging=off",))
def test_pulled_after_a_power_cycle(vm):
    """Some of what was kept waits for room in the ring to be sent again."""
    def is_back(vm, seen):
        places = [sector for _, sector, _ in seen.list()]
        return len(places) > len(set(places))
    assert_pulled(pull(vm, "powercycle", is_back, LARGE, speed=60, after=3))


@pytest.mark.fresh
@pytest.mark.on("inflight_one", machine="q35", options=("place=root-port",))
def test_express_port(vm):
    """Behind a root port of PCI Express: pulled, plugged in, asked out, plugged in."""
    assert_pulled(pull(vm, "removal", is_busy))
    plug = Plug(vm)
    plug.ask_out()
    plug.wait_out()
    wait_devices(vm, 0)
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
