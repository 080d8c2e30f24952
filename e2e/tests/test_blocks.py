# SPDX-License-Identifier: MIT
"""Logical blocks of more than a sector: workloads fit them, and nothing is ever torn.

QEMU refuses what is no multiple of the logical block, so here a wrong size or place
shows at once.
"""

import struct

import pytest

from vq7rig.errors import CommandError
from vq7rig.workload import Workload

from test_workloads import run

READ, WRITE = 0x80076046, 0x8007A049
INVALID_PARAMETER = "STATUS_INVALID_PARAMETER"


def load_of(block, **more):
    return Workload(block=block, sizes=(block, 3 * block), depth=16, seed=block + 1, **more)


def refused(vm, command):
    with pytest.raises(CommandError) as bad:
        vm.console.command(command)
    return bad.value


def works(vm, block):
    """Workloads of every kind, and the sizes that the agent itself chooses."""
    unit = block // 512
    assert vm.console.command("blk info").num("block_size") == block
    run(vm, load_of(block, ops=150))
    run(vm, load_of(block, ops=60, pattern="sequential", write=80, start=3 * unit, span=40 * unit))
    run(vm, Workload(block=block, sizes=(max(block, 4096),), ops=30, seed=9), bare=True)
    vm.console.command(f"blk write {unit} {2 * unit} seed=5 gen=3 segments=3")
    vm.expected.wrote(unit, 2 * unit, 5, 3)
    vm.console.command(f"blk verify {unit} {2 * unit} seed=5 gen=3")
    vm.expected.check()


def refuses(vm, block):
    """The agent says why; the driver, asked by a raw request, refuses it as documented."""
    unit = block // 512
    half = unit // 2
    for command, value in ((f"blk read {half} {unit}", f"sector: {half} sectors"),
                           (f"blk read 0 {half}", f"count: {half} sectors"),
                           (f"blk write {unit + 1} {unit} seed=1 gen=1",
                            f"sector: {unit + 1} sectors"),
                           (f"blk verify 0 {unit + half} seed=1 gen=1",
                            f"count: {unit + half} sectors"),
                           (f"blk run sizes={block},{block // 2}", f"sizes: {block // 2} bytes"),
                           (f"blk run start={half} sizes={block}", f"start: {half} sectors"),
                           (f"blk run span={unit + half} sizes={block}",
                            f"span: {unit + half} sectors")):
        error = refused(vm, command)
        assert error.name == "BAD_ARGUMENT", command
        assert error.answer.msg == f"{value} are no multiple of the disk's block size of " \
            f"{block} bytes"
    before = vm.console.command("stats").num("submitted")
    for sector, size in ((half, block), (0, block // 2), (0, block + 512), (unit - 1, 512)):
        transfer = struct.pack("<QII", sector, 0, 0).hex()
        for code in (READ, WRITE):
            answer = vm.console.command(f"ioctl {code:#x} in={transfer} out={size} quiet=1")
            assert (answer["name"], answer.num("information")) == (INVALID_PARAMETER, 0)
    assert vm.console.command("stats").num("submitted") == before, "it went to the device"
    vm.expected.check()


@pytest.mark.on("one", nightly="transports", options=("block=4096", "sectors=32768"))
def test_blocks_of_4096(vm):
    works(vm, 4096)
    refuses(vm, 4096)


@pytest.mark.on("one", nightly="transports", options=("block=65536", "sectors=32768"))
def test_blocks_of_65536(vm):
    works(vm, 65536)
    refuses(vm, 65536)


@pytest.mark.on("one")
def test_blocks_of_512(vm):
    """An unnamed size is 4096 bytes there."""
    works(vm, 512)
    error = refused(vm, "blk run sizes=513")
    assert error.name == "BAD_ARGUMENT"
    transfer = bytes(16).hex()
    for code in (READ, WRITE):
        for size in (1, 511, 513):
            answer = vm.console.command(f"ioctl {code:#x} in={transfer} out={size} quiet=1")
            assert answer["name"] == INVALID_PARAMETER
    vm.expected.check()


@pytest.mark.nightly
@pytest.mark.on("one", options=("block=4096", "sectors=8203"))
def test_disk_that_ends_within_a_block(vm):
    """8203 sectors are 1025 blocks and three sectors more."""
    capacity = vm.console.command("blk info").num("capacity")
    assert capacity in (8200, 8203)         # QEMU may leave the rest out itself
    run(vm, Workload(block=4096, sizes=(4096,), ops=300, seed=3, depth=8))
