# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: code and data of the driver at work.

Expectations come from the images and PDBs themselves, from the LLVM tools, from the agent's
console and from the bytes of the code; never from the client's own word alone.
"""

import struct
import subprocess

import pytest

from kd_bench import (DIRECT_MAP, DRIVER, IMAGES, MACHINE, PAGE, STEP, command,
                      finish, miscompares, offset_of, stopped_at)
from vq7rig.kd import messages as m
from vq7rig.kd.context import GENERAL
from vq7rig.kd.errors import Refused, Unreadable
from vq7rig.kd.pdb import tool
from vq7rig.workload import Workload


# --- code: stack, breakpoints, steps ---------------------------------------------------------

def symbolized(vm, module, address):
    """What llvm-symbolizer says, asked without the client."""
    ran = subprocess.run([tool("llvm-symbolizer"), f"--obj={vm.guest / IMAGES[module.name]}",
                          "--relative-address", f"{address - module.base:#x}"],
                         capture_output=True, text=True, check=True)
    said = ran.stdout.split("\n")
    return [name for name in said[:-1:2] if name not in ("", "??")], said[1]


@pytest.mark.on("one", settings=MACHINE)
def test_stack_of_the_dpc(kd, vm):
    """From the driver's DPC through the interrupt into the thread it came upon."""
    with stopped_at(kd, vm, "vq7test!VirtqSplitGetUsed") as answer:
        frames = kd.stack()
        names = [each.name.partition("+")[0] for each in frames]
        assert names[0] == "vq7test!VirtqSplitGetUsed"
        for name in ("vq7test!BlkService", "vq7test!Vq7EvtDpc", "WDFLDR!wdfldr::DeferredRoutine",
                     "nt!KiRetireDpcs", "nt!KiInterruptEntry"):
            assert name in names, names
        assert names[-1] == "nt!KiThreadStartup" or "KiSystemStartup" in names[-1], names
        for frame in frames:
            functions, _ = symbolized(vm, frame.module, frame.frame.lookup)
            assert [line.function for line in frame.lines] == functions, frame.name
            short = frame.name.partition("!")[2].partition("+")[0].rpartition("::")[2]
            assert not functions or short == functions[-1].partition("(")[0].rpartition("::")[2]
            if not frame.frame.exact:       # the code itself says that somebody called there
                check_call(kd, frame.frame.rip)
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


def check_call(kd, back):
    """Is the instruction before a return address a call?"""
    code = kd.read(back - 7, 7)
    assert any(code[at:at + 1] == b"\xe8" and at == 2 or
               code[at:at + 1] == b"\xff" and code[at + 1] >> 3 & 7 == 2
               for at in range(6)), code.hex()


@pytest.mark.on("one", settings=MACHINE)
def test_breakpoint_at_each_completion(kd, vm):
    """As often as a buffer came back, and nothing of it is left in the code."""
    load = Workload(ops=3, depth=1, sizes=(4096,), seed=75)
    where = kd.evaluate("vq7test!VirtqSplitGetUsed")
    code = kd.client.read(where, 32)
    kd.breakpoints.add("used", where)
    kd.go()
    with command(kd, vm, load.command()) as answer:
        taken = entered = 0
        while True:
            while (event := kd.client.poll(0.05)) is None and not answer.done():
                pass
            if event is None:
                break
            event = kd.arrived()
            assert event.code == m.BREAKPOINT and event.pc == where
            assert kd.client.read(where, 32) == code, "while it is stopped the code is whole"
            entered += 1
            event = kd.step_out(lambda: kd.wait(STEP))
            taken += kd.context["rax"] & 0xFFFFFFFF == 0        # STATUS_SUCCESS
            kd.go()
        assert (taken, answer.result().num("completed")) == (load.ops, load.ops)
        assert entered == kd.breakpoints.all[0].hits >= taken
        kd.break_in()
        kd.breakpoints.all.clear()
        assert kd.client.read(where, 32) == code


