# SPDX-License-Identifier: MIT
"""What a disk may hold after a run of which some operations failed; QEMU's record."""

import types

import pytest

from vq7rig import inflight
from vq7rig.disk import Disk, Expected
from vq7rig.frames import Answer
from vq7rig.pattern import content
from vq7rig.workload import Workload, operations

LOAD = Workload(pattern="sequential", write=100, ops=6, depth=4, sizes=(1024,), seed=5, span=64)


@pytest.fixture
def vm(tmp_path):
    disk = Disk(tmp_path / "disk.img", 64)
    disk.create()
    return types.SimpleNamespace(expected=Expected(disk), disk=disk)


def answer(ops, failed, name="STATUS_CANCELLED"):
    lines = [f"op={k} kind=write sector=0 count=2 status=0x00000000 name={name}" for k in failed]
    errors = 0 if name == "STATUS_PENDING" else len(failed)
    return Answer(True, {"ops": str(ops), "errors": str(errors)}, lines)


def write(vm, k):
    done = operations(LOAD, vm.disk.capacity)
    place, count = int(done.place[k]), int(done.count[k])
    vm.disk.write(place, content(LOAD.seed, place, count, k + 1))


def test_a_failed_write_is_there_or_not(vm):
    for k in (0, 2):
        write(vm, k)
    assert inflight.settle(vm, LOAD, answer(4, [1, 2, 3])) == dict.fromkeys(
        [1, 2, 3], "STATUS_CANCELLED")
    vm.expected.check()


def test_a_successful_write_is_there(vm):
    write(vm, 0)
    with pytest.raises(AssertionError, match="2 sectors"):
        inflight.settle(vm, LOAD, answer(3, [1]))


def test_what_was_not_issued_is_not_there(vm):
    for k in range(4):
        write(vm, k)
    with pytest.raises(AssertionError, match="2 sectors"):
        inflight.settle(vm, LOAD, answer(3, [1]))


def test_what_was_cut_off_counts_as_issued(vm):
    for k in (0, 1, 3):
        write(vm, k)
    assert set(inflight.settle(vm, LOAD, answer(2, [2, 3], "STATUS_PENDING"))) == {2, 3}


def test_an_older_failed_write_does_not_excuse_a_missing_one(vm):
    """The same place written twice: the second went well, so the first can't be there."""
    load = Workload(pattern="sequential", write=100, ops=2, sizes=(1024,), seed=5, span=2)
    vm.disk.write(0, content(5, 0, 2, 1))
    with pytest.raises(AssertionError, match="2 sectors"):
        inflight.settle(vm, load, answer(2, [0]))


def test_an_operation_fails_once():
    with pytest.raises(AssertionError, match="twice"):
        inflight.failures(answer(3, [1, 1]))


def test_taken(tmp_path):
    """Only what comes after the start, in order."""
    log = tmp_path / "qemu.log"
    line = "virtio_blk_handle_{} vdev 0x55 req 0x66 sector {} nsectors {}\n"
    log.write_text(line.format("read", 1, 8))
    vm = types.SimpleNamespace(name="x", host=types.SimpleNamespace(log_of=lambda _: log))
    seen = inflight.Taken(vm)
    with open(log, "a") as more:
        more.write("something else\n" + line.format("write", 40, 2) + line.format("read", 8, 1))
    assert seen.list() == [("write", 40, 2), ("read", 8, 1)]
