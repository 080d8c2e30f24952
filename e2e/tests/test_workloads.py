# SPDX-License-Identifier: MIT
"""`blk run`: sequences of operations that the host computes too."""

import dataclasses

import pytest

from vq7rig.workload import Workload, expected_counts

MIB = 1 << 20
MIXED = (512, 1024, 4096, 65536)
# Depths up to the full ring of 256 descriptors and beyond it.
DEPTHS = (1, 2, 8, 32, 85, 256, 400)


def run(vm, load, timeout=30, bare=False):
    """Run it; check the answer and then the whole disk image. Returns the answer.

    `bare`: names no sizes, so those of the load must be what the agent chooses.
    """
    command = load.command()
    if bare:
        command = " ".join(word for word in command.split() if not word.startswith("sizes="))
    answer = vm.console.command(command, timeout=timeout)
    vm.console.command("blk flush")
    want = expected_counts(load, vm.disk.capacity)
    assert {name: answer.num(name) for name in want} == want
    assert 1 <= answer.num("max_in_flight") <= load.depth
    assert answer.num("submitted") == answer.num("completed")
    vm.expected.ran(load)
    vm.expected.check()
    return answer


@pytest.mark.smoke
@pytest.mark.watched
@pytest.mark.on("machines")
def test_random(vm, note):
    answer = run(vm, Workload(ops=1000, depth=32, sizes=MIXED, seed=11, span=32768))
    note("time_us", answer.num("time_us"))


@pytest.mark.on("one", nightly="transports")
@pytest.mark.parametrize("depth", DEPTHS)
def test_depth(vm, depth):
    load = Workload(ops=400 + 2 * depth, depth=depth, sizes=(4096,), seed=depth, span=65536)
    answer = run(vm, load)
    if depth <= 85:             # three descriptors a request fit even without indirect ones
        assert answer.num("max_in_flight") == depth


@pytest.mark.on("one", nightly="transports")
@pytest.mark.parametrize("size", [512, 4096, 65536, MIB])
@pytest.mark.parametrize("segments", [1, 7, 64])
def test_size_and_segments(vm, size, segments):
    if segments * 512 > size:
        segments = 1            # a segment holds a sector at least
    ops = 40 if size == MIB else 150
    run(vm, Workload(ops=ops, depth=4, sizes=(size,), segments=segments, seed=size + segments))


@pytest.mark.on("transports")
def test_sequential(vm):
    """The written data is read back in the same order and compared with generation 0."""
    run(vm, Workload(pattern="sequential", write=100, ops=600, depth=16, sizes=(4096, 512),
                     seed=21, start=512, span=3000))


@pytest.mark.on("one", nightly="transports")
def test_reads_compare_with_what_the_host_wrote(blank, pool):
    """base=1: every read of a sector not yet written must find the host's data."""
    blank.expected.host_writes(1024, 8192, seed=31, generation=0)
    vm = pool.boot_of(blank)
    run(vm, Workload(ops=500, depth=16, sizes=MIXED, seed=31, start=1024, span=8192, base=1,
                     flush=50))


@pytest.mark.on("queue_sizes")
def test_small_and_large_rings(vm, config):
    load = Workload(ops=2000, depth=4 * min(config.queue_size, 128), sizes=(512, 2048),
                    segments=2, seed=41, span=16384)
    run(vm, load)
    (queue,) = [q for q in vm.console.command("queues").rows() if q["queue"] == "0"]
    if int(queue["size"]) == 16:
        # A disk as fast as the guest empties the ring before it is full.
        with vm.slow_disk(1000):
            answer = run(vm, dataclasses.replace(load, ops=400, seed=42))
        assert answer.num("ring_full") > 0


@pytest.mark.on("ring_features_of_modern", nightly="ring_features")
def test_ring_features(vm, config):
    answer = run(vm, Workload(ops=1000, depth=48, sizes=MIXED, segments=3, seed=51, span=32768))
    assert (answer.num("indirect") > 0) == config.indirect


@pytest.mark.on("one")
def test_many_seeds(vm):
    for seed in (0, 1, 2**63, 2**64 - 1):
        run(vm, Workload(ops=100, depth=8, sizes=MIXED, seed=seed, span=4096))


@pytest.mark.nightly
@pytest.mark.on("transports")
def test_ring_wrap(vm, note):
    """More than 65,536 requests: the 16-bit ring indices wrap."""
    load = Workload(ops=66500, depth=200, sizes=(512,), seed=61, span=8192)
    answer = run(vm, load, timeout=120)
    assert answer.num("submitted") > 65536
    note("time_us", answer.num("time_us"))


@pytest.mark.nightly
@pytest.mark.on("nightly")
def test_everything(vm):
    """Each configuration of the full matrix."""
    for depth, segments in ((1, 1), (16, 5), (300, 64)):
        run(vm, Workload(ops=1500, depth=depth, sizes=(32768,), segments=segments, seed=depth,
                         flush=100))