@pytest.mark.on("one", settings=MACHINE)
def test_steps(kd, vm):
    """`t` goes into a call, `p` over it, and every `t` executes one instruction."""
    with stopped_at(kd, vm, "vq7test!BlkService") as answer:
        calls = 0
        for _ in range(40):
            (here,) = kd.disassemble(kd.context["rip"], 1)
            stack = kd.context["rsp"]
            if not here.calls:
                event = kd.step()
                assert event.code == m.SINGLE_STEP
                if not here.text.startswith("j") and not here.returns:
                    assert event.pc == here.end
            elif calls % 2:
                event = kd.step()
                assert kd.context["rsp"] == stack - 8
                assert kd.number(kd.context["rsp"]) == here.end, "the return address"
                assert here.target is None or here.text != "call" or event.pc == here.target
                kd.step_out(lambda: kd.wait(STEP))
                calls += 1
            else:
                event = kd.step_over(lambda: kd.wait(STEP))
                assert (event.pc, kd.context["rsp"]) == (here.end, stack)
                calls += 1
            if here.returns or calls == 2:
                break
        assert calls == 2
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


@pytest.mark.on("one", settings=MACHINE)
def test_step_in_the_interrupt_routine(kd, vm):
    """At the device's own IRQL."""
    with stopped_at(kd, vm, "vq7test!Vq7EvtIsr") as answer:
        irql = kd.client.special()["cr8"]
        assert 3 <= irql <= 11
        for _ in range(5):
            assert kd.step().code == m.SINGLE_STEP
        assert kd.client.special()["cr8"] == irql
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


# --- data ------------------------------------------------------------------------------------

def queue_of(kd):
    """The VQ7_QUEUE, at the entry of BlkService, where it is the first parameter."""
    assert kd.name_of(kd.event.pc) == "vq7test!BlkService"
    return kd.context["rcx"]


@pytest.mark.on("one", settings=MACHINE)
def test_hardware_breakpoint_and_a_variable(kd, vm):
    """`ba w` at the counter of completions: one stop for each, after the write. A counter
    that the debugger writes is what the agent says then."""
    load = Workload(ops=4, depth=1, sizes=(4096,), seed=73)
    with stopped_at(kd, vm, "vq7test!BlkService", load) as answer:
        stats = queue_of(kd) + offset_of(vm, "_VQ7_QUEUE", "stats")
        completed = stats + offset_of(vm, "_QUEUE_STATS", "completed")
        watch = kd.breakpoints.add("completed", completed, "w", 8)
        began = kd.number(completed)
        for n in range(1, load.ops + 1):
            kd.go()
            event = kd.wait(STEP)
            assert event.code == m.SINGLE_STEP and event.dr6 & 1, f"{event.dr6:#x}"
            assert kd.number(completed) == began + n
            assert kd.name_of(event.pc).startswith(f"{DRIVER}!")
        assert watch.hits == load.ops
        kd.write(stats + offset_of(vm, "_QUEUE_STATS", "max_in_flight"), struct.pack("<Q", 12345))
        answer = finish(kd, answer)
        assert miscompares(answer) == (0, 0) and answer.num("completed") == load.ops
        assert vm.console.command("stats").num("max_in_flight") == 12345
        kd.break_in()


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_hardware_breakpoint_on_code(kd, vm):
    with stopped_at(kd, vm, "vq7test!BlkService") as answer:
        where = kd.evaluate("vq7test!VirtqSplitGetUsed")
        code = kd.client.read(where, 16)
        kd.breakpoints.add("used", where, "e")
        for _ in range(3):
            kd.go()
            event = kd.wait(STEP)
            assert (event.code, event.pc) == (m.SINGLE_STEP, where)
        assert kd.client.read(where, 16) == code
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


@pytest.mark.nightly
@pytest.mark.on("one", settings=MACHINE)
def test_registers(kd, vm):
    """Written ones are what the code goes on with: the agent's own error comes of it."""
    with stopped_at(kd, vm, "vq7test!VirtqSplitGetUsed") as answer:
        context = kd.context
        assert context["rip"] == kd.event.pc and context["efl"] == kd.event.eflags
        assert kd.client.special()["cr0"] & 0x80000001 == 0x80000001    # paging, protection
        for name, value in (("r11", 0x1122334455667788), ("xmm5", 5 << 90)):
            old = context[name]
            kd.set_register(name, value)
            kd.step()
            assert kd.context[name] == value
            kd.set_register(name, old)
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


