# SPDX-License-Identifier: MIT
"""What the driver says of itself, against what the host saw: counters, vectors, resizes."""

import threading
import time

import libvirt
import pytest

from vq7rig.errors import CommandError
from vq7rig.workload import Workload, expected_counts, operations

from test_workloads import run

LOAD = Workload(ops=600, depth=32, sizes=(512, 4096, 16384), seed=111, span=16384, flush=100)
ONE_BY_ONE = Workload(ops=200, depth=1, sizes=(4096,), seed=112, span=8192)


def stats(vm, dev=0):
    answer = vm.console.command("stats" + (f" dev={dev}" if dev else ""))
    return {name: int(value) for name, value in answer.fields.items() if name != "failed"}


def host_stats(vm):
    """QEMU's own counters of the disk."""
    (disk,) = [each["stats"] for each in vm.qmp("query-blockstats")
               if each.get("qdev", "").startswith("/machine/peripheral/ua-blk0")]
    return disk


# --- counters ----------------------------------------------------------------------

@pytest.mark.on("transports", nightly="interrupts")
def test_counters_agree_with_the_host(vm):
    """After stats clear and one workload: each counter is what was done, no more."""
    vm.console.command("stats clear")
    host = host_stats(vm)
    run(vm, LOAD)               # and a flush
    now, after = stats(vm), host_stats(vm)
    done, want = operations(LOAD, vm.disk.capacity), expected_counts(LOAD, vm.disk.capacity)
    flushes = want["flushes"] + 1
    written = int(done.count[done.is_write].sum()) * 512
    assert now["submitted"] == now["completed"] == want["ops"] + flushes
    assert now["in_flight"] == now["errors"] == now["config_changes"] == 0
    assert (now["bytes_written"], now["bytes_read"]) == (written, want["bytes"] - written)
    assert after["wr_bytes"] - host["wr_bytes"] == written
    assert after["rd_bytes"] - host["rd_bytes"] == want["bytes"] - written
    assert after["flush_operations"] - host["flush_operations"] == flushes
    assert 0 < now["notifications"] <= now["notifications"] + now["suppressed"] <= now["submitted"]
    assert 0 < now["dpcs"] <= now["interrupts"]
    assert 1 < now["max_in_flight"] <= LOAD.depth


@pytest.mark.on("transports")
def test_stats_clear(vm):
    run(vm, ONE_BY_ONE)
    assert any(stats(vm).values())
    vm.console.command("stats clear")
    assert not any(stats(vm).values())


@pytest.mark.on("transports")
def test_errors_are_counted(vm):
    vm.console.command("stats clear")
    for command in (f"blk read {vm.disk.capacity} 1", f"blk write {vm.disk.capacity - 1} 2 seed=1 "
                    "gen=1"):
        with pytest.raises(CommandError):
            vm.console.command(command)
    now = stats(vm)
    assert (now["submitted"], now["completed"], now["errors"]) == (2, 2, 2)
    assert (now["bytes_read"], now["bytes_written"]) == (0, 0)


@pytest.mark.on("transports")
def test_one_interrupt_a_completion(vm):
    """MSI-X, one request at a time: exactly one notification, message and DPC each."""
    vm.console.command("stats clear")
    vm.console.command(ONE_BY_ONE.command())
    vm.expected.ran(ONE_BY_ONE)
    now = stats(vm)
    for name in ("completed", "notifications", "interrupts", "dpcs"):
        assert now[name] == ONE_BY_ONE.ops, name
    assert now["suppressed"] == now["interrupts_not_ours"] == now["ring_full"] == 0
    assert now["max_in_flight"] == 1


@pytest.mark.on("one", nightly="event_idx")
def test_event_idx_saves_interrupts(vm):
    answer = run(vm, Workload(ops=2000, depth=32, sizes=(512,), seed=113, span=8192))
    assert 0 < answer.num("interrupts") < answer.num("completed")


@pytest.mark.on("one", nightly="transports", queue_size=16, indirect=False,
                options=("request-merging=off",))
def test_full_rings_are_counted(vm):
    """Five requests of three descriptors fill a ring of 16; never is more at the device."""
    vm.console.command("stats clear")
    load = Workload(ops=60, depth=32, sizes=(4096,), segments=1, seed=114, span=8192)
    with vm.slow_disk(200):         # QEMU lets a tenth of a second's worth go at once
        run(vm, load)
    now = stats(vm)
    assert now["max_in_flight"] == 5
    assert 0 < now["ring_full"] <= load.ops
    assert now["indirect"] == 0


# --- vectors -----------------------------------------------------------------------

def queue_vector(vm):
    (queue,) = vm.console.command("queues").rows()
    return queue["vector"]


def connected(vm):
    (device,) = vm.console.command("devices").rows()
    return device["interrupt"], int(device["vectors"])


@pytest.mark.needs("msi")
@pytest.mark.on("interrupts")
def test_vectors(vm, config):
    """Message 0 is the configuration's, the queue has its own; a line has no vector."""
    line = config.interrupt == "line"
    assert connected(vm) == (("line", 1) if line else ("message", 2))
    assert queue_vector(vm) == ("none" if line else "1")


