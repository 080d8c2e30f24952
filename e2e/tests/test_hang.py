# SPDX-License-Identifier: MIT
"""A guest that hangs: what the folder of the failure and the verdict say of it."""

import re

import pytest

from kd_bench import MACHINE
from vq7rig import hardware
from vq7rig.dump import take
from vq7rig.errors import Hang

pytestmark = [pytest.mark.needs("debugger"), pytest.mark.nightly]
FOR_EVER = b"\xeb\xfe"                  # a jump to itself
WHERE = "VirtqSplitAddBuffer"


@pytest.mark.fresh
@pytest.mark.on("one", settings=MACHINE)
def test_what_is_said_of_a_hang(kd, vm, artefacts):
    """The driver goes round and round where it gives a buffer to the ring, under its lock, and
    nobody asks for a dump."""
    at = kd.evaluate(f"vq7test!{WHERE}")
    code = kd.client.read(at, len(FOR_EVER))
    kd.client.write(at, FOR_EVER)
    kd.detach()
    with pytest.raises(Hang) as hang:
        vm.console.command("blk read 0 8", timeout=5, quiet=5)
    said = take.explain(vm, hang.value, artefacts)
    assert said == f"{take.CORE}, {take.STACKS}, {take.DUMP} in {artefacts}"
    text, stacks = str(hang.value), (artefacts / take.STACKS).read_text()
    assert text.startswith("no answer: waited 5")
    assert re.search(rf"^CPU 0 in vq7test!{WHERE} < vq7test!BlkPump\+0x\w+ < ", text, re.M), text
    held = re.search(r"^spin lock 0x\w+: held by thread 0x\w+ \(vq7agent!AgentThread on CPU 0\)$",
                     text, re.M)
    assert held and held[0] in stacks, text
    queue = re.search(r"^queue 0, 0x\w+: size \d+, (\d+) free, 0 in flight, .*", text, re.M)
    assert queue and queue[0] in stacks, text
    assert re.search(rf"^\S+  \S+  vq7test!{WHERE} \[\S*lib/virtqueue_split_add\.cpp @ \d+\]$",
                     stacks, re.M), stacks
    assert "vq7agent!agent::CommandBlkRead" in stacks and "THREAD" in stacks
    kd.break_in(timeout=60)                 # at DISPATCH_LEVEL, and the clock ticks
    kd.client.write(at, code)


@pytest.mark.on("one", options=("cpus=2",))
def test_what_qemu_says_of_a_hang(vm, artefacts):
    """COM1 has its interrupts as the driver of ntcompat sets them, COM2 has its FIFO."""
    assert hardware.write(vm, artefacts) == hardware.NAME
    text = (artefacts / hardware.NAME).read_text()
    assert "VM status: running" in text and "(error" not in text
    for cpu in (0, 1):
        assert f"CPU#{cpu}" in text and re.search(rf"# info lapic {cpu}\ndumping local APIC", text)
    com1 = text.partition("# COM1")[2].partition("# COM2")[0]
    assert re.search(r"interrupt enable: portb\[0x03f9\] = 0x05\n", com1), com1
    assert re.search(r"interrupt identification: portb\[0x03fa\] = 0xc1\Z", com1.rstrip()), com1
