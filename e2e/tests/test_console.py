# SPDX-License-Identifier: MIT
"""A damaged console line is asked for again, and a command is executed once."""

import zlib

import pytest

from vq7rig import pattern
from vq7rig.channel import drop, flip, interleave, no_end
from vq7rig.frames import seal

FAULTS = {"flip": flip, "drop": drop, "no_end": no_end, "interleave": interleave}


@pytest.fixture
def submitted(vm):
    """How many requests the driver has sent to the device; says if a command ran twice."""
    return lambda: vm.console.command("stats").num("submitted")


@pytest.mark.on("one")
@pytest.mark.parametrize("fault", list(FAULTS))
@pytest.mark.parametrize("line", [pytest.param(1, marks=pytest.mark.nightly), 3,
                                  pytest.param(5, marks=pytest.mark.nightly)])
def test_damaged_answer(vm, submitted, fault, line):
    """Data lines 1 and 3, and the last line, of an answer of five lines."""
    vm.console.command("blk write 64 1 seed=1 gen=1")
    vm.expected.wrote(64, 1, 1, 1)
    before, resends = submitted(), vm.console.resends
    vm.faults.arm(to_host={line * 3 + 2 if line < 5 else 17: FAULTS[fault]})
    answer = vm.console.command("blk read 64 1")
    assert vm.faults.done == 1
    assert vm.console.resends > resends
    assert "".join(each.split()[1] for each in answer.lines) == pattern.content(1, 64, 1, 1).hex()
    assert answer.num("crc") == zlib.crc32(pattern.content(1, 64, 1, 1))
    assert submitted() == before + 1, "the read was executed more than once"


@pytest.mark.smoke
@pytest.mark.on("one")
@pytest.mark.parametrize("fault", ["flip", *(
    pytest.param(each, marks=pytest.mark.nightly) for each in ("drop", "no_end"))])
def test_damaged_request(vm, submitted, fault):
    before, resends = submitted(), vm.console.resends
    vm.faults.arm(to_guest={1: FAULTS[fault]})
    vm.console.command("blk write 128 4 seed=3 gen=2")
    vm.expected.wrote(128, 4, 3, 2)
    assert vm.faults.done == 1
    assert vm.console.resends > resends
    assert submitted() == before + 1, "the write was executed more than once"
    vm.expected.check()


@pytest.mark.needs("kernel log")
@pytest.mark.on("one")
def test_interrupts_of_the_port_are_claimed(vm):
    """Long lines both ways at once: none of the port's interrupts is left to nobody."""
    for length in (1, 9, 40, 300):
        vm.console.channel.send(b"@" + b"A" * length + b"\r\n")
        vm.console.command("blk read 0 16")
    assert "no routine claims" not in (vm.run / "debug.log").read_text(errors="replace")


@pytest.mark.on("one")
def test_repeat_is_answered_but_not_executed(vm, submitted):
    first = vm.console.command("blk read 0 4")
    again = vm.console.send_again("blk read 0 4")
    assert again == first
    other = vm.console.send_again("blk read 0 5")
    assert other.name == "SEQUENCE_REUSED"
    before = submitted()
    vm.console.command("blk write 256 1 seed=1 gen=7")
    vm.expected.wrote(256, 1, 1, 7)
    for _ in range(3):
        vm.console.send_again("blk write 256 1 seed=1 gen=7")
    assert submitted() == before + 1


@pytest.mark.on("one")
@pytest.mark.parametrize("noise", [
    b"@", b"@ *", b"@1 blk read 0 1", b"@1 info *00000000", b"@" + b"A" * 5000,
    seal("@4294967296 info").encode(), seal("@0 info").encode(), seal("@x info").encode(),
], ids=["at", "at-star", "no-crc", "bad-crc", "too-long", "seq-too-big", "seq-0", "no-seq"])
def test_noise_is_refused(vm, noise):
    """Lines that aren't requests do nothing and don't disturb the next one."""
    vm.console.channel.send(noise + b"\r\n")
    assert vm.console.command("info")["version"] == "1"