@pytest.mark.needs("msi")
@pytest.mark.on("one", nightly="transports", options=("sectors=32768", "vectors=1"))
def test_one_vector_is_shared(vm):
    assert connected(vm) == ("message", 1)
    assert queue_vector(vm) == "0"
    run(vm, LOAD)


# --- resize: the configuration interrupt -------------------------------------------

def resize(vm, sectors):
    try:
        vm.dom.blockResize("vda", sectors * 512, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    except libvirt.libvirtError as bad:
        raise AssertionError(f"libvirt can't resize: {bad}") from bad


def wait_capacity(vm, sectors, seconds=5):
    deadline = time.monotonic() + seconds
    while vm.console.command("blk info").num("capacity") != sectors:
        assert time.monotonic() < deadline, f"the guest doesn't see {sectors} sectors"
        time.sleep(0.01)


def check_resize(vm, messages):
    """Each change is seen, by one interrupt, and counted once."""
    full = vm.disk.capacity
    vm.expected.lost(full // 2)         # by the shrinking
    vm.console.command("stats clear")
    for changes, sectors in enumerate((full // 2, full // 2 + 8, full), 1):
        resize(vm, sectors)
        wait_capacity(vm, sectors)
        now = stats(vm)
        assert now["config_changes"] == changes
        assert now["interrupts"] == now["dpcs"] == changes if messages else \
            now["interrupts"] >= changes
        assert now["submitted"] == 0
    resize(vm, full // 2)
    wait_capacity(vm, full // 2)
    vm.console.command(f"blk write {full // 2 - 8} 8 seed=2 gen=1")
    with pytest.raises(CommandError) as past:
        vm.console.command(f"blk read {full // 2} 1")
    assert past.value.name == "STATUS_IO_DEVICE_ERROR"
    resize(vm, full)
    wait_capacity(vm, full)
    vm.expected.wrote(full // 2 - 8, 8, 2, 1)
    vm.console.command(f"blk write {full - 8} 8 seed=2 gen=1")
    vm.expected.wrote(full - 8, 8, 2, 1)
    vm.expected.check()


@pytest.mark.needs("msi")
@pytest.mark.on("transports", nightly="interrupts")
def test_resize(vm, config):
    check_resize(vm, config.interrupt == "msix")


@pytest.mark.needs("msi")
@pytest.mark.on("one", nightly="transports", options=("sectors=32768", "vectors=1"))
def test_resize_with_one_shared_vector(vm):
    check_resize(vm, True)


def check_resize_under_load(vm):
    """Configuration and queue interrupts come together; none is lost, nothing is late."""
    full, failed = vm.disk.capacity, []
    vm.expected.lost(full - 64)         # by the shrinking

    def resizes():
        try:
            for sectors in (full - 64, full, full - 8, full):
                time.sleep(0.2)
                vm.dom.blockResize("vda", sectors * 512, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
        except libvirt.libvirtError as bad:
            failed.append(bad)

    vm.console.command("stats clear")
    load = Workload(ops=1000, depth=16, sizes=(4096,), seed=115, span=full - 64)
    thread = threading.Thread(target=resizes)
    with vm.slow_disk(1000):
        thread.start()
        run(vm, load)
        thread.join()
    assert not failed
    wait_capacity(vm, full)
    assert stats(vm)["config_changes"] == 4


@pytest.mark.needs("msi")
@pytest.mark.on("one", nightly="transports", options=("sectors=32768", "vectors=1"))
def test_resize_under_load_with_one_shared_vector(vm):
    check_resize_under_load(vm)


@pytest.mark.nightly
@pytest.mark.on("interrupts", options=("sectors=32768",))
def test_resize_under_load(vm):
    check_resize_under_load(vm)


# --- shared lines ------------------------------------------------------------------

@pytest.mark.on("one", nightly="transports", interrupt="line", options=("disks=5",))
def test_interrupts_not_ours(vm):
    """Five devices have four lines: an ISR is asked for another's interrupt, says so, and
    takes nothing that isn't its own."""
    rows = vm.console.command("devices").rows()
    assert len(rows) == 5 and len({row["pci"] for row in rows}) == 5
    for dev in range(5):
        vm.console.command(f"stats clear dev={dev}")
    for dev in range(5):
        before = [stats(vm, each) for each in range(5)]
        answer = vm.console.command(Workload(ops=100, sizes=(512,), seed=dev, span=1024)
                                    .command(dev))
        assert answer.num("completed") == 100
        for each in range(5):
            now = stats(vm, each)
            if each == dev:
                assert now["interrupts"] - before[each]["interrupts"] == 100
            else:
                for name in ("interrupts", "dpcs", "completed"):
                    assert now[name] == before[each][name], f"dev {each}: {name}"
    assert sum(stats(vm, dev)["interrupts_not_ours"] for dev in range(5)) >= 100
