# SPDX-License-Identifier: MIT
"""The kernel debugger on COM2: what a debugger asks of a Windows 7 target.

Expectations come from the images and PDBs themselves, from the LLVM tools, from the agent's
console and from the bytes of the code; never from the client's own word alone.
"""

import contextlib
import struct
import subprocess
import time

import pytest

from vq7rig.kd.badline import BadLine
from vq7rig import clock
from vq7rig.errors import GuestCrash
from vq7rig.inflight import background
from vq7rig.kd import messages as m
from vq7rig.kd import session
from vq7rig.kd.errors import NoAnswer, Refused, Unreadable
from vq7rig.kd.pdb import tool
from vq7rig.kd.pe import file_image
from vq7rig.workload import Workload

DRIVER = "vq7test"
IMAGES = {"nt": "ntoskrnl.exe", "hal": "hal.dll", "WDFLDR": "WDFLDR.SYS", DRIVER: "vq7test.sys",
          "vq7agent": "vq7agent.sys"}
PAGE, DIRECT_MAP = 0x1000, 0xFFFF800000000000
SMALL = Workload(ops=6, depth=1, sizes=(4096,), seed=71)
BUSY = Workload(ops=2500, depth=16, sizes=(4096, 16384), seed=72)
# Of VQ7_QUEUE, which BlkService has in rcx: its QUEUE_STATS.
COMPLETED, MAX_IN_FLIGHT = 0x28, 0x68
STEP = 20.0                 # seconds for what takes milliseconds


@pytest.fixture
def line():
    """What is between the debugger and COM2; a test may put a bad line there."""
    return lambda channel: channel


@pytest.fixture
def running(vm, artefacts, line):
    """A debugger that has not attached yet. Afterwards the machine runs without one."""
    said = []
    with open(artefacts / "kd.log", "w", encoding="utf-8") as log, \
            session.debugging(vm, [vm.guest], log, said.append, line) as debugger:
        debugger.said = said
        yield debugger
        if vm.usable:
            debugger.detach()
    if vm.usable:
        vm.console.command("info")


@pytest.fixture
def kd(running):
    """A debugger; the machine is stopped at the agent's prompt."""
    running.client.attach(running=True)
    return running


@contextlib.contextmanager
def command(kd, vm, text):
    """The agent executes a command meanwhile; gives the answer's future. A test that fails
    leaves the target running, else the command would never end."""
    with background(vm.console.command, text, timeout=120) as answer:
        try:
            yield answer
        except BaseException:
            vm.console.now = clock.now
            kd.detach()
            raise


def miscompares(answer):
    return answer.num("errors"), answer.num("miscompares")


@contextlib.contextmanager
def stopped_at(kd, vm, symbol, load=SMALL):
    """A workload, stopped at a breakpoint that is removed then; gives the answer's future."""
    made = kd.breakpoints.add(symbol, kd.evaluate(symbol))
    kd.go()
    with command(kd, vm, load.command()) as answer:
        event = kd.wait(STEP)
        assert event.code == m.BREAKPOINT and event.pc == made.address
        kd.breakpoints.remove(made)
        yield answer


def finish(kd, answer):
    """Let the workload end, without breakpoints; returns its answer."""
    kd.breakpoints.all.clear()
    kd.go()
    return answer.result(60)


# --- what it says of itself ----------------------------------------------------------

@pytest.mark.smoke
@pytest.mark.on("one")
def test_version(kd):
    version = kd.client.version()
    assert (version.major, version.minor, version.protocol, version.secondary) == (0xF, 7601, 6, 2)
    assert version.machine == m.AMD64 and version.flags & ~m.MULTIPROCESSOR == 6
    assert kd.kernel.service_pack == 1
    assert version.module_list == kd.kernel.field(0x48)
    assert kd.read(version.kernel_base, 2) == b"MZ"
    processes = kd.kernel.processes()
    assert [(each.pid, each.name) for each in processes] == [(4, "System")]
    assert processes[0].directory_table & ~0xFFF == kd.client.special()["cr3"] & ~0xFFF
    threads = processes[0].threads()
    assert "vq7agent!AgentThread" in [kd.name_of(each.start) for each in threads]
    assert all(each.process == 4 for each in threads)


