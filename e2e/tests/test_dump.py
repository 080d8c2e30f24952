# SPDX-License-Identifier: MIT
"""Dumps of a machine that has stopped agree with what the machine itself says."""

import re

import pytest

from kd_bench import MACHINE, finish, stopped_at
from vq7rig.dump import take, windows
from vq7rig.dump.frozen import Frozen
from vq7rig.errors import GuestCrash
from vq7rig.kd.debugger import Debugger

pytestmark = pytest.mark.needs("debugger")

FRAME = re.compile(r"^\d\d [0-9a-f]{16} (\S+)\+0x([0-9a-f]+)$", re.M)
MODULES = ["ntoskrnl.exe", "hal.dll", "WDFLDR.SYS", "vq7test.sys", "vq7agent.sys"]


def crashed(vm):
    with pytest.raises(GuestCrash) as crash:
        vm.console.command("crash")
    return crash.value


@pytest.mark.fresh
@pytest.mark.on("one", nightly="transports")
def test_dump_agrees_with_the_machine(vm, artefacts):
    """Bug check code, registers, modules and stack, read from the file that WinDbg opens."""
    error = crashed(vm)
    live, text = vm.hmp("info registers"), str(error)
    assert take.explain(vm, error, artefacts) == \
        f"{take.CORE}, {take.STACKS}, {take.DUMP} in {artefacts}"
    with windows.Dump(artefacts / take.DUMP) as dump:
        assert dump.header.bugcheck[0] == error.code == 0xE2
        assert (dump.header.minor, dump.service_pack) == (7601, 1)
        for name in ("RIP", "RSP", "RBX"):
            assert f"{name}={dump.header.context[name.lower()]:016x}" in live
        assert dump.header.root == int(re.search("CR3=([0-9a-f]+)", live)[1], 16)
        debugger = Debugger(Frozen(dump), [vm.guest])
        modules = debugger.module_list.all()
        assert sorted(each.file.lower() for each in modules) == sorted(map(str.lower, MODULES))
        loaded = {each.file.lower(): each.base for each in modules}
        said = [loaded[name.lower()] + int(offset, 16)
                for name, offset in FRAME.findall(text)]
        walked = [frame.frame.rip for frame in debugger.stack()]
        # The kernel went on a little in KeBugCheckEx itself, the first two of them; and on a
        # busy host its screen has come only in part.
        assert len(said) > 4 and said[2] in walked
        at = walked.index(said[2])
        assert walked[at:at + len(said) - 2] == said[2:]
        debugger.module_list.close()
    # The verdict names function, file and line.
    assert re.match(r"MANUALLY_INITIATED_CRASH \(0x000000E2\) in vq7agent!platform::Crash, "
                    r"\S*guest_driver/agent/ntcompat/entry\.cpp:\d+\n\*\*\* STOP", str(error))
    stacks = (artefacts / take.STACKS).read_text()
    assert "nt!KeBugCheckEx" in stacks and "vq7agent!agent::RunCommand" in stacks


@pytest.mark.on("one", options=("cpus=2",))
def test_stacks_of_a_machine_that_hangs(vm, artefacts):
    """Of every CPU that the kernel uses; there is a dump although it didn't stop by itself."""
    taken = take.take(vm, artefacts)
    assert taken.files == [take.CORE, take.STACKS, take.DUMP]
    (where,) = take.whereabouts(taken)          # ntcompat starts one CPU
    assert where.startswith("CPU 0 in nt!")
    with windows.Dump(artefacts / take.DUMP) as dump:
        assert dump.header.bugcheck[0] == 0 and dump.header.processors == 1
    assert vm.console.command("info").ok          # and it goes on


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_who_holds_a_lock(kd, vm, artefacts):
    """Stopped where the driver takes a buffer from the ring, under its lock. The lock's word
    and the current thread are what the debugger finds in the machine itself."""
    with stopped_at(kd, vm, "vq7test!VirtqSplitGetUsed") as answer:
        thread = kd.kernel.current_thread(0)
        taken = take.take(vm, artefacts)
        said = "\n".join(taken.locks)
        locks = re.findall(r"^spin lock (\w+): held by thread (\w+) \((.*) on CPU 0\)$", said, re.M)
        assert locks, said
        for address, owner, _ in locks:
            assert int(owner, 16) == thread
            assert kd.number(int(address, 16)) == thread | 1, said
        stacks = (artefacts / take.STACKS).read_text()
        assert said in stacks
        (queue,) = taken.queues
        assert re.match(r"queue 0, 0x[0-9a-f]+: size \d+, \d+ free, 1 in flight, ", queue[0]), queue
        assert int(queue[0].split()[2].rstrip(":"), 16) == kd.context["rcx"]
        assert any("1 waiting" in line for line in queue) and queue[-1] in stacks
        assert re.search(r"^THREAD 0x\w+ Waiting, began in nt!Worker\n.*\n.* nt!KiSwapContext"
                         r"(.*\n)+?.* nt!KiThreadStartup\+0x\w+$", stacks, re.M), stacks
        finish(kd, answer)
    kd.break_in()
    assert take.take(vm, artefacts).locks == ["no lock is held that says by whom"]


@pytest.mark.nightly
@pytest.mark.fresh
@pytest.mark.on("one", options=("memory=5120",))
def test_dump_of_a_large_machine(vm, artefacts):
    """Memory below and above 4 GiB is in it, the firmware's flash ROM isn't, and what is zeros
    takes no space while it is made."""
    taken = take.take(vm, artefacts)
    assert taken.files == [take.CORE, take.STACKS, take.DUMP], taken.why_not
    with windows.Dump(artefacts / take.DUMP) as dump:
        assert dump.header.pages == 5 << 30 >> 12
        assert [first for first, _ in dump.header.runs] == [0, 1 << 20]
        debugger = Debugger(Frozen(dump), [vm.guest])
        assert [frame.name.partition("!")[0] for frame in debugger.stack()][0] == "nt"
        debugger.module_list.close()
    for name in (take.CORE, take.DUMP):
        assert (artefacts / name).stat().st_blocks * 512 < 64 << 20
    assert vm.console.command("info").ok
