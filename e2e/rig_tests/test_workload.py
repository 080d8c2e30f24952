# SPDX-License-Identifier: MIT
"""The operations of `blk run`, against a plain reading of the protocol document."""

import pytest

from vq7rig.disk import Disk, Expected
from vq7rig.pattern import GOLDEN, MASK, mix
from vq7rig.workload import Workload, expected_counts, final_generations, operations

CAPACITY = 4096


def plain(load):
    """(is write, first sector, sectors) of each operation, one after the other."""
    def draw(k, j):
        return mix(load.seed + (4 * k + j + 1) * GOLDEN & MASK)

    unit = load.block // 512
    span, cursor = load.span or (CAPACITY - load.start) // unit * unit, load.start
    for k in range(load.ops):
        count = load.sizes[draw(k, 1) % len(load.sizes)] // 512
        if load.pattern == "random":
            place = load.start + draw(k, 2) % ((span - count) // unit + 1) * unit
        else:
            if cursor + count > load.start + span:
                cursor = load.start
            place, cursor = cursor, cursor + count
        yield draw(k, 0) % 100 < load.write, place, count


LOADS = [
    Workload(ops=500, sizes=(512, 4096, 65536), seed=3),
    Workload(ops=500, sizes=(4096,), seed=2**64 - 1, start=100, span=9),
    Workload(ops=500, sizes=(512, 1536), pattern="sequential", seed=4, start=7, span=100),
    Workload(ops=50, sizes=(4096,), pattern="sequential", span=8),
    Workload(ops=300, sizes=(4096, 8192), seed=5, start=8, block=4096),
    Workload(ops=300, sizes=(65536,), seed=6, start=128, span=384, block=65536),
    Workload(ops=300, write=0), Workload(ops=300, write=100, flush=7),
]


@pytest.mark.parametrize("load", LOADS)
def test_operations(load):
    done = operations(load, CAPACITY)
    got = list(zip(done.is_write.tolist(), done.place.tolist(), done.count.tolist()))
    assert got == list(plain(load))


@pytest.mark.parametrize("load", LOADS)
def test_counts(load):
    ops, counts = list(plain(load)), expected_counts(load, CAPACITY)
    assert counts["writes"] == sum(w for w, _, _ in ops)
    assert counts["reads"] + counts["writes"] == counts["ops"] == load.ops
    assert counts["bytes"] == sum(n for _, _, n in ops) * 512
    assert counts["flushes"] == (load.ops // load.flush if load.flush else 0)


@pytest.mark.parametrize("load", LOADS)
def test_final_generations(load):
    want = [0] * load.sectors(CAPACITY)
    for k, (write, place, count) in enumerate(plain(load)):
        for sector in range(place, place + count) if write else ():
            want[sector - load.start] = k + 1
    assert final_generations(load, CAPACITY).tolist() == want


def test_places_are_whole_blocks():
    """A disk that ends within a block: the part isn't used."""
    load = Workload(ops=500, sizes=(65536,), seed=7, block=65536)
    done = operations(load, CAPACITY + 127)
    assert not (done.place % 128).any()
    assert done.place.max() == CAPACITY - 128
    assert load.sectors(CAPACITY + 127) == CAPACITY


def test_command_names_every_parameter():
    command = Workload(sizes=(512, 4096), depth=7, base=1, flush=3).command()
    assert command == ("blk run pattern=random write=50 sizes=512,4096 depth=7 segments=0 "
                       "ops=1000 seed=1 start=0 span=0 base=1 flush=3")


@pytest.fixture
def expected(tmp_path):
    disk = Disk(tmp_path / "disk.img", CAPACITY)
    disk.create()
    return Expected(disk)


def test_image_is_compared_whole(expected):
    expected.check()
    expected.host_writes(10, 5, seed=1, generation=2)
    expected.check()
    expected.disk.write(CAPACITY - 1, b"\1")
    with pytest.raises(AssertionError, match=f"1 sectors .*\nsector {CAPACITY - 1}: want zeros"):
        expected.check()


def test_one_wrong_bit_is_named(expected):
    expected.host_writes(10, 5, seed=1, generation=2)
    sector = bytearray(expected.disk.read(12, 1))
    sector[511] ^= 1
    expected.disk.write(12, bytes(sector))
    with pytest.raises(AssertionError, match="sector 12: want generation 2, seed 1"):
        expected.check()


def test_old_data_is_named(expected):
    expected.host_writes(3, 1, seed=1, generation=2)
    expected.wrote(3, 1, 1, 3)
    with pytest.raises(AssertionError, match="sector 3: want generation 3, seed 1, "
                                             "holds sector 3, generation 2, seed 1"):
        expected.check()
