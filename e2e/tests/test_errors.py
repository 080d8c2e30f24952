# SPDX-License-Identifier: MIT
"""Errors in some part of a request that is sent in several, and lengths at the limits.

A transfer is cut so that each sector is a segment, hence each part as many sectors as
the driver puts segments into one virtio request.
"""

import pytest

from vq7rig import ioctl
from vq7rig.blkdebug import bad_sectors
from vq7rig.errors import CommandError
from vq7rig.ioctl import BLK_READ, BLK_WRITE, transfer
from vq7rig.workload import Workload, operations

from test_workloads import run

# Parts of a request: MDLs, and the driver's own memory in their place.
pytestmark = pytest.mark.watched

PARTS = 5
AT = 1024               # first sector of the transfers
UNMERGED = ("request-merging=off",)
# A part fills the whole ring of 16 descriptors: header, 14 segments, status.
ONE_PART_RING = {"queue_size": 16, "indirect": False, "options": UNMERGED}
COUNTED = ("submitted", "completed", "errors")


class Cut:
    """Transfers of PARTS parts on a machine, and what the driver counts."""

    def __init__(self, vm, config):
        self.vm = vm
        self.part = vm.console.command("blk info").num("max_segments")      # sectors
        self.count = self.part * PARTS
        self.one_at_a_time = config.queue_size == 16
        if self.one_at_a_time:
            assert self.part == 14

    def write(self, at, generation):
        self.vm.console.command(f"blk write {at} {self.count} seed=6 gen={generation} "
                                f"segments={self.count}")

    def fails(self, command):
        """The transfer fails as the device says; returns the change of COUNTED."""
        stats = self.vm.console.command("stats")
        before = [stats.num(name) for name in COUNTED]
        with pytest.raises(CommandError) as failed:
            self.vm.console.command(f"blk {command} segments={self.count}")
        assert failed.value.name == "STATUS_IO_DEVICE_ERROR"
        stats = self.vm.console.command("stats")
        assert stats.num("in_flight") == 0
        return [stats.num(name) - old for name, old in zip(COUNTED, before)]

    def wrote(self, at, part, generation):
        self.vm.expected.wrote(at + part * self.part, self.part, 6, generation)

    def serves(self, at):
        """The device goes on as if nothing had been."""
        self.write(at, 9)
        self.vm.expected.wrote(at, self.count, 6, 9)
        self.vm.console.command(f"blk verify {at} {self.count} seed=6 gen=9 segments={self.count}")
        self.vm.expected.check()


@pytest.fixture
def cut(vm, config):
    return Cut(vm, config)


def check_error_in_a_part(cut, part):
    """The part that fails is not on the disk. Those before it are, and those behind it if
    they were sent before its error came back."""
    vm = cut.vm
    cut.write(AT, 1)
    vm.expected.wrote(AT, cut.count, 6, 1)
    bad = AT + part * cut.part + cut.part // 2
    with bad_sectors(vm, (bad, "write"), (bad, "read")):
        sent = part + 1 if cut.one_at_a_time else PARTS
        assert cut.fails(f"write {AT} {cut.count} seed=6 gen=2") == [sent, sent, 1]
        for other in range(sent):
            if other != part:
                cut.wrote(AT, other, 2)
        vm.expected.check()
        assert cut.fails(f"read {AT} {cut.count} quiet=1") == [sent, sent, 1]
        got = ioctl.send(vm, BLK_READ, transfer(AT, cut.count), out=cut.count * 512, quiet=1)
        assert (got.name, got.information) == ("STATUS_IO_DEVICE_ERROR", 0)
    cut.serves(AT)


