# SPDX-License-Identifier: MIT
"""Many disks: vectors are shared out, lines are shared, and each disk does its work."""

import urllib.parse

import pytest

UNLIMITED = "vq7test.MessageNumberLimit=2048"      # instead of what the INF asks for
NO_MESSAGES = "vq7test.MSISupported=0"


def use_all(vm):
    """A verified write on every disk, checked by the host too. Returns the devices."""
    devices = vm.console.command("devices").rows()
    assert len(devices) == len(vm.disks)
    names = set()
    for number in range(len(devices)):
        name = urllib.parse.unquote(vm.console.command(f"blk id dev={number}")["id"])
        names.add(name.rstrip("\0 "))
        disk = int(name.rstrip("\0 ").rpartition("-")[2])
        seed, start = 1000 + disk, 8 * disk
        vm.console.command(f"blk write {start} 8 seed={seed} gen=1 dev={number}")
        vm.console.command(f"blk verify {start} 8 seed={seed} gen=1 dev={number}")
        vm.console.command(f"blk flush dev={number}")
        vm.all_expected[disk].wrote(start, 8, seed, 1)
    assert names == {f"VQ7-DISK-{number}" for number in range(len(vm.disks))}
    for expected in vm.all_expected:
        expected.check()
    return devices


def not_ours(vm):
    """What each device's routine was asked for in vain, in the order of the devices."""
    return [vm.console.command(f"stats dev={number}").num("interrupts_not_ours")
            for number in range(len(vm.disks))]


def busy(vm, number):
    vm.console.command(f"blk run ops=200 depth=4 sizes=512 seed=5 span=1024 dev={number}")
    # Which sectors it wrote is another test's matter.


def check_shared_lines(vm):
    """All on lines, more of them than there are lines: others' interrupts are seen, left alone,
    and not lost for whom they are."""
    devices = use_all(vm)
    assert {(d["interrupt"], d["vectors"]) for d in devices} == {("line", "1")}
    before = not_ours(vm)
    assert any(before)
    # The last one of a line is asked last, so all before it are asked in vain.
    busy(vm, len(devices) - 1)
    after = not_ours(vm)
    grown = [number for number in range(len(devices)) if after[number] > before[number]]
    assert len(grown) >= (len(devices) - 4) // 4, (before, after)
    assert after[-1] == before[-1]


@pytest.mark.on("one", options=("disks=20",), settings=(NO_MESSAGES,))
def test_many_disks_on_shared_lines(vm):
    check_shared_lines(vm)


@pytest.mark.on("one", options=("disks=20", "num-queues=8"), settings=(UNLIMITED,))
def test_vectors_run_out(vm):
    """Nine messages for each of the first disks, one for some, and at the end the line."""
    devices = use_all(vm)
    kinds = [(device["interrupt"], int(device["vectors"]) > 1) for device in devices]
    order = [("message", True), ("message", False), ("line", False)]
    assert kinds == sorted(kinds, key=order.index)
    assert {order[0], order[2]} <= set(kinds)
    log = vm.kernel_log()
    assert "9 message(s) can't be had" in log and "vectors are left for messages" in log


@pytest.mark.nightly
@pytest.mark.on("boards", options=("disks=31", "cpus=8"))
def test_many_disks_with_messages(vm):
    """What the INF asks for is there for all of them."""
    devices = use_all(vm)
    assert {device["interrupt"] for device in devices} == {"message"}


@pytest.mark.nightly
@pytest.mark.on("transports", options=("disks=51", "cpus=8"), settings=(NO_MESSAGES,))
def test_fifty_disks_on_shared_lines(vm):
    check_shared_lines(vm)
