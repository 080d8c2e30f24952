# SPDX-License-Identifier: MIT
"""What a disk may hold after a power cut: flushed or newer, each sector as a whole."""

import pytest

from vq7rig import pattern
from vq7rig.disk import Disk, Expected
from vq7rig.journal import Journal
from vq7rig.workload import Workload, operations

SECTORS = 256
FIRST = Workload(ops=40, write=100, sizes=(1024,), seed=3)
SECOND = Workload(ops=40, write=100, sizes=(1024,), seed=4)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk.img", SECTORS)
    disk.create()
    return disk


@pytest.fixture
def journal(disk):
    """FIRST is on the disk and flushed, SECOND was cut off."""
    expected = Expected(disk)
    journal = Journal(expected)
    journal.ran(FIRST)
    expected.ran(FIRST)
    image = expected._content(0, SECTORS)
    disk.write(0, image.tobytes())
    journal.flushed(expected)
    journal.ran(SECOND)
    return journal


def put(disk, k, generation=None):
    """The first sector of a write of SECOND."""
    place = int(operations(SECOND, SECTORS).place[k])
    generation = k + 1 if generation is None else generation
    disk.write(place, pattern.content(SECOND.seed, place, 1, generation))
    return place


def test_any_of_what_came_later(disk, journal):
    assert journal.check() == 0
    places = {put(disk, k) for k in (3, 17, 39)}
    assert journal.check() == len(places)


def test_what_was_flushed_is_missing(disk, journal):
    lost = int(operations(FIRST, SECTORS).place[5])
    disk.write(lost, bytes(512))
    with pytest.raises(AssertionError, match=f"sector {lost}: flushed was generation"):
        journal.check()


def test_a_write_that_nobody_made(disk, journal):
    place = put(disk, 7, generation=41)
    with pytest.raises(AssertionError, match=f"sector {place}:"):
        journal.check()


def test_half_a_sector(disk, journal):
    place = put(disk, 8)
    disk.write(place, disk.read(place, 1)[:256] + bytes(256))
    with pytest.raises(AssertionError, match="no whole pattern"):
        journal.check()