@pytest.mark.smoke
@pytest.mark.on("one")
def test_modules(kd, vm):
    """Each is the very build whose file and PDB are in the guest's folder."""
    modules = kd.module_list.all()
    assert {each.name: each.file for each in modules} == IMAGES
    assert modules[0].base == kd.kernel.version.kernel_base
    for module in modules:
        file = file_image(vm.guest / module.file)
        assert module.pdb == file.pdb and module.pdb is not None
        assert (module.size, module.image.entry) == (file.size, file.entry)
        assert module.image.functions == file.functions, "the unwind data can be read"
        assert module.symbols, module.status


# --- break in, go on -------------------------------------------------------------------

@pytest.mark.on("one")
def test_break_in_from_idle(running, note):
    running.client.attach(running=True)
    times = []
    for _ in range(10):
        running.go()
        began = time.monotonic()
        event = running.break_in()
        times.append(time.monotonic() - began)
        assert event.code == m.BREAKPOINT and event.first_chance
        assert running.name_of(event.pc) == "nt!DbgBreakPointWithStatus"
        assert running.context["rcx"] == 1                  # DBG_STATUS_CONTROL_C
    note("break-in to prompt, ms", f"{1000 * sorted(times)[len(times) // 2]:.1f}")


def break_in_often(kd, vm, count, note):
    """Break in `count` times while I/O goes on; nothing is lost."""
    began, done, answers = time.monotonic(), 0, []
    before = kd.client.link.counts.copy()
    while done < count:
        with command(kd, vm, BUSY.command()) as answer:
            kd.go()
            while done < count and not answer.done():
                time.sleep(0.002 * (done % 7))
                kd.break_in()
                assert kd.client.version().minor == 7601
                kd.go()
                done += 1
            while not answer.done():
                kd.client.poll(0.05)
            answers.append(answer.result())
            kd.break_in()
    took = time.monotonic() - began
    note("break-ins", f"{count} in {took:.1f} s, {len(answers)} workloads")
    assert all(miscompares(each) == (0, 0) and each.num("ops") == BUSY.ops for each in answers)
    # What a busy host answered late and was sent twice was acknowledged twice: none is lost.
    counts = kd.client.link.counts - before
    assert counts["damaged"] == 0 and counts["again"] == counts["stray"], counts


@pytest.mark.on("one")
def test_break_in_under_load(kd, vm, note):
    break_in_often(kd, vm, 50, note)


@pytest.mark.nightly
@pytest.mark.on("one")
def test_thousand_break_ins(kd, vm, note):
    break_in_often(kd, vm, 1000, note)


@pytest.mark.on("one")
def test_killed_debugger(running, vm, artefacts):
    """In the middle of a packet, with a breakpoint set; the next one finds the machine as it
    was left, and it goes on."""
    running.client.attach(running=True)
    running.client.write_breakpoint(running.evaluate("vq7test!VirtqSplitGetUsed"))
    raw = m.request(m.Api.READ_VIRTUAL, 0, struct.pack("<QI", DIRECT_MAP, 64))
    from vq7rig.kd import wire
    running.client.link.channel.send(wire.data(2, running.client.link._mine, raw).encode()[:30])
    running.client.link.channel.close()
    with session.debugging(vm, [vm.guest]) as second:
        where = second.evaluate
        event = second.client.attach()
        assert running.event.pc == event.pc
        second.client.request(m.Api.RESTORE_BREAKPOINT, struct.pack("<I", 1))
        assert second.client.read(where("vq7test!VirtqSplitGetUsed"), 1) != b"\xcc"
        second.go()
        assert miscompares(vm.console.command(SMALL.command())) == (0, 0)
        second.break_in()
        second.detach()
    # For the fixture, whose line is cut.
    running.client.link.channel = session.SocketChannel.connect(str(vm.run / session.SOCKET))
    running.client._set_event(None)
    running.client.attach()


def interrupt_time(kd):
    """In 100 ns; of the page that Windows shares with everybody."""
    return kd.client.number(0xFFFFF78000000008)


