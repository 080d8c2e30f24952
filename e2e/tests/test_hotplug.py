# SPDX-License-Identifier: MIT
"""Disks that come and go while the machine runs: asked for, refused, and pulled."""

import time

import pytest

from vq7rig import inflight
from vq7rig.features import VirtioView
from vq7rig.hotplug import Plug, wait_devices, wait_log
from vq7rig.workload import Workload, expected_counts

from test_inflight import MIXED, RING, SPEED, with_event

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
        assert {rows[1][name] for name in ("transport", "interrupt", "vectors")} == \
            {before[name] for name in ("transport", "interrupt", "vectors")}
        run_on(vm, second, 1)
        run_on(vm, first, 0)
        second.ask_out()
        second.wait_out()
        wait_devices(vm, 1)
    run_on(vm, first, 0)
    reload(vm, 1)


@pytest.mark.fresh
@pytest.mark.on("transports")
def test_a_second_disk_comes_and_goes(vm):
    """Addresses and interrupts are the guest's to find: no firmware sees it come."""
    come_and_go(vm, slot=9)


@pytest.mark.fresh
@pytest.mark.on("transports", settings=("vq7test.MSISupported=0",))
def test_a_second_disk_with_a_line(vm):
    come_and_go(vm, slot=10)


@pytest.mark.fresh
@pytest.mark.on("inflight_one")
def test_ejection_is_refused_while_it_is_in_use(vm):
    """The open handle keeps it; afterwards it goes, and may come again."""
    plug = Plug(vm)
    with vm.slow_disk(SPEED), inflight.taken(vm) as seen, \
            inflight.background(vm.console.command, MIXED.command()) as answer:
        while len(seen.list()) < RING:
            time.sleep(0.02)
        plug.ask_out()
        wait_log(vm, "removal refused: 0x80000011")
        assert (answer().num("ops"), answer().num("errors")) == (MIXED.ops, 0)
    vm.expected.ran(MIXED)
    vm.expected.check()
    plug.ask_out()
    plug.wait_out()
    wait_devices(vm, 0)
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
    reload(vm, 1)


def pull(vm, then, ready, statuses):
    """Take the disk away under a workload; every request comes back, once."""
    plug = Plug(vm)
    vm.host.limit_disk(vm.dom, "vda", SPEED)
    with inflight.taken(vm) as seen, \
            inflight.background(vm.console.command, with_event(MIXED, then)) as answer:
        while not ready(vm, seen):
            time.sleep(0.02)
        plug.pull_out()
        answer = answer()
    assert answer.num("duplicates") == answer.num("miscompares") == 0
    failed = inflight.settle(vm, MIXED, answer)
    assert set(failed.values()) <= statuses and len(failed) > RING, failed
    assert answer.num("ops") < MIXED.ops
    wait_devices(vm, 0)
    reload(vm, 0)
    plug.wait_out()
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
    reload(vm, 1)


def is_busy(_, seen):
    return len(seen.list()) > 2 * RING


def is_down(vm, _):
    return VirtioView(vm).status == 0


@pytest.mark.fresh
@pytest.mark.on("inflight")
def test_pulled_under_load(vm):
    pull(vm, "removal", is_busy, {"STATUS_DEVICE_REMOVED", "STATUS_CANCELLED",
                                  "STATUS_INVALID_DEVICE_STATE"})


@pytest.mark.fresh
@pytest.mark.on("inflight_one")
def test_pulled_while_it_sleeps(vm):
    """Requests that were kept for the power-up that does not come are cancelled."""
    pull(vm, "powerdown", is_down, {"STATUS_CANCELLED"})


@pytest.mark.fresh
@pytest.mark.on("inflight_one", machine="q35", options=("place=root-port",))
def test_express_port(vm):
    """Behind a root port of PCI Express: pulled, plugged in, asked out, plugged in."""
    pull(vm, "removal", is_busy, {"STATUS_DEVICE_REMOVED", "STATUS_CANCELLED",
                                  "STATUS_INVALID_DEVICE_STATE"})
    plug = Plug(vm)
    plug.ask_out()
    plug.wait_out()
    wait_devices(vm, 0)
    plug.plug_in()
    wait_devices(vm, 1)
    run_on(vm, plug, 0)
