# SPDX-License-Identifier: MIT
"""Reads and writes, judged by the host from the disk image."""

import zlib

import pytest

from vq7rig import pattern
from vq7rig.errors import CommandError


@pytest.mark.smoke
@pytest.mark.on("flavours")
def test_guest_reads_what_the_host_wrote(blank, pool):
    """The image is written before the machine exists, so no cache can help."""
    blank.expected.host_writes(0, 256, seed=7, generation=3)
    blank.expected.host_writes(blank.disk.capacity - 64, 64, seed=8, generation=1)
    console = pool.boot_of(blank).console
    console.command("blk verify 0 256 seed=7 gen=3")
    console.command(f"blk verify {blank.disk.capacity - 64} 64 seed=8 gen=1")
    answer = console.command("blk read 5 2")
    want = pattern.content(7, 5, 2, 3)
    assert "".join(line.split()[1] for line in answer.lines) == want.hex()
    assert answer.num("crc") == zlib.crc32(want)
    assert answer.num("bytes") == len(want)
    blank.expected.check()


@pytest.mark.smoke
@pytest.mark.on("machines")
def test_host_reads_what_the_guest_wrote(vm):
    """Write, flush; then the whole image, not only what was written, is compared."""
    last = vm.disk.capacity - 8
    for sector, count, generation in ((0, 1, 1), (1000, 2048, 2), (1500, 16, 3), (last, 8, 4)):
        answer = vm.console.command(f"blk write {sector} {count} seed=99 gen={generation}")
        assert answer.num("crc") == zlib.crc32(pattern.content(99, sector, count, generation))
        vm.expected.wrote(sector, count, 99, generation)
    vm.console.command("blk flush")
    vm.expected.check()


@pytest.mark.on("flavours")
@pytest.mark.parametrize("segments", [1, 2, 3, 17, 64, 128])
def test_segments(vm, segments):
    """One request cut into many pieces arrives whole, both ways."""
    count = max(64, segments)
    vm.console.command(f"blk write 4096 {count} seed={segments} gen=5 segments={segments}")
    vm.expected.wrote(4096, count, segments, 5)
    vm.console.command(f"blk verify 4096 {count} seed={segments} gen=5 segments={segments}")
    vm.expected.check()


@pytest.mark.on("flavours")
def test_verify_reports_a_miscompare(vm):
    """The guest's comparison isn't blind: a byte changed by the host is found."""
    vm.console.command("blk write 2048 8 seed=1 gen=1")
    vm.expected.wrote(2048, 8, 1, 1)
    vm.expected.check()
    damaged = bytearray(vm.disk.read(2050, 1))
    damaged[100] ^= 0x80
    vm.disk.write(2050, bytes(damaged))
    with pytest.raises(CommandError) as found:
        vm.console.command("blk verify 2048 8 seed=1 gen=1")
    assert found.value.name == "MISCOMPARE"
    (row,) = [line for line in found.value.answer.lines if line.startswith("sector=")]
    assert row.startswith("sector=2050 offset=96 ") or row.startswith("sector=2050 offset=100 ")
    vm.console.command("blk write 2050 1 seed=1 gen=1")
    vm.expected.check()


@pytest.mark.smoke
@pytest.mark.on("flavours")
def test_past_the_end(vm):
    """The device's error comes back as a status; then service is normal."""
    capacity = vm.disk.capacity
    for command in (f"blk read {capacity} 1", f"blk read {capacity - 1} 2",
                    f"blk write {capacity} 1 seed=1 gen=1",
                    f"blk write {capacity - 4} 8 seed=1 gen=1",
                    "blk read 0x7fffffffffff 8"):
        with pytest.raises(CommandError) as refused:
            vm.console.command(command)
        assert refused.value.status == 0xC0000185, command
        assert refused.value.name == "STATUS_IO_DEVICE_ERROR"
    vm.console.command("blk write 100 8 seed=2 gen=9")
    vm.expected.wrote(100, 8, 2, 9)
    vm.console.command("blk verify 100 8 seed=2 gen=9")
    vm.expected.check()


@pytest.mark.on("read_only")
def test_read_only_disk(blank, pool):
    blank.expected.host_writes(0, 64, seed=4, generation=2)
    console = pool.boot_of(blank).console
    assert console.command("blk info").num("read_only") == 1
    with pytest.raises(CommandError) as refused:
        console.command("blk write 0 1 seed=1 gen=1")
    assert refused.value.name == "STATUS_MEDIA_WRITE_PROTECTED"
    console.command("blk verify 0 64 seed=4 gen=2")
    blank.expected.check()