def long_break(kd, vm, seconds):
    """The I/O goes on where it was, and the guest's time knows nothing of the break."""
    up, began = interrupt_time(kd), time.monotonic()
    kd.go()
    with command(kd, vm, BUSY.command()) as answer:
        time.sleep(0.1)
        kd.break_in()
        assert not answer.done()
        time.sleep(seconds)
        kd.go()
        pump(kd, answer)
    assert miscompares(answer.result()) == (0, 0) and answer.result().num("ops") == BUSY.ops
    kd.break_in()
    passed = (interrupt_time(kd) - up) / 1e7
    assert passed <= time.monotonic() - began - seconds


@pytest.mark.on("one")
def test_break_of_seconds(kd, vm):
    long_break(kd, vm, 1)


@pytest.mark.nightly
@pytest.mark.on("one")
def test_break_of_minutes(kd, vm):
    """Longer than every time-out of driver, agent and rig."""
    long_break(kd, vm, 150)


# --- code: stack, breakpoints, steps -----------------------------------------------------

def symbolized(vm, module, address):
    """What llvm-symbolizer says, asked without the client."""
    ran = subprocess.run([tool("llvm-symbolizer"), f"--obj={vm.guest / IMAGES[module.name]}",
                          "--relative-address", f"{address - module.base:#x}"],
                         capture_output=True, text=True, check=True)
    said = ran.stdout.split("\n")
    return [name for name in said[:-1:2] if name not in ("", "??")], said[1]


@pytest.mark.on("one")
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


@pytest.mark.on("one")
def test_breakpoint_at_each_completion(kd, vm):
    """As often as a buffer came back, and nothing of it is left in the code."""
    where = kd.evaluate("vq7test!VirtqSplitGetUsed")
    code = kd.client.read(where, 32)
    kd.breakpoints.add("used", where)
    kd.go()
    with command(kd, vm, SMALL.command()) as answer:
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
        assert (taken, answer.result().num("completed")) == (SMALL.ops, SMALL.ops)
        assert entered == kd.breakpoints.all[0].hits >= taken
        kd.break_in()
        kd.breakpoints.all.clear()
        assert kd.client.read(where, 32) == code


@pytest.mark.on("one")
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
            if here.returns:
                break
        assert calls >= 2
        assert miscompares(finish(kd, answer)) == (0, 0)
        kd.break_in()


@pytest.mark.on("one")
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


# --- data ----------------------------------------------------------------------------------

def queue_of(kd):
    """The VQ7_QUEUE, at the entry of BlkService."""
    assert kd.name_of(kd.event.pc) == "vq7test!BlkService"
    return kd.context["rcx"]


@pytest.mark.on("one")
def test_hardware_breakpoint_and_a_variable(kd, vm):
    """`ba w` at the counter of completions: one stop for each, after the write. A counter
    that the debugger writes is what the agent says then."""
    load = Workload(ops=4, depth=1, sizes=(4096,), seed=73)
    with stopped_at(kd, vm, "vq7test!BlkService", load) as answer:
        queue = queue_of(kd)
        watch = kd.breakpoints.add("completed", queue + COMPLETED, "w", 8)
        began = kd.number(queue + COMPLETED)
        for n in range(1, load.ops + 1):
            kd.go()
            event = kd.wait(STEP)
            assert event.code == m.SINGLE_STEP and event.dr6 & 1, f"{event.dr6:#x}"
            assert kd.number(queue + COMPLETED) == began + n
            assert kd.name_of(event.pc).startswith(f"{DRIVER}!")
        assert watch.hits == load.ops
        kd.write(queue + MAX_IN_FLIGHT, struct.pack("<Q", 12345))
        answer = finish(kd, answer)
        assert miscompares(answer) == (0, 0) and answer.num("completed") == load.ops
        assert vm.console.command("stats").num("max_in_flight") == 12345
        kd.break_in()


@pytest.mark.on("one")
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


@pytest.mark.on("one")
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


@pytest.mark.on("one")
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
    for address in (0, end, 0x7FFFFFFF0000, 1 << 47, 0x8000000000000000, (1 << 64) - 4):
        with pytest.raises(Unreadable) as caught:
            kd.client.read(address, 16)
        assert caught.value.done == 0, f"{address:#x}"
    with pytest.raises(Refused) as refused:
        kd.client.write(end - 4, kd.client.read(end - 4, 4) + b"beyond")
    assert refused.value.done == 4


