# SPDX-License-Identifier: MIT
"""Devices that are legal and unusual, and those of other hypervisors: our own vhost-user
back end (e2e/hostile) behaves like each of them in turn, behind QEMU's own PCI device."""

import concurrent.futures

import pytest

from vq7rig.errors import CommandError, Hang, Lacking
from vq7rig.features import BLK_SIZE_MAX, VirtioView
from vq7rig.workload import Workload, expected_counts

# Data through the driver's own memory, and devices lost or reset under requests.
pytestmark = pytest.mark.watched

BACKEND = ("backend=vhost-user", "sectors=32768")
MIXED = (512, 1024, 4096, 65536)
EVERY_KIND = "read,write,flush,id"


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
@pytest.mark.on("transports", nightly="flavours", options=BACKEND)
def test_vhost_user_disk(vm):
    """The back end behaves: all that the driver does with QEMU's own device works here."""
    vm.console.command("stats clear")
    run(vm, Workload(ops=400, depth=32, sizes=MIXED, segments=3, seed=71, span=16384, flush=50))
    assert vm.console.command("blk id")["id"] == "VQ7-DISK-0"
    with pytest.raises(CommandError) as refused:
        vm.console.command(f"blk read {vm.disk.capacity} 1")
    assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    stats = vm.console.command("stats")
    assert stats.num("odd_lengths") == 0
    assert stats.num("completed") == stats.num("submitted") > 0


# What real devices were seen to say of a request that they did.
LENGTHS = {"zero": ("length", 0), "one": ("length", 1), "no-status": ("length-without-status", 0),
           "one-beyond": ("length-beyond", 1), "page-beyond": ("length-beyond", 4096),
           "max": ("length", 0xFFFFFFFF)}


@pytest.mark.needs("kernel log")
@pytest.mark.on("transports", options=BACKEND)
@pytest.mark.parametrize("kind", LENGTHS)
def test_used_length(vm, kind):
    """Whatever length is reported: the status byte decides, no request is refused, the data
    is right, and the oddity is counted, and said once."""
    name, value = LENGTHS[kind]
    vm.console.command("stats clear")
    with vm.backend.misbehaving(name, value=value, kind=EVERY_KIND) as rule:
        run(vm, Workload(ops=150, depth=16, sizes=(512, 4096, 32768), segments=2, seed=72,
                         span=8192, flush=30))
        assert vm.console.command("blk id")["id"] == "VQ7-DISK-0"
        hits = vm.backend.hits(rule)
    odd = vm.console.command("stats").num("odd_lengths")
    assert hits > 150
    # A length of 1 is right for what has no data to read.
    assert 0 < odd < hits if kind == "one" else odd == hits
    said = (vm.run / "debug.log").read_text(errors="replace").count("the status byte decides")
    assert said == 1


@pytest.mark.on("transports", options=BACKEND)
@pytest.mark.parametrize("way", ["no-status", "status"])
def test_status_byte(vm, way):
    """A status byte that the device didn't write, or that means nothing, is an error of that
    request alone."""
    for kind, command in (("read", "blk read 64 8 quiet=1"), ("flush", "blk flush"),
                          ("write", "blk write 64 8 seed=5 gen=5"), ("id", "blk id")):
        with vm.backend.misbehaving(way, kind=kind, when="on:2") as rule:
            vm.console.command(command)
            with pytest.raises(CommandError) as refused:
                vm.console.command(command)
            assert refused.value.name == "STATUS_DEVICE_PROTOCOL_ERROR", kind
            vm.console.command(command)
            assert vm.backend.hits(rule) == 1
    vm.expected.wrote(64, 8, 5, 5)
    run(vm, Workload(ops=60, depth=8, seed=73, span=4096))


@pytest.mark.on("transports", options=BACKEND)
def test_status_byte_in_mid_workload(vm):
    """One of many in flight: its own operation fails, no other is touched."""
    load = Workload(write=0, ops=60, depth=16, seed=78, span=4096)
    with vm.backend.misbehaving("no-status", when="on:20"):
        with pytest.raises(CommandError) as failed:
            vm.console.command(load.command())
    assert failed.value.name == "WORKLOAD_FAILED"
    (row,) = failed.value.answer.rows()
    assert row["name"] == "STATUS_DEVICE_PROTOCOL_ERROR"
    run(vm, load)


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
    answer = run(vm, Workload(ops=64, depth=32, sizes=(4096,), seed=75, span=16384))
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
    run(vm, Workload(ops=100, depth=8, sizes=(4096,), seed=76, span=16384))
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


@pytest.mark.on("transports", options=BACKEND)
def test_serial_numbers(vm):
    """Of no character, and of 20, which no NUL ends."""
    for serial, shown in (("", ""), ("12345678901234567890",) * 2, ("VQ7-DISK-0",) * 2):
        vm.backend.set(serial=serial)
        assert vm.console.command("blk id")["id"] == shown


# --- what is fixed when the machine starts -------------------------------------------

def with_properties(*properties):
    return BACKEND + tuple(f"backend.{each}" for each in properties)