@pytest.mark.on("one", settings=MACHINE)
def test_memory(kd, vm):
    """Virtual and physical are the same bytes; what isn't mapped is a failure with a count."""
    special, module = kd.client.special(), kd.module_list.named(DRIVER)
    assert kd.client.read_physical(special["cr3"] & ~0xFFF, 64) == \
        kd.client.read(DIRECT_MAP + (special["cr3"] & ~0xFFF), 64)
    page = module.base + module.image.sections[0].rva
    physical = int(vm.hmp(f"gva2gpa {page:#x}").split("gpa:")[1], 16)
    assert kd.client.read_physical(physical, PAGE) == kd.client.read(page, PAGE)
    kd.client.write_physical(physical, kd.client.read(page, 16))
    end = module.base + module.size
    with pytest.raises(Unreadable) as caught:
        kd.client.read(end - 24, 4000)
    assert caught.value.done == 24
    data, failed = kd.client.read_once(m.Api.READ_VIRTUAL, end - 24, 4000 - 56)
    assert (len(data), failed) == (24, True), "as one request is answered"
    for address in (0, end, 0x7FFFFFFF0000, 1 << 47, 0x8000000000000000, (1 << 64) - 4):
        with pytest.raises(Unreadable) as caught:
            kd.client.read(address, 16)
        assert caught.value.done == 0, f"{address:#x}"
    with pytest.raises(Refused) as refused:
        kd.client.write(end - 4, kd.client.read(end - 4, 4) + b"beyond")
    assert refused.value.done == 4


@pytest.mark.on("one", settings=MACHINE)
def test_ports_msrs_control_space(kd):
    assert kd.client.read_msr(0xC0000080) & 0x500 == 0x500      # EFER: long mode
    kpcr = int.from_bytes(kd.client.control_space(0, 8), "little")
    assert kd.number(kpcr + 0x18) == kpcr                       # KPCR.Self
    assert kd.client.read_msr(0xC0000101) == kpcr               # the GS base
    thread = int.from_bytes(kd.client.control_space(3, 8), "little")
    assert thread == kd.event.thread == kd.kernel.current_thread(0)
    kd.client.write_io(0x70, 1, 0x0D)                           # the RTC's register D
    assert kd.client.read_io(0x71, 1) == 0x80                   # its battery is good
    got = kd.client.request(0x31FE)
    assert got.status == m.UNSUCCESSFUL, "what nobody knows is refused"
    assert kd.client.version().minor == 7601


@pytest.mark.parametrize("instructions", [
    pytest.param(5, id="first"), pytest.param(1000, id="all", marks=pytest.mark.nightly)])
@pytest.mark.on("one", settings=MACHINE)
def test_stack_from_each_instruction_of_an_interrupt(kd, instructions):
    """From the vector's first instruction on, at night to the IRETQ: the caller is the code
    that was interrupted, with its registers."""
    clock = 0xD1
    made = kd.breakpoints.add("clock", kd.evaluate("nt!KiVectorStubs") + 16 * clock)
    kd.go()
    kd.wait(STEP)
    kd.breakpoints.remove(made)
    context = kd.context
    interrupted, back = kd.number(context["rsp"]), kd.number(context["rsp"] + 24)
    wanted = {name: context[name] for name in GENERAL} | {"rsp": back}
    names, here = [], None
    while len(names) < instructions and not (here and here.text.startswith("iret")):
        if here:
            event = kd.step_over(lambda: kd.wait(STEP)) if here.calls else kd.step()
            assert event.code in (m.SINGLE_STEP, m.BREAKPOINT)
        frame = kd.stack(2)[1].frame
        names.append(kd.name_of(kd.context["rip"]))
        assert (frame.rip, frame.registers) == (interrupted, wanted), names
        here = kd.disassemble(kd.context["rip"], 1)[0]
    assert "nt!KiInterruptEntry" in names, names
    if here.text.startswith("iret"):
        assert len(names) > 50 and kd.step().pc == interrupted