@pytest.mark.on("one")
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


# --- what the target says by itself ----------------------------------------------------------

@pytest.mark.on("one")
def test_loads_and_prints(kd, vm):
    """The driver goes and comes while a debugger is there, which may stop it at its entry."""
    kd.breakpoints.add("vq7test!DriverEntry", kd.evaluate("vq7test!DriverEntry"))
    kd.go()
    with command(kd, vm, "driver unload") as answer:
        pump(kd, answer)
    assert kd.breakpoints.all[0].address is None
    with command(kd, vm, "driver load") as answer:
        event = kd.wait(STEP)
        assert kd.name_of(event.pc) == "vq7test!DriverEntry"
        kd.go()
        pump(kd, answer)
    said = "".join(kd.said)
    events = [line.split()[0] for line in said.splitlines() if line.endswith("vq7test.sys")]
    assert events == ["ModUnload:", "ModLoad:"], said
    assert "vq7test: loaded" in said
    kd.break_in()


def pump(kd, answer):
    """The target runs on, and says what it says, until the agent has answered."""
    while not answer.done():
        if kd.client.poll(0.05) is not None and (event := kd.arrived()) is not None:
            raise AssertionError(f"it stopped: {event} at {kd.name_of(event.pc)}")
    answer.result()


@pytest.mark.on("one")
@pytest.mark.fresh
def test_bug_check(kd, vm):
    """It breaks in before the screen, and after `g` goes its normal way."""
    values = (0x1111, 0x2222, 0x3333, 0x4444)
    kd.set_register("rip", kd.evaluate("nt!KeBugCheckEx"))
    kd.set_register("rcx", 0xE2)
    for name, value in zip(("rdx", "r8", "r9"), values):
        kd.set_register(name, value)
    kd.write(kd.context["rsp"] + 0x28, struct.pack("<Q", values[3]))
    kd.go()
    event = kd.wait(STEP)
    assert event.code == m.BREAKPOINT and kd.context["rcx"] == 3      # BUGCHECK_FIRST
    assert "*** Fatal System Error: 0x000000e2" in "".join(kd.said)
    assert any(each.name.startswith("nt!KeBugCheckEx") for each in kd.stack())
    kd.go()
    kd.client.poll(0.5)
    with pytest.raises(GuestCrash) as crash:
        vm.console.command("info", timeout=STEP)
    assert crash.value.code == 0xE2
    vm.broken(crash.value)


# --- a bad line, a wrong one -----------------------------------------------------------------

class TestBadLine:
    @pytest.fixture
    def line(self):
        return BadLine

    @pytest.mark.nightly
    @pytest.mark.on("one")
    def test_five_percent_are_lost(self, running, vm):
        """Of the packets of both ways; also damaged, repeated and cut ones."""
        running.client.attach(60)
        module = running.module_list.named(DRIVER)
        text = running.client.read(module.base, 0x8000)
        for _ in range(5):
            assert running.client.read(module.base, 0x8000) == text
        for _ in range(30):
            running.go()
            running.break_in(STEP)
        assert running.client.link.channel.faults > 20
        assert miscompares(self._under_load(running, vm)) == (0, 0)
        running.break_in(STEP)

    @staticmethod
    def _under_load(kd, vm):
        with command(kd, vm, SMALL.command()) as answer:
            kd.go()
            pump(kd, answer)
            return answer.result()


@pytest.mark.on("one")
def test_garbage(vm, running):
    """Bytes that are no packet do nothing; a debugger comes afterwards as ever."""
    channel = running.client.link.channel
    for data in (b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)).replace(b"b", b"") * 4,
                 b"0000" * 64, b"iiii" * 64, b"00000000\x02\x00\xa0\x0f" + b"\xff" * 300):
        channel.send(data)
    vm.console.command("info")
    with pytest.raises(NoAnswer):
        running.client.wait(0.2)
    running.client.attach()
    assert running.client.version().minor == 7601