def cut(vm, block=512):
    """Sizes and pieces that no limit divides evenly. Few: where a segment is small and alone,
    each waits for the one before."""
    large = max(16384, block)
    vm.console.command("stats clear")
    for segments, sizes in ((1, (large,)), (7, (block, 16384 // block * block or block)),
                            (61, (large,))):
        run(vm, Workload(ops=12, depth=4, sizes=sizes, segments=segments, seed=80 + segments,
                         span=16384, block=block))
    assert vm.console.command("stats").num("odd_lengths") == 0


@pytest.mark.on("one", options=with_properties("seg_max=1"))
def test_one_segment(vm):
    """What isn't in one piece goes through memory of the driver's."""
    assert vm.console.command("blk info").num("seg_max") == 1
    cut(vm)
    assert vm.backend.status()["most_segments"] == 1
    assert vm.console.command("stats").num("bounced") > 0


@pytest.mark.on("transports", options=with_properties("seg_max=1"))
def test_no_data_through_the_drivers_memory(vm):
    """A device that says OK and moves nothing: what comes back is nobody else's data."""
    vm.console.command("stats clear")
    vm.console.command("blk write 64 8 seed=6 gen=1 segments=3")
    vm.console.command("blk verify 64 8 seed=6 gen=1 segments=3")
    vm.expected.wrote(64, 8, 6, 1)
    for command in ("blk read 128 8 segments=3", "blk read 64 8 segments=3"):
        with vm.backend.misbehaving("no-data", kind="read") as rule:
            answer = vm.console.command(command)
            assert vm.backend.hits(rule) > 0
        lines = [line.split()[1] for line in answer.lines]
        assert "".join(lines) == "00" * 8 * 512, command
    assert vm.console.command("blk id")["id"] == "VQ7-DISK-0"
    with vm.backend.misbehaving("no-data", kind="id"):
        assert vm.console.command("blk id")["id"] == ""
    stats = vm.console.command("stats")
    assert stats.num("bounced") >= 4 and stats.num("odd_lengths") == 0
    vm.console.command("blk verify 64 8 seed=6 gen=1 segments=3")
    vm.expected.check()


def need_size_max(vm):
    """QEMU 11 keeps it to itself."""
    if not VirtioView(vm).host_features & BLK_SIZE_MAX:
        raise Lacking(f"{vm.host.emulator}'s front end doesn't pass on the feature SIZE_MAX")


@pytest.mark.on("one", options=with_properties("size_max=512"))
def test_segments_of_a_sector(vm):
    need_size_max(vm)
    assert vm.console.command("blk info").num("size_max") == 512
    cut(vm)


@pytest.mark.on("transports", options=with_properties("seg_max=1", "size_max=4096"))
def test_one_small_segment(vm):
    cut(vm)


@pytest.mark.nightly
@pytest.mark.on("transports", options=with_properties("seg_max=2", "size_max=1000"))
def test_segments_of_no_whole_sector(vm):
    cut(vm)


@pytest.mark.nightly
@pytest.mark.on("transports", options=with_properties("seg_max=3"), indirect=False,
                event_idx=False, queue_size=16)
def test_three_segments_in_a_small_ring(vm):
    cut(vm)


@pytest.mark.nightly
@pytest.mark.on("transports", options=with_properties("seg_max=0", "blk_size=0", "flush=0"))
def test_hardly_any_feature(vm):
    assert vm.console.command("blk info").num("flush") == 0
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk flush")
    assert refused.value.name == "STATUS_NOT_SUPPORTED"
    load = Workload(ops=100, depth=32, sizes=MIXED, segments=5, seed=84, span=16384)
    vm.console.command(load.command())
    vm.expected.ran(load)
    vm.expected.check()


@pytest.mark.nightly
@pytest.mark.on("transports", options=with_properties("blk_size=4096", "seg_max=1"))
def test_one_segment_of_large_blocks(vm):
    cut(vm, 4096)


@pytest.mark.nightly
@pytest.mark.on("transports", options=with_properties("blk_size=65536", "size_max=4096"))
def test_large_blocks_of_small_segments(vm):
    cut(vm, 65536)


@pytest.mark.needs("kernel log")
@pytest.mark.on("one", options=with_properties("size_max=1"))
def test_limits_that_leave_no_room(vm):
    """126 segments of a byte hold no sector: the device isn't started, and the log says why."""
    need_size_max(vm)
    assert vm.console.command("devices")["devices"] == "0"
    assert "size_max 1 and seg_max 126 leave no room" in (vm.run / "debug.log").read_text()


@pytest.mark.on("one", options=with_properties("capacity=0"))
def test_no_capacity(vm):
    """A disk of nothing, as a drive without a medium is one, until it gets some."""
    assert vm.console.command("blk info").num("capacity") == 0
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk read 0 1")
    assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    vm.backend.set(capacity=vm.disk.capacity)
    vm.console.command("blk write 0 8 seed=1 gen=1")
    vm.expected.wrote(0, 8, 1, 1)
    run(vm, Workload(ops=60, depth=8, seed=85, start=8, span=4096))


@pytest.mark.nightly
@pytest.mark.on("transports", options=("backend=vhost-user", "sectors=8203"))
def test_odd_capacity(vm):
    assert vm.console.command("blk info").num("capacity") == 8203
    run(vm, Workload(ops=200, depth=8, sizes=(512, 4096, 5120), seed=86))
    vm.console.command("blk read 8202 1 quiet=1")


@pytest.mark.nightly
@pytest.mark.on("transports", options=BACKEND, read_only=True)
def test_read_only_device(blank, pool):
    blank.expected.host_writes(0, 64, seed=4, generation=2)
    vm = pool.boot_of(blank)
    assert vm.console.command("blk info").num("read_only") == 1
    with pytest.raises(CommandError) as refused:
        vm.console.command("blk write 0 1 seed=1 gen=1")
    assert refused.value.name == "STATUS_MEDIA_WRITE_PROTECTED"
    vm.console.command("blk verify 0 64 seed=4 gen=2")
    vm.expected.check()


@pytest.mark.nightly
@pytest.mark.on("transports", options=BACKEND + ("cpus=2",))
def test_more_queues_than_are_used(vm):
    run(vm, Workload(ops=200, depth=32, sizes=MIXED, seed=87, span=16384))