@pytest.mark.on("one", nightly="transports", options=UNMERGED)
@pytest.mark.parametrize("part", [0, PARTS // 2, PARTS - 1])
def test_error_in_a_part(cut, part):
    """All parts are at the device at once."""
    check_error_in_a_part(cut, part)


@pytest.mark.on("one", nightly="transports", **ONE_PART_RING)
@pytest.mark.parametrize("part", [0, PARTS // 2, PARTS - 1])
def test_error_in_a_part_with_the_ring_full(cut, part):
    """The ring holds one part: what comes behind an error is not sent."""
    check_error_in_a_part(cut, part)


def check_end_of_disk(cut, good):
    vm = cut.vm
    at = vm.disk.capacity - good * cut.part - 5
    failing = 1 if cut.one_at_a_time else PARTS - good
    counted = cut.fails(f"write {at} {cut.count} seed=6 gen={good + 3}")
    assert counted == [good + failing, good + failing, failing]
    for part in range(good):
        cut.wrote(at, part, good + 3)
    vm.expected.check()
    counted = cut.fails(f"read {at} {cut.count} quiet=1")
    assert counted == [good + failing, good + failing, failing]
    cut.serves(vm.disk.capacity - cut.count)


@pytest.mark.on("one", nightly="transports", options=UNMERGED)
@pytest.mark.parametrize("good", [0, 2, 4])
def test_end_of_disk_in_a_part(cut, good):
    """So many parts lie before the end, the next one crosses it: it is not torn."""
    check_end_of_disk(cut, good)


@pytest.mark.on("one", nightly="transports", **ONE_PART_RING)
@pytest.mark.parametrize("good", [0, 2, 4])
def test_end_of_disk_in_a_part_with_the_ring_full(cut, good):
    check_end_of_disk(cut, good)


BUSY = {"many": Workload(ops=500, depth=64, sizes=(2048, 8192), segments=4, seed=91, span=512),
        "split": Workload(ops=200, depth=16, sizes=(65536,), segments=128, seed=92, span=4096)}


def check_busy(vm, load):
    """Those reads fail that touch a bad sector, no other, and each once."""
    bad = load.span // 2
    done = operations(load, vm.disk.capacity)
    covers = (done.place <= bad) & (bad < done.place + done.count)
    failing = int((covers & ~done.is_write).sum())
    assert 0 < failing < 16, "the load must show something and run to its end"
    with bad_sectors(vm, (bad, "read")):
        with pytest.raises(CommandError) as failed:
            vm.console.command(load.command(), timeout=60)
    answer = failed.value.answer
    assert failed.value.name == "WORKLOAD_FAILED"
    assert (answer.num("errors"), answer.num("miscompares")) == (failing, 0)
    assert answer.num("ops") == load.ops
    assert answer.num("submitted") == answer.num("completed")
    places = {(int(row["sector"]), int(row["count"])) for row in answer.rows()}
    assert all(row["name"] == "STATUS_IO_DEVICE_ERROR" for row in answer.rows())
    assert places == set(zip(done.place[covers & ~done.is_write].tolist(),
                             done.count[covers & ~done.is_write].tolist()))
    vm.expected.ran(load)
    vm.expected.check()
    run(vm, Workload(ops=100, depth=16, seed=93, span=4096))


@pytest.mark.on("one", nightly="transports", **ONE_PART_RING)
@pytest.mark.parametrize("load", list(BUSY))
def test_errors_among_many(vm, load):
    check_busy(vm, BUSY[load])


def check_limits(vm, ops):
    """One sector and one segment below, at, and above what one virtio request takes."""
    info = vm.console.command("blk info")
    segments, transfer_bytes = info.num("max_segments"), info.num("max_transfer")
    sizes = tuple(n * transfer_bytes + d for n in (1, 2) for d in (-512, 0, 512))
    for pieces in (0, 1, 2, 3, segments - 1, segments, segments + 1, 2 * segments + 1, 4095, 4096):
        load = Workload(ops=ops, depth=2, sizes=sizes, segments=pieces, seed=pieces + 100,
                        span=16384)
        vm.console.command(load.command())
        vm.expected.ran(load)
    vm.expected.check()


@pytest.mark.on("one", nightly="transports")
def test_lengths_at_the_limits(vm):
    check_limits(vm, ops=3)


@pytest.mark.nightly
@pytest.mark.on("queue_sizes", indirect=False)
def test_lengths_at_the_limits_of_rings(vm):
    check_limits(vm, ops=12)


@pytest.mark.on("one", nightly="transports")
def test_odd_pieces(vm):
    """Pieces that are no multiple of anything: segments end within sectors and words."""
    for size, pieces in ((512, 3), (512, 5), (512, 7), (512, 100), (512, 127), (512, 128),
                         (1024, 129), (1536, 255), (4096, 129), (4096, 1000), (16384, 4093),
                         (16896, 4096)):
        load = Workload(ops=16, depth=4, sizes=(size,), segments=pieces, seed=size + pieces,
                        span=2048)
        vm.console.command(load.command())
        vm.expected.ran(load)
    vm.expected.check()


@pytest.mark.on("one")
def test_odd_addresses_and_pieces(vm):
    """A buffer at any address, cut into any pieces, both ways."""
    want = vm.console.command("blk write 300 33 seed=8 gen=4")
    vm.expected.wrote(300, 33, 8, 4)
    for offset, pieces in ((1, 0), (3, 7), (511, 33), (513, 34), (4095, 1), (4093, 1001)):
        got = ioctl.send(vm, BLK_READ, transfer(300, pieces), out=33 * 512, offset=offset, quiet=1)
        assert got.crc == want.num("crc"), (offset, pieces)
        ioctl.send(vm, BLK_WRITE, transfer(400, pieces), out=33 * 512, offset=offset,
                   fill=offset % 256, quiet=1)
        assert vm.disk.read(400, 33) == bytes([offset % 256]) * 33 * 512
    vm.console.command("blk write 400 33 seed=8 gen=5")
    vm.expected.wrote(400, 33, 8, 5)
    vm.expected.check()
