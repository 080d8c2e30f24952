# SPDX-License-Identifier: MIT
"""Devices that are legal and unusual, and those of other hypervisors: our own vhost-user
back end (e2e/hostile) behaves like each of them in turn, behind QEMU's own PCI device."""

import concurrent.futures

import pytest

from vq7rig.errors import CommandError, Hang
from vq7rig.workload import Workload, expected_counts

BACKEND = ("backend=vhost-user",)
MIXED = (512, 1024, 4096, 65536)
PROTOCOL_ERROR = "STATUS_DEVICE_PROTOCOL_ERROR"


def run(vm, load, timeout=60):
    """Run it, every operation verified; then compare the whole image. Returns the answer."""
    answer = vm.console.command(load.command(), timeout=timeout)
    vm.console.command("blk flush")
    want = expected_counts(load, vm.disk.capacity)
    assert {name: answer.num(name) for name in want} == want
    vm.expected.ran(load)
    vm.expected.check()
    status = vm.backend.status()
    assert status["ring_errors"] == 0 and status["limits_exceeded"] == 0, status
    return answer


def meanwhile(function):
    """Run it beside what follows; .result() waits, and raises what it raised."""
    pool = concurrent.futures.ThreadPoolExecutor(1)
    future = pool.submit(function)
    pool.shutdown(wait=False)
    return future


@pytest.mark.smoke
@pytest.mark.on("flavours", options=BACKEND)
def test_vhost_user_disk(vm):
    """The back end behaves: all that the driver does with QEMU's own device works here."""
    vm.console.command("stats clear")
    run(vm, Workload(ops=400, depth=32, sizes=MIXED, segments=3, seed=71, span=16384, flush=50))
    assert vm.console.command("blk id")["id"] == "VQ7-DISK-0"
    with pytest.raises(CommandError) as refused:
        vm.console.command(f"blk read {vm.disk.capacity} 1")
    assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    stats = vm.console.command("stats")
    assert stats.num("completed") == stats.num("submitted") > 0


@pytest.mark.on("transports", options=BACKEND)
@pytest.mark.parametrize("way", ["no-status", "status"])
@pytest.mark.parametrize("kind, command", [
    ("read", "blk read 64 8 quiet=1"), ("write", "blk write 64 8 seed=5 gen=5"),
    ("flush", "blk flush"), ("id", "blk id")])
def test_status_byte(vm, way, kind, command):
    """A status byte that the device didn't write, or that means nothing, is an error of that
    request alone."""
    with vm.backend.misbehaving(way, kind=kind, when="on:2") as rule:
        vm.console.command(command)
        with pytest.raises(CommandError) as refused:
            vm.console.command(command)
        assert refused.value.name == PROTOCOL_ERROR
        vm.console.command(command)
        assert vm.backend.hits(rule) == 1
    if kind == "write":
        vm.expected.wrote(64, 8, 5, 5)
    run(vm, Workload(ops=60, depth=8, seed=73, span=4096))


@pytest.mark.on("transports", options=BACKEND)
@pytest.mark.parametrize("way, value", [("slow", 3), ("reverse", 3)])
def test_order_and_time(vm, way, value):
    """Answers that are slow, and answers that come in the opposite order."""
    with vm.backend.misbehaving(way, value=value) as rule:
        run(vm, Workload(ops=200, depth=32, sizes=(512, 4096), seed=74, span=8192))
        assert vm.backend.hits(rule) > 200


@pytest.mark.on("transports", options=BACKEND)
def test_held_requests(vm):
    """Nothing is answered until all that fit are at the device; then everything at once."""
    backend = vm.backend

    def release():
        backend.wait("held", 32)
        backend.behave()
        return backend.release()

    backend.misbehave("hold")
    released = meanwhile(release)
    answer = run(vm, Workload(ops=64, depth=32, sizes=(4096,), seed=75, span=65536))
    assert released.result() == 32
    assert answer.num("max_in_flight") == 32


@pytest.mark.on("transports", options=BACKEND)
def test_connection_lost_in_mid_request(vm):
    """The back end goes with requests in its hands, and comes back: QEMU's front end has
    kept the list of them, and each is answered once."""
    backend, before = vm.backend, vm.backend.status()

    def lose():
        backend.wait("held", 8)
        backend.behave()
        backend.command("disconnect")
        backend.wait("connections", before["connections"] + 1)

    backend.misbehave("hold")
    lost = meanwhile(lose)
    run(vm, Workload(ops=100, depth=8, sizes=(4096,), seed=76, span=65536))
    lost.result()
    assert backend.status()["resubmitted"] == before["resubmitted"] + 8


@pytest.mark.on("transports", options=BACKEND)
def test_capacity_changes(vm):
    before = vm.console.command("stats").num("config_changes")
    vm.backend.set(capacity=vm.disk.capacity - 64)
    vm.backend.wait("connected", 1)
    for _ in range(50):
        if vm.console.command("blk info").num("capacity") == vm.disk.capacity - 64:
            break
    assert vm.console.command("blk info").num("capacity") == vm.disk.capacity - 64
    assert vm.console.command("stats").num("config_changes") > before
    with pytest.raises(CommandError) as refused:
        vm.console.command(f"blk read {vm.disk.capacity - 64} 1")
    assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    vm.backend.set(capacity=vm.disk.capacity)
    vm.console.command(f"blk read {vm.disk.capacity - 64} 1")


@pytest.mark.on("transports", options=BACKEND)
def test_reset_with_requests_at_the_device(vm):
    """The reset button while the device holds requests: they are gone, and nothing comes of
    them into the memory of the next start."""
    with vm.backend.misbehaving("hold", kind="read"):
        with pytest.raises(Hang):
            vm.console.command("blk read 0 8 quiet=1", timeout=0.5)
        vm.backend.wait("held", 1)
        vm.reset()
    assert vm.backend.status()["held"] == 0
    run(vm, Workload(ops=60, depth=8, seed=77, span=4096))
